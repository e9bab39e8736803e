"""Processes: how they end, what ends with them, and that nothing of them stays."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance.tools import worker as worker_module
from appliance.tools.pool import ToolFailure, ToolOutcome
from tests.tools.workshop import Workshop, children, descriptors, gone, request, zygotes

FAMILY = """
    import os, subprocess, time
    def pid(): return os.getpid()
    def family(directory):
        '''Start a child and a grandchild, note all three, and hang.'''
        inner = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
        outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
        import sys
        child = subprocess.Popen([sys.executable, "-c", outer], stdout=subprocess.PIPE)
        grandchild = int(child.stdout.readline())
        with open(directory + "/.pids", "w") as file:
            file.write(f"{os.getpid()} {child.pid} {grandchild}")
        os.rename(directory + "/.pids", directory + "/pids")
        time.sleep(600)
    def leave_child():
        return subprocess.Popen(["sleep", "600"]).pid
    def leave_child_and_die():
        pid = subprocess.Popen(["sleep", "600"]).pid
        os.write(2, b"%d" % pid)
        os._exit(3)
    def sleep(seconds): time.sleep(seconds); return os.getpid()
"""


@pytest.mark.parametrize(
    ("body", "words", "details"),
    [
        ("os._exit(3)", "ended with exit code 3.", {"exit_code": 3}),
        ("os._exit(0)", "ended with exit code 0.", {"exit_code": 0}),
        ("os.kill(os.getpid(), 11)", "was killed by SIGSEGV.", {"signal": "SIGSEGV"}),
        ("ctypes.string_at(0)", "was killed by SIGSEGV.", {"signal": "SIGSEGV"}),
        ("os.abort()", "was killed by SIGABRT.", {"signal": "SIGABRT"}),
        ("os.kill(os.getpid(), 40)", "was killed by signal 40.", {"signal": "signal 40"}),
        (
            "os.kill(os.getpid(), 9)",
            "was killed by SIGKILL, as the kernel does when memory runs out.",
            {"signal": "SIGKILL"},
        ),
        ("os.closerange(3, 100); time.sleep(600)", "was killed by SIGKILL", {"signal": "SIGKILL"}),
        ("os.write(own, b'an answer')", "sent something that is no answer and was killed.", {}),
        ("os.write(own, bytes(4))", "sent something that is no answer and was killed.", {}),
        ("os.write(own, b'\\xff' * 4)", "sent something that is no answer and was killed.", {}),
    ],
)
def test_a_process_that_ends_is_a_crash(
    workshop: Workshop, body: str, words: str, details: dict[str, object]
) -> None:
    """TOOL_CRASHED says how the process ended; another attempt may do better."""
    workshop.open(f"""
        import ctypes, os, time
        def tool():
            links = {{fd: os.path.realpath(f"/proc/self/fd/{{fd}}") for fd in range(3, 20)}}
            own = next(fd for fd, link in links.items() if "/socket:" in link)
            {body}
            time.sleep(600)
        def fine(): return 1
    """)

    failure = workshop.failure("tool")

    assert ("TOOL_CRASHED", True) == (failure.code, failure.retryable)
    assert words in failure.message
    assert details == failure.details
    assert workshop.output("fine") == 1


def test_an_answer_sent_before_the_end_counts(workshop: Workshop, loop_kind: str) -> None:
    """A process may die right after its answer; the answer is not lost with it."""
    workshop.open("""
        import os, threading, time
        def warm(): pass
        def tool():
            threading.Thread(target=lambda: (time.sleep(0.1), os._exit(3))).start()
            return "x" * 150000
    """)
    workshop.output("warm")

    async def look_away() -> ToolOutcome:
        _, future = workshop.submit(request("tool"))
        time.sleep(0.4)  # noqa: ASYNC251 - answer and death are both there when the loop looks
        return await future

    assert len(workshop.run(look_away()).output) == 150002


def test_a_call_without_time_left_is_killed(workshop: Workshop, loop_kind: str) -> None:
    """TOOL_TIMEOUT comes when the time is over, and the process is gone when it comes."""
    workshop.open(FAMILY)
    pid = workshop.output("pid")
    began = time.monotonic()

    failure = workshop.failure("sleep", timeout=0.2, seconds=600)

    assert 0.2 <= time.monotonic() - began < 2
    assert ("TOOL_TIMEOUT", True) == (failure.code, failure.retryable)
    assert failure.message == "The function 'sleep' did not return within 0.2 s and was killed."
    assert gone(pid)
    assert workshop.output("sleep", timeout=0.2, seconds=0) != pid


def test_a_process_that_cannot_be_killed_is_not_waited_for(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs in the kernel gives its TOOL_TIMEOUT a little later, not never."""
    workshop.open(FAMILY)
    monkeypatch.setattr(worker_module, "KILL_GRACE", 0.1)

    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", lambda *_: None)
        failure = workshop.failure("sleep", timeout=0.1, seconds=0.5)

    assert failure.code == "TOOL_TIMEOUT"
    assert workshop.output("sleep", seconds=0) > 0


def test_time_does_not_run_out_while_waiting_for_a_process(workshop: Workshop) -> None:
    """The time of a call is that of the function, not of the queue before it."""
    workshop.open(FAMILY, max_processes=1)

    outcomes = workshop.outcomes([request("sleep", timeout=0.5, seconds=0.2) for _ in range(4)])

    assert [each for each in outcomes if isinstance(each, ToolFailure)] == []


def test_kill_ends_the_whole_family(workshop: Workshop, tmp_path: Path, loop_kind: str) -> None:
    """`kill` takes children and grandchildren along within milliseconds; no outcome follows."""
    workshop.open(FAMILY)
    call, future = workshop.submit(request("family", directory=str(tmp_path)))
    assert workshop.wait_until((tmp_path / "pids").exists)
    pids = [int(each) for each in (tmp_path / "pids").read_text().split()]
    assert not any(gone(pid) for pid in pids)
    began = time.monotonic()

    call.kill()

    while not all(gone(pid) for pid in pids):
        assert time.monotonic() - began < 1
    workshop.run(asyncio.sleep(0.1))
    assert not future.done()
    call.kill()


def test_kill_takes_a_waiting_call_out_of_the_queue(workshop: Workshop) -> None:
    """A call that waits for a process can be killed as well: it is never begun."""
    workshop.open(
        "import time\ndef note(path, seconds): open(path, 'w').close(); time.sleep(seconds)",
        max_processes=1,
    )
    paths = [str(workshop.entrypoint.parent / name) for name in "abc"]
    calls = [workshop.submit(request("note", path=path, seconds=0.1)) for path in paths]

    calls[1][0].kill()
    workshop.run(calls[2][1])

    assert [True, False, True] == [Path(path).exists() for path in paths]
    assert [True, False, True] == [future.done() for _, future in calls]


def test_killing_a_call_that_ended_harms_nobody(workshop: Workshop) -> None:
    """A handle that is kept too long does not stop what its process does next."""
    workshop.open(FAMILY)
    old, future = workshop.submit(request("sleep", seconds=0))
    before = workshop.run(future)
    _, present = workshop.submit(request("sleep", seconds=0.2))

    old.kill()

    assert before == workshop.run(present)


@pytest.mark.parametrize("end", ["retire", "crash"])
def test_what_a_function_left_running_ends_with_its_process(
    workshop: Workshop, capfd: pytest.CaptureFixture[str], end: str
) -> None:
    """A child that outlives its call lives no longer than the process that ran the call."""
    pool = workshop.open(FAMILY)
    if end == "crash":
        assert workshop.failure("leave_child_and_die").code == "TOOL_CRASHED"
        pid = int(capfd.readouterr().err)
    else:
        pid = workshop.output("leave_child")
        assert not gone(pid)
        workshop.run(pool.reload())

    assert workshop.wait_until(lambda: gone(pid))


def test_memory_is_bounded(workshop: Workshop) -> None:
    """More memory than the limit is a MemoryError of that call, and the next has a fresh process."""
    workshop.open(
        """
        import os
        def hog(): return len(b"x" * (400 << 20))
        def creep():
            kept = []
            while True: kept.append("x" * 1000 + str(len(kept)))
        def modest():
            assert len(b"x" * (10 << 20)) == 10 << 20
            return os.getpid()
        """,
        memory_limit=200 << 20,
    )

    for tool in ("hog", "creep"):
        before = workshop.output("modest")

        failure = workshop.failure(tool)

        assert ("TOOL_ERROR", "MemoryError") == (failure.code, failure.details["type"])
        assert "the limit of 209715200 bytes (runtime.tool_memory_limit)" in failure.message
        assert workshop.output("modest") != before


def test_no_bound_of_memory_when_it_is_zero(workshop: Workshop) -> None:
    """`memory_limit` 0 leaves the limit of the server."""
    workshop.open(
        "import resource\ndef limit(): return list(resource.getrlimit(resource.RLIMIT_AS))",
        memory_limit=0,
    )

    assert workshop.output("limit") == [-1, -1]


def test_a_function_that_forks_answers_once(workshop: Workshop) -> None:
    """When parent and child both return from the function, one answer is sent."""
    workshop.open("""
        import os
        def split():
            os.fork()
            return 1
        def two(): return 2
    """)

    assert workshop.output("split") == 1
    assert [2, 2, 2] == [workshop.output("two") for _ in range(3)]


def test_a_worker_inherits_nothing_of_the_server(workshop: Workshop, tmp_path: Path) -> None:
    """A process holds its standard streams and its own connection: no file, lock or socket else."""
    with (tmp_path / "database").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        workshop.open(FAMILY)
        pid = workshop.output("pid")

        held = descriptors(pid)

    assert {"0": "/dev/null", "1": held["2"], "2": descriptors(os.getpid())["2"]} == {
        name: held.pop(name) for name in ("0", "1", "2")
    }
    assert ["socket:"] == [each.partition("[")[0] for each in held.values()]


def test_descriptors_and_processes_do_not_leak(workshop: Workshop) -> None:
    """Two hundred crashes later server and zygote hold what they held, and nobody is a zombie."""
    workshop.open("import os\ndef die(): os._exit(1)\ndef fine(): return 1")
    assert workshop.output("fine") == 1
    [zygote] = zygotes()
    before = len(descriptors(os.getpid())), len(descriptors(zygote))

    for _ in range(10):
        outcomes = workshop.outcomes([request("die") for _ in range(20)])
        assert {"TOOL_CRASHED"} == {each.code for each in outcomes if isinstance(each, ToolFailure)}
        assert len(outcomes) == 20

    assert workshop.output("fine") == 1
    assert workshop.wait_until(lambda: len(children(zygote)) == workshop.pool.processes)
    surplus = workshop.pool.processes - 1
    assert (before[0] + surplus, before[1]) == (
        len(descriptors(os.getpid())),
        len(descriptors(zygote)),
    )


SERVER = """
import asyncio, sys
from pathlib import Path
from appliance.tools.pool import ToolPool, ToolRequest, ToolRuntime

async def main():
    pool = ToolPool(ToolRuntime(Path(sys.argv[1])))
    await pool.open()
    arguments = b'{"directory": "%s"}' % sys.argv[2].encode()
    pool.submit(ToolRequest("family", arguments, {}, 600.0), print)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("victim", ["server", "zygote", "both"])
def test_nothing_outlives_the_server(workshop: Workshop, tmp_path: Path, victim: str) -> None:
    """Kill -9 of the server or the zygote: every process down to the grandchildren is gone.

    With both at once nobody is left to kill more than the processes of the calls: the kernel does.
    """
    entrypoint = workshop.write(FAMILY)
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(entrypoint), str(tmp_path)],
        stdout=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
    )
    with server:
        assert workshop.wait_until((tmp_path / "pids").exists)
        [zygote] = children(server.pid)
        pids = [zygote, *(int(each) for each in (tmp_path / "pids").read_text().split())]
        assert not any(gone(pid) for pid in pids)

        if victim == "both":
            server.send_signal(signal.SIGSTOP)  # it has no time to tidy up
            pids = pids[:2]
        if victim != "server":
            os.kill(zygote, signal.SIGKILL)
        if victim != "zygote":
            server.kill()

        assert workshop.wait_until(lambda: all(gone(pid) for pid in pids), 2)
        server.kill()


def test_a_server_that_dies_while_importing_leaves_nothing(
    workshop: Workshop, tmp_path: Path
) -> None:
    """The zygote is killed even while the code of the user is being imported."""
    entrypoint = workshop.write(f"""
        import pathlib, time
        pathlib.Path({str(tmp_path)!r}, "importing").touch()
        time.sleep(600)
    """)
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(entrypoint), str(tmp_path)],
        cwd=Path(__file__).parents[2],
    )
    with server:
        assert workshop.wait_until((tmp_path / "importing").exists)
        [zygote] = children(server.pid)

        server.kill()

        assert workshop.wait_until(lambda: gone(zygote), 2)
