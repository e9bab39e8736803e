"""The rules by which a run goes on, tried without time, disk or processes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.engine.changes import Start, Succeeded
from appliance.engine.reducer import advance
from appliance.engine.status import TERMINAL

from .simulation import EXEC_ID, Simulation, ToolError, program


def echo(**arguments: Any) -> dict[str, Any]:
    return arguments


def fail(**_arguments: Any) -> dict[str, Any]:
    raise ToolError("boom")


def refuse(**_arguments: Any) -> dict[str, Any]:
    return {"error": "no stock"}


TOOLS = {"echo": echo, "fail": fail, "refuse": refuse}
ONCE = {"maximum_attempts": 1}


def step(name: str, tool: str = "echo", **more: Any) -> dict[str, Any]:
    return {"id": name, "tool": tool, "retry": ONCE, **more}


def run(*tasks: dict[str, Any], run_input: Any = None, seed: int = 0, **more: Any) -> Simulation:
    return Simulation(program(tasks=tasks, **more), TOOLS, run_input, seed=seed).finish()


def test_a_sequence_passes_outputs_on() -> None:
    """A task sees the outputs of those before it; the run's output is what `outputs` says."""
    done = run(
        step("a", on_success={"next": "b"}) | {"with": {"n": 2}},
        step("b") | {"with": {"twice": "{{ mul .tasks.a.output.n 2 }}"}},
        outputs={"result": "{{ .tasks.b.output.twice }}"},
    )

    assert "SUCCESS" == done.run.status
    assert {"result": 4} == done.run.output


def test_without_outputs_the_run_returns_every_top_level_output() -> None:
    """A workflow without `outputs` returns its tasks by id."""
    done = run(step("a") | {"with": {"x": 1}})

    assert {"a": {"output": {"x": 1}}} == done.run.output


def test_flow_stops_where_no_next_is() -> None:
    """There is no implicit next in the list."""
    done = run(step("a"), step("b"))

    assert {"a": "SUCCESS"} == done.statuses()


def test_on_error_catches_an_execution_error() -> None:
    """A tool that raises, after its attempts, hands over to `on_error.next`."""
    done = run(step("a", "fail", on_error={"next": "b"}), step("b"))

    assert "SUCCESS" == done.run.status
    assert {"a": "FAILED", "b": "SUCCESS"} == done.statuses()


def test_on_error_catches_a_data_failure() -> None:
    """An output with `error` counts as failed, keeps its output, and is not tried again."""
    done = run(
        step("a", "refuse", on_error={"next": "b"}) | {"retry": {"maximum_attempts": 3}},
        step("b") | {"with": {"why": "{{ .tasks.a.error.message }}"}},
    )

    assert [("a", 1), ("b", 1)] == done.called
    assert {"why": "no stock"} == done.task("b").output
    assert {"error": "no stock"} == done.task("a").output


def test_an_unhandled_failure_fails_the_run() -> None:
    """Without `on_error` the run fails and names the task."""
    done = run(step("a", "fail"))

    assert "FAILED" == done.run.status
    assert done.run.error is not None
    assert "task a failed: boom" == done.run.error["message"]


def test_retries_back_off_and_count() -> None:
    """Each attempt waits longer, up to the maximum, and has a higher number."""
    policy = {"maximum_attempts": 4, "initial_interval": 1.0, "maximum_interval": 3.0}
    world = Simulation(program(tasks=[step("a", "fail") | {"retry": policy}]), TOOLS).start()
    task = world.task("a")
    waits = []
    while not world.run.ended:
        world.end_call(task)
        if task.wake_at is not None:
            waits.append((task.wake_at - task.updated_at) / 1e6)
            world.fire(task)

    assert [1.0, 2.0, 3.0] == waits
    assert [("a", 1), ("a", 2), ("a", 3), ("a", 4)] == world.called
    assert "FAILED" == world.run.status


def test_non_retryable_types_are_not_tried_again() -> None:
    """An error whose code or type is listed ends the task at once."""
    policy = {"maximum_attempts": 4, "non_retryable_error_types": ["TOOL_ERROR"]}
    done = run(step("a", "fail") | {"retry": policy})

    assert [("a", 1)] == done.called


def test_a_router_takes_the_route_its_condition_names() -> None:
    """Only the chosen branch runs; its target is a sibling."""
    done = run(
        {
            "id": "decide",
            "type": "router",
            "condition": 'input.n > 1 ? "high" : "low"',
            "routes": {"high": "big", "low": "small"},
        },
        step("big"),
        step("small"),
        run_input={"n": 5},
    )

    assert {"decide": "SUCCESS", "big": "SUCCESS"} == done.statuses()
    assert "high" == done.task("decide").output["route_taken"]


def test_a_router_without_a_fitting_route_names_those_it_has() -> None:
    """No match is a failure that lists the routes."""
    done = run(
        {"id": "d", "type": "router", "condition": "'x'", "routes": {"a": "t", "b": "t"}},
        step("t"),
    )

    assert done.run.error is not None
    assert (
        "task d failed: the condition gave 'x', but the routes are: a, b"
        == done.run.error["message"]
    )


@pytest.mark.parametrize("seed", range(5))
def test_wait_all_runs_children_at_once(seed: int) -> None:
    """A parallel begins all children together and gives their outputs by id."""
    done = run(
        {
            "id": "p",
            "type": "parallel",
            "tasks": [step(name) | {"with": {"me": name}} for name in "abc"],
            "outputs": {"first": "{{ .output.a.me }}"},
        },
        seed=seed,
    )

    assert 3 == done.most_calls
    assert {"first": "a"} == done.task("p").output


@pytest.mark.parametrize(
    ("strategy", "tools", "expected"),
    [
        ("wait_all", ("echo", "fail"), "FAILED"),
        ("wait_all", ("echo", "echo"), "SUCCESS"),
        ("fail_fast", ("echo", "fail"), "FAILED"),
        ("best_effort", ("echo", "fail"), "SUCCESS"),
        ("best_effort", ("fail", "fail"), "FAILED"),
        ("race", ("echo", "fail"), "SUCCESS"),
        ("race", ("fail", "fail"), "FAILED"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_strategies_decide_how_a_parallel_ends(
    strategy: str, tools: tuple[str, str], expected: str, seed: int
) -> None:
    """Each strategy has one rule for the outcome, whatever the order."""
    children = [step(f"c{index}", tool) for index, tool in enumerate(tools)]
    done = run({"id": "p", "type": "parallel", "strategy": strategy, "tasks": children}, seed=seed)

    assert expected == done.run.status


@pytest.mark.parametrize("strategy", ["race", "fail_fast"])
def test_the_rest_is_really_canceled(strategy: str) -> None:
    """When a group is decided, what still runs below it is killed, however deep."""
    deep = {"id": "deep", "type": "composite", "tasks": [step("slow")]}
    quick = step("quick", "echo" if strategy == "race" else "fail")
    world = Simulation(
        program(
            tasks=[{"id": "p", "type": "parallel", "strategy": strategy, "tasks": [quick, deep]}]
        ),
        TOOLS,
    ).start()
    world.end_call(world.task("quick"))

    assert ["slow"] == world.killed
    assert ("CANCELED", "CANCELED") == (world.task("deep").status, world.task("slow").status)
    assert world.run.ended


def test_max_workers_bounds_a_parallel() -> None:
    """No more than `max_workers` children run at once."""
    done = run(
        {"id": "p", "type": "parallel", "max_workers": 2, "tasks": [step(n) for n in "abcde"]}
    )

    assert 2 == done.most_calls
    assert 5 == len(done.called)


def collection(**more: Any) -> dict[str, Any]:
    task = step("c-{{ .index }}") | {"with": {"item": "{{ .item }}", "n": "{{ .index }}"}}
    return {"id": "all", "type": "collection", "task": task, **more}


def test_a_collection_runs_its_task_for_each_item() -> None:
    """Children see item and index; the parent gives their outputs by id and counts."""
    done = run(collection(items=["x", "y"]))

    output = done.task("all").output
    assert {"c-0": {"item": "x", "n": 0}, "c-1": {"item": "y", "n": 1}} == output["outputs"]
    assert (2, 0) == (output["item_count"], output["skipped_count"])


def test_a_filter_leaves_items_out() -> None:
    """`filter` is a template; false, no, 0, off and nothing drop the item."""
    done = run(collection(items=[1, 2, 3, 4], filter="{{ gt .item 2 }}"))

    assert {"c-0": 3, "c-1": 4} == {
        name: output["item"] for name, output in done.task("all").output["outputs"].items()
    }
    assert 2 == done.task("all").output["skipped_count"]


def test_a_batch_bounds_a_collection() -> None:
    """1,000 items with `batch: 50` never have more than 50 running."""
    done = Simulation(program(tasks=[collection(items=list(range(1000)), batch=50)]), TOOLS)
    done.reloads = False  # comparing a thousand rows after each of as many events takes its time
    done.finish()

    assert 50 == done.most_calls
    assert 1000 == done.task("all").output["progress_info"]["success_count"]


def test_a_sequential_collection_keeps_the_order() -> None:
    """One item at a time, in the order of the items."""
    done = run(collection(items=list(range(12)), mode="sequential"))

    assert 1 == done.most_calls
    assert [f"c-{index}" for index in range(12)] == [name for name, _ in done.called]


def test_an_empty_collection_succeeds() -> None:
    """Nothing to do is done."""
    done = run(collection(items=[]))

    assert "SUCCESS" == done.run.status


def test_a_map_is_gone_over_by_key() -> None:
    """A mapping gives {key, value} items in the order of the keys."""
    done = run(collection(items={"b": 2, "a": 1}))

    assert {"key": "a", "value": 1} == done.task("c-0").output["item"]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ("3..1", [3, 2, 1]),
        ("-1..1", [-1, 0, 1]),
        ("c..a", ["c", "b", "a"]),
        ('["x", "y"]', ["x", "y"]),
        ("lonely", ["lonely"]),
        (7, [7]),
        (None, []),
    ],
)
def test_what_a_collection_goes_over(items: Any, expected: list[Any]) -> None:
    """Ranges, JSON text and single values are items too."""
    done = run(collection(items=items))

    assert expected == [task.output["item"] for task in done.run.tasks[1:]]


def test_a_range_has_a_bound() -> None:
    """A range that would fill the memory is refused in a sentence."""
    done = run(collection(items="0..99999999999"))

    assert done.run.error is not None
    assert "more than 100000 items" in done.run.error["message"]


def test_a_router_sees_its_with() -> None:
    """A condition can name what the router's own `with` holds; a whole number is its own text."""
    done = run(
        {
            "id": "d",
            "type": "router",
            "with": {"n": "{{ .workflow.input.n }}"},
            "condition": "with.n * 1.0",
            "routes": {"2": "t"},
        },
        step("t"),
        run_input={"n": 2.0},
    )

    assert "SUCCESS" == done.run.status


def test_two_children_with_one_id_are_refused() -> None:
    """Ids of a collection's children must differ; the sentence says which items clash."""
    done = run(collection(items=[1, 2]) | {"task": step("same")})

    assert done.run.error is not None
    assert "items 0 and 1 both have the id 'same'" in done.run.error["message"]


def test_a_composite_runs_in_order_and_stops_at_a_failure() -> None:
    """Children run one after another; the first failure ends the composite."""
    done = run({"id": "c", "type": "composite", "tasks": [step("a"), step("b", "fail"), step("z")]})

    assert {"c": "FAILED", "a": "SUCCESS", "b": "FAILED"} == done.statuses()


def test_a_branch_in_a_composite_returns_to_the_sequence() -> None:
    """A child that a route names runs only when named; then the sequence goes on."""
    router = {
        "id": "r",
        "type": "router",
        "condition": "input.side",
        "routes": {"left": "l", "right": "x"},
    }
    done = run(
        {"id": "c", "type": "composite", "tasks": [router, step("l"), step("x"), step("end")]},
        run_input={"side": "right"},
    )

    assert ["x", "end"] == [name for name, _ in done.called]
    assert "SUCCESS" == done.run.status


def test_a_composite_child_that_recovers_does_not_stop_it() -> None:
    """A failure that `on_error` catches inside a composite is no failure of the composite."""
    tasks = [step("a", "fail", on_error={"next": "fix"}), step("fix"), step("z")]
    done = run({"id": "c", "type": "composite", "tasks": tasks})

    assert "SUCCESS" == done.run.status
    assert ["a", "fix", "z"] == [name for name, _ in done.called]


def test_items_are_seen_at_any_depth() -> None:
    """A task deep inside a collection sees the item; an outer item keeps its own name."""
    inner = collection(items=["p", "q"]) | {
        "id": "inner-{{ .index }}",
        "task": step("t-{{ .city }}-{{ .item }}") | {"with": {"v": "{{ .city }}{{ .item }}"}},
    }
    done = run(
        {"id": "o", "type": "collection", "items": ["A", "B"], "item_var": "city", "task": inner}
    )

    assert {"Ap", "Aq", "Bp", "Bq"} == {
        task.output["v"] for task in done.run.tasks if task.node.type == "basic"
    }


def test_names_of_the_original_are_there() -> None:
    """Items have a second name; what never held anything is empty, not unknown."""
    given = {"v": "{{ ._collection_index }}{{ ._collection_item }}{{ len .trigger }}{{ .tools }}"}
    each = step("t-{{ .index }}") | {"with": given}
    done = run({"id": "o", "type": "collection", "items": ["a", "b"], "task": each})

    assert {"0a0map[]", "1b0map[]"} == {
        task.output["v"] for task in done.run.tasks if task.node.type == "basic"
    }


def test_the_nearest_task_of_a_name_is_seen() -> None:
    """Inside a collection `.tasks.x` is the sibling in the same item, not another item's."""
    pair = {
        "id": "pair-{{ .index }}",
        "type": "composite",
        "tasks": [
            step("get") | {"with": {"v": "{{ .item }}"}},
            step("use") | {"with": {"got": "{{ .tasks.get.output.v }}"}},
        ],
    }
    done = run({"id": "all", "type": "collection", "items": list("abcdef"), "task": pair}, seed=7)

    assert sorted("abcdef") == sorted(
        task.output["got"] for task in done.run.tasks if task.task_id == "use"
    )


def test_an_aggregate_shapes_data() -> None:
    """An aggregate renders its outputs and needs no process."""
    done = run(
        step("a", on_success={"next": "sum"}) | {"with": {"n": 20}},
        {"id": "sum", "type": "aggregate", "outputs": {"n": "{{ add .tasks.a.output.n 1 }}"}},
    )

    assert {"n": 21} == done.task("sum").output


def test_sleep_delays_a_task() -> None:
    """`sleep` is a timer that is stored before the task begins."""
    world = Simulation(program(tasks=[step("a", sleep=90.0)]), TOOLS).start()

    assert ("PENDING", []) == (world.task("a").status, world.called)
    world.step()
    assert [("a", 1)] == world.called


def test_a_group_ends_at_its_timeout() -> None:
    """`timeout` on a group stops what is below it and counts as a failure that can be caught."""
    group = {"id": "g", "type": "parallel", "timeout": 5.0, "tasks": [step("slow")]}
    world = Simulation(program(tasks=[group]), TOOLS).start()
    world.fire(world.task("g"))

    assert {"g": "TIMED_OUT", "slow": "CANCELED"} == world.statuses()
    assert ["slow"] == world.killed


def test_a_late_result_is_fenced_out() -> None:
    """A result with an old attempt changes nothing."""
    world = Simulation(program(tasks=[step("a")]), TOOLS).start()
    world.crash()
    changes = advance(world.run, Succeeded(1, 1, 1, {"late": True}))

    assert {} == changes.tasks
    assert [("a", 1), ("a", 2)] == world.called


def test_recovery_keeps_the_id_and_the_retries() -> None:
    """After a crash the same `task_exec_id` is called with a higher attempt; retries are not used."""
    world = Simulation(program(tasks=[step("a")]), TOOLS).start()
    for _ in range(10):
        world.crash()
    while world.step():
        pass

    assert "SUCCESS" == world.run.status
    assert (f"{EXEC_ID}.1", 11, 0) == (
        world.task("a").id,
        world.task("a").attempt,
        world.task("a").retries,
    )


def test_cancel_stops_everything() -> None:
    """A canceled run has no task that goes on."""
    world = Simulation(
        program(
            tasks=[{"id": "p", "type": "parallel", "tasks": [step("a"), step("b", sleep=5.0)]}]
        ),
        TOOLS,
    ).start()
    world.cancel()

    assert "CANCELED" == world.run.status
    assert {"CANCELED"} == set(world.statuses().values())
    assert ["a"] == world.killed


def test_an_event_after_the_end_changes_nothing() -> None:
    """A run that has ended stays as it is."""
    done = run(step("a"))

    assert {} == advance(done.run, Start(9)).tasks


def test_a_template_that_fails_fails_its_task() -> None:
    """A missing key is an error of the task that names the place, and can be caught."""
    done = run(
        step("a", on_error={"next": "b"}) | {"with": {"x": "{{ .workflow.input.nope }}"}}, step("b")
    )

    assert "SUCCESS" == done.run.status
    error = done.task("a").error
    assert error is not None
    assert "nope" in error["message"]


def test_a_huge_instant_cascade_needs_no_stack() -> None:
    """Thousands of tasks that end at once, one after another, do not overflow."""
    task = {"id": "a-{{ .index }}", "type": "aggregate", "outputs": {"i": "{{ .index }}"}}
    done = run(
        {
            "id": "c",
            "type": "collection",
            "items": list(range(3000)),
            "mode": "sequential",
            "task": task,
        }
    )

    assert "SUCCESS" == done.run.status
    assert 3001 == len(done.run.tasks)


# -- any workflow, any order, any crash -------------------------------------------------------------


def tasks(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    leaf = st.builds(
        lambda tool, attempts: {"tool": tool, "retry": {"maximum_attempts": attempts}},
        st.sampled_from(["echo", "echo", "fail", "refuse"]),
        st.integers(1, 2),
    )
    if depth == 0:
        return leaf
    children = st.lists(tasks(depth - 1), min_size=0, max_size=3)
    composite = children.map(lambda found: {"type": "composite", "tasks": found})
    parallel = st.builds(
        lambda found, strategy, workers: {
            "type": "parallel",
            "tasks": found,
            "strategy": strategy,
            "max_workers": workers,
        },
        children,
        st.sampled_from(["wait_all", "fail_fast", "best_effort", "race"]),
        st.integers(0, 2),
    )
    items = st.builds(
        lambda found, count, batch, strategy: {
            "type": "collection",
            "items": list(range(count)),
            "batch": batch,
            "strategy": strategy,
            "task": found,
        },
        tasks(depth - 1),
        st.integers(0, 4),
        st.integers(0, 2),
        st.sampled_from(["wait_all", "race", "best_effort"]),
    )
    return st.one_of(leaf, composite, parallel, items)


def named(task: dict[str, Any], name: str) -> dict[str, Any]:
    """Give every task of a generated tree an id of its own."""
    found = {"id": name, **task}
    if "tasks" in task:
        found["tasks"] = [named(child, f"{name}x{n}") for n, child in enumerate(task["tasks"])]
    if "task" in task:
        found["task"] = named(task["task"], f"{name}i-{{{{ .index }}}}")
    return found


@given(tree=tasks(3), seed=st.integers(0, 2**32), crashes=st.floats(0, 0.4))
@settings(max_examples=300, deadline=None)
def test_every_run_ends_whatever_happens(tree: dict[str, Any], seed: int, crashes: float) -> None:
    """A run ends; then every task has ended; rows and memory agree at every moment (checked inside)."""
    world = Simulation(program(tasks=[named(tree, "t")]), TOOLS, seed=seed).start()
    for _ in range(3000):
        if world.run.ended:
            break
        if world.random.random() < crashes:
            world.crash()
        elif not world.step():
            break

    assert world.run.ended
    assert {task.status for task in world.run.tasks} <= TERMINAL
    assert {} == world.calls


def test_a_task_that_is_run_by_itself_takes_the_input_as_its_arguments() -> None:
    """What the run is given wins over what the file says; the schema sees both together."""
    task = {"id": "hello", "tool": "echo", "takes_input": True, "with": {"a": 1, "b": 2}}
    task["input"] = {"required": ["a", "b", "c"], "properties": {"d": {"default": 4}}}
    tools = {"echo": lambda **arguments: arguments}
    run = Simulation(program(tasks=[task]), tools, {"b": 20, "c": 3}).finish().run

    assert {"a": 1, "b": 20, "c": 3, "d": 4} == run.by_id["hello"].output
