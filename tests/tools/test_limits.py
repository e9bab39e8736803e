"""How long a call may wait to begin, and how many of a tool go on at once."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.tools import pool as pool_module
from appliance.tools.pool import ToolCall, ToolFailure, ToolOutcome, ToolRequest
from tests.tools.workshop import Workshop, request, zygotes

FUNCTIONS = """
    import os, time
    def sleep(seconds=0.0, n=0): time.sleep(seconds); return n
    def other(n=0): return n
    def crash(n=0): os._exit(1)
    def count(directory, seconds=0.02):
        mine = f"{directory}/{os.getpid()}"
        open(mine, "w").close()
        seen = len(os.listdir(directory))
        time.sleep(seconds)
        os.unlink(mine)
        return seen
    def hang(directory):
        open(f"{directory}/{os.getpid()}", "w").close()
        time.sleep(600)
"""


def limited(tool: str, limit: int = 0, queue: float | None = None, **options: Any) -> ToolRequest:
    """Return a request with limits."""
    wanted = request(tool, **options)
    return msgspec.structs.replace(wanted, max_concurrent=limit, queue_timeout=queue)


def codes(outcomes: list[ToolOutcome]) -> list[str]:
    return [getattr(each, "code", "") for each in outcomes]


# -- waiting --------------------------------------------------------------------------------------


def test_a_call_that_waits_too_long_is_given_up(workshop: Workshop) -> None:
    """TOOL_QUEUE_TIMEOUT, after that time; it can be tried again, and what runs goes on."""
    pool = workshop.open(FUNCTIONS, max_processes=1)
    call, _ = workshop.submit(limited("sleep", seconds=600))
    began = time.monotonic()

    [failure] = workshop.outcomes([limited("sleep", queue=0.2)])

    assert isinstance(failure, ToolFailure)
    assert ("TOOL_QUEUE_TIMEOUT", True) == (failure.code, failure.retryable)
    assert "waited 0.2 s to begin" in failure.message
    assert 0.2 <= time.monotonic() - began < 3
    assert (1, 0) == (pool.busy, pool.waiting)
    call.kill()


def test_time_to_wait_is_no_time_to_run(workshop: Workshop) -> None:
    """A call that began is bounded by its timeout alone."""
    workshop.open(FUNCTIONS)

    outcomes = workshop.outcomes([limited("sleep", queue=0.2, seconds=0.5) for _ in range(3)])

    assert ["", "", ""] == codes(outcomes)


def test_the_import_counts_as_waiting(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps a call from beginning, it waits no longer than it may."""
    monkeypatch.setattr(pool_module, "OPEN_PATIENCE", 0.1)
    workshop.open("import time\ntime.sleep(1)\ndef sleep(): pass")

    assert ["TOOL_QUEUE_TIMEOUT", ""] == codes(
        workshop.outcomes([limited("sleep", queue=0.2), limited("sleep", queue=20)])
    )


def test_a_killed_call_does_not_time_out(workshop: Workshop) -> None:
    """Nothing is delivered after a kill, nor after the pool was closed."""
    pool = workshop.open(FUNCTIONS, max_processes=1)
    workshop.submit(limited("sleep", seconds=600))
    calls = [workshop.submit(limited("sleep", limit, 0.2)) for limit in (0, 1, 1, 0, 1, 1)]
    for call, _ in calls[:3]:
        call.kill()
    workshop.run(pool.close())
    workshop.run(asyncio.sleep(0.4))

    assert not any(future.done() for _, future in calls)


# -- how many -------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 3])
def test_there_are_never_more_calls_than_allowed(
    workshop: Workshop, tmp_path: Path, limit: int
) -> None:
    """Every call comes to its turn, and none sees more than the limit at work."""
    (tmp_path / "here").mkdir()
    workshop.open(FUNCTIONS)

    outcomes = workshop.outcomes(
        [limited("count", limit, directory=str(tmp_path / "here")) for _ in range(20)]
    )

    seen = [int(getattr(each, "output", b"99")) for each in outcomes]
    assert limit == max(seen)
    assert 20 == len(seen)


def test_first_come_first_served(workshop: Workshop) -> None:
    """Calls of one tool begin in the order in which they were made."""
    workshop.open(FUNCTIONS)
    order: list[int] = []

    async def settle() -> None:
        done = asyncio.Event()

        def note(n: int) -> None:
            order.append(n)
            if len(order) == 30:
                done.set()

        for n in range(30):
            workshop.pool.submit(limited("other", 1, n=n), lambda _, n=n: note(n))  # type: ignore[misc]
        await done.wait()

    workshop.run(settle())

    assert list(range(30)) == order


def test_other_tools_go_on(workshop: Workshop) -> None:
    """A tool at its limit holds up nobody else, not even with few processes."""
    pool = workshop.open(FUNCTIONS, max_processes=2)
    stuck = [workshop.submit(limited("sleep", 1, seconds=600))[0] for _ in range(100)]

    assert [""] * 20 == codes(workshop.outcomes([limited("other", n=n) for n in range(20)]))
    assert (1, 99) == (pool.busy, pool.waiting)
    for call in stuck:
        call.kill()
    assert [""] == codes(workshop.outcomes([limited("sleep", 1)]))


def test_waiting_in_line_counts_as_waiting(workshop: Workshop) -> None:
    """A call that its tool's limit holds up is given up in time like any other."""
    workshop.open(FUNCTIONS)
    call, _ = workshop.submit(limited("sleep", 1, seconds=600))

    assert ["TOOL_QUEUE_TIMEOUT"] * 3 == codes(
        workshop.outcomes([limited("sleep", 1, 0.1) for _ in range(3)])
    )
    call.kill()


@pytest.mark.parametrize("how", ["crash", "raise", "time-out", "zygote", "not found"])
def test_a_place_is_given_back_however_a_call_ends(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Five calls in a row end badly, and the next one of the tool still has its turn."""
    monkeypatch.setattr(pool_module, "STABLE_AFTER", 0.0)
    pool = workshop.open(FUNCTIONS)
    tool = {"crash": "crash", "raise": "other", "not found": "gone"}.get(how, "sleep")
    wanted = {
        "raise": request(tool, m=1),
        "time-out": request(tool, timeout=0.1, seconds=600),
        "zygote": request(tool, seconds=600),
    }.get(how, request(tool))

    async def end_badly() -> None:
        _, future = workshop.submit(msgspec.structs.replace(wanted, max_concurrent=1))
        if how == "zygote":
            while not pool.busy:
                await asyncio.sleep(0.002)
            os.kill(zygotes()[0], signal.SIGKILL)
        await future

    for _ in range(5):
        workshop.run(end_badly())

    expected = {"crash": "TOOL_CRASHED", "not found": "TOOL_NOT_FOUND"}.get(how, "")
    assert [expected] * 3 == codes(workshop.outcomes([limited(tool, 1) for _ in range(3)]))


def test_a_killed_call_keeps_its_place_until_its_process_is_gone(
    workshop: Workshop, tmp_path: Path
) -> None:
    """What only one may use is never used by two, not even for the moment of a kill."""
    (tmp_path / "here").mkdir()
    pool = workshop.open(FUNCTIONS)
    call, _ = workshop.submit(limited("hang", 1, directory=str(tmp_path / "here")))
    assert workshop.wait_until(lambda: len(list((tmp_path / "here").iterdir())) == 1)
    second, _ = workshop.submit(limited("hang", 1, directory=str(tmp_path / "here")))

    call.kill()
    assert (0, 1) == (pool.busy, pool.waiting)  # the process is dying and the place is taken

    assert workshop.wait_until(lambda: (pool.busy, pool.waiting) == (1, 0))
    second.kill()
    assert workshop.wait_until(lambda: pool.processes == 0)


def test_killing_those_in_line_changes_nothing_for_others(workshop: Workshop) -> None:
    """The order of the others stays, and no place is lost."""
    workshop.open(FUNCTIONS)
    first, _ = workshop.submit(limited("sleep", 1, seconds=600))
    line = [workshop.submit(limited("sleep", 1, n=n)) for n in range(10)]
    for call, _ in line[::2]:
        call.kill()
        call.kill()
    first.kill()

    kept = [workshop.run(future) for _, future in line[1::2]]

    assert [b"1", b"3", b"5", b"7", b"9"] == [getattr(each, "output", each) for each in kept]
    assert not any(future.done() for _, future in line[::2])


def test_calls_that_have_ended_are_forgotten(workshop: Workshop) -> None:
    """Neither lines nor gates hold on to what is over."""
    pool = workshop.open(FUNCTIONS, max_processes=2)
    before = calls_in_memory()

    stuck = [workshop.submit(limited("sleep", 1, seconds=600))[0] for _ in range(5)]
    workshop.outcomes([limited("sleep", 1, 0.05), limited("other", 2, n=1)])
    for call in stuck:
        call.kill()
    del call, stuck

    assert workshop.wait_until(lambda: (pool.processes, pool.waiting) == (1, 0))
    workshop.outcomes([limited("other")])
    assert before == calls_in_memory()


def calls_in_memory() -> int:
    gc.collect()
    return sum(isinstance(each, ToolCall) for each in gc.get_objects())
