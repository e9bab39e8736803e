"""What is no good JSON, no good YAML or no good address, and where it can be put."""

from __future__ import annotations

import json

DEEP = 10_000
PUT = ("agents", "mcps", "memories", "models", "schemas", "tasks", "tools", "workflows")

PLACES: dict[str, tuple[str, ...]] = {
    "POST /auth/generate": ('{"name": @}', '{"role": @}', '{"expires_at": @}', '{"user_id": @}'),
    "POST /auth/login": ('{"email": @, "password": "a password"}',
                         '{"email": "a@b.example", "password": @}'),
    "POST /events": ('{"name": @}', '{"name": "told", "payload": {"v": @}}', "@"),
    "POST /executions/workflows/{exec_id}/signals": (
        '{"signal_name": @}', '{"signal_name": "go", "payload": @}'),
    "POST /memory/{memory_ref}/append": (
        '{"key": @, "messages": [{"role": "user", "content": "x"}]}',
        '{"key": "k", "messages": [{"role": "user", "content": @}]}',
        '{"key": "k", "messages": @}'),
    "POST /memory/{memory_ref}/clear": ('{"key": @, "confirm": true}', '{"key": "k", "confirm": @}'),
    "POST /memory/{memory_ref}/delete": ('{"key": @}',),
    "POST /memory/{memory_ref}/flush": ('{"key": @}', '{"key": "k", "strategy": @}'),
    "POST /memory/{memory_ref}/write": ('{"key": @, "messages": []}',
                                        '{"key": "k", "messages": [@]}'),
    "PATCH /schedules/{workflow_id}": ('{"cron": @}', '{"timezone": @}', '{"enabled": @}'),
    "POST /tasks/{task_id}/executions": ('{"with": {"v": @}}', '{"with": @}'),
    "POST /tasks/{task_id}/executions/sync": ('{"with": {"v": @}}', '{"timeout": @}'),
    "POST /users": ('{"email": @}', '{"email": "a@b.example", "role": @}'),
    "PATCH /users/{user_id}": ('{"email": @}', '{"password": @}'),
    "POST /workflows/{workflow_id}/executions": ('{"input": {"v": @}}', '{"task_id": @}', "@"),
    "POST /workflows/{workflow_id}/executions/sync": ('{"input": {"v": @}}', '{"timeout": @}'),
    "POST /hooks/{slug}": ("@", '{"v": @}'),
    "PUT /hooks/{slug}": ("@",),
    "PATCH /hooks/{slug}": ("@",),
    "POST /project/import": ("@", '{"project": @}'),
    **{f"PUT /{noun}/{{resource_id}}": ("@", '{"resource": @}', '{"id": @}') for noun in PUT[:-1]},
    "PUT /workflows/{workflow_id}": ("@", '{"id": "odd", "tasks": @}',
                                     '{"id": "odd", "tasks": [], "description": @}'),
    **{f"POST /{noun}/import": ("@", f'{{"{noun}": [@]}}') for noun in PUT},
}  # fmt: skip
"""Every route that reads a body, and bodies of it in which `@` is the place of a value."""

KNOWN = {
    "workflow_id": "plain",
    "task_id": "alone",
    "memory_ref": "chat",
    "slug": "open",
    "resource_id": "odd",
}
"""What is there for a parameter of a path."""

VALUES: tuple[bytes, ...] = (
    b"null", b"true", b'""', b'"x"', b"0", b"-0", b"-0.0", b"[]", b"{}", b"[[]]", b'{"": ""}',
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"5e-324", b"1e308",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616",
    b"9" * 5_000, b"0." + b"1" * 5_000, b"01", b"+1", b".5", b"1.", b"0x10", b"1_000",
    rb'"\u0000"', rb'{"\u0000": 1}', b'"\0"', rb'"\ud800"', rb'"\udc00\ud800"', rb'{"\udfff": 1}',
    rb'"\ud83d\ude00"', rb'"\uFFFE\uFFFF"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\xaf"',
    b'"\xf4\x90\x80\x80"', '"\u202e\u2066\u200f\ufeff"'.encode(), b'"\x7f\xc2\x80"', b'"\x1b[2J"',
    rb'"\u001b[2J\r\n\t\b"', b'"a\nb"', b'"a\tb"', rb'"\x41"', b"'x'", b'"x', b"[1,]", b"[1 2]",
    b'{"a": 1, "a": 2}', b'{"a": 1,}', b"{a: 1}", b"/* */ 1", b"1 // 2", b"undefined", b"True",
    b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP, b"[" * 64 + b"]" * 64,
    b'"0000-00-00"', b'"2026-02-30T00:00:00Z"', b'"2026-13-01T25:61:61Z"', b'"9999-12-31T23:59:60Z"',
    b'"0001-01-01T00:00:00+23:59"', b'"10000-01-01T00:00:00Z"', b'"2026-01-01T00:00:00"',
    b'"* * * * * * * *"', b'"@every 0s"', b'"@every -1s"', b'"60 * * * *"', b'"Mars/Olympus"',
    b'"../../etc/passwd"', b'"/etc/localtime"', b'"{{ .env.HOOK_SECRET }}"', b"\"'; DROP TABLE users; --\"",
    b'"' + b"x" * 100_000 + b'"', b'"' + "\U0001f600".encode() * 5_000 + b'"',
    b'"' + b"e\xcc\x81" * 5_000 + b'"',
)  # fmt: skip
"""Values as they are written: of every kind, at every edge, and what is none."""

WHOLES: tuple[bytes, ...] = (
    b"", b" ", b"\0", b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", "{}".encode("utf-16"),
    "{}".encode("utf-16-be"), "{}".encode("utf-32"), b"\xff", b"{}{}", b"{} x", b"{", b"}", b"{}\0",
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"\x80\x04N.", b"<a/>", b"a=b&c=d", b"--x\r\n\r\n--x--",
    b'{"' + b"k" * 200_000 + b'": 1}', b"{" + b",".join(b'"%d":0' % n for n in range(5_000)) + b"}",
)  # fmt: skip
"""Bodies that are no object, or not as it should be."""

_BOMB = ["a0: &a0 [lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
YAMLS: tuple[bytes, ...] = (
    "\n".join(_BOMB).encode(), b"a: &a [*a]", b"a: *b", b"<<: {a: 1}", b"a: !!python/object:os.system x",
    b"a: !!binary x", b"a: !foo x", b"!!set {a}", b"%YAML 9.9\n---\na: 1", b"--- a\n--- b", b"a: 1\na: 2",
    b"? [a]\n: 1", b"? {a: 1}\n: 1", b"1: 2", b"null: 1", b"a:\tb", b"\ta: b", b"a: b: c", b"a: [", b"a: 'x",
    b'a: "\\x00"', b'a: "\\ud800"', b'a: "\\q"', b"a: \0", b"a: \xff", b"\xef\xbb\xbfid: odd",
    "id: odd".encode("utf-16"), b"id: 2026-02-30", b"id: 2026-99-99T99:99:99Z", b"id: 1:20", b"id: no",
    b"id: .nan", b"id: .inf", b"id: 0o777", b"id: 9223372036854775808", b"id: 1e999", b"id: ~", b"id:",
    b"a: " + b"[" * DEEP + b"]" * DEEP, b"a: " + b"{a: " * 200 + b"1" + b"}" * 200, b"- " * 2_000 + b"a",
    b"a:\n" + b" " * 5_000 + b"b: 1", b"#" + b"x" * 100_000, b"a: |\n" + b" x\n" * 50_000,
    b"id: " + b"x" * 5_000, b"id: odd\nresource: nothing", b"id: ../../x", b"id: 'a/b'", b'id: "a\\nb"',
    "id: \u202eodd".encode(), b"id: odd\ntasks: {}", b"id: odd\ntasks: [{}]", b"id: odd\ntasks: [1]",
    b"id: odd\ntasks: [{id: a, type: basic, $use: x}]", b"id: odd\nfile: /etc/passwd",
    b"id: odd\n$ref: file:///etc/passwd", b"id: odd\nresource: ../../../etc/passwd",
)  # fmt: skip
"""Documents that are no YAML, dangerous YAML or no definition."""

TEXTS: tuple[bytes, ...] = (
    b"", b"%20", b"+", b"%00", b"a%00b", b"%ff", b"%C0%AF", b"%ED%A0%80", b"%F4%90%80%80", b"%", b"%2", b"%zz",
    b"%u0041", b"%E2%80%AE", b"%F0%9F%98%80", b"%0d%0aX:%20y", b"%1b%5b2J", b"%7f", b"%27%20OR%201=1--",
    b"%25%73%25%6e", b"-1", b"0", b"1e3", b"0x10", b"NaN", b"true", b"null", b"9223372036854775807",
    b"9223372036854775808", b"-9223372036854775809", b"9" * 400, b"x" * 4_000, b"2026-02-30T00:00:00Z",
    b"10000-01-01T00:00:00Z", b"0001-01-01T00:00:00Z", b"0000-00-00T00:00:00Z", b"9999-12-31T23:59:60Z",
    b"2026-01-01", b"%7B%7B.env%7D%7D", b"..%2f..%2fetc", b"eyJhIjoxfQ", b"bnVsbA==", b"WzFd", b"%5B%5D", b"*", b"a,b",
)  # fmt: skip
"""What can stand in an address, as a part of its path or as a value of its query."""

FIELDS: tuple[bytes, ...] = (
    b"", b'""', b"*", b'"', b'W/"x"', b'"x", "y"', b"x" * 4_000, b"\xff\xfe", b"\xc3\xa9", b"\x7f", b"\t", b",,,",
    b'"' + b"x" * 3_000 + b'"', b"0", b"-1", b"9223372036854775808", b"9" * 400, b"null", b"1:1", b"boot:99999999999999999999",
)  # fmt: skip
"""Values of a header field."""


def bodies(route: str) -> list[bytes]:
    """Return every body for *route*."""
    places = [place.encode() for place in PLACES[route]]
    written = [place.replace(b"@", value) for place in places for value in VALUES]
    return [*WHOLES, *written, *sideways(route)]


def sideways(route: str) -> list[bytes]:
    """Return bodies of good JSON that are not what *route* is about."""
    good = json.loads(PLACES[route][0].replace("@", '"x"'))
    if not isinstance(good, dict):
        return []
    return [json.dumps({**good, "unknown": 1}).encode(), json.dumps([good]).encode()]
