"""Every mistake in a workflow is told before it runs, with its place and what to do about it."""

from __future__ import annotations

import pytest

from .conftest import Files

GREET = "tool: greet, with: {name: a}"


def flow(tasks: str) -> str:
    return "id: w\ntasks:\n" + "".join(
        f"  - {{{line.strip()}}}\n" for line in tasks.strip().splitlines()
    )


def test_a_workflow_without_a_mistake_loads(files: Files) -> None:
    """The texts of this table are wrong for their one reason only."""
    assert "w" == files.workflow(flow(f"id: a, {GREET}")).id


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        # ids
        (f"{GREET}", ["3:5: 'id' is missing"]),
        (f"id: '', {GREET}", ["3:6: 'id' must not be empty"]),
        (f"id: a b, {GREET}", ["3:6: the id 'a b' is not made of letters, digits, _ and -"]),
        (
            f"id: 'a-{{{{ .index }}}}', {GREET}",
            ["3:6: only the task of a collection can have a template as its id"],
        ),
        (
            f"id: a, {GREET}, on_success: {{next: a2}}\nid: a2, {GREET}\nid: a2, {GREET}",
            ["5:6: the id 'a2' is taken by the task in line 4"],
        ),
        # transitions
        (
            f"id: fetch, {GREET}, on_success: {{next: decdie}}\nid: decide, {GREET}",
            [
                "3:60: there is no task 'decdie' here; did you mean 'decide'?",
                "4:6: task 'decide' is never reached; name it in 'next' of a task before it",
            ],
        ),
        (
            f"id: a, {GREET}, on_error: {{next: b}}\nid: b, {GREET}, on_success: {{next: a}}",
            ["4:56: the tasks go in a circle: a -> b -> a"],
        ),
        (
            f"id: a, {GREET}, on_success: {{next: a}}",
            ["3:56: the tasks go in a circle: a -> a"],
        ),
        (
            f"id: a, {GREET}\nid: b, {GREET}, on_success: {{next: c}}\nid: c, {GREET}",
            ["4:6: task 'b' is never reached; name it in 'next' of a task before it"],
        ),
        (
            f"id: a, {GREET}, on_success: {{nxt: a}}",
            ["3:56: unknown key 'nxt'; did you mean 'next'?"],
        ),
        # types and fields
        (
            "id: a, type: paralel, tasks: []",
            ["3:13: type 'paralel' is not known; did you mean 'parallel'?"],
        ),
        (
            "id: a, type: loop",
            [
                (
                    "3:13: type 'loop' is not known; it is one of basic, router, parallel, collection,"
                    " composite, aggregate, wait, signal, memory"
                )
            ],
        ),
        ("id: a", ["3:5: a basic task needs 'tool'"]),
        (f"id: a, tol: greet, {GREET}", ["3:13: unknown key 'tol'; did you mean 'tool'?"]),
        (
            f"id: a, condition: 'true', {GREET}",
            ["3:13: condition cannot stand here; it belongs to tasks of type router or wait"],
        ),
        (
            f"id: a, strategy: race, {GREET}",
            [
                "3:13: strategy cannot stand here; it belongs to tasks of type parallel or collection"
            ],
        ),
        (
            "id: a, type: router",
            ["3:5: a router needs 'condition'", "3:5: a router needs 'routes'"],
        ),
        (
            "id: a, type: parallel",
            ["3:5: a parallel needs at least one task in 'tasks'"],
        ),
        (
            "id: a, type: collection",
            [
                "3:5: a collection needs 'items'",
                "3:5: a collection needs 'task', the task to repeat for each item",
            ],
        ),
        ("id: a, type: aggregate", ["3:5: an aggregate needs 'outputs'"]),
        (
            "id: a, type: aggregate, outputs: {x: 1}, with: {y: 1}, sleep: 1s, tool: greet",
            [
                "3:47: with cannot stand on a task of type aggregate",
                "3:61: sleep cannot stand on a task of type aggregate",
                "3:72: tool cannot stand here; it belongs to tasks of type basic",
            ],
        ),
        (
            f"id: a, type: parallel, strategy: fast, max_workers: -1, tasks: [{{id: b, {GREET}}}]",
            [
                "3:29: strategy 'fast' is not known; did you mean 'fail_fast'?",
                "3:45: max_workers must be a whole number from 0, not -1",
            ],
        ),
        (
            f"id: a, {GREET}, timeout: 10, sleep: soon, retries: many",
            [
                (
                    "3:43: timeout: '10' is not a duration; write for example 90s, 1h30m, '5 minutes'"
                    " or 1d"
                ),
                (
                    "3:56: sleep: 'soon' is not a duration; write for example 90s, 1h30m, '5 minutes'"
                    " or 1d"
                ),
                "3:69: retries must be a whole number from 0, not 'many'",
            ],
        ),
        (f"id: a, {GREET}, timeout: 0s", ["3:43: timeout must be longer than 0"]),
        (
            f"id: a, {GREET}, config: {{retry_policy: {{maximum_atempts: 2}}}}",
            ["3:67: unknown key 'maximum_atempts'; did you mean 'maximum_attempts'?"],
        ),
        (
            f"id: a, {GREET}, env: {{A: [1]}}",
            ["3:49: env must be text, not a list"],
        ),
        ("id: a, tool: greet, with: [1]", ["3:26: with must be a mapping, not a list"]),
        (
            "id: a, tool: anything, with: {deep: [{$ref: x}]}",
            ["3:44: unsupported directive key '$ref'; use another name"],
        ),
        (
            f"id: a, {GREET}, $use: x",
            ["3:43: unsupported directive key '$use'; name a definition by its id"],
        ),
        # routes
        (
            f"id: a, type: router, condition: 'true', routes: {{true: b, false: c}}\nid: b, {GREET}",
            ["3:64: there is no task 'c' here"],
        ),
        (
            f"id: a, type: router, condition: 'true', routes: {{true: {{id: b, {GREET}}}}}",
            ["3:55: 'type' is missing: a task inside of a route needs one"],
        ),
        # collections
        (
            f"id: a, type: collection, items: [1], task: {{id: b, {GREET}}}",
            [
                (
                    "3:50: the id 'b' would be the same for every item;"
                    " write for example 'b-{{ .index }}'"
                )
            ],
        ),
        (
            (
                f"id: a, type: collection, items: [1], item_var: my-row, mode: fast,"
                f" task: {{id: 'b{{{{ .index }}}}', {GREET}}}"
            ),
            [
                "3:43: item_var 'my-row' is not a name; use letters, digits and _",
                "3:61: mode 'fast' is not known; it is one of parallel, sequential",
            ],
        ),
        # what comes later
        (
            "id: a, agent: writer, prompt: hello",
            [
                "3:13: agent on a task is not available in this version",
                "3:28: prompt on a task is not available in this version",
            ],
        ),
        (
            "id: a, tool: cp__read_file",
            ["3:13: cp__read_file needs 'path' in 'with'"],
        ),
        (
            "id: a, tool: cp__read_fil",
            ["3:13: there is no native tool 'cp__read_fil'; did you mean 'cp__read_file'?"],
        ),
        (
            "id: a, tool: cp__fetch, with: {url: x, method: GET, timeout: 1}",
            ["3:58: cp__fetch takes no argument 'timeout'; did you mean 'timeout_ms'?"],
        ),
        (
            "id: a, tool: cp__call_agent",
            ["3:13: the tool cp__call_agent is not available in this version"],
        ),
        # tools
        (
            "id: a, tool: gret",
            [
                "3:13: there is no tool 'gret': tools.py has no function 'gret'; did you mean 'greet'?"
            ],
        ),
        (
            "id: a, tool: greet, with: {nmae: x}",
            [
                "3:13: greet needs 'name' in 'with'",
                "3:33: greet takes no argument 'nmae'; did you mean 'name'?",
            ],
        ),
        ("id: a, tool: send-mail", ["3:13: send-mail needs 'to' and 'text' in 'with'"]),
        (
            "id: a, tool: {id: anything, timeout: 1s}",
            ["3:34: timeout cannot stand here: only 'id' selects a tool"],
        ),
    ],
)
def test_a_mistake_in_a_task_has_a_place_and_a_remedy(
    files: Files, tasks: str, expected: list[str]
) -> None:
    """Ids, transitions, types, fields, routes, collections and tools."""
    assert [f"w.yaml:{line}" for line in expected] == files.problems(flow(tasks))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ .worklow.id }}", "47: there is no variable 'worklow'; did you mean 'workflow'?"),
        ("{{ .workflow.inputs }}", "47: workflow has no 'inputs'; did you mean 'input'?"),
        (
            "see {{ .tasks.frist.output }}",
            "51: there is no task 'frist' in this workflow; did you mean 'first'?",
        ),
        ("{{ .tasks.first.outptu.a }}", "47: tasks.first has no 'outptu'; did you mean 'output'?"),
        (
            "{{ .output.y }}",
            "47: 'output' exists only in the task's own outputs; use tasks.<id>.output",
        ),
        ("{{ .item }}", "47: 'item' exists only inside of a collection"),
        ("{{ uper .input.x }}", "47: there is no function 'uper'; did you mean 'upper'?"),
    ],
)
def test_a_template_names_what_exists(files: Files, template: str, expected: str) -> None:
    """Variables, tasks and their fields are checked, with the place inside of the text."""
    found = files.problems(flow(f"id: first, tool: anything, with: {{x: '{template}'}}"))
    assert [f"w.yaml:3:{expected}"] == found


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("tasks.first.output.n >", "81: not a valid condition: it ends too early"),
        (
            "tasks.frist.output.n > 1",
            "59: there is no task 'frist' in this workflow; did you mean 'first'?",
        ),
        ("1 < tasks.first.n", "63: tasks.first has no 'n'"),
        ("item.price > 1", "59: 'item' exists only inside of a collection"),
        ("inputs.n == 1", "59: there is no variable 'inputs'; did you mean 'input'?"),
        ("true || siz(input) == 1", "67: there is no function 'siz' in conditions"),
        (
            "{{ .tasks.frist.output }} > 1",
            "62: there is no task 'frist' in this workflow; did you mean 'first'?",
        ),
        ("", "47: condition must not be empty"),
    ],
)
def test_a_condition_is_checked_like_a_template(
    files: Files, condition: str, expected: str
) -> None:
    """Syntax, variables, tasks and functions of a condition; templates in it are seen too."""
    found = files.problems(
        flow(
            f"""
            id: first, tool: anything, on_success: {{next: route}}
            id: route, type: router, routes: {{a: z}}, condition: "{condition}"
            id: z, tool: anything
            """
        )
    )
    assert [f"w.yaml:4:{expected}"] == found


def test_a_condition_may_ask_for_a_type(files: Files) -> None:
    """The names of types mean themselves, and have no fields."""
    text = """
        id: first, type: router, routes: {true: z}, condition: 'type(input.n) in [int, bool]'
        id: z, tool: anything
        """
    assert "w" == files.workflow(flow(text)).id
    found = files.problems(flow(text.replace("[int,", "[int.x,")))
    assert ["w.yaml:3:80: there is no variable 'int'; did you mean 'input'?"] == found


def test_a_place_in_a_block_of_text_is_exact(files: Files) -> None:
    """A mistake in the third line of a block stands in the third line of the block."""
    text = """
        id: w
        tasks:
          - id: a
            tool: anything
            with:
              text: |
                Dear {{ .workflow.input.name }},
                {{ .tasks.a.status }}
                your {{ .tasks.b.output }}
        """
    assert ["w.yaml:9:17: there is no task 'b' in this workflow"] == [
        problem.partition(";")[0] for problem in files.problems(text)
    ]


def test_the_outputs_of_a_workflow_are_checked(files: Files) -> None:
    """They see the run, not a task; they must say something."""
    text = "id: w\ntasks: [{id: a, tool: anything}]\noutputs: {x: '{{ .children.id }}'}"
    assert ["w.yaml:3:18: there is no variable 'children'"] == files.problems(text)
    text = "id: w\ntasks: [{id: a, tool: anything}]\noutputs: {}"
    assert ["w.yaml:3:1: outputs must not be empty; leave it out to get those of all tasks"] == (
        files.problems(text)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["1:1: this must be a mapping, not nothing"]),
        ("- 1", ["1:1: this must be a mapping, not a list"]),
        ("id: w", ["1:1: 'tasks' is missing: a workflow needs at least one task"]),
        ("id: w\ntasks: []", ["2:1: a workflow needs at least one task"]),
        ("id: w\ntasks: x", ["2:1: tasks must be a list, not 'x'"]),
        ("id: w\ntasks: [5]", ["2:9: this must be a mapping, not 5"]),
        (
            "id: w/x\ntasks: [{id: a, tool: anything}]",
            ["1:1: the id 'w/x' is not made of letters, digits, _ - and ."],
        ),
        (
            "id: w\nresource: agent\ntasks: [{id: a, tool: anything}]",
            ["2:1: resource must be 'workflow' here"],
        ),
        (
            "id: w\ntrigers: []\nconfig: {inptu: {}}\ntasks: [{id: a, tool: anything}]",
            [
                "2:1: unknown key 'trigers'; did you mean 'triggers'?",
                "3:10: unknown key 'inptu'; did you mean 'input'?",
            ],
        ),
        (
            (
                "id: w\nconfig: {input: order}\nschemas: [{id: orders}]\n"
                "tasks: [{id: a, tool: anything}]"
            ),
            ["2:10: there is no schema 'order'; did you mean 'orders'?"],
        ),
        (
            (
                "id: w\nconfig:\n  input:\n    properties:\n      n: {type: int}\n"
                "tasks: [{id: a, tool: anything}]"
            ),
            [
                (
                    "5:11: type must be one of array, boolean, integer, null, number, object, string,"
                    " or a list of them"
                )
            ],
        ),
        (
            "id: w\ntools: [{id: t, timout: 1s}, {id: t}]\ntasks: [{id: a, tool: t}]",
            [
                "2:17: unknown key 'timout'; did you mean 'timeout'?",
                "2:31: the tool 't' is there twice",
                "3:17: 't' is declared, but tools.py has no function 't'",
            ],
        ),
        ("id: w\n\ttasks: 1", None),
    ],
)
def test_a_mistake_in_a_workflow_has_a_place(
    files: Files, text: str, expected: list[str] | None
) -> None:
    """What is wrong at the top of a workflow file."""
    found = files.problems(text)
    if expected is None:
        assert 1 == len(found)
        assert found[0].startswith("w.yaml:2:1: not valid YAML: ")
    else:
        assert [f"w.yaml:{line}" for line in expected] == found


def test_tasks_nest_twenty_deep(files: Files) -> None:
    """Twenty levels load, the next one is refused."""
    head = "id: w\ntasks: ["

    def nested(levels: int) -> str:
        groups = "".join(f"{{id: g{n}, type: composite, tasks: [" for n in range(levels - 1))
        return f"{head}{groups}{{id: leaf, tool: anything}}{']}' * (levels - 1)}]"

    assert "w" == files.workflow(nested(20)).id
    problems = files.problems(nested(21))
    assert 1 == len(problems)
    assert problems[0].endswith("tasks are nested more than 20 deep")


def test_a_branch_of_a_composite_runs_only_when_it_is_named(files: Files) -> None:
    """In a group every task is reached, unless the way to it is a circle."""
    loaded = files.workflow(
        """
        id: w
        tasks:
          - id: g
            type: composite
            tasks:
              - { id: a, tool: anything, on_error: { next: mend } }
              - { id: mend, tool: anything }
              - { id: b, tool: anything }
        """
    )
    assert ["a", "mend", "b"] == [task.id for task in loaded.tasks[0].tasks]
    found = files.problems(
        """
        id: w
        tasks:
          - id: g
            type: parallel
            tasks:
              - { id: a, tool: anything }
              - { id: b, tool: anything, on_error: { next: c } }
              - { id: c, tool: anything, on_error: { next: b } }
        """
    )
    assert ["w.yaml:8:46: the tasks go in a circle: b -> c -> b"] == found


def test_all_problems_are_told_at_once_in_order(files: Files) -> None:
    """One look at the list is enough to mend a file."""
    found = files.problems(
        """
        id: w
        colour: red
        tasks:
          - { id: b, tool: nothing }
          - { id: b, tool: greet, with: { name: 1, x: 2 } }
        """
    )
    assert [
        "w.yaml:2:1: unknown key 'colour'",
        (
            "w.yaml:4:14: there is no tool 'nothing': tools.py has no function 'nothing';"
            " did you mean 'anything'?"
        ),
        "w.yaml:5:7: the id 'b' is taken by the task in line 4",
        "w.yaml:5:44: greet takes no argument 'x'",
    ] == found
