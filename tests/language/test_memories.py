"""Memories, and the tasks that use them, as files say it."""

from __future__ import annotations

import pytest

from appliance.language.model import Memory, MemoryCall, Project

from .conftest import Files

FLOW = "id: w\ntasks: [{id: a, type: memory, %s}]\n"
HEAD = "name: p\nworkflows: [{source: w.yaml}]\n"
CHAT = f"{HEAD}memories: [{{id: chat, default_key_template: all}}, {{id: log}}]\n"


def load(files: Files, task: str, project: str = CHAT) -> Project:
    files.write({"compozy.yaml": project, "w.yaml": FLOW % task})
    return files.load()


def problems(files: Files, task: str, project: str = CHAT) -> list[str]:
    files.write({"compozy.yaml": project, "w.yaml": FLOW % task})
    return files.problems()


READ = "operation: read, memory_ref: chat"


def test_a_memory_becomes_what_it_says(files: Files) -> None:
    """Limits, life time, how it is flushed, and what is never stored."""
    loaded = load(
        files,
        READ,
        f"""{HEAD}
memories:
  - id: chat
    description: What was said.
    version: 0.1.0
    type: token_based
    max_tokens: 4000
    max_messages: 50
    flushing: {{ type: lru, summarize_threshold: 0.5 }}
    persistence: {{ type: redis, ttl: 1d }}
    privacy_policy:
      redact_patterns: ['\\d{{3}}-\\d{{4}}']
      non_persistable_message_types: [system]
      default_redaction_string: "***"
    default_key_template: "user:{{{{ .workflow.input.user }}}}"
  - {{ id: quick, persistence: {{ type: in_memory }} }}
""",
    )
    assert {
        "chat": Memory(
            id="chat",
            description="What was said.",
            version="0.1.0",
            type="token_based",
            max_tokens=4000,
            max_messages=50,
            flushing="lru",
            flush_threshold=0.5,
            persistent=True,
            ttl=86_400.0,
            redact_patterns=("\\d{3}-\\d{4}",),
            unpersisted_roles=("system",),
            redaction="***",
            default_key_template="user:{{ .workflow.input.user }}",
        ),
        "quick": Memory(id="quick", persistent=False),
    } == loaded.memories
    assert () == loaded.warnings


def test_a_file_of_its_own_declares_a_memory(files: Files) -> None:
    """Autoload finds it like everything else."""
    auto = f"{HEAD}autoload: {{enabled: true, include: ['m/*.yaml']}}"
    files.write({"m/chat.yaml": "resource: memory\nid: chat\ndefault_key_template: x\n"})
    assert ["chat"] == [*load(files, READ, auto).memories]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (READ, MemoryCall("read", "chat", "all")),
        (
            "operation: append, memory_ref: log, key_template: 'u:{{ .input.u }}', payload: {role: user}",
            MemoryCall("append", "log", "u:{{ .input.u }}", {"role": "user"}),
        ),
        (
            (
                "operation: flush, memory_ref: chat, max_keys: 9, batch_size: 5,"
                " flush_config: {strategy: lru, max_keys: 7, dry_run: true, force: false, threshold: 0.5}"
            ),
            MemoryCall(
                "flush",
                "chat",
                "all",
                None,
                {
                    "strategy": "lru",
                    "max_keys": 7,
                    "batch_size": 5,
                    "dry_run": True,
                    "force": False,
                    "threshold": 0.5,
                },
            ),
        ),
        (
            "operation: clear, memory_ref: chat, clear_config: {confirm: true, backup: true}",
            MemoryCall("clear", "chat", "all", None, {"confirm": True, "backup": True}),
        ),
    ],
)
def test_a_memory_task_becomes_a_call(files: Files, task: str, expected: MemoryCall) -> None:
    """The options of its operation are flat; the key may come from the memory."""
    assert expected == load(files, task).workflows["w"].tasks[0].memory


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (
            "operation: raed, memory_ref: chat",
            ["2:31: operation 'raed' is not known; did you mean 'read'?"],
        ),
        ("memory_ref: chat", ["2:9: 'operation' is missing"]),
        ("operation: read", ["2:9: 'key_template' is missing", "2:9: 'memory_ref' is missing"]),
        (
            "operation: read, memory_ref: caht",
            ["2:48: there is no memory 'caht'; did you mean 'chat'?"],
        ),
        ("operation: read, memory_ref: log", ["2:9: 'key_template' is missing"]),
        (
            "operation: append, memory_ref: chat",
            ["2:31: append needs 'payload', what to keep"],
        ),
        (
            "operation: clear, memory_ref: chat, clear_config: {confirm: false}",
            ["2:31: clear needs 'clear_config: { confirm: true }'"],
        ),
        (
            f"{READ}, max_keys: 50001, batch_size: 0",
            [
                "2:66: max_keys must be a whole number from 1 to 50000, not 50001",
                "2:83: batch_size must be a whole number from 1 to 10000, not 0",
            ],
        ),
        (
            "operation: flush, memory_ref: chat, flush_config: {threshold: 2, strategy: lur}",
            [
                "2:82: threshold must be a number from 0 to 1, not 2",
                "2:96: strategy 'lur' is not known; did you mean 'lru'?",
            ],
        ),
        (
            f"{READ}, key_template: '{{{{ .workflow.inputs }}}}'",
            ["2:84: workflow has no 'inputs'; did you mean 'input'?"],
        ),
        (f"{READ}, tool: x", ["2:66: tool cannot stand here; it belongs to tasks of type basic"]),
    ],
)
def test_a_mistake_in_a_memory_task_has_a_place(
    files: Files, task: str, expected: list[str]
) -> None:
    """Operations, memories, keys, options and templates."""
    found = [problem.partition(", and the memory")[0] for problem in problems(files, task)]
    assert [f"w.yaml:{line}" for line in expected] == found


def test_the_options_of_another_operation_are_told(files: Files) -> None:
    """They are checked, and change nothing."""
    loaded = load(files, f"{READ}, stats_config: {{include_content: true}}")
    assert ("w.yaml:2:66: stats_config has no effect on the operation read",) == loaded.warnings


def test_a_workflow_alone_has_no_memory(files: Files) -> None:
    """The sentence says where one belongs."""
    assert ["w.yaml:2:48: there is no memory 'chat'; declare it in 'memories'"] == files.problems(
        FLOW % READ
    )


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ("type: token", "type 'token' is not known; did you mean 'token_based'?"),
        ("max_token: 5", "unknown key 'max_token'; did you mean 'max_tokens'?"),
        ("max_messages: 0", "max_messages must be a whole number from 1, not 0"),
        (
            "persistence: {type: redis}",
            "'ttl' is missing, how long messages are kept after the last one",
        ),
        ("persistence: {ttl: 0s}", "ttl must be longer than 0"),
        (
            "privacy_policy: {redact_patterns: ['(']}",
            "the pattern '(' is not valid: the pattern has a ( that is not closed",
        ),
        (
            "token_allocation: {short_term: 0.5, user_defined: {a: 0.2}}",
            "the shares must make 1 together, not 0.7",
        ),
        ("max_context_ratio: 0.5", "max_context_ratio needs 'token_provider'"),
        ("default_key_template: '{{ .tasks.a }}'", "there is no variable 'tasks'"),
        (
            "flushing: {type: simple_fif}",
            "type 'simple_fif' is not known; did you mean 'simple_fifo'?",
        ),
        ("}, {id: m", "the memory 'm' is there twice"),
    ],
)
def test_a_mistake_in_a_memory_is_told(files: Files, memory: str, expected: str) -> None:
    """Kinds, bounds, patterns, shares and templates."""
    found = problems(
        files,
        "operation: read, memory_ref: m, key_template: x",
        f"{HEAD}memories: [{{id: m, {memory}}}]",
    )
    assert [expected] == [problem.split(": ", 1)[1] for problem in found]
    assert found[0].startswith("compozy.yaml:3:")


def test_what_a_memory_says_without_effect_is_told(files: Files) -> None:
    """Existing projects have fields for other stores and for language models."""
    loaded = load(
        files,
        "operation: read, memory_ref: m, key_template: x",
        f"""{HEAD}
memories:
  - id: m
    flushing: {{ type: hybrid_summary, summary_tokens: 100 }}
    persistence: {{ ttl: 1h, circuit_breaker: {{ enabled: true, timeout: 1s }} }}
    locking: {{ append_ttl: 30s }}
    token_allocation: {{ short_term: 0.7, long_term: 0.3 }}
""",
    )
    assert [
        "compozy.yaml:6:17: hybrid_summary needs a language model; without one simple_fifo is used",
        "compozy.yaml:6:39: summary_tokens has no effect",
        "compozy.yaml:7:29: circuit_breaker has no effect: the memory is in the database of the server",
        "compozy.yaml:8:5: locking has no effect on a memory here",
        "compozy.yaml:9:5: token_allocation has no effect on a memory here",
    ] == [*loaded.warnings]
