"""Calls: what a function is given, what it may return, and what is said when it fails."""

from __future__ import annotations

import venv
from pathlib import Path

import pytest

from appliance.tools.pool import ToolFailure, ToolRequest
from tests.tools.workshop import CONTEXT, Workshop, request


def test_arguments_are_given_by_keyword(workshop: Workshop, loop_kind: str) -> None:
    """The keys of the JSON object are the names of the parameters; defaults stay."""
    workshop.open("def greet(name, greeting='hello'): return {'text': f'{greeting} {name}'}")

    assert workshop.output("greet", name="Ada") == {"text": "hello Ada"}
    assert workshop.output("greet", name="Ada", greeting="ciao") == {"text": "ciao Ada"}


def test_hyphens_in_a_tool_stand_for_underscores(workshop: Workshop) -> None:
    """A tool id may have hyphens, which no Python name has."""
    workshop.open("def send_mail(): return 'sent'")

    assert workshop.output("send-mail") == "sent"


def test_an_async_function_is_run_to_its_end(workshop: Workshop) -> None:
    """`async def` works like `def`, again and again in the same process."""
    workshop.open("""
        import asyncio
        async def twice(n):
            await asyncio.sleep(0)
            return n * 2
    """)

    assert [workshop.output("twice", n=n) for n in (1, 2, 3)] == [2, 4, 6]


def test_context_goes_to_the_parameter_of_that_name(workshop: Workshop) -> None:
    """A function that declares `context` learns which run and attempt it works for."""
    workshop.open("""
        def who(context): return context
        def anyone(**rest): return rest
    """)

    assert workshop.output("who") == {**CONTEXT, "attempt": 1}
    assert workshop.output("who", context="mine") == "mine"
    assert workshop.output("anyone") == {}


def test_env_is_set_for_the_call_only(workshop: Workshop) -> None:
    """Variables of a call are there while it runs and as before afterwards, even if it raised."""
    workshop.open(
        """
        import os
        def look(): return [os.environ.get("A"), os.environ.get("B")]
        def fail(): raise ValueError(os.environ["B"])
        """,
        env={"A": "of the runtime"},
    )

    assert workshop.output("look", env={"A": "mine", "B": "too"}) == ["mine", "too"]
    assert workshop.output("look") == ["of the runtime", None]
    assert workshop.failure("fail", env={"B": "b"}).message == "ValueError: b"
    assert workshop.output("look") == ["of the runtime", None]


def test_secrets_of_the_server_are_kept_back(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function sees the environment of the server without its passwords and keys."""
    for name in ("DATABASE_URL", "DB_PASSWORD", "COMPOZY_API_KEY", "MINE", "OTHER"):
        monkeypatch.setenv(name, "x")
    workshop.open("import os\ndef names(): return sorted(os.environ)", secrets=frozenset({"MINE"}))

    names = workshop.output("names")

    assert {"OTHER", "PATH"} <= set(names)
    assert not {"DATABASE_URL", "DB_PASSWORD", "COMPOZY_API_KEY", "MINE"} & set(names)


def test_results_are_passed_on_as_they_are(workshop: Workshop) -> None:
    """Any JSON value is a result; None is an empty object."""
    workshop.open("""
        def nothing(): pass
        def same(value): return value
        def pair(): return (1, 2)
    """)

    assert workshop.output("nothing") == {}
    assert workshop.output("pair") == [1, 2]
    values: list[object] = [0, "", [], {"a": [None, True, 1.5]}, "añ\u2028\x00\U0001f600", 10**30]
    for value in values:
        assert workshop.output("same", value=value) == value


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("{1, 2}", "a set, is not JSON: TypeError"),
        ("{'a': object()}", "Object of type object is not JSON serializable"),
        ("float('nan')", "a float, is not JSON: ValueError"),
        ("'\\ud800'", "surrogates not allowed"),
        ("(x for x in ())", "a generator, is not JSON"),
        ("loop", "a list, is not JSON: ValueError: Circular reference"),
        ("nested(101)", "nested more than 100 levels deep"),
        ("nested(100000)", "is not JSON: RecursionError"),
        ("'x' * (10 << 20)", "has 10485762 bytes of JSON; the limit is 10485760"),
    ],
)
def test_a_result_that_is_not_json_is_refused(
    workshop: Workshop, expression: str, words: str
) -> None:
    """TOOL_OUTPUT says what is wrong with a result, and the process goes on."""
    workshop.open(f"""
        import os
        loop = []
        loop.append(loop)
        def nested(levels):
            value = 1
            for _ in range(levels):
                value = [value]
            return value
        def tool(): return {expression}
        def pid(): return os.getpid()
    """)
    pid = workshop.output("pid")

    failure = workshop.failure("tool")

    assert ("TOOL_OUTPUT", False) == (failure.code, failure.retryable)
    assert words in failure.message
    assert pid == workshop.output("pid")


def test_large_arguments_and_results_pass(workshop: Workshop) -> None:
    """Frames of megabytes cross in pieces, both ways, byte for byte."""
    workshop.open("def same(text, deep): return {'text': text, 'deep': deep}")
    text = "ab" * (4 << 20)
    deep: list[object] = []
    for _ in range(90):
        deep = [deep, {}]

    assert workshop.output("same", text=text, deep=deep) == {"text": text, "deep": deep}


def test_an_exception_is_reported_with_type_and_place(workshop: Workshop) -> None:
    """TOOL_ERROR has the type, the message and the frames of the user, none of ours."""
    workshop.open("""
        def outer(n): inner(n)
        def inner(n): raise LookupError(f"no {n}")
        async def later(n): inner(n)
    """)

    for tool in ("outer", "later"):
        failure = workshop.failure(tool, n=7)

        assert ("TOOL_ERROR", "LookupError: no 7", True) == (
            failure.code, failure.message, failure.retryable,
        )  # fmt: skip
        assert failure.details["type"] == "LookupError"
        places = [line for line in failure.details["traceback"].splitlines() if "File" in line]
        assert [f"in {tool}", "in inner"] == [line.split(", ")[2] for line in places]
        assert all(str(workshop.entrypoint) in line for line in places)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise SystemExit(4)", "SystemExit: 4"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise ValueError('x' * 100000)", "ValueError: " + "x" * 1988),
        ("raise ValueError('\\ud800')", "ValueError: ?"),
        ("raise Broken", "Broken: its message cannot be shown"),
        ("raise TypeError('mine')", "TypeError: mine"),
        ("input()", "EOFError: EOF when reading a line"),
    ],
)
def test_whatever_is_raised_ends_the_call_alone(
    workshop: Workshop, body: str, message: str
) -> None:
    """No exception, however odd, takes the process or the protocol down."""
    workshop.open(f"""
        class Broken(Exception):
            def __str__(self): raise RuntimeError
        def tool(): {body}
        def fine(): return 1
    """)

    failure = workshop.failure("tool")

    assert ("TOOL_ERROR", message) == (failure.code, failure.message)
    assert workshop.output("fine") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "missing a required argument: 'name'"),
        ({"name": 1, "nam": 2}, "got an unexpected keyword argument 'nam'"),
        ({"name": 1, "first-name": 2}, "unexpected keyword argument 'first-name'"),
    ],
)
def test_arguments_that_do_not_fit_are_named(
    workshop: Workshop, arguments: dict[str, int], words: str
) -> None:
    """TOOL_ARGUMENTS names the function, the argument and the parameters; no retry helps."""
    workshop.open("def greet(name, *, loud=False): return name")

    failure = workshop.failure("greet", **arguments)

    assert ("TOOL_ARGUMENTS", False) == (failure.code, failure.retryable)
    assert failure.message.startswith("The function 'greet' cannot be called: ")
    assert words in failure.message
    assert failure.message.endswith("its parameters: name, loud (optional).")


def test_a_type_error_inside_a_function_is_its_own(workshop: Workshop) -> None:
    """Only arguments that do not fit the signature are TOOL_ARGUMENTS."""
    workshop.open("""
        def inner(a): pass
        def outer(): inner()
        def odd(n): return n + ""
    """)

    assert workshop.failure("outer").code == "TOOL_ERROR"
    assert workshop.failure("odd", n=1).code == "TOOL_ERROR"


@pytest.mark.parametrize("arguments", [b"[1]", b"{", b"null"])
def test_arguments_must_be_an_object(workshop: Workshop, arguments: bytes) -> None:
    """What is no JSON object is refused and the process goes on."""
    workshop.open("def tool(**rest): return rest")

    outcome = workshop.outcomes([ToolRequest("tool", arguments, {}, 5.0)])[0]

    assert isinstance(outcome, ToolFailure)
    assert outcome.code == "TOOL_ARGUMENTS"


@pytest.mark.parametrize(
    "tool", ["gret", "_hidden", "Thing", "json", "LIMIT", "__import__", "", "unlisted", "a.b"]
)
def test_only_public_functions_can_be_called(workshop: Workshop, tool: str) -> None:
    """Names with an underscore, classes, modules, constants and unlisted names are not found."""
    workshop.open("""
        import json
        __all__ = ["greet", "Thing", "LIMIT", "json", "_hidden"]
        LIMIT = 3
        class Thing: pass
        def greet(): pass
        def _hidden(): pass
        def unlisted(): pass
    """)

    failure = workshop.failure(tool)

    assert ("TOOL_NOT_FOUND", False) == (failure.code, failure.retryable)
    assert str(workshop.entrypoint) in failure.message


def test_a_name_nearly_right_gets_a_hint(workshop: Workshop) -> None:
    """A misspelt tool is answered with the function that was meant."""
    workshop.open("def greet(): pass")

    assert workshop.failure("great").message.endswith("; did you mean 'greet'?")


def test_what_a_function_prints_goes_to_the_log(
    workshop: Workshop, capfd: pytest.CaptureFixture[str]
) -> None:
    """Output of a function lands on the server's standard error and never in the protocol."""
    workshop.open("""
        import os, sys
        def speak():
            print("to stdout")
            print("to stderr", file=sys.stderr)
            os.write(1, b"raw\\n")
            os.system("echo from a child")
            return 1
    """)

    assert workshop.output("speak") == 1
    assert capfd.readouterr() == ("", "to stdout\nto stderr\nraw\nfrom a child\n")


def test_modules_beside_the_entrypoint_can_be_imported(workshop: Workshop) -> None:
    """The entrypoint imports its neighbours, and nothing of this program, as a script would."""
    (workshop.entrypoint.parent / "neighbour.py").write_text("VALUE = 7")
    (workshop.entrypoint.parent / "pool.py").write_text("VALUE = 8")
    workshop.open("""
        import sys
        import neighbour, pool
        def values(): return [neighbour.VALUE, pool.VALUE]
        def path(): return sys.path
        def argv(): return sys.argv
        def loaded(): return [name for name in sys.modules if name.startswith("appliance")]
    """)

    path = workshop.output("path")

    assert workshop.output("values") == [7, 8]
    assert path[0] == str(workshop.entrypoint.parent)
    assert not [each for each in path if each == "" or each.endswith("appliance/tools")]
    assert workshop.output("argv") == [str(workshop.entrypoint)]
    assert workshop.output("loaded") == []


def test_an_entrypoint_may_be_a_package(workshop: Workshop) -> None:
    """`tools/__init__.py` can use relative imports, and dataclasses find their module."""
    package = workshop.entrypoint.parent / "tools"
    package.mkdir()
    (package / "parts.py").write_text("PART = 'wheel'")
    workshop.entrypoint = package / "__init__.py"
    workshop.open("""
        from __future__ import annotations
        from dataclasses import asdict, dataclass
        from .parts import PART
        @dataclass
        class Order:
            part: str
        def order(): return asdict(Order(PART))
    """)

    assert workshop.output("order") == {"part": "wheel"}


def test_another_interpreter_may_run_the_functions(workshop: Workshop, tmp_path: Path) -> None:
    """The zygote needs only a standard library: here one that has no package of this program."""
    venv.create(tmp_path / "bare", symlinks=True)
    bare = tmp_path / "bare" / "bin" / "python"
    workshop.open(
        "import importlib.util, sys\n"
        "def where(): return [sys.executable, importlib.util.find_spec('msgspec')]",
        python=str(bare),
    )

    assert workshop.output("where") == [str(bare), None]


def test_state_of_a_module_stays_within_a_process(workshop: Workshop) -> None:
    """Calls one after the other use the same warm process."""
    workshop.open("""
        import os
        seen = []
        def count():
            seen.append(1)
            return [os.getpid(), len(seen)]
    """)

    answers = [workshop.output("count") for _ in range(5)]

    assert [1, 2, 3, 4, 5] == [count for _, count in answers]
    assert len({pid for pid, _ in answers}) == 1


def test_requests_are_answered_to_who_asked(workshop: Workshop) -> None:
    """Many calls at once: every caller gets its own answer."""
    workshop.open("def same(n): return n")

    outcomes = workshop.outcomes([request("same", n=n) for n in range(2000)])

    assert [b"%d" % n for n in range(2000)] == [getattr(each, "output", each) for each in outcomes]
