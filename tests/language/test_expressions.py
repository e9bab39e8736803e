"""Conditions: what they see, what they cost, and how they fail."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidInput
from appliance.language.expressions import (
    FUNCTIONS,
    MAX_LENGTH,
    InvalidExpression,
    compile_expression,
)

VARIABLES = {
    "tasks": {"my-task": {"output": {"rate": 1.5, "tags": ["a", "b"]}}, "empty": {"output": None}},
    "input": {"n": 3, "name": "Ada", "ok": True, "items": [{"price": 2}, {"price": 5}]},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("  ", True),
        ("true", True),
        ("input.n > 2 && input.name == 'Ada'", True),
        ('tasks["my-task"].output.rate > 1.2 ? "high" : "low"', "high"),
        ("tasks['my-task'].output.tags.exists(t, t == 'b')", True),
        ("input.items.all(item, item.price > 1)", True),
        ("input.items.filter(i, i.price > 2).size()", 1),
        ("input.items.map(i, i.price)", [2, 5]),
        ("input.items[1].price", 5),
        ("has(tasks.fetch)", False),
        ("has(input.name)", True),
        ("tasks.empty.output == null", True),
        ("input.n == 3.0", True),
        ("string(input.n) + '!'", "3!"),
        ("'n' in input", True),
        ("input['n'] // input.missing\n + 1", 4),
        ("""input.name.matches('^[A-Z]') && "a.b.c" != 'x.y'""", True),
        ("size(input.name)", 3),
        ("timestamp('2020-01-02T03:04:05Z').getFullYear()", 2020),
        ("{'a': [1, null, 2.5]}", {"a": [1, None, 2.5]}),
    ],
)
def test_conditions_evaluate(text: str, expected: Any) -> None:
    """The usual ways to write a condition work; an empty one is true."""
    assert expected == compile_expression(text).evaluate(VARIABLES)


class Counting(Mapping[str, Any]):
    """A mapping that remembers what was looked up, and fails on what must not be."""

    def __init__(self, known: dict[str, Any]) -> None:
        self.known = known
        self.looked_up: list[str] = []

    def __getitem__(self, key: str) -> Any:
        self.looked_up.append(key)
        return self.known[key]

    def __contains__(self, key: object) -> bool:
        return key in self.known

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)


def test_only_what_a_condition_names_is_looked_up() -> None:
    """The cost of a condition does not grow with the run."""
    tasks = Counting({"a": Counting({"output": {"n": 1}, "input": {}}), "b": {"output": "big"}})
    root = Counting({"tasks": tasks, "input": {}, "env": {}})

    assert compile_expression("tasks.a.output.n == 1").evaluate(root) is True
    assert ["tasks"] == root.looked_up
    assert ["a"] == tasks.looked_up
    assert ["output"] == tasks.known["a"].looked_up


def test_the_outputs_of_a_large_run_cost_nothing() -> None:
    """A thousand evaluations beside 100,000 values take milliseconds, not minutes."""
    tasks = {f"t{n}": {"output": list(range(100))} for n in range(1000)}
    variables = {"tasks": {**tasks, "a": {"output": {"n": 1}}}}
    expression = compile_expression("tasks.a.output.n > 0")
    began = time.perf_counter()

    for _ in range(1000):
        expression.evaluate(variables)

    assert time.perf_counter() - began < 1


def test_a_lazy_mapping_can_be_named_whole() -> None:
    """A path that is computed gets all there is."""
    variables = {"tasks": Counting({"a": Counting({"n": 1})}), "input": {"which": "a"}}
    assert 1 == compile_expression("tasks[input.which].n").evaluate(variables)


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("tasks.a.output.n > input.x", {("tasks", "a", "output", "n"), ("input", "x")}),
        ('tasks["a-b"].output', {("tasks", "a-b", "output")}),
        ("input.l.all(x, x.y > z.w)", {("input", "l"), ("z", "w")}),
        ("input.s.size() + size(env.a)", {("input", "s"), ("env", "a")}),
        ("tasks[input.k].output", {("tasks",), ("input", "k")}),
        ("'tasks.a' + \"b.c\" + r'\\d.e'", set()),
        ("[1, 2].exists(x, x == 1) // a.b", set()),
        ("1.5 + 2.0e3", set()),
        ("has(tasks.a.output)", {("tasks", "a", "output")}),
    ],
)
def test_references_are_the_paths_that_are_known(
    text: str, references: set[tuple[str, ...]]
) -> None:
    """Names that a macro binds, methods and texts are no references."""
    expression = compile_expression(text)
    assert references == {reference.path for reference in expression.references}
    assert {path[0] for path in references} == expression.names


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("1 +", 1, 4, "not a valid condition: it ends too early"),
        ("a b", 1, 3, "not a valid condition: 'b' cannot stand here"),
        ("1 +\n  )", 2, 3, "not a valid condition: ')' cannot stand here"),
        ("for", 1, 1, "not a valid condition: reserved identifier: for"),
        ("a" * (MAX_LENGTH + 1), 0, 0, f"the condition has more than {MAX_LENGTH} characters"),
    ],
)
def test_a_syntax_error_has_a_place(text: str, line: int, column: int, message: str) -> None:
    """What is not CEL is refused when it is compiled."""
    with pytest.raises(InvalidExpression) as caught:
        compile_expression(text)
    assert (message, line, column) == (
        caught.value.message,
        caught.value.line,
        caught.value.column,
    )


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("nowhere", "Undefined variable or function: 'nowhere'"),
        ("tasks.fetch.output", "there is no 'fetch' in what it names"),
        (
            "input.n + 'x'",
            "No such overload: the operation is not defined for the given operand types",
        ),
        ("1 / 0", "division by zero in CEL expression"),
        ("9223372036854775807 + 1", "Arithmetic overflow in 'add' on 9223372036854775807 and 1"),
        ("input.items[7]", "index out of bounds: 7"),
        ("input.n.size()", "size cannot take what it is given here"),
        ("1e300 * 1e300", "the result is not a finite number"),
        ("timestamp('2020-01-02T03:04:05Z')", "the result is a datetime; use string(...)"),
    ],
)
def test_a_failure_is_a_sentence(text: str, cause: str) -> None:
    """What goes wrong while evaluating names the condition and the cause."""
    with pytest.raises(InvalidInput) as caught:
        compile_expression(text).evaluate(VARIABLES)
    assert f"the condition {text!r} failed: {cause}" == caught.value.message


def test_functions_that_do_not_exist_are_known_beforehand() -> None:
    """A mistyped function is found without evaluating."""
    text = "siz(input) > 0 && has(input.x) && input.l.all(x, x.startsWith('a') || -1 in [2])"
    assert ("siz",) == compile_expression(text).unknown_functions
    assert "size" in FUNCTIONS


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("l.all(x, l.all(y, l.all(z, x + y > z)))", {"l": list(range(1000))}),
        ("l.map(x, l.map(y, l))", {"l": list(range(100))}),
        ("l.map(x, l)", {"l": [{"a": n} for n in range(1000)]}),
        ("l.filter(x, x > 0)", {"l": list(range(100_000))}),
        ("+".join(["s"] * 900), {"s": "x" * 5_000_000}),
        ("size(" + "+".join(["s"] * 400) + ") > 0", {"s": "x" * 600_000}),
        ("l.exists(x, x < 0)", {"l": list(range(3_000_000))}),
        ("l.map(x, s)", {"l": list(range(100)), "s": "x" * 1_000_000}),
    ],
)
def test_what_could_run_for_minutes_is_not_begun(text: str, variables: dict[str, Any]) -> None:
    """Loops in loops over large values are refused; the library could not be stopped."""
    began = time.perf_counter()
    with pytest.raises(
        InvalidInput, match=r"it would go over \d+ values or more, and \d+ are allowed"
    ):
        compile_expression(text).evaluate(variables)
    assert time.perf_counter() - began < 2


def test_one_loop_over_a_large_list_is_allowed() -> None:
    """What costs little is not refused for its size."""
    variables = {"l": list(range(20_000))}
    assert compile_expression("l.all(x, x >= 0)").evaluate(variables) is True


@pytest.mark.parametrize(
    "text", ["1" + "+1" * 999, "(" * 999 + "1" + ")" * 999, "!" * 1999 + "true"]
)
def test_the_longest_expressions_fit_a_small_stack(text: str) -> None:
    """No expression that is accepted can overflow the stack of a thread."""
    ended: list[str] = []

    def run() -> None:
        try:
            ended.append(str(compile_expression(text).evaluate({})))
        except InvalidInput as error:
            ended.append(error.message)

    threading.stack_size(1 << 20)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(0)
    assert 1 == len(ended)


_WORDS = (
    "tasks . a [ ] ( ) { } 'x' \" 1 2.5 1u -1 + - * / % ! && || == != < > ? : , in true null input l"
    " map filter all exists has size matches string int timestamp duration x b'a' \\ // r' '''"
)
_PIECES = st.sampled_from(_WORDS.split())


@given(st.text() | st.lists(_PIECES, max_size=25).map(" ".join))
def test_any_text_is_evaluated_or_refused(text: str) -> None:
    """Nothing but InvalidInput comes out of a condition, whatever it says."""
    with contextlib.suppress(InvalidInput):
        compile_expression(text).evaluate({"tasks": {"a": {"l": [1, "x"]}}, "input": 1, "x": "y"})


def test_the_library_comes_without_its_command_line() -> None:
    """A condition costs one extension module, not the terminal toolkit beside it."""
    program = (
        "import sys; from appliance.language.expressions import compile_expression as compiled;"
        "assert compiled('1 + 1').evaluate({}) == 2;"
        "print(sorted({'prompt_toolkit', 'typer', 'rich'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "[]\n" == ended.stdout
