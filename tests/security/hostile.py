"""What somebody who means no good sends, by every way in, and a server that it is sent to."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

DEEP = 10_000
WORK, LOOPS = "steps' worth of work", "let a tool do it"

_OUTPUTS = {
    "range": "{{ range until 100000 }}{{ range until 100000 }}x{{ end }}{{ end }}",
    "double": '{{ $x := "xx" }}' + '{{ $x = printf "%s%s" $x $x }}' * 40 + "{{ $x }}",
    "lists": "{{ $x := list 1 2 }}" + "{{ $x = list $x $x }}" * 40 + "{{ toJson $x }}",
    "regex": '{{ regexMatch "^(a|a)*b$" (repeat 100000 "a") }}',
    "json": "{{ range until 1000 }}{{ $t := toJson $.workflow.input }}{{ end }}",
}
_CONDITIONS = {
    "loops": "input.l.all(a, input.l.all(b, input.l.all(c, a + b >= c)))",
    "copies": "size(" + "+".join(["input.s"] * 150) + ") > 0",
    "filter": "size(input.l.filter(a, a >= 0)) > 0",
}
_STEP = {"id": "step", "type": "aggregate", "outputs": {"done": True}}
_WAIT = {
    "id": "step",
    "type": "wait",
    "wait_for": "go",
    "condition": "signal.payload.l.all(a, signal.payload.l.all(b, a + b >= 0))",
    "timeout": "1h",
    "processor": {**_STEP, "id": "note"},
}
_HOOK = {
    "slug": "open",
    "events": [
        {"name": "loops", "filter": _CONDITIONS["loops"].replace("input", "payload"), "input": {}},
        {"name": "all", "filter": "true", "input": {"json": _OUTPUTS["json"].replace(
            ".workflow.input", ".payload")}},
    ],
}  # fmt: skip
_TRIGGERS = [
    {"type": "signal", "name": "told"},
    {"type": "webhook", "webhook": _HOOK},
]


def write_project(home: Path) -> Path:
    """Write a project whose workflows are what is hostile, or listen to it; return its place."""
    project = home / "project"
    project.mkdir()
    found: list[dict[str, Any]] = [
        *({"id": name, "tasks": [_STEP], "outputs": {"x": text}} for name, text in _OUTPUTS.items()),
        *(
            {"id": name, "tasks": [{"id": "r", "type": "router", "condition": text,
             "routes": {"true": _STEP, "false": {**_STEP, "id": "no"}}}]}
            for name, text in _CONDITIONS.items()
        ),
        {"id": "waits", "tasks": [_WAIT]},
        {"id": "listens", "tasks": [_STEP], "triggers": _TRIGGERS},
        {"id": "storm", "tasks": [_STEP], "triggers": [{"type": "webhook", "webhook": {
            "slug": "storm", "events": [{"name": "any", "filter": "true", "input": {}}]}}]},
    ]  # fmt: skip
    for workflow in found:
        (project / f"{workflow['id']}.yaml").write_text(json.dumps(workflow))
    project.joinpath("tasks").mkdir()
    project.joinpath("tasks", "alone.yaml").write_text(
        json.dumps({"resource": "task", **_STEP, "id": "alone"})
    )
    project.joinpath("compozy.yaml").write_text(
        json.dumps(
            {
                "name": "hostile",
                "workflows": [{"source": f"./{workflow['id']}.yaml"} for workflow in found],
                "autoload": {"enabled": True, "include": ["tasks/*.yaml"]},
                "memories": [{"id": "chat", "type": "buffer",
                              "persistence": {"type": "database"}}],
            }
        )
    )  # fmt: skip
    return project


class Said(NamedTuple):
    """What the server said: a status, and a sentence about it."""

    status: int
    text: str


class Enemy:
    """Speaks to a server over one connection at a time, with a key or without."""

    def __init__(self, url: str, key: str) -> None:
        self._at = urlsplit(url).netloc
        self._key = key

    def send(
        self, method: str, path: str, body: bytes | str = b"", kind: str = "json", **headers: str
    ) -> Said:
        """Send what may be anything, and return the answer in short."""
        return _said(*self.ask(method, path, body, kind, **headers))

    def ask(
        self, method: str, path: str, body: bytes | str = b"", kind: str = "json", **headers: str
    ) -> tuple[int, bytes]:
        """Send what may be anything, and return status and body of the answer."""
        line = http.client.HTTPConnection(self._at, timeout=40)
        every = {"Authorization": f"Bearer {self._key}", "Content-Type": f"application/{kind}"}
        try:
            line.request(method, f"/api/v0{path}", body, every | headers)
            answer = line.getresponse()
            return answer.status, answer.read()
        finally:
            line.close()

    def run(self, workflow: str, **given: Any) -> Said:
        """Run a workflow to its end and return how that was."""
        body = json.dumps({"input": given})
        return self.send("POST", f"/workflows/{workflow}/executions/sync", body)

    def put(self, text: str, kind: str = "yaml") -> Said:
        """Offer a workflow."""
        return self.send("PUT", "/workflows/bad", text, kind)


def _said(status: int, body: bytes) -> Said:
    """Return the sentence in an answer: why a run failed, or why it was refused."""
    told = json.loads(body or b"{}")
    run = (told.get("data") or {}).get("workflow") if isinstance(told.get("data"), dict) else None
    if run and run.get("error"):
        return Said(status, f"{run['status']}: {run['error']['message']}")
    if run:
        return Said(status, run["status"])
    return Said(status, told.get("detail") or told.get("message") or "")


def deep_json() -> str:
    return "[" * DEEP + "]" * DEEP


def yaml_bomb() -> str:
    """Nine levels of nine times the one before it: a billion laughs."""
    lines = ["a0: &a0 [lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    return "\n".join(lines)


def _workflow(**parts: Any) -> str:
    return json.dumps({"id": "bad", "tasks": [_STEP], **parts})


def _router(condition: str) -> str:
    return _workflow(tasks=[{"id": "r", "type": "router", "condition": condition,
                             "routes": {"true": _STEP}}])  # fmt: skip


def _signal(enemy: Enemy) -> Said:
    begun = enemy.ask("POST", "/workflows/waits/executions", '{"input": {}}')[1]
    exec_id = json.loads(begun)["data"]["exec_id"]
    payload = json.dumps({"signal_name": "go", "payload": {"l": list(range(2000))}})
    said = enemy.send("POST", f"/executions/workflows/{exec_id}/signals", payload)
    enemy.send("POST", f"/executions/workflows/{exec_id}/cancel")
    return said


def _numbers(enemy: Enemy) -> Said:
    """Begin a task four times with as many numbers as are taken; return the worst answer."""
    body = json.dumps({"with": {"l": list(range(500_000))}})
    with ThreadPoolExecutor(4) as threads:
        send = partial(enemy.send, "POST", "/tasks/alone/executions", body)
        return max(threads.map(lambda _: send(), range(4)))


_LONG = list(range(200_000))
_MESSAGES = {"key": "k", "messages": [{"role": "user", "content": "x" * 200_000}] * 20}

THINGS: dict[str, tuple[Callable[[Enemy], Said], int, str]] = {
    "template: endless range": (lambda e: e.run("range"), 200, WORK),
    "template: doubles 40 times": (lambda e: e.run("double"), 200, WORK),
    "template: tree of lists": (lambda e: e.run("lists"), 200, WORK),
    "template: regex (a|a)*b": (lambda e: e.run("regex"), 200, WORK),
    "template: toJson of 1 MB": (lambda e: e.run("json", l=_LONG), 200, WORK),
    "template: 10,000 deep": (
        lambda e: e.put(_workflow(outputs={"x": "{{ " + "(" * DEEP + "1" + ")" * DEEP + " }}"})),
        422, "64 blocks"),
    "template: 10,000 blocks": (
        lambda e: e.put(_workflow(outputs={"x": "{{ if 1 }}" * DEEP + "{{ end }}" * DEEP})),
        422, "64 blocks"),
    "CEL: loops in loops": (lambda e: e.run("loops", l=_LONG[:2000]), 200, LOOPS),
    "CEL: text added 150 times": (lambda e: e.run("copies", s="x" * 600_000), 200, LOOPS),
    "CEL: filter over 200,000": (lambda e: e.run("filter", l=_LONG), 200, LOOPS),
    "CEL: 10,000 deep": (lambda e: e.put(_router("(" * DEEP + "1" + ")" * DEEP)),
                         422, "2000 characters"),
    "CEL: in a wait, by a signal": (_signal, 200, "stored"),
    "YAML: bomb, PUT": (lambda e: e.put(yaml_bomb()), 400, "anchors"),
    "YAML: bomb, import": (
        lambda e: e.send("POST", "/project/import", yaml_bomb(), "yaml"), 400, "anchors"),
    "YAML: 10,000 deep, PUT": (lambda e: e.put("a: " + deep_json()), 400, "100 deep"),
    "YAML: 1,000,000 values": (lambda e: e.put("a: [" + "1," * 1_000_000 + "]"), 400, "values"),
    "JSON: 10,000 deep, run": (
        lambda e: e.send("POST", "/workflows/range/executions", deep_json()), 400, "64 levels"),
    "JSON: 10,000 deep, task": (
        lambda e: e.send("POST", "/tasks/alone/executions", deep_json()), 400, "64 levels"),
    "JSON: 10,000 deep, event": (
        lambda e: e.send("POST", "/events", deep_json()), 400, "64 levels"),
    "JSON: 10,000 deep, webhook": (
        lambda e: e.send("POST", "/hooks/open", deep_json()), 400, "64 levels"),
    "JSON: 10,000 deep, memory": (
        lambda e: e.send("POST", "/memory/chat/append", deep_json()), 400, "64 levels"),
    "JSON: 4 MB of numbers, 4 times at once": (_numbers, 202, ""),
    "JSON: 5 MB of numbers": (
        lambda e: e.send("POST", "/tasks/alone/executions", "[" + "1," * 2_500_000 + "1]"),
        413, "4194304"),
    "webhook: CEL and template": (
        lambda e: e.send("POST", "/hooks/open", json.dumps({"l": _LONG[:20_000]})), 422, WORK),
    "webhook: 2 MB": (lambda e: e.send("POST", "/hooks/open", "[" + "1," * 1_000_000 + "1]"),
                      413, "1048576"),
    "webhook: 100 KB of header": (
        lambda e: e.send("POST", "/hooks/open", "{}", **{"X-Long": "x" * 100_000}), 431, "larger"),
    "event: 200,000 values": (
        lambda e: e.send("POST", "/events", json.dumps({"name": "told", "payload": {"l": _LONG}})),
        202, ""),
    "memory: 4 MB of messages": (
        lambda e: e.send("POST", "/memory/chat/append", json.dumps(_MESSAGES)), 400, ""),
}  # fmt: skip
"""What is sent, the status that is right, and words of the sentence that explains it."""
