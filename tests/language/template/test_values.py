"""What a template and a tree of templates turn into: text, or a value with its type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from appliance.errors import InvalidInput
from appliance.language.template import Environment, TemplateError, compile_text, compile_value

DATA: dict[str, Any] = {
    "n": 42,
    "big": 2**60,
    "f": 1.5,
    "t": True,
    "none": None,
    "list": [1, [2, {"a": None}]],
    "map": {"b": 1},
    "json": '{"a": 1}',
    "word": "true",
}
VALUES: dict[str, Any] = {
    "{{ .n }}": 42,
    "  {{ .n }}\n": 42,
    "{{- .n -}}": 42,
    "{{/* note */}}{{ .n }}": 42,
    "{{ .big }}": 2**60,
    "{{ .f }}": 1.5,
    "{{ .t }}": True,
    "{{ .none }}": None,
    "{{ .list }}": [1, [2, {"a": None}]],
    "{{ .map }}": {"b": 1},
    "{{ . }}": DATA,
    "{{ add .n 1 }}": 43,
    "{{ index .list 1 }}": [2, {"a": None}],
    "{{ eq .n 42 }}": True,
    '{{ dict "a" (list .n) }}': {"a": [42]},
    "{{ now }}": "2026-03-14T15:09:26.535897Z",
    # a lone path to text stays text, whatever it looks like
    "{{ .json }}": '{"a": 1}',
    "{{ .word }}": "true",
    # everything else is text, parsed when it is an object or array
    "n={{ .n }}": "n=42",
    "{{ .n }}{{ .n }}": "4242",
    "{{ if true }}5{{ end }}": "5",
    "{{ if true }}{{ .t }}{{ end }}": "true",
    "{{ .map | toJson }}": {"b": 1},
    '{"a": {{ .n }}, "b": [{{ .f }}]}': {"a": 42, "b": [1.5]},
    "[{{ .n }}, 2]\n": [42, 2],
    "{ {{ .n }} ": "{ 42 ",
    "[{{ .n }}] rest": "[42] rest",
    "{{ print `[NaN]` }}": "[NaN]",
    # numbers that JavaScript cannot hold stay text
    "[9007199254740991, -9007199254740991]{{/**/}}": [2**53 - 1, 1 - 2**53],
    "{{ print `[9007199254740992, 123456789012345678901234567890]` }}": [
        "9007199254740992", "123456789012345678901234567890"],
    "{{ print `[0.1, 0.12345678901234567890, 1e999]` }}": [0.1, "0.12345678901234567890", "1e999"],
    "plain": "plain",
    "": "",
}  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), VALUES.items(), ids=list(VALUES))
def test_values_keep_their_type(value: Callable[..., Any], source: str, expected: Any) -> None:
    """Exactly one action keeps its type; anything else is text, or the JSON it spells."""
    result = value(source, **DATA)
    assert expected == result
    assert type(expected) is type(result)


def test_a_value_is_a_copy(value: Callable[..., Any]) -> None:
    """Data are passed on as they are; what else is rendered shares nothing with what was given."""
    given = {"list": [1, {"a": 1}]}
    assert value("{{ .list }}", **given) is given["list"]
    result = value("{{ first (list .list) }}", **given)
    result[1]["a"] = 2
    assert {"list": [1, {"a": 1}]} == given


def test_a_tree_renders_its_templates(env: Environment) -> None:
    """Strings with actions are rendered wherever they stand; all else stays as it is."""
    tree = compile_value(
        {"user": {"name": "{{ .n }}"}, "tags": ["x", "{{ .list }}"], "k": 1, "{{": "y"}
    )
    assert {
        "user": {"name": 42},
        "tags": ["x", [1, [2, {"a": None}]]],
        "k": 1,
        "{{": "y",
    } == tree.render(DATA, env)
    assert not tree.constant
    assert {("n",), ("list",)} == tree.references


@pytest.mark.parametrize("given", [None, 1, 1.5, True, "text }}", [], {}, ["a", {"b": [None]}]])
def test_a_tree_without_templates_is_constant(given: Any, env: Environment) -> None:
    """A value without an action renders to itself."""
    tree = compile_value(given)
    assert tree.constant
    assert frozenset() == tree.references
    assert given == tree.render({}, env)


def test_errors_in_a_tree_name_the_place(env: Environment) -> None:
    """Both kinds of errors begin with the keys that lead to the template."""
    with pytest.raises(TemplateError) as caught:
        compile_value({"user": {"names": ["a", "{{ zzzz }}"]}}, "with")
    assert "with.user.names[1]: there is no function 'zzzz'" == caught.value.message
    assert ("with", "user", "names", 1) == caught.value.path
    assert (1, 4) == (caught.value.line, caught.value.column)
    tree = compile_value({"user": {"name": "{{ .x }}"}})
    with pytest.raises(
        TemplateError, match=r"^user\.name: \.x does not exist; \. has y$"
    ) as caught:
        tree.render({"y": 1}, env)
    assert ("user", "name") == caught.value.path
    with pytest.raises(TemplateError, match=r"^\.x does not exist: \. is empty$"):
        compile_value("{{ .x }}").render({}, env)
    with pytest.raises(TemplateError, match=r"^\[0\]: "):
        compile_value(["{{"])


def test_a_template_error_is_invalid_input() -> None:
    """Callers that know only the appliance's errors answer with 400 and the sentence."""
    with pytest.raises(InvalidInput) as caught:
        compile_text("{{")
    assert (400, "template") == (caught.value.status, caught.value.code)
    assert {"line": 1, "column": 1} == caught.value.details


def test_values_that_are_not_json_are_refused(value: Callable[..., Any]) -> None:
    """Nothing but JSON leaves a template."""
    for source in ("{{ .x }}", "x={{ .x }}", "{{ list .x }}"):
        with pytest.raises(TemplateError, match="a value of type object is not JSON"):
            value(source, x=object())


def test_a_template_can_be_rendered_by_many_at_once(env: Environment) -> None:
    """A compiled template holds no state of a render."""
    from concurrent.futures import ThreadPoolExecutor

    template = compile_text("{{ range $i, $x := .l }}{{ $y := add $x $i }}{{ $y }},{{ end }}")
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: template.text({"l": [n] * 50}, env), range(100)))
    assert [",".join(str(n + i) for i in range(50)) + "," for n in range(100)] == results


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (r'"\ud800"', "\ufffd"),
        (r'"\udc00\ud800x"', "\ufffd\ufffdx"),
        (r'{"\uDFFF": ["\ud83d\ude00", "\\ud800"]}', {"\ufffd": ["\U0001f600", r"\ud800"]}),
        (r'["\ud800\ud83d\ude00\u0041"]', ["\ufffd\U0001f600A"]),
    ],
)
def test_half_of_a_character_is_none(value: Callable[..., Any], source: str, expected: Any) -> None:
    """JSON inside of a text may spell what cannot be stored: U+FFFD takes its place, as in Go."""
    assert expected == value("{{ fromJson .v }}", v=source)
    assert [expected] == value("[{{ .v }}]", v=source)
