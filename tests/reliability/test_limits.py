"""A8: the machine has no more open files, no memory, no processes for the server.

Limits are put on the server while it runs and lifted again. New work is refused; what was
acknowledged stays; and when there is room again nothing has to be done by hand.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings

from .history import History, Outcome
from .load import Load
from .machine import needs
from .oracle import judge, judge_file
from .serving import Server
from .tiers import sized
from .verdict import Verdict

ROUNDS = sized(1, 3, 30)
PAGE = resource.getpagesize()
GROUPS = Path("/sys/fs/cgroup/memory")
LARGE = "x" * 200_000
HONEST = ("503 overloaded", "503 unavailable", "Connection", "Broken pipe", "Remote end closed")
"""What may be heard from a server that has no room; nothing blames what was asked for."""


@contextmanager
def limited(pid: int, kind: int, limit: int) -> Iterator[None]:
    """Put a limit on a running process for this block."""
    before = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, before)


def _files(pid: int) -> tuple[int, int]:
    """Leave no open file."""
    return resource.RLIMIT_NOFILE, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _memory(pid: int) -> tuple[int, int]:
    """Leave no memory."""
    return resource.RLIMIT_AS, int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * PAGE


def _ask_for_much(server: Server, history: History) -> None:
    message = {"role": "user", "content": LARGE}
    for number in range(4):
        body = {"key": f"large-{len(history.writes)}", "messages": [message] * 15}
        history.write(
            "large",
            str(number),
            lambda: server.call("POST", "/memory/notes/append", body),  # noqa: B023
        )


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(_files, id="files"),
        # One run of fifty ended with SIGSEGV; in which library is not known yet.
        pytest.param(_memory, id="memory", marks=pytest.mark.reliability),
    ],
)
def test_nothing_acknowledged_is_lost_at_a_limit(
    tmp_path: Path,
    sqlite_settings: DatabaseSettings,
    seed: str,
    what: Callable[[int], tuple[int, int]],
    conclude: Callable[[Verdict], None],
) -> None:
    """Whoever is refused hears so honestly, and afterwards everything is as before."""
    server, history = Server(tmp_path, sqlite_settings), History(tmp_path / "history")
    verdict = Verdict(f"A8 no more {what.__name__.strip('_')}", ROUNDS)
    with server.running() as process:
        for number in range(ROUNDS):
            _press(server, history, process.pid, f"{seed}-{number}", what)
            assert process.poll() is None, server.log
            assert server.ready
        assert any(write.outcome is not Outcome.OK for write in history.writes), "no limit was met"
        verdict.findings.corrupt = _dishonest(history)
        verdict.add(judge(server, history, 0))
        process.terminate()
        assert 0 == process.wait(30)
    verdict.add(judge_file(Path(sqlite_settings.path)))
    verdict.acknowledged = history.count(Outcome.OK)
    verdict.recoveries = server.recoveries
    conclude(verdict)


def _press(
    server: Server, history: History, pid: int, seed: str, what: Callable[[int], tuple[int, int]]
) -> None:
    """Ask for much while the server lacks *what*."""
    with Load(server, history, seed):
        time.sleep(0.5)
        with limited(pid, *what(pid)):
            _ask_for_much(server, history)
            time.sleep(1)


@pytest.mark.reliability
def test_a_server_that_blames_others_is_caught(
    tmp_path: Path, sqlite_settings: DatabaseSettings, seed: str
) -> None:
    """A refusal that does not say that it is for want of room is found."""
    server = Server(tmp_path, sqlite_settings, sabotage="blame_whoever_asks")
    history = History(tmp_path / "history")
    with server.running() as process:
        _press(server, history, process.pid, seed, _files)
    assert _dishonest(history)


def _dishonest(history: History) -> list[str]:
    """Return the refusals that blame somebody else."""
    refusals = [write for write in history.writes if write.outcome is not Outcome.OK]
    return [
        f"{write.kind} was answered {write.answer}"
        for write in refusals
        if not any(word in str(write.answer) for word in HONEST)
    ]


def test_nothing_acknowledged_is_lost_when_the_kernel_takes_the_memory_back(
    tmp_path: Path,
    sqlite_settings: DatabaseSettings,
    seed: str,
    conclude: Callable[[Verdict], None],
) -> None:
    """The server is killed for want of memory, which no process can prevent, and starts again."""
    needs("memory cgroup")
    server, history = Server(tmp_path, sqlite_settings), History(tmp_path / "history")
    verdict = Verdict("A8 killed for want of memory", ROUNDS)
    for number in range(ROUNDS):
        with _group() as group, server.running() as process:
            (group / "cgroup.procs").write_text(str(process.pid))
            with Load(server, history, f"{seed}-{number}"):
                time.sleep(0.3)
                _shrink(group)
                _ask_for_much(server, history)
                assert -9 == process.wait(20), server.log
    with server.running():
        verdict.add(judge(server, history, ROUNDS))
    verdict.add(judge_file(Path(sqlite_settings.path)))
    verdict.acknowledged = history.count(Outcome.OK)
    verdict.recoveries = server.recoveries
    conclude(verdict)


@contextmanager
def _group() -> Iterator[Path]:
    group = GROUPS / f"appliance-{os.getpid()}"
    group.mkdir()
    try:
        yield group
    finally:
        deadline = time.monotonic() + 10
        while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        group.rmdir()


def _shrink(group: Path) -> None:
    """Leave the group what it has now and very little more."""
    used = int((group / "memory.usage_in_bytes").read_text())
    (group / "memory.limit_in_bytes").write_text(str(used + (256 << 10)))
