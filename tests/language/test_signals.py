"""Waiting for signals and sending them, as a workflow says it."""

from __future__ import annotations

import pytest

from appliance.language.model import SignalCall

from .conftest import Files

WAIT = "wait_for: go, condition: 'true', timeout: 1h"


def flow(*tasks: str) -> str:
    return "id: w\ntasks:\n" + "".join(f"  - {{{task}}}\n" for task in tasks)


def test_a_wait_becomes_what_it_says(files: Files) -> None:
    """Name, condition, timeout as written, where to go, and a processor that sees the signal."""
    wait, late = files.workflow(
        """
        id: w
        tasks:
          - id: approval
            type: wait
            wait_for: "approved-{{ .workflow.input.order }}"
            condition: signal.payload.ok == true && processor.output.by != ""
            timeout: "{{ .workflow.input.limit }}"
            on_timeout: late
            processor:
              id: normalize
              type: basic
              tool: anything
              with: { by: "{{ .signal.payload.by }}", at: "{{ .signal.metadata.received_at_utc }}" }
            outputs: { by: "{{ .signal.payload.by }}" }
          - { id: late, type: aggregate, outputs: { x: 1 } }
        """
    ).tasks

    assert ("wait", "late", "late") == (wait.type, wait.on_timeout, late.id)
    assert "approved-{{ .workflow.input.order }}" == wait.wait_for
    assert ("{{ .workflow.input.limit }}", None) == (wait.wait_timeout, wait.timeout)
    assert wait.processor is not None
    assert ("normalize", "basic", "anything") == (
        wait.processor.id,
        wait.processor.type,
        wait.processor.tool,
    )


def test_a_processor_needs_no_id(files: Files) -> None:
    """Existing projects leave it out; one inside of a repeated wait is the same for each."""
    (wait,) = files.workflow(
        flow(f"id: a, type: wait, {WAIT}, processor: {{tool: anything}}")
    ).tasks
    assert wait.processor is not None
    assert ("a-processor", "basic") == (wait.processor.id, wait.processor.type)

    (each,) = files.workflow(
        flow(
            f"id: c, type: collection, items: [1], task: {{id: 'a{{{{ .index }}}}', type: wait, {WAIT},"
            " processor: {tool: anything, with: {x: '{{ .item }} {{ .signal.payload }}'}}}"
        )
    ).tasks
    assert each.task is not None
    assert each.task.processor is not None
    assert "processor" == each.task.processor.id


def test_a_signal_becomes_what_it_sends(files: Files) -> None:
    """Both parts may hold templates."""
    (task,) = files.workflow(
        flow("id: a, type: signal, signal: {id: 'x.{{ .workflow.id }}', payload: {n: 1}}")
    ).tasks
    assert SignalCall(id="x.{{ .workflow.id }}", payload={"n": 1}) == task.signal


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (
            "id: a, type: wait",
            [
                "3:5: 'wait_for' is missing",
                "3:5: a wait needs 'condition'; write condition: 'true' to take any signal",
                "3:5: a wait needs 'timeout', the longest time to wait; write for example 1h",
            ],
        ),
        (
            "id: a, type: wait, wait_for: x, condition: 'true', timeout: soon",
            [
                (
                    "3:57: timeout: 'soon' is not a duration; write for example 90s, 1h30m,"
                    " '5 minutes' or 1d"
                )
            ],
        ),
        (
            "id: a, type: wait, wait_for: x, condition: 'true', timeout: 0s",
            ["3:57: timeout must be longer than 0"],
        ),
        (
            "id: a, type: wait, wait_for: x, timeout: 1h, condition: signal.paylod.ok",
            ["3:62: signal has no 'paylod'; did you mean 'payload'?"],
        ),
        (
            f"id: a, type: wait, {WAIT}, wait_fr: y",
            ["3:71: unknown key 'wait_fr'; did you mean 'wait_for'?"],
        ),
        (
            f"id: a, type: wait, {WAIT}, on_timeout: lte",
            ["3:71: there is no task 'lte' here"],
        ),
        (
            f"id: a, type: wait, {WAIT}, on_timeout: a",
            ["3:71: the tasks go in a circle: a -> a"],
        ),
        (
            f"id: a, type: wait, {WAIT}, processor: {{type: wait}}",
            [
                (
                    "3:83: a wait cannot be a processor; use basic, parallel, collection, composite,"
                    " aggregate, signal or memory"
                )
            ],
        ),
        (
            f"id: a, type: wait, {WAIT}, processor: {{tool: anything, on_success: {{next: b}}}}",
            ["3:112: there is no task 'b' here"],
        ),
        (
            "id: a, tool: anything, with: {x: '{{ .signal.payload }}'}",
            ["3:43: 'signal' exists only in a wait"],
        ),
        (
            f"id: a, type: wait, {WAIT}, with: {{x: '{{{{ .processor }}}}'}}",
            ["3:85: 'processor' exists only in a wait"],
        ),
        (
            "id: a, type: signal",
            ["3:5: a signal needs 'signal', with the 'id' of the event to send"],
        ),
        (
            "id: a, type: signal, signal: {name: x}",
            ["3:27: 'id' is missing", "3:36: unknown key 'name'"],
        ),
        (
            "id: a, type: signal, signal: {id: x, payload: {y: '{{ .tasks.b.output }}'}}",
            ["3:60: there is no task 'b' in this workflow"],
        ),
        (
            "id: a, tool: anything, wait_for: x",
            ["3:29: wait_for cannot stand here; it belongs to tasks of type wait"],
        ),
    ],
)
def test_a_mistake_in_a_wait_or_signal_has_a_place(
    files: Files, task: str, expected: list[str]
) -> None:
    """Fields, durations, transitions, variables and processors."""
    assert [f"w.yaml:{line}" for line in expected] == files.problems(flow(task))
