"""The server as a process: it says when it is ready, stops in order, and leaves with a code."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from appliance.errors import Unavailable
from appliance.server.serve import bind, url_of

API = "/api/v0"

PROGRAM = """
    import sys
    from pathlib import Path

    from appliance import log
    from appliance.config import DatabaseSettings, ServerSettings, Settings
    from appliance.errors import ApplianceError, StorageBroken
    from appliance.operations.appliance import Appliance
    from appliance.server import serve
    from tests.server.conftest import sample_project

    log.configure("error")
    home, port, mode = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    settings = Settings(
        cwd=home,
        data_dir=home / "data",
        database=DatabaseSettings(path=str(home / "app.db")),
        server=ServerSettings(port=port, shutdown_timeout=float(sys.argv[4])),
    )
    if mode == "breaks":
        made = serve.Application

        def application(appliance):
            app = made(appliance)
            import threading
            broken = lambda: [tell(StorageBroken()) for tell in appliance.db.on_broken]
            threading.Timer(0.3, broken).start()
            return app

        serve.Application = application
    try:
        code = serve.run(settings, sample_project(), lambda url: print(url, flush=True))
    except ApplianceError as error:
        print(error.message, flush=True)
        code = error.exit_code
    sys.exit(code)
"""


class Process:
    """A server in a process of its own."""

    def __init__(self, home: Path, port: int, mode: str, grace_s: float, **environ: str) -> None:
        program = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
        self.home = home
        self._process = subprocess.Popen(
            [*program, str(home), str(port), mode, str(grace_s)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, **environ},
        )

    def first_line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def client(self, url: str) -> httpx.Client:
        key = (self.home / "data" / "admin.key").read_text().strip()
        return httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=20)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def exit_code(self) -> int:
        return self._process.wait(20)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=20)


@contextmanager
def process(
    home: Path, *, port: int = 0, mode: str = "serves", grace_s: float = 5, **environ: str
) -> Iterator[Process]:
    started = Process(home, port, mode, grace_s, **environ)
    try:
        yield started
    finally:
        started.end()


def holder(home: Path) -> Any:
    return json.loads((home / "data" / "instance.lock").read_text())


def test_the_life_of_a_server(tmp_path: Path) -> None:
    """It announces where it is, tells its manager, finishes what was asked, and exits with 0."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)
        with process(tmp_path, NOTIFY_SOCKET=path, WATCHDOG_USEC="200000") as server:
            url = server.first_line()
            assert b"READY=1" == manager.recv(100)
            assert b"WATCHDOG=1" == manager.recv(100)
            assert b"WATCHDOG=1" == manager.recv(100)
            assert url == holder(tmp_path)["url"]
            with server.client(url) as client, server.client(url) as other:
                assert "server" not in client.get("/health").headers
                run = f"{API}/workflows/nap/executions"
                started = client.post(run, json={"input": {"seconds": 0.2}}).json()["data"]
                request = client.build_request(
                    "POST", f"{run}/sync", json={"input": {"seconds": 0.7}}
                )
                assert 200 == other.get("/ready").status_code
                answer = _while_sending(client, request, lambda: server.signal(signal.SIGTERM))
                assert "SUCCESS" == answer.json()["data"]["workflow"]["status"]
                assert "close" == answer.headers["connection"]
            assert 0 == server.exit_code()
            messages = set()
            while b"STOPPING=1" not in messages:
                messages.add(manager.recv(100))
        assert "" == holder(tmp_path)["url"]
        assert started["exec_id"]


def _while_sending(client: httpx.Client, request: httpx.Request, act: Any) -> httpx.Response:
    """Send *request*, do *act* when it is under way, and return the answer."""
    import threading

    timer = threading.Timer(0.3, act)
    timer.start()
    try:
        return client.send(request)
    finally:
        timer.join()


def test_what_takes_too_long_is_cut_off(tmp_path: Path) -> None:
    """After `shutdown_timeout` a request that waits gets 503, and the process ends."""
    with process(tmp_path, grace_s=0.3) as server:
        url = server.first_line()
        with server.client(url) as client:
            run = f"{API}/workflows/nap/executions/sync"
            request = client.build_request("POST", run, json={"input": {"seconds": 30}})
            answer = _while_sending(client, request, lambda: server.signal(signal.SIGTERM))
        assert (503, "stopping") == (answer.status_code, answer.json()["code"])
        assert 0 == server.exit_code()


@pytest.mark.parametrize(
    ("first", "second"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)]
)
def test_a_second_signal_ends_it_at_once(
    tmp_path: Path, first: signal.Signals, second: signal.Signals
) -> None:
    """Whoever asks twice does not want to wait for anything."""
    with process(tmp_path, grace_s=60) as server:
        url = server.first_line()
        with server.client(url) as client:
            run = f"{API}/workflows/nap/executions/sync"
            request = client.build_request("POST", run, json={"input": {"seconds": 60}})

            def both() -> None:
                server.signal(first)
                time.sleep(0.3)
                server.signal(second)

            began = time.monotonic()
            with pytest.raises(httpx.RemoteProtocolError):
                _while_sending(client, request, both)
        assert 128 + second == server.exit_code()
        assert time.monotonic() - began < 10


def test_an_idle_server_stops_quickly(tmp_path: Path) -> None:
    """Open connections without a request do not delay the end."""
    with process(tmp_path, grace_s=30) as server:
        url = server.first_line()
        with server.client(url) as client:
            assert 200 == client.get("/health").status_code
            began = time.monotonic()
            server.signal(signal.SIGINT)
            assert 0 == server.exit_code()
        assert time.monotonic() - began < 5


def test_broken_storage_ends_the_server_with_74(tmp_path: Path) -> None:
    """Whoever supervises it can tell a dead disk from an orderly stop."""
    with process(tmp_path, mode="breaks") as server:
        assert server.first_line().startswith("http://127.0.0.1:")
        assert 74 == server.exit_code()


def test_an_address_in_use_is_told_before_anything_is_touched(tmp_path: Path) -> None:
    """69, with the address and what to do; there is no database afterwards."""
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with process(tmp_path, port=port) as server:
            line = server.first_line()
            assert f"127.0.0.1:{port}" in line
            assert "--port" in line
            assert 69 == server.exit_code()
    assert not (tmp_path / "app.db").exists()


def test_urls_are_for_this_machine() -> None:
    """Also where the server listens everywhere, and with brackets where they belong."""
    for host, expected in (
        ("127.0.0.1", "http://127.0.0.1:{}"),
        ("0.0.0.0", "http://127.0.0.1:{}"),
        ("::1", "http://[::1]:{}"),
        ("::", "http://[::1]:{}"),
    ):
        with bind(host, 0) as listener:
            assert expected.format(listener.getsockname()[1]) == url_of(listener)


def test_an_address_of_another_machine_is_refused() -> None:
    """The message names the address and the reason."""
    with pytest.raises(Unavailable) as caught:
        bind("192.0.2.1", 5001)
    assert "192.0.2.1:5001" in caught.value.message
