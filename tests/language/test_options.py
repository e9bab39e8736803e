"""Options in `config`: limits of calls, and one handler for the failures of many tasks."""

from __future__ import annotations

from appliance.language.model import Task

from .conftest import Files


def test_limits_of_calls_are_read(files: Files) -> None:
    """Time in the queue and time in all concern what calls; a group has only its own."""
    group, wait = files.workflow(
        """
        id: w
        config: { schedule_to_start_timeout: 1m, schedule_to_close_timeout: 6m }
        tasks:
          - id: g
            type: composite
            on_success: { next: x }
            tasks: [{ id: a, tool: anything, config: { schedule_to_close_timeout: 9m } }]
          - { id: x, type: wait, wait_for: x, condition: "true", timeout: 1d }
        """
    ).tasks

    def limits(task: Task) -> tuple[float | None, float | None]:
        return task.queue_timeout, task.total_timeout

    assert (60.0, 540.0) == limits(group.tasks[0])
    assert [(None, None)] * 2 == [limits(group), limits(wait)]


def test_one_handler_serves_every_task_that_has_none(files: Files) -> None:
    """Not those that it leads to, nor those that say otherwise, nor lists without that task."""
    tasks = files.workflow(
        """
        id: w
        config: { on_error: mend }
        tasks:
          - { id: a, tool: anything, on_success: { next: b } }
          - { id: b, tool: anything, on_error: { next: other }, on_success: { next: g } }
          - { id: g, type: composite, tasks: [{ id: c, tool: anything }] }
          - { id: other, tool: anything }
          - { id: mend, tool: anything, on_success: { next: tell } }
          - { id: tell, tool: anything }
        """
    ).tasks
    handlers = {task.id: task.on_error.next for task in tasks}

    assert {
        "a": "mend",
        "b": "other",
        "g": "mend",
        "other": "mend",
        "mend": None,
        "tell": None,
    } == handlers
    assert tasks[2].tasks[0].on_error.next is None


def test_a_task_may_name_its_handler_in_its_options(files: Files) -> None:
    """`config.on_error` of a task means the same as `on_error.next`."""
    task = files.workflow(
        """
        id: w
        tasks:
          - { id: a, tool: anything, config: { on_error: b } }
          - { id: b, tool: anything }
        """
    ).tasks[0]
    assert "b" == task.on_error.next


def test_a_handler_must_exist(files: Files) -> None:
    """On a task, a workflow and a project alike, with the place that names it."""
    head = "id: w\nconfig: {on_error: mend}\n"
    assert ["w.yaml:2:10: there is no task 'mend' in this workflow"] == files.problems(
        f"{head}tasks: [{{id: a, tool: anything}}]"
    )
    assert ["w.yaml:2:42: there is no task 'b' here"] == files.problems(
        "id: w\ntasks: [{id: a, tool: anything, config: {on_error: b}}]"
    )
    files.write(
        {
            "compozy.yaml": "name: p\nconfig: {on_error: mend}\nworkflows: [{source: w.yaml}]",
            "w.yaml": "id: w\ntasks: [{id: a, tool: anything}]",
        }
    )
    assert [
        (
            "w.yaml:1:1: there is no task 'mend' in this workflow;"
            " config.on_error of the project names it"
        )
    ] == files.problems()
