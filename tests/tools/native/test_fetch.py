"""Fetching: the public network and nothing else, by each redirect, within its bounds."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.tools.native.cell import SECRET, Cell
from tests.tools.native.network import CERTIFICATE, Network, drip, moved, network, ok
from tests.tools.workshop import zygotes

PUBLIC, OTHER = "93.184.216.34", "8.8.8.8"
NAMES = {
    "public.test": [[PUBLIC]],
    "other.test": [[OTHER]],
    "secure.test": [[PUBLIC]],
    "wrong.test": [[PUBLIC]],
    "loopback.test": [["127.0.0.1"]],
    "lan.test": [["192.168.1.20"]],
    "metadata.test": [["169.254.169.254"]],
    "mixed.test": [["127.0.0.1", PUBLIC]],
    "rebind.test": [[PUBLIC], ["127.0.0.1"]],
    "later.test": [[PUBLIC], ["127.0.0.1"]],
    "slow.test": [["slow"]],
    "93.184.216.34": [[PUBLIC]],
    "2130706433": [["127.0.0.1"]],  # as the resolver of the system reads these
    "0x7f.1": [["127.0.0.1"]],
    "127.1": [["127.0.0.1"]],
    "127.0.0.1": [["127.0.0.1"]],
    "xn--mnchen-3ya.test": [[PUBLIC]],
    "::1": [["::1"]],
    "::ffff:127.0.0.1": [["::ffff:127.0.0.1"]],
    "fe80::1": [["fe80::1%eth0"]],
    "64:ff9b::7f00:1": [["64:ff9b::7f00:1"]],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cell, Network]]:
    """One cell and one server for all tests: they leave nothing behind in them."""
    home = tmp_path_factory.mktemp("fetch")
    (home / "site").mkdir()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        cell = Cell(home, runner)
        with network(home / "site") as web:
            cell.env = web.environment(NAMES)
            yield cell, web
        cell.close()
    assert zygotes() == [], "a process outlived its pool"


@pytest.fixture
def cell(place: tuple[Cell, Network]) -> Cell:
    """Native tools in a world whose names are `NAMES`."""
    return place[0]


@pytest.fixture
def web(place: tuple[Cell, Network]) -> Network:
    """A server on the public network of these tests."""
    place[1].forget()
    return place[1]


@pytest.fixture
def special(cell: Cell) -> Iterator[Cell]:
    """The same cell, to be opened with limits of its own."""
    yield cell
    cell.close()


def test_an_answer(cell: Cell, web: Network) -> None:
    """Status, final address, headers in lower case, and the body as text."""
    web.answer("/a?q=%C3%BC", ok(b"gr\xc3\xbc\xc3\x9f", "X-One: 1", "X-One: 2"))

    assert {
        "status": 200,
        "success": True,
        "url": "http://public.test/a?q=%C3%BC",
        "headers": {"content-length": "6", "x-one": "1, 2"},
        "body": "grüß",
        "encoding": "utf-8",
        "truncated": False,
    } == cell.output("fetch", url="http://public.test/a?q=ü#part")
    assert [["public.test", [PUBLIC]]] == web.noted("lookup")
    assert [[PUBLIC, 80]] == web.noted("connect")


def test_a_request(cell: Cell, web: Network) -> None:
    """Method, headers and body arrive as they were given; the host is that of the URL."""
    cell.output(
        "fetch",
        url="HTTP://Public.Test:8080",
        method="post",
        headers={"X-Mine": "yes"},
        body="tëxt",
    )

    head, _, body = web.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert "POST / HTTP/1.1" == lines[0]
    assert {"host: public.test:8080", "x-mine: yes", "content-length: 5"} <= set(lines)
    assert {"content-type: text/plain; charset=utf-8", "accept-encoding: identity"} <= set(lines)
    assert "tëxt" == body.decode()


def test_a_body_that_is_no_text_is_sent_as_json(cell: Cell, web: Network) -> None:
    """Any value can be a body; its type is said unless the call says another."""
    for headers in ({}, {"Content-Type": "application/vnd.x+json"}):
        cell.output(
            "fetch", url="http://public.test", method="PUT", headers=headers, body={"a": [1]}
        )

    assert [{"a": [1]}] * 2 == [json.loads(each.split(b"\r\n\r\n")[1]) for each in web.requests]
    assert b"content-type: application/json\r\n" in web.requests[0]
    assert b"content-type: application/vnd.x+json\r\n" in web.requests[1]


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "204 No Content"])
def test_any_status_is_an_answer(cell: Cell, web: Network, status: str) -> None:
    """What a server refuses is a result that a workflow can look at."""
    web.answer("/x", ok(b"", status=status))

    found = cell.output("fetch", url="http://public.test/x")

    assert (int(status[:3]), status.startswith("2")) == (found["status"], found["success"])


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b"[1]", "application/problem+json; charset=utf-8", [1]),
        (b"{", "application/json", None),
        (b"NaN", "application/json", None),
        (rb'{"a": ["\ud800"]}', "application/json", None),
        (rb'"\ud83d\ude00\u0000"', "application/json", "\U0001f600\0"),
        (b"[" * 200 + b"]" * 200, "application/json", None),
        (b"{}", "text/plain", "absent"),
    ],
)
def test_json_is_read(cell: Cell, web: Network, body: bytes, kind: str, expected: Any) -> None:
    """Where the server says that it is JSON, `json` is its value, null where it is none."""
    web.answer("/j", ok(body, f"Content-Type: {kind}"))

    assert expected == cell.output("fetch", url="http://public.test/j").get("json", "absent")


@pytest.mark.parametrize(
    ("data", "kind", "expected"),
    [
        (b"\xfc", "text/plain; charset=iso-8859-1", ("ü", "utf-8")),
        (b"\xff\x00", "image/png", ("/wA=", "base64")),
        (b"\xff\x00", "text/plain; charset=hex", ("/wA=", "base64")),
        (b"ok", "text/plain; charset=no-such", ("ok", "utf-8")),
    ],
)
def test_what_is_no_text_comes_in_base64(
    cell: Cell, web: Network, data: bytes, kind: str, expected: tuple[str, str]
) -> None:
    """A body is decoded as its server says; nothing of it is lost where that is not possible."""
    web.answer("/b", ok(data, f"Content-Type: {kind}"))

    found = cell.output("fetch", url="http://public.test/b")

    assert expected == (found["body"], found["encoding"])


# -- what may be reached --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        *("loopback.test", "lan.test", "metadata.test", "127.0.0.1", "127.1", "0x7f.1"),
        *("2130706433", "[::1]", "[::ffff:127.0.0.1]", "[fe80::1]", "[64:ff9b::7f00:1]"),
        *("LOOPBACK.test.", "loopback.test:22"),
    ],
)
def test_what_is_not_public_is_refused(cell: Cell, web: Network, host: str) -> None:
    """By address, by name, in every spelling; no connection is even tried."""
    failure = cell.failure("fetch", url=f"http://{host}/")

    assert ("PermissionDenied", False) == (failure.code, failure.retryable)
    assert "runtime.native_tools.fetch.private_hosts" in failure.message
    assert [] == web.noted("connect")


@pytest.mark.parametrize("allowed", ["lan.test", "LAN.test", "192.168.1.20", "192.168.0.0/16", "*"])
def test_what_is_allowed_is_reached(special: Cell, web: Network, allowed: str) -> None:
    """A name, an address, a network or all; nothing else is opened with it."""
    special.open(private_hosts=("10.0.0.0/8", allowed))

    assert 200 == special.output("fetch", url="http://lan.test")["status"]
    if allowed != "*":
        assert "PermissionDenied" == special.code("fetch", url="http://metadata.test")


def test_the_connection_goes_to_what_was_checked(cell: Cell, web: Network) -> None:
    """A name that means something else the next time is looked up once for a request."""
    assert 200 == cell.output("fetch", url="http://rebind.test/")["status"]

    assert [["rebind.test", [PUBLIC]]] == web.noted("lookup")
    assert [[PUBLIC, 80]] == web.noted("connect")


def test_of_several_addresses_only_public_ones_are_used(cell: Cell, web: Network) -> None:
    """A private one among them is passed over."""
    assert 200 == cell.output("fetch", url="http://mixed.test")["status"]
    assert [[PUBLIC, 80]] == web.noted("connect")


@pytest.mark.parametrize(
    "location",
    [
        *("http://loopback.test/", "http://127.0.0.1/", "//metadata.test/latest", "http://0x7f.1/"),
        *("http://later.test/",),
    ],
)
def test_a_redirect_is_checked_like_the_first_request(
    cell: Cell, web: Network, location: str
) -> None:
    """Where a redirect leads to is looked up and checked anew, also when it was public before."""
    web.answer("/go", moved(location))
    if "later" in location:
        cell.output("fetch", url=location)

    assert "PermissionDenied" == cell.code("fetch", url="http://public.test/go")
    assert {PUBLIC} == {address for address, _ in web.noted("connect")}


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://public.test/", "http://a:b@public.test/", "http://"]
)
def test_a_redirect_to_what_is_no_address_is_refused(
    cell: Cell, web: Network, location: str
) -> None:
    """Only http and https are followed, and no address with a password."""
    web.answer("/go", moved(location))

    failure = cell.failure("fetch", url="http://public.test/go")

    assert ("InvalidArgument", True) == (failure.code, "redirect" in failure.message)


def test_secrets_stay_with_their_host(cell: Cell, web: Network) -> None:
    """A redirect to another host, port or scheme loses every header that may be a secret."""
    secrets = {"Authorization": SECRET, "Cookie": SECRET, "X-Api-Key": SECRET, "Accept": "a/b"}
    web.answer("/far", moved("http://other.test/"))
    web.answer("/port", moved("http://public.test:8080/"))
    web.answer("/near", moved("/"))

    for path in ("far", "port", "near"):
        cell.output("fetch", url=f"http://public.test/{path}", headers=secrets)

    found = [each.decode().count(SECRET) for each in web.requests]
    assert [3, 0, 3, 0, 3, 3] == found
    assert all(b"accept: a/b" in each for each in web.requests)


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        ("301 Moved", "POST", ("GET", b"")),
        ("302 Found", "POST", ("GET", b"")),
        ("302 Found", "PUT", ("PUT", b"data")),
        ("303 See Other", "PUT", ("GET", b"")),
        ("303 See Other", "HEAD", ("HEAD", b"")),
        ("307 Temporary", "POST", ("POST", b"data")),
        ("308 Permanent", "POST", ("POST", b"data")),
    ],
)
def test_what_a_redirect_repeats(
    cell: Cell, web: Network, status: str, method: str, then: tuple[str, bytes]
) -> None:
    """The method and the body follow as the status says."""
    web.answer("/go", moved("/", status))
    given = {} if method == "HEAD" else {"body": "data"}

    assert (
        "http://public.test/"
        == cell.output("fetch", url="http://public.test/go", method=method, **given)["url"]
    )

    last = web.requests[-1]
    assert then == (last.split()[0].decode(), last.partition(b"\r\n\r\n")[2])


def test_redirects_are_bounded(cell: Cell, web: Network) -> None:
    """Five are followed, a sixth is refused."""
    for number in range(6):
        web.answer(f"/{number}", moved(f"/{number + 1}" if number < 5 else "/"))

    assert 200 == cell.output("fetch", url="http://public.test/1")["status"]
    assert "more than 5 redirects" in cell.failure("fetch", url="http://public.test/0").message


# -- what is refused before anything is asked -----------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"url": "ftp://public.test"}, "InvalidArgument"),
        ({"url": "public.test"}, "InvalidArgument"),
        ({"url": "http://"}, "InvalidArgument"),
        ({"url": "http://public.test:99999"}, "InvalidArgument"),
        ({"url": "http://[::1"}, "InvalidArgument"),
        ({"url": "http://public.test/a b"}, "InvalidArgument"),
        ({"url": "http://public.test/\r\nX: y"}, "InvalidArgument"),
        ({"url": "http://public.test\\@loopback.test/"}, "InvalidArgument"),
        ({"url": f"http://me:{SECRET}@public.test"}, "InvalidArgument"),
        ({"url": 5}, "InvalidArgument"),
        ({"method": "TRACE"}, "PermissionDenied"),
        ({"method": "GET / HTTP/1.1\r\nX: y\r\n\r\n"}, "PermissionDenied"),
        ({"headers": {"Host": "x"}}, "InvalidArgument"),
        ({"headers": {"Content-Length": "0"}}, "InvalidArgument"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "InvalidArgument"),
        ({"headers": {"X": "a\r\nY: b"}}, "InvalidArgument"),
        ({"headers": {"X Y": "a"}}, "InvalidArgument"),
        ({"headers": {"X": "日"}}, "InvalidArgument"),
        ({"headers": []}, "InvalidArgument"),
        ({"body": "x" * ((2 << 20) + 1), "method": "POST"}, "InvalidArgument"),
        ({"timeout_ms": -1}, "InvalidArgument"),
    ],
)
def test_a_request_that_is_wrong_is_not_made(
    cell: Cell, web: Network, arguments: dict[str, Any], code: str
) -> None:
    """Nothing is looked up or sent, and no secret is in the sentence."""
    assert code == cell.code("fetch", **{"url": "http://public.test", **arguments})
    assert [] == web.noted("lookup")


def test_names_in_other_scripts_are_looked_up_as_ascii(cell: Cell, web: Network) -> None:
    """A host is written as the network writes it."""
    assert 200 == cell.output("fetch", url="http://München.test/")["status"]


# -- answers that are not what they should be -----------------------------------------------------


def test_a_body_is_bounded(special: Cell, web: Network) -> None:
    """What is beyond the limit is not read, and told; also where no length was announced."""
    web.answer("/exact", ok(b"x" * 1000))
    web.answer("/more", ok("ü".encode() * 501))
    web.answer("/endless", lambda connection: _pour(connection, b""))
    special.open(max_body=1000)

    found = [
        special.output("fetch", url=f"http://public.test/{p}") for p in ("exact", "more", "endless")
    ]

    assert [(1000, False), (500, True), (1000, True)] == [
        (len(each["body"]), each["truncated"]) for each in found
    ]


def _pour(connection: Any, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def test_a_packed_body_is_unpacked_within_its_bound(special: Cell, web: Network) -> None:
    """A gigabyte in a small body is cut like any other, without being unpacked."""
    web.answer("/small", ok(gzip.compress(b"hello"), "Content-Encoding: gzip"))
    web.answer("/bomb", ok(gzip.compress(bytes(64 << 20)), "Content-Encoding: gzip"))
    web.answer("/half", ok(gzip.compress(b"hello" * 99)[:-9], "Content-Encoding: gzip"))
    web.answer("/wrong", ok(b"not packed", "Content-Encoding: gzip"))
    special.open(max_body=1000)

    assert "hello" == special.output("fetch", url="http://public.test/small")["body"]
    bomb = special.output("fetch", url="http://public.test/bomb")
    assert (1000, True) == (len(bomb["body"]), bomb["truncated"])
    for path in ("half", "wrong"):
        assert "Internal" == special.code("fetch", url=f"http://public.test/{path}")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "before it was complete"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            "before it was complete",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "failed"),
        (b"", "failed"),
        (b"nonsense\r\n\r\n", "failed"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "failed"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "failed"),
    ],
)
def test_a_broken_answer_is_a_failure(cell: Cell, web: Network, answer: bytes, words: str) -> None:
    """Never half of a body as if it were whole; another attempt may do better."""
    web.answer("/x", answer)

    failure = cell.failure("fetch", url="http://public.test/x")

    assert ("Internal", True) == (failure.code, failure.retryable)
    assert words in failure.message
    assert "public.test" in failure.message


def test_a_length_that_is_too_small_ends_the_body(cell: Cell, web: Network) -> None:
    """What follows belongs to nobody."""
    web.answer("/x", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhello")

    assert "he" == cell.output("fetch", url="http://public.test/x")["body"]


@pytest.mark.parametrize("url", ["http://public.test/drip", "http://slow.test/"])
def test_time_is_bounded_as_a_whole(special: Cell, web: Network, url: str) -> None:
    """A byte now and then does not keep a call alive, nor does a resolver that hangs."""
    web.answer("/drip", drip)
    special.open(fetch_timeout=0.4)

    failure = special.failure("fetch", url=url, timeout_ms=60_000)

    assert ("DeadlineExceeded", True) == (failure.code, failure.retryable)
    assert "runtime.native_tools.fetch.timeout" in failure.message
    assert 200 == special.output("fetch", url="http://public.test/")["status"]


def test_a_name_that_is_not_known(cell: Cell, web: Network) -> None:
    """Another attempt may find it."""
    failure = cell.failure("fetch", url="http://nowhere.test/")

    assert ("Internal", True) == (failure.code, failure.retryable)
    assert "'nowhere.test' cannot be found: Name or service not known" in failure.message


def test_certificates_are_verified(special: Cell, tmp_path: Path) -> None:
    """Who signed it and whose it is; no setting turns that off."""
    (tmp_path / "site").mkdir()
    with network(tmp_path / "site", secure=True) as web:
        web.answer("/", ok(b"secret"))
        former, special.env = special.env, web.environment(NAMES)
        special.open()
        unknown = special.failure("fetch", url="https://secure.test/").message
        special.env = {**special.env, "SSL_CERT_FILE": str(CERTIFICATE)}
        special.open()
        wrong = special.failure("fetch", url="https://wrong.test/").message

        assert "secret" == special.output("fetch", url="https://secure.test/")["body"]

    assert "self-signed certificate" in unknown.replace("self signed", "self-signed")
    assert "Hostname mismatch" in wrong or "doesn't match" in wrong
    assert 1 == len(web.requests)
    special.env = former
