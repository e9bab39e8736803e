"""Watch a run while the line is cut at random moments and the server is killed once.

The oracle is the run itself: the numbers that its rows hold at the end.
"""

from __future__ import annotations

import http.client
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from appliance.config import DatabaseSettings

from .oracle import Findings
from .serving import ROOT, Server
from .tiers import kinds, sized
from .verdict import Verdict

FLOWS = ROOT / "tests" / "server" / "flows"
STEPS = sized(40, 200, 1000)
PATIENCE = 60
"""Seconds without the server until a client gives up."""


class Heard(NamedTuple):
    """An event: its id, its name and its data as they were sent."""

    id: int
    event: str
    data: str


class Client:
    """Watches one run as a browser does: when it is cut it comes back with the last id it has."""

    def __init__(self, server: Server, exec_id: str, dice: random.Random) -> None:
        self.heard: list[Heard] = []
        self.cuts = 0
        self._at = urlsplit(server.url).netloc
        self._path = f"/api/v0/executions/workflows/{exec_id}/stream"
        self._key = server.admin_key
        self._dice = dice

    def watch(self) -> None:
        """Read until the run has ended; each line is cut after some bytes, inside an event or not."""
        last_seen = time.monotonic()
        while not self.heard or self.heard[-1].event != "complete":
            before = len(self.heard)
            try:
                self._read_some(self._dice.choice((40, 400, 4000, 40_000)))
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
            if len(self.heard) > before:
                last_seen = time.monotonic()
            assert time.monotonic() - last_seen < PATIENCE, "nothing is told any more"
            self.cuts += 1
            time.sleep(self._dice.choice((0, 0, 0, self._dice.uniform(0, 1))))

    def status(self) -> int:
        """Return what the server says to whoever comes back with everything."""
        with closing(http.client.HTTPConnection(self._at, timeout=30)) as line:
            return self._ask(line).status

    def _read_some(self, most: int) -> None:
        with closing(http.client.HTTPConnection(self._at, timeout=30)) as line:
            answer = self._ask(line)
            assert 200 == answer.status, answer.read()
            held = b""
            left = self._dice.randint(1, most)
            while left > 0 and (piece := answer.read1(left)):
                left -= len(piece)
                *whole, held = (held + piece).split(b"\n\n")
                self.heard += (event for text in whole for event in _events(text))

    def _ask(self, line: http.client.HTTPConnection) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self._key}"}
        if self.heard:
            headers["Last-Event-ID"] = str(self.heard[-1].id)
        line.request("GET", self._path, headers=headers)
        return line.getresponse()


def _events(text: bytes) -> Iterator[Heard]:
    fields = dict(line.split(": ", 1) for line in text.decode().splitlines())
    if "id" in fields:
        yield Heard(int(fields["id"]), fields["event"], fields["data"])


def _numbers(state: dict[str, Any]) -> Iterator[int]:
    """Yield the number of everything that happened in a run or a task, as its rows have it."""
    for moment in state["history"]:
        yield moment["number"]
    for task in (state.get("tasks") or state.get("children") or {}).values():
        yield from _numbers(task)


def _watched(
    home: Path, database: DatabaseSettings, steps: int, pause: float, seed: str
) -> Verdict:
    """Watch a run of *steps* steps with a server that is killed on the way."""
    dice = random.Random(seed)
    home.mkdir()
    server = Server(home, database, FLOWS)
    with server.running() as process:
        begun = server.call(
            "POST", "/workflows/steps/executions", {"input": {"seconds": pause, "count": steps}}
        )
        client = Client(server, begun["exec_id"], random.Random(dice.random()))
        watching = threading.Thread(target=client.watch, daemon=True)
        watching.start()
        time.sleep(steps * pause * dice.uniform(0.3, 0.7))
        process.send_signal(signal.SIGKILL)
        process.wait()
    with server.running():
        watching.join(steps * pause * 3 + PATIENCE)
        assert not watching.is_alive(), "the run did not end, or its end was not told"
        state = server.call("GET", f"/executions/workflows/{begun['exec_id']}")
        again = Client(server, begun["exec_id"], random.Random(0))
        again.watch()
        findings = _judge_tale(client.heard, state)
        if again.heard != client.heard:
            findings.corrupt.append("another tale is told afterwards")
        assert 204 == client.status()
    assert client.cuts > 3
    name = f"Streams cut, kill -9, {database.driver}"
    return Verdict(name, client.cuts + 1, len(client.heard), findings, server.recoveries)


def _judge_tale(heard: list[Heard], state: dict[str, Any]) -> Findings:
    findings = Findings()
    told, happened = Counter(event.id for event in heard), set(_numbers(state))
    findings.lost += [f"event {number} was not told" for number in happened - told.keys()]
    findings.doubled += [f"event {number} was told twice" for number in told if told[number] > 1]
    if list(told) != sorted(happened):
        findings.corrupt.append("what was told is not what happened, or not in its order")
    if state["status"] != "SUCCESS":
        findings.lost.append(f"the run is {state['status']}")
    return findings


@pytest.mark.parametrize("database", kinds("sqlite"), indirect=True)
def test_each_event_is_seen_once(
    database: DatabaseSettings, tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """However often the line is cut, and though the server is killed: in order, without a gap."""
    conclude(_watched(tmp_path / "home", database, STEPS, 0.05, seed))


@pytest.mark.soak
def test_each_event_of_five_minutes_is_seen_once(
    database: DatabaseSettings, tmp_path: Path, seed: str, conclude: Callable[[Verdict], None]
) -> None:
    """The same for a run that takes five minutes."""
    conclude(_watched(tmp_path / "home", database, 1200, 0.25, seed))


def test_what_is_left_out_or_repeated_is_noticed() -> None:
    """The judge of a tale finds what is missing, what is there twice and what is in disorder."""
    whole = [Heard(number, "task", "{}") for number in (1, 2, 3)]
    state = {"status": "SUCCESS", "history": [{"number": number} for number in (1, 2, 3)]}
    assert [] == _judge_tale(whole, state).all
    assert _judge_tale(whole[1:], state).lost
    assert _judge_tale([*whole, whole[0]], state).doubled
    assert _judge_tale(whole[::-1], state).corrupt
