"""The pool: how many processes there are, and how it opens, recovers, reloads and closes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from appliance.errors import InvalidInput
from appliance.tools import nursery as nursery_module
from appliance.tools import pool as pool_module
from appliance.tools.pool import ToolFailure, ToolPool, ToolRuntime
from tests.tools.workshop import Workshop, children, gone, request, zygotes

SLEEP = """
    import os, time
    def pid(): return os.getpid()
    def sleep(seconds): time.sleep(seconds); return os.getpid()
    def noop(): pass
    def die(): os._exit(1)
"""

COMPUTE = """
    import time
    def compute(seconds):
        end = time.process_time() + seconds
        while time.process_time() < end: pass
"""


def test_blocking_calls_run_at_the_same_time(
    workshop: Workshop, tmp_path: Path, loop_kind: str
) -> None:
    """Fifty calls, each of which waits for all the others, come to an end together."""
    (tmp_path / "here").mkdir()
    workshop.open("""
        import os, time
        def meet(n, directory):
            open(f"{directory}/{n}", "w").close()
            while len(os.listdir(directory)) < 50: time.sleep(0.01)
    """)

    outcomes = workshop.outcomes(
        [request("meet", n=n, directory=str(tmp_path / "here")) for n in range(50)]
    )

    assert [b"{}"] * 50 == [getattr(each, "output", each) for each in outcomes]


def test_there_are_never_more_processes_than_allowed(workshop: Workshop) -> None:
    """With `max_processes` busy, calls wait for their turn, first come first served."""
    pool = workshop.open(SLEEP, max_processes=3)

    outcomes = workshop.outcomes([request("sleep", seconds=0.05) for _ in range(12)])

    assert len({getattr(each, "output", None) for each in outcomes}) == 3
    [zygote] = zygotes()
    assert (3, 3) == (pool.processes, len(children(zygote)))


@pytest.mark.parametrize("seconds", [0.0, 0.008])
def test_calls_that_compute_share_few_processes(workshop: Workshop, seconds: float) -> None:
    """What needs a core is not faster in more processes than there are cores."""
    pool = workshop.open(COMPUTE)

    workshop.outcomes([request("compute", seconds=seconds) for _ in range(64)])

    # Two would do; on a machine under load a call can be kept from its core so long that it looks
    # slow. Calls that sleep would get a process each.
    assert pool.processes <= 32


def test_long_computations_do_not_keep_others_waiting(workshop: Workshop) -> None:
    """Where every core is taken for long, a short call gets a process all the same."""
    workshop.open(COMPUTE)
    long = [request("compute", seconds=600) for _ in range(2 * len(os.sched_getaffinity(0)))]
    calls = [workshop.submit(each)[0] for each in long]

    outcome = workshop.outcome("compute", timeout=10, seconds=0)

    for call in calls:
        call.kill()
    assert getattr(outcome, "output", outcome) == b"{}"


def test_idle_processes_are_retired(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two warm processes stay; the others end when nothing was left for them to do."""
    monkeypatch.setattr(pool_module, "IDLE_LIMIT", 0.3)
    pool = workshop.open(SLEEP)
    workshop.outcomes([request("sleep", seconds=0.1) for _ in range(6)])
    [zygote] = zygotes()
    assert pool.processes > 2

    assert workshop.wait_until(lambda: pool.processes == len(children(zygote)) == 2)
    workshop.run(asyncio.sleep(0.5))
    assert pool.processes == 2
    assert workshop.output("noop") == {}


def test_a_pool_without_calls_forks_nothing(workshop: Workshop) -> None:
    """Opening imports the entrypoint, so that problems show; workers come with the first call."""
    pool = workshop.open(SLEEP)

    [zygote] = zygotes()
    assert children(zygote) == []
    assert pool.problem is None
    assert (0, 0, 0) == (pool.processes, pool.busy, pool.waiting)


def test_the_pool_counts_what_it_does(workshop: Workshop) -> None:
    """`busy` and `waiting` are what a metric needs."""
    pool = workshop.open(SLEEP, max_processes=2)
    calls = [workshop.submit(request("sleep", seconds=600)) for _ in range(5)]

    assert workshop.wait_until(lambda: (pool.processes, pool.busy, pool.waiting) == (2, 2, 3))
    for call, _ in calls:
        call.kill()
    assert workshop.wait_until(lambda: (pool.processes, pool.busy, pool.waiting) == (0, 0, 0))


def test_without_an_entrypoint_nothing_can_be_called(workshop: Workshop) -> None:
    """A project without functions has no process, and a call says what is missing."""
    workshop.pool = ToolPool(ToolRuntime(None))
    workshop.run(workshop.pool.open())

    failure = workshop.failure("anything")

    assert ("TOOL_UNAVAILABLE", False) == (failure.code, failure.retryable)
    assert "(runtime.entrypoint)" in failure.message
    assert zygotes() == []
    workshop.run(workshop.pool.reload())
    assert zygotes() == []
    workshop.run(workshop.pool.close())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\ndef broken(:\n", "SyntaxError: invalid syntax"),
        ("\n\nimport nothing_of_that_name", "ModuleNotFoundError: No module named"),
        ("def a():\n    1 / 0\na()", "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(2)", "SystemExit: 2"),
        ("x = b'.' * (2 << 30)", "MemoryError: the limit of 1073741824 bytes"),
        ("import os\nos._exit(7)", "ended with exit code 7"),
        ("import os\nos.kill(os.getpid(), 11)", "was killed by SIGSEGV"),
    ],
)
def test_an_import_that_fails_is_a_problem(workshop: Workshop, source: str, words: str) -> None:
    """`problem` has the reason when `open` returns, and every call gets it."""
    pool = workshop.open(source)

    assert words in (pool.problem or "")
    assert str(workshop.entrypoint) in (pool.problem or "")
    failure = workshop.failure("anything")
    assert ("TOOL_UNAVAILABLE", True) == (failure.code, failure.retryable)
    assert words in failure.message


def test_a_problem_says_where_it_is(workshop: Workshop) -> None:
    """The file and line of the user's code where the import failed are named."""
    pool = workshop.open("def a():\n    1 / 0\na()")

    assert (pool.problem or "").endswith(f"division by zero ({workshop.entrypoint}:2)")


def test_an_entrypoint_that_was_mended_is_imported_again(workshop: Workshop) -> None:
    """After a failed import a later call tries anew: no restart is needed."""
    pool = workshop.open("import nothing_of_that_name")
    assert workshop.failure("noop").code == "TOOL_UNAVAILABLE"
    workshop.write(SLEEP)
    time.sleep(pool_module.FIRST_DELAY)

    assert workshop.output("noop") == {}
    assert pool.problem is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"python": "/no/such/python"}, "/no/such/python cannot be started: No such file"),
        ({"python": "/bin/false"}, "ended with exit code 1"),
    ],
)
def test_an_interpreter_that_does_not_work_is_a_problem(
    workshop: Workshop, settings: dict[str, str], words: str
) -> None:
    """A wrong interpreter shows at `open` and in each call."""
    pool = workshop.open(SLEEP, **settings)

    assert words in (pool.problem or "")
    assert words in workshop.failure("noop").message


def test_an_import_that_hangs_is_given_up(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`open` does not wait for ever, nor do calls."""
    monkeypatch.setattr(nursery_module, "IMPORT_LIMIT", 0.6)
    monkeypatch.setattr(pool_module, "OPEN_PATIENCE", 0.2)

    pool = workshop.open("import time\ntime.sleep(600)")

    assert pool.problem == f"{workshop.entrypoint} is still being imported"
    assert "took more than 0.6 s" in workshop.failure("noop").message
    assert "took more than 0.6 s" in (pool.problem or "")


def test_a_slow_import_is_waited_for(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls made while the entrypoint is still being imported run when it is."""
    monkeypatch.setattr(pool_module, "OPEN_PATIENCE", 0.1)

    pool = workshop.open("import time\ntime.sleep(0.4)\ndef noop(): pass")

    assert pool.problem is not None
    assert workshop.output("noop") == {}
    assert pool.problem is None


def test_a_zygote_that_is_killed_is_started_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls under way crash with it and leave nothing running; the next call works."""
    monkeypatch.setattr(pool_module, "STABLE_AFTER", 0.0)
    pool = workshop.open(SLEEP)
    worker = workshop.output("pid")
    [zygote] = zygotes()
    _, future = workshop.submit(request("sleep", seconds=600))

    os.kill(zygote, signal.SIGKILL)
    outcome = workshop.run(future)

    assert isinstance(outcome, ToolFailure)
    assert ("TOOL_CRASHED", True) == (outcome.code, outcome.retryable)
    assert workshop.wait_until(lambda: gone(worker))
    assert pool.problem is None
    assert workshop.output("pid") != worker


def test_a_zygote_that_dies_at_once_is_not_started_in_a_loop(workshop: Workshop) -> None:
    """Each failure doubles the pause; calls in the pause are refused and can be tried again."""
    pool = workshop.open(f"""
        import os
        with open({str(workshop.entrypoint.parent / "starts")!r}, "a") as file: file.write("x")
        os._exit(1)
    """)
    began = time.monotonic()

    while time.monotonic() - began < 0.8:
        assert workshop.failure("noop").code == "TOOL_UNAVAILABLE"

    starts = len((workshop.entrypoint.parent / "starts").read_text())
    assert 2 <= starts <= 4
    assert pool.problem is not None


def test_a_zygote_that_is_stuck_is_replaced(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork that never comes (code of the user hangs in it) does not hang the calls."""
    monkeypatch.setattr(nursery_module, "FORK_LIMIT", 0.3)
    workshop.open("""
        import os, time
        os.register_at_fork(before=lambda: time.sleep(600))
        def noop(): pass
    """)

    failure = workshop.failure("noop")

    assert failure.code == "TOOL_UNAVAILABLE"
    assert "took more than 0.3 s to start one" in failure.message


def test_a_process_that_cannot_be_forked_is_a_refusal(workshop: Workshop) -> None:
    """When the system has no process to give and there is none, calls are refused with the reason."""
    workshop.open("""
        import errno, os
        def refuse(): raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        os.fork = refuse
        def noop(): pass
    """)

    failure = workshop.failure("noop")

    assert ("TOOL_UNAVAILABLE", True) == (failure.code, failure.retryable)
    assert "no process could be started: Resource temporarily unavailable" in failure.message


def test_an_idle_process_that_was_killed_is_replaced(workshop: Workshop) -> None:
    """A process that dies between calls costs no call."""
    workshop.open(SLEEP)
    pid = workshop.output("pid")

    os.kill(pid, signal.SIGKILL)
    while not gone(pid):
        time.sleep(0.001)

    assert workshop.output("pid") != pid


def test_reload_takes_new_code_for_new_calls(workshop: Workshop, loop_kind: str) -> None:
    """Calls under way end in the old code; its processes are gone when the last has ended."""
    workshop.open("import time\ndef tool(seconds): time.sleep(seconds); return 'old'")
    _, under_way = workshop.submit(request("tool", seconds=0.4))
    workshop.run(asyncio.sleep(0.1))
    [zygote] = zygotes()
    workshop.write("def tool(seconds): return 'new'")

    workshop.run(workshop.pool.reload())

    assert workshop.output("tool", seconds=0) == "new"
    assert workshop.run(under_way).output == b'"old"'
    assert workshop.wait_until(lambda: gone(zygote))
    assert workshop.output("tool", seconds=0) == "new"


def test_a_reload_that_fails_changes_nothing(workshop: Workshop) -> None:
    """Broken code is refused with the reason and the old goes on."""
    workshop.open(SLEEP)
    pid = workshop.output("pid")
    workshop.write("def broken(:")

    with pytest.raises(InvalidInput, match=r"were not loaded again: .*SyntaxError"):
        workshop.run(workshop.pool.reload())

    assert workshop.pool.problem is None
    assert workshop.output("pid") == pid


def test_reload_goes_by_another_runtime(workshop: Workshop) -> None:
    """Variables, the file itself, or that there is none: new calls see what was said last."""
    workshop.open("import os\ndef tool(): return os.environ.get('COLOUR')")
    runtime = ToolRuntime(workshop.entrypoint, env={"COLOUR": "blue"})

    workshop.run(workshop.pool.reload(runtime))
    assert workshop.output("tool") == "blue"

    workshop.run(workshop.pool.reload(ToolRuntime(None)))
    assert "(runtime.entrypoint)" in workshop.failure("tool").message
    assert workshop.wait_until(lambda: zygotes() == [])

    workshop.run(workshop.pool.reload(runtime))
    assert workshop.output("tool") == "blue"


def test_reload_mends_a_pool(workshop: Workshop) -> None:
    """After a failed import `reload` need not wait."""
    workshop.open("import nothing_of_that_name")
    workshop.write(SLEEP)

    workshop.run(workshop.pool.reload())

    assert workshop.pool.problem is None
    assert workshop.output("noop") == {}


def test_close_ends_everything_at_once(workshop: Workshop, loop_kind: str) -> None:
    """Closing kills what runs, delivers nothing, and later calls are refused."""
    pool = workshop.open(SLEEP)
    pid = workshop.output("pid")
    futures = [workshop.submit(request("sleep", seconds=600))[1] for _ in range(5)]
    workshop.run(asyncio.sleep(0.05))
    [zygote] = zygotes()
    began = time.monotonic()

    workshop.run(pool.close())

    assert time.monotonic() - began < 2
    assert gone(pid)
    assert gone(zygote)
    workshop.run(asyncio.sleep(0.05))
    assert not any(future.done() for future in futures)
    assert "the server is stopping" in workshop.failure("noop").message
    workshop.run(pool.close())


def test_no_module_has_the_name_of_a_standard_one() -> None:
    """The directory of the pool is on the zygote's path for a moment: it must hide nothing."""
    directory = Path(pool_module.__file__).parent
    names = {path.stem for path in directory.iterdir()} - {"__init__", "__pycache__"}

    assert not names & sys.stdlib_module_names
