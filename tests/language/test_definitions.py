"""Definitions that agents, models and knowledge use: kept as written, and checked all the same."""

from __future__ import annotations

import pytest

from appliance.errors import InvalidProject
from appliance.language.loader import load_project

from .conftest import Files

HEAD = "name: p\nworkflows: [{source: w.yaml}]\n"
FLOW = "id: w\ntasks: [{id: a, tool: anything}]\n"
EMBEDDER = "embedders: [{id: e, provider: openai, model: m, config: {dimension: 3}}]\n"
STORE = "vector_dbs: [{id: v, type: filesystem, config: {dimension: 3}}]\n"

EVERYTHING = f"""{HEAD}
author: {{name: Ada, contributors: [{{name: Bob, email: bob@example.org}}]}}
monitoring: {{enabled: true, path: /metrics}}
models:
  - {{provider: openai, model: small, api_key: "{{{{ .env.KEY }}}}", default: true}}
  - {{id: fast, provider: groq, model: x, params: {{temperature: 0.2, stop_words: [a]}}}}
agents:
  - id: writer
    instructions: You write.
    model: fast
    tools: [greet, {{id: send-mail}}, cp__read_file]
    mcps: [gh]
    memory: [{{id: chat, mode: read-only, key: x}}]
    actions: [{{id: write, prompt: Go., output: {{type: object}}}}]
    knowledge: [{{id: kb, top_k: 3}}]
    attachments: [{{type: image, url: "https://example.org/x.png"}}]
mcps: [{{id: gh, url: "https://example.org/mcp", headers: {{X-Key: "{{{{ .env.KEY }}}}"}}}}]
memories: [{{id: chat}}]
knowledge_bases:
  - id: kb
    embedder: e
    vector_db: {{id: v}}
    sources: [{{type: markdown_glob, path: "docs/**/*.md"}}]
    chunking: {{size: 800, overlap: 100}}
    retrieval: {{top_k: 5, tool_fallback: auto}}
knowledge: [{{id: kb}}]
{EMBEDDER}{STORE}"""


def test_definitions_are_kept_by_kind_and_id(files: Files) -> None:
    """As written; a model without an id goes by provider and name."""
    files.write({"compozy.yaml": EVERYTHING, "w.yaml": FLOW})
    loaded = files.load()

    assert {
        "agent": ["writer"],
        "embedder": ["e"],
        "knowledge_base": ["kb"],
        "mcp": ["gh"],
        "model": ["openai:small", "fast"],
        "vector_db": ["v"],
    } == {kind: [*found] for kind, found in sorted(loaded.definitions.items())}
    assert "You write." == loaded.definitions["agent"]["writer"]["instructions"]
    assert ({"id": "v", "type": "filesystem", "config": {"dimension": 3}},) == loaded.vector_dbs
    assert {
        "agents is not available in this version",
        "embedders is not available in this version",
        "a knowledge binding is not available in this version",
        "knowledge_bases is not available in this version",
        "mcps is not available in this version",
        "models is not available in this version",
    } == {warning.split(": ", 1)[1] for warning in loaded.warnings}


def test_everything_declared_is_known_with_its_file(files: Files) -> None:
    """Whoever shows or exports a project finds all of it, wherever it stands."""
    files.write({"compozy.yaml": EVERYTHING, "w.yaml": f"resource: workflow\n{FLOW}"})
    declared = files.load().declared

    assert {"agent", "embedder", "knowledge_base", "mcp", "memory", "model", "vector_db"} | {
        "workflow"
    } == declared.keys()
    workflow = declared["workflow"]["w"]
    assert ("w.yaml", {"id": "w", "tasks": [{"id": "a", "tool": "anything"}]}) == (
        workflow.file,
        workflow.data,
    )
    assert "compozy.yaml" == declared["memory"]["chat"].file


def test_the_configuration_of_knowledge_may_stand_in_its_place(files: Files) -> None:
    """A mapping is the program's, a list is the project's; neither breaks the other."""
    knowledge = "knowledge: {vector_dbs: [{id: v, provider: qdrant}], chunk_size: 500}\n"
    files.write({"compozy.yaml": f"{HEAD}{knowledge}", "w.yaml": FLOW})
    assert () == files.load().warnings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("agents: [{id: a}]", "'instructions' is missing"),
        ("agents: [{id: a, instructions: x, tool: y}]", "unknown key 'tool'; did you mean 'tools'?"),
        ("agents: [{id: a, instructions: x, tools: [gret]}]", "there is no tool 'gret'; did you mean 'greet'?"),
        ("agents: [{id: a, instructions: x, tools: [{id: greet, timeout: 1s}]}]", "timeout cannot stand here: only 'id' selects a tool"),
        ("agents: [{id: a, instructions: x, mcps: [gh]}]", "there is no mcp 'gh'"),
        ("agents: [{id: a, instructions: x, memory: [chat]}]", "there is no memory 'chat'"),
        ("agents: [{id: a, instructions: x, actions: [{id: b}]}]", "'prompt' is missing"),
        ("agents: [{id: a, instructions: x}, {id: a, instructions: x}]", "the agent 'a' is there twice"),
        ("models: [{provider: x}]", "'model' is missing"),
        ("models: [{provider: x, model: a, default: true}, {provider: x, model: b, default: true}]", "another model is the default already"),
        ("models: [{provider: x, model: a, params: {temprature: 1}}]", "unknown key 'temprature'; did you mean 'temperature'?"),
        ("mcps: [{id: m}]", "an MCP server needs 'url' or 'command'"),
        ("mcps: [{id: m, url: x, transport: http}]", "transport 'http' is not known; it is one of stdio, sse, streamable-http"),
        ('mcps: [{id: m, url: x, headers: {a: "b\\nc"}}]', "a header cannot hold a line break"),
        (f"{STORE}knowledge_bases: [{{id: k, embedder: e, vector_db: v}}]", "there is no embedder 'e'"),
        (f"{STORE}{EMBEDDER.replace('3', '4')}knowledge_bases: [{{id: k, embedder: e, vector_db: v}}]", "the embedder has 4 dimensions, and the vector_db 3"),
        ("embedders: [{id: e, provider: openai, model: m}]", "'config' is missing"),
        ("embedders: [{id: e, provider: openai, model: m, api_key: sk-1, config: {dimension: 3}}]", "api_key must not stand in a file; write api_key: '{{ .env.NAME }}'"),
        ("vector_dbs: [{id: v, type: qdrant, config: {dimension: 3}}]", "qdrant needs 'dsn', its address, as a template such as {{ .env.NAME }}"),
        ("vector_dbs: [{id: v, type: quadrant, config: {dimension: 3}}]", "type 'quadrant' is not known; did you mean 'qdrant'?"),
        ("knowledge: [{id: kb}]", "there is no knowledge_base 'kb'"),
        (f"{STORE}{EMBEDDER}knowledge_bases: [{{id: k, embedder: e, vector_db: v}}]\nknowledge: [{{id: k}}, {{id: k}}]", "only one knowledge binding can stand here"),
        ("author: {nmae: x}", "unknown key 'nmae'; did you mean 'name'?"),
        ("config: {source_of_truth: file}", "source_of_truth 'file' is not known; it is one of repo, builder"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_definition_is_told(files: Files, text: str, expected: str) -> None:
    """Fields, kinds, selections by id, and secrets that stand in a file."""
    files.write({"compozy.yaml": HEAD + text, "w.yaml": FLOW})
    found = files.problems()
    assert [expected] == [problem.split(": ", 1)[1] for problem in found]
    assert found[0].startswith("compozy.yaml:")


def test_a_workflow_may_define_its_own(files: Files) -> None:
    """They are checked in its file, and may be selected there only."""
    text = """
id: w
agents: [{id: writer, instructions: x, mcps: [gh], tools: [shout]}]
mcps: [{id: gh, command: server}]
tools: [{id: shout}]
knowledge_bases: []
tasks: [{id: a, tool: anything}]
"""
    broken = text.replace("id: gh", "id: git")
    assert ["w.yaml:2:47: there is no mcp 'gh'"] == files.problems(broken)
    assert {"agents", "mcps"} <= {
        warning.split(": ", 1)[1].split()[0] for warning in files.single(text).warnings
    }


# -- tasks that are run by themselves --------------------------------------------------------------


def test_a_task_of_the_project_is_a_workflow_of_one_task(files: Files) -> None:
    """It is checked like one, and has its options from the project."""
    files.write(
        {
            "compozy.yaml": f"{HEAD}config: {{start_to_close_timeout: 9s}}\n"
            "autoload: {enabled: true, include: ['tasks/*.yaml']}",
            "w.yaml": FLOW,
            "tasks/hello.yaml": """
                resource: task
                id: hello
                type: basic
                tool: greet
                with: { name: "{{ .input.name }}" }
                input: { type: object, required: [name] }
                """,
        }
    )
    task = files.load().tasks["hello"]
    assert ("hello", ("hello",), 9.0) == (
        task.id,
        tuple(each.id for each in task.tasks),
        task.tasks[0].timeout,
    )
    assert {"type": "object", "required": ["name"]} == task.input
    assert "greet" in task.tools

    assert task.tasks[0].takes_input

    files.write({"tasks/hello.yaml": "resource: task\nid: hello\ntool: gret\n"})
    assert [
        (
            "tasks/hello.yaml:3:1: there is no tool 'gret': tools.py has no function 'gret';"
            " did you mean 'greet'?"
        )
    ] == files.problems()


def test_what_a_task_is_not_given_by_its_file_is_asked_of_the_caller(files: Files) -> None:
    """Arguments may be left to the caller; those in the file are neither required nor hidden."""
    files.write(
        {
            "compozy.yaml": f"{HEAD}autoload: {{enabled: true, include: ['tasks/*.yaml']}}",
            "w.yaml": FLOW,
            "tasks/hello.yaml": """
                resource: task
                id: hello
                tool: greet
                with: { greeting: Hi }
                input:
                  required: [name, greeting]
                  properties: { greeting: { type: string, default: Hello }, name: { type: string } }
                """,
        }
    )
    assert {
        "required": ["name"],
        "properties": {"greeting": {"type": "string"}, "name": {"type": "string"}},
    } == files.load().tasks["hello"].input


# -- what the API stores ---------------------------------------------------------------------------


def test_what_the_api_stores_belongs_to_the_project(files: Files) -> None:
    """Of every kind, as YAML or JSON; files may name it and it may name what is in files."""
    files.write(
        {
            "compozy.yaml": f"{HEAD}memories: [{{id: chat}}]\n",
            "w.yaml": "id: w\nconfig: {input: order}\ntasks: [{id: a, tool: anything}]\n",
        }
    )
    loaded = files.load_with(
        ("schema", "order", '{"id": "order", "type": "object"}'),
        ("tool", "greet", "timeout: 3s\nid: greet"),
        ("workflow", "stored", "id: stored\ntasks: [{id: a, tool: greet, with: {name: x}}]"),
        ("task", "one", "resource: task\nid: one\ntool: anything"),
        ("memory", "log", "id: log"),
        ("model", "openai:x", "provider: openai\nmodel: x"),
    )
    assert ["stored", "w"] == sorted(loaded.workflows)
    assert {"type": "object"} == loaded.workflows["w"].input
    assert 3.0 == loaded.workflows["stored"].tools["greet"].timeout
    assert (["one"], ["chat", "log"]) == ([*loaded.tasks], sorted(loaded.memories))
    assert "openai:x" in loaded.definitions["model"]
    assert "" == loaded.declared["workflow"]["stored"].file


def test_who_wins_is_what_the_project_says(files: Files) -> None:
    """With `repo` the file, and the other is an error; with `builder` the one from the API."""
    stored = ("workflow", "w", "id: w\ndescription: stored\ntasks: [{id: a, tool: anything}]")
    for truth in ("", "config: {source_of_truth: repo}\n"):
        files.write({"compozy.yaml": HEAD + truth, "w.yaml": FLOW})
        with pytest.raises(InvalidProject) as caught:
            files.load_with(stored)
        assert [
            (
                "api:workflow/w:1:1: w.yaml defines the workflow 'w' already;"
                " config.source_of_truth: builder would let this one win"
            )
        ] == caught.value.details["problems"]

    files.write({"compozy.yaml": f"{HEAD}config: {{source_of_truth: builder}}\n"})
    loaded = files.load_with(stored)
    assert ("builder", "stored") == (loaded.source_of_truth, loaded.workflows["w"].description)
    assert ("", "w.yaml") == (
        loaded.declared["workflow"]["w"].file,
        loaded.declared["workflow"]["w"].hides,
    )
    assert "" == files.load().workflows["w"].description


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("workflow", "id: [", "api:workflow/x:2:1: not valid YAML: did not find expected node content"),
        ("workflow", "- 1", "api:workflow/x:1:1: this must be a mapping, not a list"),
        ("workflow", "id: y", "api:workflow/x:1:1: the id must be 'x', under which it is stored"),
        ("workflow", "tasks: []", "api:workflow/x:1:1: 'id' is missing"),
        ("tool", "id: x\nresource: agent", "api:tool/x:2:1: resource must be 'tool' here"),
        ("tol", "id: x", "api:tol/x:1:1: there is no kind of definition 'tol'"),
        ("tool", "id: x\ntimout: 1s", "api:tool/x:2:1: unknown key 'timout'; did you mean 'timeout'?"),
        ("task", "id: x\ntool: anything\non_success: {next: y}", "api:task/x:3:14: there is no task 'y' here"),
    ],
)  # fmt: skip
def test_a_mistake_in_what_is_stored_names_it(
    files: Files, kind: str, text: str, expected: str
) -> None:
    """Where a file would stand, its kind and id do."""
    files.write({"compozy.yaml": HEAD, "w.yaml": FLOW})
    with pytest.raises(InvalidProject) as caught:
        files.load_with((kind, "x", text))
    assert [expected] == caught.value.details["problems"]


def test_native_tools_can_be_turned_off(files: Files) -> None:
    """Then a task that calls one is refused before it runs."""
    flow = "id: w\ntasks: [{id: a, tool: cp__read_file, with: {path: x}}]"
    files.write({"compozy.yaml": HEAD, "w.yaml": flow})
    assert "cp__read_file" in files.load().workflows["w"].tools
    with pytest.raises(InvalidProject) as caught:
        load_project(files.directory, {}, native_tools=False)
    assert [
        "w.yaml:2:17: the native tools are turned off by the setting runtime.native_tools.enabled"
    ] == caught.value.details["problems"]
