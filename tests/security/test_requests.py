"""S8: what goes out. One place makes requests, and it reaches the public network and nothing else.

DNS that changes, redirects, credentials and answers without an end are tried in
`tests/tools/native/test_fetch.py`, over a resolver that says what the test wants. Here the resolver is
that of the system, for every spelling of an address that it knows.
"""

from __future__ import annotations

import ast
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import appliance
from appliance.tools.zygote.native import addresses
from appliance.tools.zygote.native.fetch import fetch
from appliance.tools.zygote.native.grant import Grant
from appliance.tools.zygote.refusal import Refusal

CALLERS = {"http.client", "urllib.request", "httpx", "ftplib", "smtplib", "telnetlib", "xmlrpc", "requests",
           "aiohttp", "urllib3"}  # fmt: skip
DIALS = {"connect", "connect_ex", "create_connection", "open_connection", "getaddrinfo", "gethostbyname",
         "create_datagram_endpoint", "sendto"}  # fmt: skip
"""Modules that make requests, and names by which a connection is made or a host is looked up."""
SPEAKERS = {
    "cli/client.py": "the command line, to the server that it was told",
    "server/notify.py": "systemd, over a socket of the machine",
    "server/serve.py": "nobody: it looks up the address to listen on",
    "store/postgres.py": "the database that was set",
    "store/schema.py": "the database that was set",
    "store/sqlite.py": "a file of SQLite, by a method of its own",
    "tools/zygote/native/addresses.py": "the resolver; what is found is checked there",
    "tools/zygote/native/fetch.py": "whatever a workflow names, once it was checked",
}
"""Every module that can begin to speak to somebody, and to whom it does."""

LOOPBACK = (
    "127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "127.0.0.1.", "2130706433", "0x7f000001", "0x7f.1",
    "0x7F.0x0.0x0.0x1", "0177.0.0.1", "0177.1", "017700000001", "00000177.0.0.1", "127.0x0.0.1", "0", "0.0.0.0",
    "0x0", "localhost", "LOCALHOST", "localhost.", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]",
    "127\u30020\u30020\u30021", "\uff11\uff12\uff17.0.0.1", "\u2460\u2461\u2466.0.0.1", "127.0.0.1%00", "127.0.0.1%2523", "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
)  # fmt: skip
INSIDE = (
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376",
    "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]", "[2001:0:7f00:1::]", "[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]",
    "[ff0e::1]", "[100::1]", "[2001:db8::1]", "[::a9fe:a9fe]", "100.64.0.1", "100.100.100.200", "192.0.0.8",
    "192.0.0.192", "198.18.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "192.88.99.1", "203.0.113.1",
)  # fmt: skip
"""What means this machine, and what means its neighbours or nobody, in every spelling."""
ODD = (
    "file:///etc/passwd", "file://localhost/etc/passwd", "gopher://127.0.0.1:6379/_INFO", "dict://127.0.0.1:11211/stats",
    "ftp://127.0.0.1/", "ldap://127.0.0.1/", "jar:http://127.0.0.1!/", "data:text/plain,x", "unix:///run/docker.sock",
    "http+unix://%2frun%2fdocker.sock/", "netdoc:///etc/passwd", "//127.0.0.1/", "127.0.0.1", "http:127.0.0.1", "http:/127.0.0.1/",
    "http:///127.0.0.1/", "http://", "http://?", "http://#", "http://a@127.0.0.1/", "http://127.0.0.1@example.com/",
    "http://example.com@127.0.0.1/", "http://example.com\\@127.0.0.1/", "http://127.0.0.1\\.example.com/", "http://a:b@127.0.0.1/",
    "http://127.0.0.1:99999/", "http://127.0.0.1:-1/", "http://127.0.0.1:x/", "http://[::1/", "http://::1/", "http://[127.0.0.1]/",
    "http://127.0.0.1 /", "http://127.0.0.1\t/", "http://127.0.0.1\r\nX: y/", "http://127.0.0.1/\r\nX: y", "http://exa\0mple.com/",
    "http://256.256.256.256/", "http://127.0.0.1.1/", "http://0x100000000/", "http://-1/", "http://[fe80::1%25lo]/",
)  # fmt: skip


class Listener:
    """Counts who comes to this machine, by IPv4 and by IPv6, at one port."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.dialled: list[str] = []
        self._sockets = [socket.create_server(("0.0.0.0", 0))]
        self.port: int = self._sockets[0].getsockname()[1]
        with suppress(OSError):
            self._sockets.append(socket.create_server(("::", self.port), family=socket.AF_INET6))
        for each in self._sockets:
            threading.Thread(target=self._serve, args=(each,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, address = listener.accept()
                with connection, suppress(OSError):
                    connection.recv(65_536)
                    self.came.append(str(address[0]))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret")

    def close(self) -> None:
        for each in self._sockets:
            each.close()


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A listener on this machine; other machines are not connected to, but noted."""
    found, dial = Listener(), socket.create_connection

    def noted(address: tuple[str, int], *_: object) -> socket.socket:
        found.dialled.append(address[0])
        if not ipaddress.ip_address(address[0]).is_loopback:
            raise ConnectionRefusedError
        return dial(address)

    monkeypatch.setattr(socket, "create_connection", noted)
    yield found
    found.close()


def reached(listener: Listener, hosts: tuple[str, ...]) -> list[str]:
    """Return by which spellings a connection was tried."""
    found = []
    for host in hosts:
        before = len(listener.dialled)
        with suppress(Refusal):
            fetch(Grant("/"), url=f"http://{host}:{listener.port}/", timeout_ms=300)
        if len(listener.dialled) > before:
            found.append(host)
    return found


def test_every_module_that_speaks_to_a_network_is_known() -> None:
    """Whoever adds another way out says to whom it leads, and checks it as `fetch` does."""
    home = Path(appliance.__file__).parent
    found = {str(path.relative_to(home)) for path in home.rglob("*.py") if _speaks(path)}
    assert sorted(SPEAKERS) == sorted(found)


def _speaks(path: Path) -> bool:
    text = path.read_text()
    if not any(word in text for word in DIALS | CALLERS):
        return False
    return any(_begins(node) for node in ast.walk(ast.parse(text)))


def _begins(node: ast.AST) -> bool:
    match node:
        case ast.Import(names=names):
            return any(alias.name.startswith(tuple(CALLERS)) for alias in names)
        case ast.ImportFrom(module=str(module), level=0):
            return module.startswith(tuple(CALLERS))
        case ast.Call(func=ast.Attribute(value=ast.Name(id="sqlite3"))):
            return False  # a file
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name in DIALS
    return False


@pytest.mark.parametrize("hosts", [LOOPBACK, INSIDE], ids=["this machine", "its neighbours"])
def test_no_spelling_leads_inside(listener: Listener, hosts: tuple[str, ...]) -> None:
    """As the resolver of the system reads them: none is connected to, and the answer is a refusal."""
    assert [] == reached(listener, hosts)
    assert [] == listener.came


@pytest.mark.parametrize("url", ODD)
def test_what_is_no_address_is_refused(listener: Listener, url: str) -> None:
    """Other schemes, users in the address and what two parsers read differently: nothing is sent."""
    with pytest.raises(Refusal):
        fetch(Grant("/"), url=url, timeout_ms=300)
    assert [] == listener.dialled


def test_no_proxy_is_asked(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look up the name itself, and reach what was refused."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")
    with pytest.raises(Refusal):
        fetch(Grant("/", private_hosts=("127.0.0.1",)), url="http://127.0.0.1:1/", timeout_ms=500)
    assert [] == listener.came


@contextmanager
def pouring(piece: bytes) -> Iterator[int]:
    """A server that never ends to send the same."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    while True:
                        connection.sendall(piece)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    "piece",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"x",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1_000,
        b"HTTP/1.1 200 OK\r\nX: y\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(100_000),
    ],
    ids=["100 Continue", "one line", "chunks", "header fields", "body"],
)
def test_an_answer_without_an_end_ends(piece: bytes) -> None:
    """By its size or by the time that a request has; it is never waited for."""
    begun = time.monotonic()
    with pouring(piece) as port:
        grant = Grant("/", private_hosts=("127.0.0.1",), max_body=100_000)
        outcome = "an answer"
        try:
            fetch(grant, url=f"http://127.0.0.1:{port}/", timeout_ms=500)
        except Refusal as refusal:
            outcome = refusal.code
    assert outcome in {"an answer", "DeadlineExceeded", "Internal"}
    assert time.monotonic() - begun < 3


def test_a_guard_that_believes_is_caught(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This test can fail: without the check most of the spellings lead to this machine."""
    monkeypatch.setattr(addresses, "is_public", lambda _: True)
    monkeypatch.setattr("appliance.tools.zygote.native.fetch.is_allowed", lambda *_: True)
    spellings = tuple(host for host in LOOPBACK if "[" not in host)
    assert len(reached(listener, spellings)) > len(spellings) / 2
    assert listener.came, "nobody came, so it is not known that somebody could"


def test_what_python_calls_global_is_no_guard() -> None:
    """This test can fail: some of the neighbours are let in where `ipaddress` is asked."""
    found = {host: address for host in INSIDE if (address := _address(host)) is not None}
    assert [] == [host for host, address in found.items() if addresses.is_public(address)]
    assert [host for host, address in found.items() if address.is_global]


def _address(host: str) -> addresses.Address | None:
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]"))
    return None
