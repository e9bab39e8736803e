"""The server process: listens, answers until it is told to stop, and leaves with an exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self

import structlog
import uvicorn
from uvicorn.server import ServerState

from appliance.background import Background
from appliance.config import Settings
from appliance.errors import ApplianceError, StorageBroken, Unavailable
from appliance.language.model import Project
from appliance.operations.appliance import Appliance
from appliance.operations.definitions import Load
from appliance.server.app import Application
from appliance.server.deadlines import DeadlineProtocol
from appliance.server.guard import guarding
from appliance.server.limits import Limits
from appliance.server.notify import Notifier
from appliance.store.datadir import DataDirectory

if TYPE_CHECKING:
    from litestar.types import ASGIApp

BACKLOG = 1024
MIN_DESCRIPTORS = 8192
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
POLL = 0.02
"""Seconds between two looks at whether the last connection has ended, while stopping."""

log = structlog.get_logger(__name__)

OnReady = Callable[[str], None]
"""Told the URL of the server once it answers."""


Beside = Callable[[Appliance], Coroutine[Any, Any, None]]
"""Runs as long as the server does, and is cancelled at its end."""


def run(
    settings: Settings,
    project: Project,
    on_ready: OnReady = lambda _: None,
    *,
    load: Load | None = None,
    beside: Beside | None = None,
) -> int:
    """Serve *project* until SIGTERM or SIGINT and return the exit code.

    SIGHUP has it read again by *load*.

    0 is an orderly stop, 74 broken storage. Raises what `Appliance.open` raises, and Unavailable
    when the address is taken.
    """
    import uvloop

    _raise_limits()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, project, on_ready, load, beside))


async def _run(
    settings: Settings,
    project: Project,
    on_ready: OnReady,
    load: Load | None,
    beside: Beside | None,
) -> int:
    DataDirectory(settings.data_dir).require_free()  # a better sentence than "address in use"
    # The address first: when it is taken, no run is taken up and no migration made.
    with bind(settings.server.host, settings.server.port) as listener, Stop() as stop:
        async with Appliance.open(settings, project, load=load) as appliance:
            gc.freeze()  # what is there stays; nobody waits while it is looked through for garbage
            companion = asyncio.create_task(beside(appliance)) if beside else None
            try:
                return await serve(appliance, stop, listener=listener, on_ready=on_ready)
            finally:
                if companion is not None:
                    companion.cancel()


async def serve(
    appliance: Appliance,
    stop: Stop,
    *,
    listener: socket.socket,
    on_ready: OnReady = lambda _: None,
) -> int:
    """Serve an appliance that is open on *listener* until *stop*, and return the exit code."""
    notifier = Notifier()
    appliance.db.on_broken.append(stop.broken)
    app = Application(appliance)
    limits = Limits(server=appliance.settings.server, on_refusal=app.state.metrics.refused)
    async with listening(app, listener, limits, lambda: appliance.grace):
        url = url_of(listener)
        appliance.announce(url)
        log.info("server.started", url=url, driver=appliance.db.driver)
        on_ready(url)
        notifier.send("READY=1")
        watchdog = asyncio.create_task(notifier.keep_alive())
        guard = guarding(appliance.db, appliance.settings.database)
        with reloading_on_hangup(appliance), guard:
            exit_code = await stop.requested()
        notifier.send("STOPPING=1")
        watchdog.cancel()
        appliance.announce("")
        app.state.streams.close()
    log.info("server.stopped", exit_code=exit_code)
    return exit_code


class Stop:
    """The wish to stop: by SIGTERM or SIGINT, or because storage broke.

    A second signal ends the process at once. Belongs to the event loop on which it was made.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._exit_code: asyncio.Future[int] = self._loop.create_future()

    def __enter__(self) -> Self:
        for signum in _SIGNALS:
            self._loop.add_signal_handler(signum, self._signalled, signum)
        return self

    def __exit__(self, *_: object) -> None:
        for signum in _SIGNALS:
            self._loop.remove_signal_handler(signum)

    async def requested(self) -> int:
        """Wait for the wish and return the exit code that goes with it."""
        return await self._exit_code

    def broken(self, error: ApplianceError) -> None:
        """Stop because storage failed. May be called from any thread."""
        log.error("storage.broken", error=error.message)
        self._loop.call_soon_threadsafe(self._request, StorageBroken.exit_code)

    def _request(self, exit_code: int) -> None:
        if not self._exit_code.done():
            self._exit_code.set_result(exit_code)

    def _signalled(self, signum: signal.Signals) -> None:
        if self._exit_code.done():
            _leave_at_once(signum)
        log.info("server.stopping", signal=signum.name)
        self._request(0)


@contextmanager
def reloading_on_hangup(appliance: Appliance) -> Iterator[None]:
    """Read the project again at each SIGHUP; where it is wrong the former one goes on."""
    loop, work = asyncio.get_running_loop(), Background()
    loop.add_signal_handler(signal.SIGHUP, lambda: work.begin(_reload(appliance)))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


async def _reload(appliance: Appliance) -> None:
    try:
        changes = await appliance.reload()
    except ApplianceError as error:
        problems = error.details.get("problems", [])
        log.warning("project.not_reloaded", why=error.message, problems=problems)
    else:
        log.info("project.reloaded", changes=changes)


@asynccontextmanager
async def listening(
    app: ASGIApp, listener: socket.socket, limits: Limits, grace: Callable[[], float] | None = None
) -> AsyncIterator[None]:
    """Answer what comes in on *listener* with *app*; at the end let requests under way finish.

    *grace* is asked then how many seconds they have; otherwise it is `shutdown_timeout`.
    """
    server = limits.server
    state = ServerState()
    config = _uvicorn(app, server.idle_timeout)
    protocol = partial(
        DeadlineProtocol, config=config, server_state=state, app_state={}, limits=limits
    )
    loop = asyncio.get_running_loop()
    accepting = await loop.create_server(protocol, sock=listener, backlog=BACKLOG)
    try:
        yield
    finally:
        accepting.close()
        await _drain(state, grace() if grace else server.shutdown_timeout)


async def _drain(state: ServerState, grace_s: float) -> None:
    """Let requests under way finish, at most *grace_s* seconds, then cut them off."""
    for connection in list(state.connections):
        connection.shutdown()
    try:
        async with asyncio.timeout(grace_s):
            while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn keeps plain sets
                await asyncio.sleep(POLL)
    except TimeoutError:
        log.warning("requests.cut_off", count=len(state.tasks))
    for task in list(state.tasks):
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)


def _uvicorn(app: ASGIApp, idle_timeout: float) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=DeadlineProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=idle_timeout,  # type: ignore[arg-type]  # used as seconds of call_later
    )
    config.load()
    return config


def bind(host: str, port: int) -> socket.socket:
    """Take the address without answering yet. Raises Unavailable when that cannot be."""
    with ExitStack() as stack:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError as error:
            raise Unavailable(
                f"The address {host}:{port} cannot be used ({error.strerror}); "
                "stop what uses it or choose another with --host and --port."
            ) from error
        listener.setblocking(False)
        stack.pop_all()
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL at which this machine reaches *listener*."""
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if listener.family is socket.AF_INET else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _raise_limits() -> None:
    """Allow as many open files as connections, databases and tools may need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MIN_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MIN_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _leave_at_once(signum: signal.Signals) -> NoReturn:
    log.warning("server.killed", signal=signum.name)
    os._exit(128 + signum)
