"""Projects: which files are read, what they become, and what a workflow can see of its place."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import InvalidProject
from appliance.language.loader import load_project
from appliance.language.model import RetryPolicy, Tool, Transition
from appliance.language.yaml import load
from tests.tools.scripting import offer

from .conftest import Files

HELLO = "id: {name}\ntasks: [{{id: a, tool: anything}}]\n"
EXAMPLES = Path(__file__).parents[2] / "examples"


def project(more: str = "", name: str = "p") -> str:
    return f"name: {name}\nworkflows: [{{source: ./w.yaml}}]\n{more}"


def test_the_sample_is_there_without_any_file() -> None:
    """No path means the built-in project, which greets."""
    sample = load_project(None, {})

    assert ["hello"] == [*sample.workflows]
    hello = sample.workflows["hello"]
    assert hello.input is not None
    assert "world" == hello.input["properties"]["name"]["default"]
    assert {"greet": Tool(id="greet")} == hello.tools
    assert Path(sample.runtime.entrypoint or "").is_file()
    assert () == sample.warnings


@pytest.mark.parametrize("name", sorted(each.name for each in EXAMPLES.iterdir() if each.is_dir()))
def test_every_example_loads_without_a_warning(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What newcomers copy is free of mistakes."""
    offer("node", monkeypatch)
    loaded = load_project(EXAMPLES / name, {})
    assert name == loaded.name
    assert () == loaded.warnings


def test_a_directory_is_a_project(files: Files) -> None:
    """compozy.yaml names the workflows; sections of the configuration stand beside them."""
    files.write(
        {
            "compozy.yaml": """
                name: shop
                version: 0.1
                description: Sells things.
                author: {name: Ada, email: ada@example.org}
                workflows:
                  - source: ./flows/a.yaml
                  - source: flows/b.yaml
                server: {port: 5001}
                database: {driver: sqlite}
                knowledge: {vector_dbs: [{id: v, provider: qdrant}]}
                vector_dbs: [{id: v, type: filesystem, config: {dimension: 3}}]
                monitoring: {enabled: true}
                """,
            "flows/a.yaml": HELLO.format(name="a"),
            "flows/b.yaml": HELLO.format(name="b"),
        }
    )
    loaded = files.load()

    assert ("shop", "0.1", "Sells things.") == (loaded.name, loaded.version, loaded.description)
    assert ["a", "b"] == [*loaded.workflows]
    assert str(files.directory) == loaded.directory
    assert "python" == loaded.runtime.type
    assert str(files.directory / "tools.py") == loaded.runtime.entrypoint
    assert ({"id": "v", "type": "filesystem", "config": {"dimension": 3}},) == loaded.vector_dbs
    assert () == loaded.warnings
    assert loaded == load_project(files.directory / "compozy.yaml", {})


def test_one_file_is_a_project_of_its_own(files: Files) -> None:
    """A workflow file runs without a compozy.yaml; tools.py beside it has its tools."""
    loaded = files.single(HELLO.format(name="alone"))
    assert "alone" == loaded.name
    assert ["alone"] == [*loaded.workflows]
    assert str(files.directory / "tools.py") == loaded.runtime.entrypoint


def test_a_directory_without_compozy_yaml_is_refused(files: Files) -> None:
    """The sentence names the file that is missing."""
    assert ["compozy.yaml: cannot be read: No such file or directory"] == files.problems()


def test_a_task_becomes_what_it_says(files: Files) -> None:
    """Every field of a task has its place in the model; durations are seconds."""
    loaded = files.workflow(
        """
        id: w
        config:
          env: { HOST: example.org, PORT: 8080, FLAG: true }
        tasks:
          - id: 1
            resource: task
            type: basic
            tool: { id: send-mail }
            with: { to: "{{ .env.HOST }}", text: [1, { a: null }] }
            outputs: { answer: "{{ .output.x }}" }
            env: { A: b }
            sleep: 1m30s
            timeout: 5 seconds
            retries: 4
            final: false
            on_success: { next: two }
            on_error: { next: two }
            output: { type: object }
          - id: two
            tool: anything
            final: true
        """
    )
    task = loaded.tasks[0]

    assert {"HOST": "example.org", "PORT": "8080", "FLAG": "true"} == loaded.env
    assert ("1", "basic", "send-mail") == (task.id, task.type, task.tool)
    assert {"to": "{{ .env.HOST }}", "text": [1, {"a": None}]} == task.with_
    assert {"answer": "{{ .output.x }}"} == task.outputs
    assert {"A": "b"} == task.env
    assert (90.0, 5.0) == (task.sleep, task.timeout)
    assert RetryPolicy(maximum_attempts=5) == task.retry
    assert (Transition(next="two"), Transition(next="two")) == (task.on_success, task.on_error)
    assert {"type": "object"} == task.output
    assert loaded.tasks[1].final
    assert "send_mail" == loaded.tools["send-mail"].function


def test_groups_become_what_they_say(files: Files) -> None:
    """Parallel, collection and composite keep their options and their tasks."""
    loaded = files.workflow(
        """
        id: w
        tasks:
          - id: p
            type: parallel
            strategy: best_effort
            max_workers: 2
            tasks: [{ id: x, tool: anything }]
            on_success: { next: c }
          - id: c
            type: collection
            items: "{{ .tasks.p.output }}"
            filter: "{{ .row }}"
            mode: sequential
            batch: 3
            item_var: row
            index_var: number
            task:
              id: "row-{{ .number }}"
              type: composite
              tasks: [{ id: y, tool: anything, with: { r: "{{ .row.id }} {{ .item }}" } }]
            on_success: { next: r }
          - id: r
            type: router
            condition: 'tasks["row-0"].status == "SUCCESS"'
            routes:
              true: done
              false: { id: inline, type: aggregate, outputs: { x: 1 }, on_success: { next: done } }
          - { id: done, tool: anything }
        """
    )
    parallel, collection, router, done, inline = loaded.tasks

    assert ("best_effort", 2, ("x",)) == (
        parallel.strategy,
        parallel.max_workers,
        tuple(task.id for task in parallel.tasks),
    )
    assert ("sequential", 3, "row", "number") == (
        collection.mode,
        collection.batch,
        collection.item_var,
        collection.index_var,
    )
    assert collection.task is not None
    assert "row-{{ .number }}" == collection.task.id
    assert {"true": "done", "false": "inline"} == router.routes
    assert ("done", "aggregate") == (done.id, inline.type)


@pytest.mark.parametrize(
    "items",
    [
        "1..5",
        "e..a",
        "'{{ .workflow.input.images }}'",
        "'[{\"id\": 1}]'",
        "[1, x, {a: b}]",
        "{a: 1, b: [2]}",
        "7",
        "0",
        "false",
        "''",
        "[]",
        "{}",
    ],
)
def test_anything_can_be_the_items_of_a_collection(files: Files, items: str) -> None:
    """Ranges, templates, JSON as text, lists, maps and single values are kept as written."""
    (task,) = files.workflow(
        "id: w\ntasks: [{id: c, type: collection, task: {id: 'x-{{ .index }}', tool: anything},"
        f" items: {items}}}]"
    ).tasks
    assert load(items, "items").data == task.items


def test_options_are_merged_from_project_to_task(files: Files) -> None:
    """The nearest `config` wins, field by field; a timeout of a task wins over all of them."""
    files.write(
        {
            "compozy.yaml": project(
                "config:\n"
                "  start_to_close_timeout: 1m\n"
                "  retry_policy: {maximum_attempts: 5, initial_interval: 2s, backoff_coefficient: 3}\n"
            ),
            "w.yaml": """
                id: w
                config: { retry_policy: { maximum_attempts: 4, maximum_interval: 1h } }
                tasks:
                  - id: a
                    tool: anything
                    on_success: { next: b }
                  - id: b
                    tool: anything
                    timeout: 5s
                    config:
                      start_to_close_timeout: 10s
                      retry_policy: { maximum_attempts: 1, non_retryable_error_types: [KeyError] }
                    on_success: { next: c }
                  - id: c
                    type: composite
                    tasks: [{ id: d, tool: anything, config: { start_to_close_timeout: 10s } }]
                """,
        }
    )
    a, b, c = files.load().workflows["w"].tasks
    common = {"initial_interval": 2.0, "backoff_coefficient": 3.0, "maximum_interval": 3600.0}

    assert RetryPolicy(maximum_attempts=4, **common) == a.retry  # type: ignore[arg-type]
    assert ("KeyError",) == b.retry.non_retryable_error_types
    assert 1 == b.retry.maximum_attempts
    assert [60.0, 5.0, None, 10.0] == [a.timeout, b.timeout, c.timeout, c.tasks[0].timeout]


def test_a_workflow_does_not_hold_what_env_files_say(files: Files) -> None:
    """The variables are the project's: they may be secrets, and a workflow is stored and shown."""
    files.write({"compozy.yaml": project(), "w.yaml": HELLO.format(name="w")})
    loaded = files.load(TOKEN="secret")
    assert {"TOKEN": "secret"} == loaded.env
    assert {} == loaded.workflows["w"].env


def test_tools_and_schemas_are_found_by_id(files: Files) -> None:
    """A workflow's own definition wins over the project's; only what is used is kept."""
    files.write(
        {
            "compozy.yaml": project(
                "schemas: [{id: person, type: object, properties: {name: {type: string}}}]\n"
                "tools:\n"
                "  - {id: greet, timeout: 1s, input: person, with: {greeting: Hi}}\n"
                "  - {id: anything, description: shared}\n"
            ),
            "w.yaml": """
                id: w
                config: { input: own }
                schemas: [{ id: own, required: [x] }]
                tools: [{ id: greet, timeout: 2s, input: person, env: { A: 1 } }]
                tasks: [{ id: a, tool: greet, with: { name: x } }]
                """,
        }
    )
    workflow = files.load().workflows["w"]
    person = {"type": "object", "properties": {"name": {"type": "string"}}}

    assert {"required": ["x"]} == workflow.input
    assert {"greet": Tool(id="greet", timeout=2.0, input=person, env={"A": "1"})} == workflow.tools


@pytest.mark.parametrize(
    ("tool", "with_"),
    [("with: {name: x}", ""), ("input: {properties: {name: {default: x}}}", ""), ("", "name: x")],
)
def test_an_argument_may_come_from_the_tool(files: Files, tool: str, with_: str) -> None:
    """The `with` of the tool and the defaults of its schema count as given."""
    text = (
        f"id: w\ntools: [{{id: greet, {tool}}}]\ntasks: [{{id: a, tool: greet, with: {{{with_}}}}}]"
    )
    assert "greet" in files.workflow(text).tools


def test_what_has_no_effect_is_a_warning(files: Files) -> None:
    """Existing projects load though they carry fields that never did anything."""
    files.write(
        {
            "compozy.yaml": project(
                "models: [{provider: x, model: y}]\nconfig: {heartbeat_timeout: 1m}\n"
            ),
            "w.yaml": """
                id: w
                agents: [{ id: x, instructions: y }]
                tasks:
                  - id: a
                    tool: anything
                    final: true
                    on_success: { next: b, with: { x: 1 } }
                  - id: b
                    type: router
                    condition: "'x'"
                    default_route: c
                    on_success: { next: a }
                    routes: { x: c }
                  - { id: c, type: composite, strategy: race, tasks: [] }
                """,
        }
    )
    loaded = files.load()

    assert (
        "compozy.yaml:3:1: models is not available in this version",
        (
            "compozy.yaml:4:10: heartbeat_timeout has no effect:"
            " a tool that hangs is found by its timeout"
        ),
        "w.yaml:2:1: agents is not available in this version",
        "w.yaml:6:5: final has no effect on a task that something follows",
        "w.yaml:7:28: on_success.with has no effect; write it on the task that follows",
        "w.yaml:11:5: default_route has no effect on a task of type router",
        "w.yaml:12:5: on_success has no effect on a router; its routes say what follows",
        "w.yaml:14:31: strategy has no effect on a task of type composite",
    ) == loaded.warnings
    assert not loaded.workflows["w"].tasks[0].final


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1", ["1:1: 'name' is missing"]),
        ("name: p\nworkflow: []", ["2:1: unknown key 'workflow'; did you mean 'workflows'?"]),
        (
            "name: p\n$ref: x",
            ["2:1: unsupported directive key '$ref'; name a definition by its id"],
        ),
        ("name: p\nworkflows: [./w.yaml]", ["2:13: this must be a mapping, not './w.yaml'"]),
        (
            "name: p\nworkflows: [{path: w}]",
            ["2:13: 'source' is missing", "2:14: unknown key 'path'"],
        ),
        ("name: p\nworkflows: [{source: no.yaml}]", ["2:14: there is no file 'no.yaml'"]),
        ("name: p\nworkflows: [{source: .}]", ["2:14: there is no file '.'"]),
        (
            "name: p\nworkflows: [{source: w.yaml}, {source: ./w.yaml}]",
            ["2:32: the file './w.yaml' is named twice"],
        ),
        (
            "name: p\nruntime: {type: deno}",
            ["2:11: type 'deno' is not known; it is one of python, bun, node"],
        ),
        (
            "name: p\nruntime: {type: python, entrypoint: tools.ts}",
            ["2:25: the entrypoint 'tools.ts' must be a .py file"],
        ),
        (
            "name: p\nruntime: {entrypoint: ./missing.py}",
            ["2:11: there is no file './missing.py'"],
        ),
        (
            "name: p\nautoload: {enabled: true}",
            ["2:1: autoload needs 'include', a list of patterns"],
        ),
        (
            "name: p\nautoload: {enabled: yes, include: [../*.yaml, /etc/*]}",
            [
                "2:12: enabled must be true or false, not 'yes'",
            ],
        ),
        (
            "name: p\nautoload: {enabled: true, include: [../*.yaml, /etc/*]}",
            [
                "2:37: a pattern cannot lead out of the project",
                "2:48: a pattern cannot lead out of the project",
            ],
        ),
        (
            "name: p\nautoload: {enabled: true, include: ['{a,../b}.yaml', '{,}']}",
            [
                "2:37: a pattern cannot lead out of the project",
                "2:54: '{,}' is not a pattern",
            ],
        ),
        ("name: p\nschemas: [{id: a}, {id: a}]", ["2:21: the schema 'a' is there twice"]),
        ("name: p\nname: q", ["2:1: the key 'name' is there twice, first in line 1"]),
    ],
)
def test_a_mistake_in_a_project_has_a_place(files: Files, text: str, expected: list[str]) -> None:
    """What is wrong in compozy.yaml, and in what it names."""
    files.write({"compozy.yaml": text, "w.yaml": HELLO.format(name="w")})
    assert [f"compozy.yaml:{line}" for line in expected] == files.problems()


def test_two_workflows_cannot_share_an_id(files: Files) -> None:
    """A run names its workflow by id, so ids are unique in a project."""
    files.write(
        {
            "compozy.yaml": "name: p\nworkflows: [{source: a.yaml}, {source: b.yaml}]",
            "a.yaml": HELLO.format(name="w"),
            "b.yaml": HELLO.format(name="w"),
        }
    )
    assert ["b.yaml:1:1: another workflow has the id 'w' too"] == files.problems()


@pytest.mark.parametrize("runtime", ["{type: bun, entrypoint: ./t.ts}", "{entrypoint: ./t.ts}"])
def test_a_runtime_that_is_not_installed_is_refused_where_a_tool_needs_it(
    files: Files, runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project without tools loads whatever its runtime; one with tools is told what is missing."""
    monkeypatch.setenv("PATH", str(files.directory))
    files.write(
        {
            "compozy.yaml": project(f"runtime: {runtime}\n"),
            "t.ts": "export default {}",
            "w.yaml": "id: w\ntasks: [{id: a, type: aggregate, outputs: {x: 1}}]",
        }
    )
    assert "bun" == files.load().runtime.type

    files.write({"w.yaml": HELLO.format(name="w")})
    sentence = "the runtime needs bun, which is not on the PATH; install it (https://bun.sh)"
    assert [f"w.yaml:2:17: {sentence}"] == files.problems()


def test_scripts_are_tools_where_their_runtime_is_installed(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a script exports is not known before it runs, so any name may be one."""
    program = files.directory / "node"
    program.write_text("#!/bin/sh\necho v22.18.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(files.directory))
    files.write(
        {
            "compozy.yaml": project("runtime: {type: node, entrypoint: ./t.js}\n"),
            "t.js": "export default {}",
            "w.yaml": HELLO.format(name="w"),
        }
    )
    loaded = files.load()
    assert ("node", str(files.directory / "t.js")) == (
        loaded.runtime.type,
        loaded.runtime.entrypoint,
    )
    assert ["anything"] == [*loaded.workflows["w"].tools]


def test_a_project_without_tools_says_where_they_belong(files: Files) -> None:
    """No tools.py and no entrypoint: the remedy is in the sentence."""
    (files.directory / "tools.py").unlink()
    assert [
        "w.yaml:2:17: the project has no tools: write them in tools.py, or name 'runtime.entrypoint'"
    ] == files.problems(HELLO.format(name="w"))


def test_a_mistake_in_the_tools_is_told_once(files: Files) -> None:
    """A file that is not Python does not make every tool unknown."""
    files.write({"tools.py": "def greet(:\n"})
    found = files.problems(HELLO.format(name="w"))
    assert 1 == len(found)
    assert found[0].startswith("tools.py:1:11: ")


def test_autoload_finds_workflows_tools_and_schemas(files: Files) -> None:
    """Patterns with `**` and `{a,b}` work; editors' leftovers and excluded files are left out."""
    files.write(
        {
            "compozy.yaml": """
                name: p
                autoload:
                  enabled: true
                  include: ["flows/**/*.{yaml,yml}", "shared/**"]
                  exclude: ["flows/old/*"]
                  watch_enabled: false
                workflows: [{ source: flows/named.yaml }]
                """,
            "flows/named.yaml": HELLO.format(name="named"),
            "flows/deep/er/found.yml": """
                resource: workflow
                id: found
                config: { input: person }
                tasks: [{ id: a, tool: greet, with: { name: x } }]
                """,
            "flows/old/left.yaml": "nonsense: [",
            "flows/.#lock.yaml": "nonsense: [",
            "flows/a.yaml~": "nonsense: [",
            "shared/tool.yaml": "resource: tool\nid: greet\ntimeout: 9s",
            "shared/person.yaml": "resource: schema\nid: person\ntype: object",
            "shared/agent.yaml": "resource: agent\nid: writer\ninstructions: x",
        }
    )
    loaded = files.load()

    assert ["found", "named"] == sorted(loaded.workflows)
    assert {"type": "object"} == loaded.workflows["found"].input
    assert 9.0 == loaded.workflows["found"].tools["greet"].timeout
    assert (
        "shared/agent.yaml:1:1: a file with resource agent is not available in this version",
    ) == loaded.warnings


def test_autoload_that_is_not_strict_leaves_bad_files_out(files: Files) -> None:
    """strict: true (the default) refuses the project; false warns and goes on without the file."""
    auto = "name: p\nautoload: {{enabled: true, strict: {strict}, include: ['*.yaml']}}"
    files.write(
        {
            "compozy.yaml": auto.format(strict="false"),
            "good.yaml": "resource: workflow\n" + HELLO.format(name="good"),
            "bad.yaml": "resource: workflow\nid: bad\ntasks: [{id: a, tool: none}]",
            "worse.yaml": "a: [",
            "odd.yaml": "resource: workflw\nid: x",
            "none.yaml": "id: x",
        }
    )
    loaded = files.load()
    assert ["good"] == [*loaded.workflows]
    assert ["bad.yaml", "none.yaml", "odd.yaml", "worse.yaml"] == sorted(
        {warning.partition(":")[0] for warning in loaded.warnings}
    )

    files.write({"compozy.yaml": auto.format(strict="true")})
    assert sorted(loaded.warnings) == sorted(files.problems())


def test_autoload_does_not_follow_links_out_of_the_project(files: Files, tmp_path: Path) -> None:
    """What is outside of the directory is not part of the project, whatever points to it."""
    inside = Files(tmp_path / "inside")
    (tmp_path / "secret.yaml").write_text("resource: workflow\n" + HELLO.format(name="w"))
    (inside.directory / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    inside.write({"compozy.yaml": "name: p\nautoload: {enabled: true, include: ['*.yaml']}"})
    assert ["link.yaml: this link leads out of the project"] == inside.problems()


def test_a_broken_file_does_not_hide_what_is_wrong_with_the_others(files: Files) -> None:
    """Problems of all files come together, by file and line."""
    files.write(
        {
            "compozy.yaml": "name: p\nworkflows: [{source: a.yaml}, {source: b.yaml}]\nnmae: x",
            "a.yaml": "id: [",
            "b.yaml": "id: b\ntasks: [{id: a}]",
        }
    )
    assert [
        "a.yaml:2:1: not valid YAML: did not find expected node content",
        "b.yaml:2:9: a basic task needs 'tool'",
        "compozy.yaml:3:1: unknown key 'nmae'; did you mean 'name'?",
    ] == files.problems()


def test_a_large_project_loads_quickly(files: Files) -> None:
    """A workflow of a thousand tasks is read and checked in seconds."""
    tasks = "".join(
        f"  - id: t{n}\n    tool: anything\n    with: {{x: '{{{{ .tasks.t{max(n - 1, 0)}.output }}}}'}}\n"
        f"    on_success: {{next: t{n + 1}}}\n"
        for n in range(1000)
    )
    text = f"id: w\ntasks:\n{tasks}  - {{id: t1000, tool: anything}}\n"
    began = time.perf_counter()
    assert 1001 == len(files.workflow(text).tasks)
    assert time.perf_counter() - began < 10


_WORDS = (
    "id name type tool tasks task with outputs on_success on_error next routes condition items filter"
    " config input env retry_policy timeout retries sleep strategy mode basic router parallel collection"
    " composite aggregate a b greet {{ .item }} {{ .tasks.a.output }} {{ tasks.a == 1 1s 5 true $ref"
    " schemas tools workflows source properties resource workflow autoload include runtime"
)
_NAMES = st.sampled_from([*_WORDS.split(), "{{ .tasks.a.output }}", "tasks.a.output > 1"])
_DOCUMENTS = st.recursive(
    _NAMES | st.none() | st.integers(-1, 3) | st.booleans() | st.floats(0, 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=6),
    max_leaves=30,
)
_TASK = st.fixed_dictionaries(
    {"id": st.sampled_from("abc"), "type": _NAMES},
    optional=dict.fromkeys(_WORDS.split()[4:22], _DOCUMENTS),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    document=_DOCUMENTS
    | st.fixed_dictionaries({"id": _NAMES, "tasks": st.lists(_TASK, max_size=3)})
)
def test_any_document_is_a_project_or_its_problems(files: Files, document: Any) -> None:
    """Whatever a file says, the answer is a project or a list of problems with places."""
    import json

    for name in ("compozy.yaml", "w.yaml"):
        files.write({name: json.dumps(document)})
        with contextlib.suppress(InvalidProject):
            load_project(files.directory / name, {})
