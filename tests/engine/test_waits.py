"""Tasks that wait for a signal, in a simulated world."""

from __future__ import annotations

from typing import Any

from appliance.engine.program import Program

from .simulation import Simulation, ToolError, program

WAIT = {"id": "wait", "type": "wait", "wait_for": "go", "condition": "signal.payload.ok == true"}


def flow(wait: dict[str, Any], *others: dict[str, Any]) -> Program:
    return program(tasks=[{**WAIT, **wait}, *others])


def started(wait: dict[str, Any], *others: dict[str, Any], **tools: Any) -> Simulation:
    return Simulation(flow(wait, *others), tools).start()


def test_a_run_waits_and_goes_on() -> None:
    """A wait is a state that is named; the right signal ends it, and the run goes on with it."""
    simulation = started(
        {"outputs": {"by": "{{ .signal.payload.by }}"}, "on_success": {"next": "after"}},
        {"id": "after", "type": "aggregate", "outputs": {"by": "{{ .tasks.wait.output.by }}"}},
    )
    assert ("WAITING", "WAITING") == (simulation.run.status, simulation.task("wait").status)
    assert "waiting" == simulation.task("wait").output["wait_status"]
    simulation.signal("go", {"ok": True, "by": "Ada"})
    assert "SUCCESS" == simulation.run.status
    assert {"by": "Ada"} == simulation.task("after").output


def test_what_does_not_fit_is_ignored() -> None:
    """Another name, a false condition, a payload without the field: the wait goes on, and says so."""
    simulation = started({})
    simulation.signal("stop", {"ok": True})
    simulation.signal("go", {"ok": False})
    simulation.signal("go", {})
    task = simulation.task("wait")
    assert "WAITING" == task.status
    assert 2 == task.output["ignored"]
    assert "signal-3" == task.output["last_ignored"]["signal_id"]
    simulation.signal("go", {"ok": True})
    assert "completed" == task.output["wait_status"]
    assert "signal-4" == task.output["signal"]["metadata"]["signal_id"]


def test_an_early_signal_is_kept() -> None:
    """A person who is faster than the run is not asked again."""
    flow = program(
        tasks=[
            {"id": "work", "tool": "work", "on_success": {"next": "wait"}},
            {"id": "wait", "type": "wait", "wait_for": "go"},
        ]
    )
    simulation = Simulation(flow, {"work": dict}).start()
    simulation.signal("go")
    simulation.crash()
    simulation.finish()
    assert "SUCCESS" == simulation.run.status


def test_a_signal_is_taken_once() -> None:
    """The wait after a wait needs a signal of its own."""
    second = {**WAIT, "id": "second"}
    simulation = started({"on_success": {"next": "second"}}, second)
    simulation.signal("go", {"ok": True})
    assert "WAITING" == simulation.task("second").status
    simulation.signal("go", {"ok": True}, signal_id="signal-1")
    assert "WAITING" == simulation.task("second").status, "the same signal again is no other"
    simulation.signal("go", {"ok": True})
    assert "SUCCESS" == simulation.run.status


def test_all_who_wait_hear_it() -> None:
    """A signal goes to every task that waits for its name."""
    waits = [
        {**WAIT, "id": name, "condition": f"signal.payload.who == {name!r}"} for name in ("a", "b")
    ]
    simulation = Simulation(program(tasks=[{"id": "both", "type": "parallel", "tasks": waits}]), {})
    simulation.start().signal("go", {"who": "b"})
    assert {"both": "RUNNING", "a": "WAITING", "b": "SUCCESS"} == simulation.statuses()
    simulation.signal("go", {"who": "a"})
    assert "SUCCESS" == simulation.run.status


def test_a_processor_looks_first() -> None:
    """Each signal is given to the processor; the condition sees what that made of it."""
    processor = {"id": "look", "tool": "look", "with": {"n": "{{ .signal.payload.n }}"}}
    wait = {"condition": "processor.output.big == true", "processor": processor}
    simulation = started(wait, look=lambda n: {"big": n > 10})
    for n in (1, 2, 11):
        simulation.signal("go", {"n": n})
    simulation.crash()
    assert simulation.step()
    assert simulation.step()
    assert simulation.step()
    assert "SUCCESS" == simulation.run.status
    assert {"big": True} == simulation.run.by_id["wait"].output["processor_output"]
    assert {"n": 11} == simulation.run.by_id["wait"].output["signal"]["payload"]


def test_a_processor_that_fails_ends_the_wait() -> None:
    """What cannot be looked at is told, not waited for."""

    def look() -> None:
        raise ToolError("no eyes")

    processor = {"id": "look", "tool": "look", "retry": {"maximum_attempts": 1}}
    simulation = started({"processor": processor}, look=look)
    simulation.signal("go", {"ok": True})
    simulation.step()
    assert "PROCESSOR_FAILED" == simulation.task("wait").error["code"]  # type: ignore[index]
    assert "FAILED" == simulation.run.status


def test_time_ends_a_wait() -> None:
    """`on_timeout` follows when no right signal came in time, else `on_error`."""
    ends = [{"id": name, "type": "aggregate", "outputs": {"x": 1}} for name in ("late", "failed")]
    both = {"wait_timeout": "2h", "on_timeout": "late", "on_error": {"next": "failed"}}
    simulation = started(both, *ends)
    simulation.signal("go", {"ok": False})
    simulation.crash()
    began = simulation.now_us
    assert simulation.step()
    assert "TIMED_OUT" == simulation.task("wait").status
    assert "WAIT_TIMEOUT" == simulation.task("wait").error["code"]  # type: ignore[index]
    assert "SUCCESS" == simulation.task("late").status
    assert 7200 * 10**6 - 100 < simulation.now_us - began < 7200 * 10**6 + 100
    simulation = started({"wait_timeout": "1s", "on_error": {"next": "failed"}}, *ends).finish()
    assert "SUCCESS" == simulation.task("failed").status


def test_a_timeout_may_be_a_template() -> None:
    """It is read when the task begins; what is no duration fails the task with a sentence."""
    wait = {"wait_timeout": "{{ .workflow.input.hours }}h"}
    simulation = Simulation(flow(wait), {}, {"hours": 3}).start()
    assert 10_800 == simulation.task("wait").output["timeout_seconds"]
    simulation = Simulation(flow(wait), {}, {"hours": "many"}).start()
    assert "FAILED" == simulation.run.status
    assert "many" in simulation.run.error["message"]  # type: ignore[index]


def test_signals_keep_while_a_run_is_paused() -> None:
    """A pause loses nothing: what came meanwhile counts when the run resumes."""
    simulation = started({})
    simulation.pause()
    simulation.signal("go", {"ok": True})
    assert "PAUSED" == simulation.run.status
    simulation.crash()
    simulation.resume()
    assert {"wait": "SUCCESS"} == simulation.statuses()
