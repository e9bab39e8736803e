"""An HTTP request: `cp__fetch`.

Each host is looked up once for a request; the addresses found are checked, and the connection goes
to one of them. No proxy is used, no cookie kept, and every redirect goes through the same checks.
"""

from __future__ import annotations

import base64
import codecs
import http.client
import json
import re
import socket
import ssl
import zlib
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from ..refusal import Refusal
from ..serving import DEPTH_LIMIT, is_deeper
from .addresses import Address, is_allowed, permitted, refused
from .arguments import invalid, named_texts, seconds, text
from .deadline import Late, deadline
from .grant import Grant

PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
OURS = re.compile("host|content-length|transfer-encoding|connection|upgrade|te|trailer|expect")
"""Headers that say how the request travels; a caller who could set them could smuggle another."""

HARMLESS = re.compile("accept|accept-language|user-agent|content-type")
"""The only headers that go along to another host: any other may be a secret."""

CHUNK = 1 << 16


class Target(NamedTuple):
    """Where a request goes."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """What must be the same for two addresses to belong to the same server."""
        return self[:3]

    @property
    def authority(self) -> str:
        """The host as it is written in a URL, with its port where that is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole as a URL."""
        return f"{self.scheme}://{self.authority}{self.path}"


class Request(NamedTuple):
    """What is asked. Names of headers are in lower case."""

    method: str
    target: Target
    headers: dict[str, str]
    body: bytes


def fetch(
    grant: Grant,
    *,
    url: Any,
    method: Any = None,
    headers: Any = None,
    body: Any = None,
    timeout_ms: Any = None,
) -> dict[str, Any]:
    """Make a request and return what was answered, whatever its status. Redirects are followed."""
    limit = seconds("timeout_ms", timeout_ms, grant.fetch_timeout)
    request = _request(grant, text("url", url), text("method", method or "GET").upper())
    chosen = {name.lower(): value for name, value in named_texts("headers", headers).items()}
    request = _with_body(grant, request._replace(headers=_checked(chosen)), body)
    try:
        with deadline(limit):
            return _follow(grant, request)
    except Late:
        msg = (
            f"{request.target.host!r} did not answer completely within {limit:g} s"
            " (timeout_ms, runtime.native_tools.fetch.timeout)."
        )
        raise Refusal("DeadlineExceeded", msg, timeout=limit) from None
    except (OSError, http.client.HTTPException, zlib.error) as error:
        raise _failed(request.target, error) from None


def _failed(target: Target, error: Exception) -> Refusal:
    if isinstance(error, http.client.IncompleteRead):
        reason = "the answer ended before it was complete"
    else:
        reason = str(getattr(error, "strerror", None) or error) or type(error).__name__
    return Refusal("Internal", f"The request to {target.host!r} failed: {reason}.")


# -- what is asked --------------------------------------------------------------------------------


def _request(grant: Grant, url: str, method: str) -> Request:
    if method not in grant.methods:
        allowed = ", ".join(grant.methods)
        msg = (
            f"The method {method[:20]!r} is not allowed;"
            f" runtime.native_tools.fetch.allowed_methods allows {allowed}."
        )
        raise Refusal("PermissionDenied", msg)
    return Request(method, target_of(url), {}, b"")


def target_of(url: str) -> Target:
    """Return where *url* leads. Raises Refusal; the sentence never shows what may be a secret."""
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise invalid("'url' holds a space, a backslash or a character that cannot be printed.")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError:
        raise invalid("'url' is not a valid URL.") from None
    if parts.scheme not in PORTS or not host:
        raise invalid("'url' must begin with http:// or https:// and a host.")
    if "@" in parts.netloc:
        raise invalid("'url' must not hold a user or password; set the header Authorization.")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=-._~?[]")
    port = PORTS[parts.scheme] if port is None else port
    return Target(parts.scheme, host, port, f"{path}?{query}" if query else path)


def _checked(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", name) or OURS.fullmatch(name):
            raise invalid(f"'headers' must not set {name[:40]!r}.")
        if re.search(r"[\r\n]", value) or not all(ord(each) < 256 for each in value):
            raise invalid(f"The header {name!r} holds a character that no header can have.")
    return {"user-agent": "compozy", "accept": "*/*", **headers, "accept-encoding": "identity"}


def _with_body(grant: Grant, request: Request, body: Any) -> Request:
    """Return *request* with a body: text as it is, any other value as JSON."""
    if body is None:
        return request
    kind = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
    written = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    data = written.encode("utf-8", "replace")
    if len(data) > grant.max_body:
        raise invalid(f"'body' has {len(data)} bytes; the limit is {grant.max_body}.")
    return request._replace(headers={"content-type": kind, **request.headers}, body=data)


# -- the way there --------------------------------------------------------------------------------


class _Connection(http.client.HTTPConnection):
    """A connection to addresses that were checked, never to a name."""

    def __init__(self, grant: Grant, target: Target) -> None:
        super().__init__(target.host, target.port)
        self._grant = grant
        self._target = target

    def connect(self) -> None:
        target, grant = self._target, self._grant
        found = permitted(target.host, target.port, grant.private_hosts)
        self.sock = _connected(grant, target, found)
        if target.scheme == "https":
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=target.host)


def _connected(grant: Grant, target: Target, addresses: list[Address]) -> socket.socket:
    """Return a connection to the first address that takes one. Raises OSError."""
    problem = OSError("there is no address")
    for address in addresses:
        try:
            found = socket.create_connection((str(address), target.port))
        except OSError as error:
            problem = error
            continue
        # A public address of this machine itself leads to what was meant for nobody else.
        local = found.getsockname()[0] == found.getpeername()[0]
        if local and not is_allowed(target.host, address, grant.private_hosts):
            found.close()
            raise refused(target.host)
        return found
    raise problem


def _follow(grant: Grant, request: Request) -> dict[str, Any]:
    for _ in range(grant.max_redirects + 1):
        connection = _Connection(grant, request.target)
        try:
            response = _asked(connection, request)
            location = response.getheader("location")
            if response.status not in REDIRECTS or location is None:
                return _answer(grant, request, response)
        finally:
            connection.close()
        request = _redirected(request, response.status, location)
    msg = (
        f"There were more than {grant.max_redirects} redirects"
        " (runtime.native_tools.fetch.max_redirects)."
    )
    raise Refusal("InvalidArgument", msg)


def _asked(connection: _Connection, request: Request) -> http.client.HTTPResponse:
    connection.putrequest(
        request.method, request.target.path, skip_host=True, skip_accept_encoding=True
    )
    connection.putheader("host", request.target.authority)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    if request.body or request.method in {"POST", "PUT", "PATCH"}:
        connection.putheader("content-length", str(len(request.body)))
    connection.endheaders(request.body or None)
    return connection.getresponse()


def _redirected(request: Request, status: int, location: str) -> Request:
    """Return the request that follows: without secrets where it goes to another server."""
    try:
        target = target_of(
            urljoin(request.target.url, quote(location, safe="%/:=&?~#+!$,;'@()*[]"))
        )
    except Refusal as refusal:
        raise Refusal(refusal.code, f"A redirect cannot be followed: {refusal}") from None
    if target.origin != request.target.origin:
        kept = {k: v for k, v in request.headers.items() if HARMLESS.fullmatch(k)}
        request = request._replace(headers={**kept, "accept-encoding": "identity"})
    if status == 303 or (status in (301, 302) and request.method == "POST"):
        rest = {k: v for k, v in request.headers.items() if not k.startswith("content-")}
        method = "HEAD" if request.method == "HEAD" else "GET"
        request = request._replace(method=method, headers=rest, body=b"")
    return request._replace(target=target)


# -- what is answered -----------------------------------------------------------------------------


def _answer(grant: Grant, request: Request, response: http.client.HTTPResponse) -> dict[str, Any]:
    headers: dict[str, str] = {}
    for given, value in response.getheaders():
        name = given.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    data, cut = _content(response, headers.get("content-encoding", ""), grant.max_body)
    kind = headers.get("content-type", "")
    body, encoding = _as_text(data, kind, cut)
    answer = {
        "status": response.status,
        "success": 200 <= response.status < 300,
        "url": request.target.url,
        "headers": headers,
        "body": body,
        "encoding": encoding,
        "truncated": cut,
    }
    if encoding == "utf-8" and not cut and re.search(r"[/+]json\b", kind):
        answer["json"] = _as_json(body)
    return answer


def _content(response: http.client.HTTPResponse, encoding: str, limit: int) -> tuple[bytes, bool]:
    """Return the body, unpacked, up to *limit* bytes, and whether there was more.

    Raises HTTPException when it ends too early.
    """
    packed = encoding.lower() in {"gzip", "x-gzip", "deflate"}
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed else None
    data = bytearray()
    piece = response.read(CHUNK)
    while piece and len(data) <= limit:
        data += unpacker.decompress(piece, limit + 1 - len(data)) if unpacker else piece
        piece = (unpacker.unconsumed_tail if unpacker else b"") or response.read(CHUNK)
    if len(data) > limit:
        return bytes(data[:limit]), True
    if response.length or (data and unpacker and not unpacker.eof):
        raise http.client.IncompleteRead(bytes(data))
    return bytes(data), False


def _as_text(data: bytes, kind: str, cut: bool) -> tuple[str, str]:
    """Return a body as text, and `utf-8`; or in base64, where it is none, and `base64`."""
    named = re.search(r"charset=\"?([\w.:-]+)", kind)
    for charset in (named[1] if named else "utf-8", "utf-8"):
        try:
            found = codecs.getincrementaldecoder(charset)().decode(data, final=not cut)
        except (LookupError, ValueError):
            continue
        if isinstance(found, str):
            return found, "utf-8"
    return base64.b64encode(data).decode(), "base64"


def _as_json(body: str) -> Any:
    """Return the value that a body says, None where it is not JSON that a result can hold."""
    try:
        value = json.loads(body, parse_constant=_refuse)
        if "\\u" in body:
            json.dumps(value, ensure_ascii=False).encode()  # half of a character is none
    except (ValueError, RecursionError):
        return None
    return None if is_deeper(value, DEPTH_LIMIT - 2) else value


def _refuse(constant: str) -> None:
    raise ValueError(constant)
