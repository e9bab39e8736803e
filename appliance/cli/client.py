"""Client: calls the API of a server over HTTP; where no server runs, in this process, the same way.

There is one path from the command line to an operation. Without a server the application itself
answers the requests, on the data directory of this place, which is locked meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote

from appliance import atomic, log
from appliance.cli.invocation import Invocation
from appliance.config import check_knowledge
from appliance.errors import ApplianceError, DeadlineExceeded, Unauthorized, Unavailable
from appliance.lean import without_rich
from appliance.store.datadir import DataDirectory, Holder

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

API = "/api/v0"
_HOLDER_PATIENCE = 5.0
_POLL = 0.1
_SILENCE = 60.0
"""Seconds without a byte after which a stream counts as cut; a server breaks its silence before."""


class Client:
    """Calls the API. Paths begin after `/api/v0`; answers are what stands in `data`."""

    def __init__(self, http: httpx.AsyncClient, where: str = "") -> None:
        self._http = http
        self._where = where

    @property
    def in_process(self) -> bool:
        """Whether no server runs, so that what is begun here ends with the command."""
        return not self._where

    async def get(self, path: str, **query: Any) -> Any:
        """Return what is at *path*. Query values that are None are left out."""
        return await self.call("GET", path, query=query)

    async def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """Create or do something. Pass `patience` in seconds when it may take longer than usual.

        What has a key in `once` is done once, however often it is sent.
        """
        return await self.call("POST", path, body=body, **options)

    async def patch(self, path: str, body: Any) -> Any:
        """Change something."""
        return await self.call("PATCH", path, body=body)

    async def delete(self, path: str) -> Any:
        """Remove something."""
        return await self.call("DELETE", path)

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        patience: float | None = None,
        once: str | None = None,
    ) -> Any:
        """Send a request and return the `data` of its answer, None when it has none.

        Raises: the error that the server reports; Unavailable when it cannot be reached;
        DeadlineExceeded when it does not answer.
        """
        more: dict[str, Any] = {} if body is None else {"json": body}
        headers = {"Idempotency-Key": once} if once else None
        answer = await self._send(method, path, query, patience, headers, **more)
        return self._data(answer) if answer.content else None

    async def export(self, path: str) -> str:
        """Return the text that is exported at *path*. Raises: what `call` raises."""
        return (await self._send("POST", path)).text

    async def import_(self, path: str, text: str, **query: Any) -> Any:
        """Import *text*, which is YAML, at *path*. Raises: what `call` raises."""
        headers = {"content-type": "application/yaml"}
        sent = await self._send("POST", path, query, None, headers, content=text.encode())
        return self._data(sent)

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        patience: float | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        import httpx

        if patience is not None:
            more["timeout"] = patience
        params = {key: value for key, value in (query or {}).items() if value is not None}
        try:
            answer = await self._http.request(
                method, API + path, params=params, headers=headers, **more
            )
        except httpx.TimeoutException:
            raise DeadlineExceeded(f"{self._where} did not answer in time.") from None
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._where} cannot be reached: {error}.") from None
        if answer.is_error:
            raise _problem(answer)
        return answer

    def _data(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()["data"]
        except (ValueError, KeyError, TypeError):
            raise Unavailable(f"{self._where} is no API of this program.") from None

    async def download(self, path: str, file: Path) -> None:
        """Write the bytes at *path* to *file*, whole or not at all. Raises: what `call` raises."""
        async with self._http.stream("GET", API + path, timeout=None) as answer:
            if answer.is_error:
                await answer.aread()
                raise _problem(answer)
            with atomic.create(file) as target:
                async for piece in answer.aiter_bytes():
                    target.write(piece)

    async def event_ids(self, path: str, after: str) -> AsyncIterator[str]:
        """Yield the id of each event of a stream as it arrives, from that after *after* on.

        Raises: what `call` raises.
        """
        import httpx

        headers = {"Last-Event-ID": after} if after else {}
        patience = httpx.Timeout(_SILENCE)
        rest = b""
        try:
            async with self._http.stream(
                "GET", API + path, headers=headers, timeout=patience
            ) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _problem(answer)
                async for piece in answer.aiter_bytes():
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        if line.startswith(b"id: "):
                            yield line[4:].decode()
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._where} cannot be reached: {error}.") from None

    async def pages(self, path: str, key: str, *, limit: int, **query: Any) -> list[dict[str, Any]]:
        """Return at most *limit* entries of a listing, from as many pages as that takes."""
        entries: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(entries) < limit:
            size = min(limit - len(entries), 500)
            data = await self.get(path, limit=size, cursor=cursor, **query)
            entries += data[key]
            cursor = data["page"]["next_cursor"]
            if not cursor:
                break
        return entries


def call(
    invocation: Invocation,
    work: Callable[[Client], Awaitable[T]],
    *,
    project: Path | None = None,
) -> T:
    """Run *work* with a client, in an event loop of its own; *project* counts where no server runs.

    Raises: what `Client.call` raises; Locked, InvalidProject and more where no server runs.
    """

    async def run() -> T:
        async with _connected(invocation, project) as client:
            return await work(client)

    return asyncio.run(run())


@asynccontextmanager
async def _connected(invocation: Invocation, project: Path | None) -> AsyncIterator[Client]:
    with without_rich():
        import httpx  # noqa: F401 - here, so that it is imported without rich wherever it is used

    settings = invocation.load(project).settings
    data = DataDirectory(settings.data_dir)
    holder = await _holder(data)
    url = _base(settings.cli.base_url)
    local = _base(holder.url) if holder else ""
    async with AsyncExitStack() as stack:
        if url or local:
            # The admin key is for the server that made it, never for another one.
            home = not url or _canonical(url) == _canonical(local)
            key = settings.cli.api_key or (_admin_key(data) if home else None)
            http = _http(url or local, key, settings.cli.timeout, trust_env=bool(url))
        else:
            http = await stack.enter_async_context(_in_process(invocation, project, data))
        await stack.enter_async_context(http)
        yield Client(http, url or local)


async def _holder(data: DataDirectory) -> Holder | None:
    """Return who holds the data directory; one that is just starting, or about to end, is awaited."""
    waited = 0.0
    holder = data.holder()
    while holder is not None and not holder.url and waited < _HOLDER_PATIENCE:
        await asyncio.sleep(_POLL)
        waited += _POLL
        holder = data.holder()
    return holder


@asynccontextmanager
async def _in_process(
    invocation: Invocation, project: Path | None, data: DataDirectory
) -> AsyncIterator[httpx.AsyncClient]:
    import httpx

    loaded, definition = invocation.project(project)
    settings = loaded.settings
    log.configure("warning", settings.log_format)
    from appliance.operations.appliance import Appliance
    from appliance.server.app import Application

    check_knowledge(settings, definition.vector_dbs)
    # Interrupted runs are left to the next server: a command does what it was asked, and ends.
    read = invocation.reader(project)
    async with Appliance.open(settings, definition, load=read, resume=False) as appliance:
        key = settings.cli.api_key or _admin_key(data)
        if key is None and settings.server.auth_enabled:
            raise Unauthorized(
                f'{data.admin_key_path} is missing; make a new one with "auth bootstrap --force".'
            )
        transport = httpx.ASGITransport(cast("Any", Application(appliance)))
        yield _http("http://appliance", key, None, transport=transport)


def _admin_key(data: DataDirectory) -> str | None:
    """Return the key that the server left, None when it left none. Raises Unauthorized for half."""
    from appliance.operations.tokens import well_formed

    key = data.read_admin_key()
    if key is not None and not well_formed(key):
        raise Unauthorized(
            f'{data.admin_key_path} is damaged; make a new one with "auth bootstrap --force".'
        )
    return key


def segment(text: str) -> str:
    """Return *text* as one segment of a path."""
    return quote(text, safe="")


def _http(url: str, key: str | None, timeout: float | None, **options: Any) -> httpx.AsyncClient:
    import httpx

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, **options)


def _base(url: str) -> str:
    return url.rstrip("/").removesuffix(API)


def _canonical(url: str) -> str:
    return url.replace("//localhost:", "//127.0.0.1:")


def _problem(answer: httpx.Response) -> ApplianceError:
    """Turn problem details back into the error that they were made of."""
    try:
        problem = answer.json()
        code, sentence = problem["code"], problem["detail"]
    except (ValueError, KeyError, TypeError):
        return Unavailable(f"The server answered {answer.status_code} {answer.reason_phrase}.")
    details = problem.get("details") or {}
    kind = _kinds().get(code, ApplianceError)
    return kind(sentence, **{**details, "errors": problem.get("errors") or []})


def _kinds() -> dict[str, type[ApplianceError]]:
    kinds: dict[str, type[ApplianceError]] = {}
    pending = [ApplianceError]
    while pending:
        kind = pending.pop()
        kinds.setdefault(kind.code, kind)  # the one that any sentence can be said with
        pending += kind.__subclasses__()
    return kinds
