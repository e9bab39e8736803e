"""The syntax of Go's `text/template`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from appliance.language.template import TemplateError, compile_text

DATA = {
    "name": "Ada",
    "n": 3,
    "zero": 0,
    "none": None,
    "list": ["a", "b", "c"],
    "map": {"b": 2, "a": 1},
    "tasks": {"my-task": {"output": {"x": 7}}, "step-1": {"output": [1, 2]}},
    "people": [{"name": "Bo", "tags": ["x"]}, {"name": "Cy", "tags": []}],
}
CASES = {
    "plain text": "plain text",
    "": "",
    "a } b }} c { d": "a } b }} c { d",
    "Hi {{ .name }}!": "Hi Ada!",
    "{{.name}}{{ .n }}": "Ada3",
    # trim markers and comments
    "a  {{- .n -}}  b": "a3b",
    "a \n\t{{- .n }} b": "a3 b",
    "{{- 3 -}}": "3",
    "{{-3}}": "-3",
    "a {{/* note\n }} */}} b": "a  b",
    "a {{- /* note */ -}} b": "ab",
    # constants
    r'{{ "a\tb\"\\\u00e4\x41\101\U0001F600" }}': 'a\tb"\\äAA😀',
    '{{ `raw \\n "q"` }}': 'raw \\n "q"',
    "{{ 'a' }}{{ '\\n' }}": "9710",
    "{{ 0x1F }} {{ 0o17 }} {{ 017 }} {{ 0b101 }} {{ 1_000 }} {{ -5 }} {{ +5 }}": "31 15 15 5 1000 -5 5",
    "{{ 1.5 }} {{ .5 }} {{ 1e3 }} {{ -2.5e-1 }}": "1.5 0.5 1000 -0.25",
    "{{ true }} {{ false }} {{ nil }}": "true false <no value>",
    # fields
    "{{ .tasks.my-task.output.x }}": "7",
    "{{ .tasks.step-1.output }}": "[1 2]",
    "{{ (index .people 0).name }}": "Bo",
    "{{ (index .people 1).tags | len }}": "0",
    "{{ $.name }}{{ ($).n }}": "Ada3",
    "{{ .none }}": "<no value>",
    # pipelines
    '{{ .name | upper | printf "%s-%s" "x" }}': "x-ADA",
    "{{ (upper (lower .name)) | len }}": "3",
    "{{ .name | len | add 1 }}": "4",
    # variables
    "{{ $x := 1 }}{{ $x }}{{ $x = 2 }}{{ $x }}": "12",
    "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 9 }}{{ end }}{{ $x }}": "2",
    "{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}": "21",
    "{{ $x := 1 }}{{ $x := add $x 1 }}{{ $x }}": "2",
    "{{ $p := index .people 0 }}{{ $p.name }}{{ range $p.tags }}{{ . }}{{ $.n }}{{ end }}": "Box3",
    # if
    "{{ if .n }}yes{{ end }}{{ if .zero }}no{{ end }}": "yes",
    "{{ if .zero }}a{{ else if eq .n 3 }}b{{ else }}c{{ end }}": "b",
    "{{ if .zero }}a{{ else if .none }}b{{ else }}c{{ end }}": "c",
    "{{ if $x := .n }}{{ $x }}{{ else }}{{ $x }}{{ end }}": "3",
    # with
    "{{ with .map }}{{ .a }}{{ end }}{{ with .none }}x{{ else }}y{{ end }}": "1y",
    "{{ with $m := .map }}{{ $m.b }}{{ .a }}{{ end }}": "21",
    "{{ with .none }}a{{ else with .map }}{{ .a }}{{ else }}c{{ end }}": "1",
    # range
    "{{ range .list }}[{{ . }}]{{ end }}": "[a][b][c]",
    "{{ range $x := .list }}{{ $x }}{{ . }}{{ end }}": "aabbcc",
    "{{ range $i, $x := .list }}{{ $i }}{{ $x }}{{ end }}": "0a1b2c",
    "{{ range $k, $v := .map }}{{ $k }}={{ $v }};{{ end }}": "a=1;b=2;",
    "{{ range .map }}{{ . }}{{ end }}": "12",
    "{{ range 3 }}{{ . }}{{ end }}{{ range $i := 2 }}{{ $i }}{{ end }}": "01201",
    "{{ range .none }}x{{ else }}empty{{ end }}{{ range list }}x{{ else }}empty{{ end }}": "emptyempty",
    "{{ range .list }}{{ if eq . `b` }}{{ continue }}{{ end }}{{ . }}{{ end }}": "ac",
    "{{ range .list }}{{ if eq . `b` }}{{ break }}{{ end }}{{ . }}{{ end }}": "a",
    "{{ range .list }}{{ range $.list }}{{ break }}{{ end }}{{ . }}{{ end }}": "abc",
    "{{ $l := `` }}{{ range $l = .list }}{{ end }}{{ $l }}": "c",
    "{{ range $i, $p := .people }}{{ if $i }}, {{ end }}{{ $p.name }}{{ end }}": "Bo, Cy",
    # templates
    '{{ define "t" }}<{{ . }}>{{ end }}{{ template "t" .name }}{{ template "t" 1 }}': "<Ada><1>",
    '{{ template "t" }}{{ define "t" }}{{ . }}{{ end }}': "<no value>",
    '{{ block "b" .map }}{{ .a }}{{ $.b }}{{ end }}{{ template "b" (dict "a" 8 "b" 9) }}': "1289",
    '{{ define "t" }}{{ $x := 5 }}{{ $x }}{{ end }}{{ $x := 1 }}{{ template "t" }}{{ $x }}': "51",
    '{{ define "down" }}{{ . }}{{ if . }}{{ template "down" (sub . 1) }}{{ end }}{{ end }}'
    '{{ template "down" 3 }}': "3210",
    # and, or stop early
    "{{ or .n .missing }}{{ and .zero .missing }}": "30",
}


@pytest.mark.parametrize(("source", "expected"), CASES.items(), ids=list(CASES))
def test_syntax(text: Callable[..., str], source: str, expected: str) -> None:
    """Every piece of the syntax renders as Go renders it."""
    assert expected == text(source, **DATA)


LEFT_OUT = "is left out: a template reaches no program, file, environment, network or key"
SYNTAX_ERRORS = {
    "{{ .a": (1, 1, 'the action is not closed: "}}" is missing'),
    "x\n {{ .a": (2, 2, 'the action is not closed: "}}" is missing (template line 2, column 2)'),
    '{{ "a }}': (1, 4, "the text is not closed"),
    "{{ `a }}": (1, 4, "the raw text is not closed"),
    "{{ 'a }}": (1, 4, "the character is not closed"),
    "{{ 'ab' }}": (1, 4, "single quotes hold one character; use double quotes for text"),
    "{{/* a }}": (1, 1, 'the comment is not closed: it must end with "*/}}"'),
    "{{ .a ! }}": (1, 7, "unexpected '!'"),
    "{{ }}": (1, 4, "unexpected }}; expected a value"),
    "{{ .a | }}": (1, 9, "unexpected }}; expected a value"),
    "{{ (.a }}": (1, 8, "unexpected }}; expected )"),
    "{{ .a) }}": (1, 6, "unexpected ); expected }}"),
    '{{ "a""b" }}': (1, 7, 'unexpected "b"; expected a blank before it'),
    "{{ 1.x }}": (1, 4, "1.x is not a number, or it does not fit into 64 bits"),
    "{{ 12345678901234567890 }}": (
        1, 4, "12345678901234567890 is not a number, or it does not fit into 64 bits"),
    r'{{ "\q" }}': (1, 4, r"unknown escape \q"),
    r'{{ "\ud800" }}': (1, 4, r"\ud800 is not a character"),
    r'{{ "\xff" }}': (1, 4, r"\xff is not a character"),
    "{{ if .a }}": (1, 4, "this block has no {{end}}"),
    "{{ end }}": (1, 1, "{{end}} has nothing to belong to"),
    "{{ else }}": (1, 1, "{{else}} has nothing to belong to"),
    "{{ if .a }}{{ else }}{{ else }}{{ end }}": (1, 22, "{{else}} has nothing to belong to"),
    "{{ range .a }}{{ else if .b }}{{ end }}": (1, 23, "unexpected if; expected }}"),
    "{{ break }}": (1, 4, "break outside of range"),
    "{{ continue }}": (1, 4, "continue outside of range"),
    "{{ $x }}": (1, 4, "the variable $x is not known; declare it with :="),
    "{{ $total := 1 }}{{ $totl }}": (1, 21, "the variable $totl is not known; did you mean '$total'?"),
    "{{ $x = 1 }}": (1, 4, "the variable $x is not known; declare it with :="),
    "{{ if true }}{{ $y := 1 }}{{ end }}{{ $y }}": (
        1, 39, "the variable $y is not known; declare it with :="),
    "{{ $ := 1 }}": (1, 4, "unexpected $; expected the name of a variable"),
    "{{ $a, $b := .x }}": (1, 6, "unexpected ,; expected :="),
    "{{ call .a }}": (1, 4, f"the function 'call' {LEFT_OUT}"),
    '{{ env "HOME" }}': (1, 4, f"the function 'env' {LEFT_OUT}"),
    "{{ upper }}": (1, 4, "upper: takes 1 arguments, not 0"),
    '{{ "a" | upper "b" }}': (1, 10, "upper: takes 1 arguments, not 2"),
    "{{ printf }}": (1, 4, "printf: takes at least 1 arguments, not 0"),
    "{{ round 1 }}": (1, 4, "round: takes 2 to 3 arguments, not 1"),
    "{{ and }}": (1, 4, "and: takes at least 1 arguments, not 0"),
    "{{ .a .b }}": (1, 4, ".a takes no arguments; only a function does"),
    "{{ 1 | .a }}": (1, 8, ".a takes no arguments; only a function does"),
    "{{ 1 2 }}": (1, 4, "only a function takes arguments"),
    "{{ nil.x }}": (1, 4, "nil has no keys"),
    "{{ ..a }}": (1, 4, ". has no keys"),
    '{{ template "a" }}': (1, 4, "there is no template 'a'"),
    '{{ define "row" }}{{ end }}{{ template "rwo" }}': (
        1, 31, "there is no template 'rwo'; did you mean 'row'?"),
    '{{ define "a" }}{{ end }}{{ define "a" }}{{ end }}': (1, 29, 'the template "a" is defined twice'),
    '{{ if 1 }}{{ define "a" }}{{ end }}{{ end }}': (1, 14, "define cannot stand inside another block"),
    "{{ template .x }}": (1, 13, 'unexpected .x; expected the name of a template in "quotes"'),
}  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), SYNTAX_ERRORS.items(), ids=list(SYNTAX_ERRORS))
def test_syntax_errors_say_where_and_what(source: str, expected: tuple[int, int, str]) -> None:
    """A wrong template is refused when it is compiled, with the place of the mistake."""
    with pytest.raises(TemplateError) as caught:
        compile_text(source)
    assert expected == (caught.value.line, caught.value.column, caught.value.message)


def test_an_unknown_function_is_refused_with_the_nearest_names() -> None:
    """A function that does not exist is found before anything runs."""
    with pytest.raises(TemplateError, match="no function 'uper'; did you mean 'upper'") as caught:
        compile_text("{{ .a | uper }}")
    assert (1, 9) == (caught.value.line, caught.value.column)


MISSING = {
    "{{ .taks }}": ".taks does not exist; did you mean .tasks?",
    "{{ .qqq }}": ".qqq does not exist; . has list, map, n, name, none, people, tasks, zero",
    "{{ .tasks.my-tsak.output }}": ".tasks.my-tsak does not exist; did you mean .tasks.my-task?",
    "{{ .tasks.my-task.output.y.z }}":
        ".tasks.my-task.output.y does not exist; .tasks.my-task.output has x",
    "{{ .name.first }}": ".name.first does not exist: .name is text, not a map",
    "{{ .none.x }}": ".none.x does not exist: .none is null, not a map",
    "{{ .list.x }}": ".list.x does not exist: .list is a list, not a map",
    "{{ $.nam }}": "$.nam does not exist; did you mean $.name?",
    "{{ $p := index .people 0 }}{{ $p.nme }}": "$p.nme does not exist; did you mean $p.name?",
    "{{ (index .people 0).age }}": "(...).age does not exist; (...) has name, tags",
    "{{ range .list }}{{ .x }}{{ end }}": ".x does not exist: . is text, not a map",
    "{{ (dict).x }}": "(...).x does not exist: (...) is empty",
    "{{ range .name }}{{ end }}": "range goes over a list, a map or a whole number, not text",
    "{{ range $i, $x := 3 }}{{ end }}": "range goes over a list, a map or a whole number, not a number",
}  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), MISSING.items(), ids=list(MISSING))
def test_a_missing_key_is_an_error_that_helps(
    text: Callable[..., str], source: str, expected: str
) -> None:
    """A key that is not there stops the render; the message names the path and what is near."""
    with pytest.raises(TemplateError) as caught:
        text(source, **DATA)
    assert expected == caught.value.message


def test_a_render_error_has_its_place(text: Callable[..., str]) -> None:
    """Line and column count from 1 and point at the operand that failed."""
    with pytest.raises(TemplateError) as caught:
        text("ok\n  {{ upper .a.b }}", a={"c": 1})
    assert (2, 12) == (caught.value.line, caught.value.column)
    assert caught.value.message.endswith("(template line 2, column 12)")


REFERENCES = {
    "{{ .tasks.fetch.output.value }}": {("tasks", "fetch", "output", "value")},
    "{{ $.a.b }}{{ if .c }}{{ .d }}{{ else }}{{ .e }}{{ end }}": {
        ("a", "b"),
        ("c",),
        ("d",),
        ("e",),
    },
    "{{ range .list }}{{ .x }}{{ $.y }}{{ else }}{{ .z }}{{ end }}": {("list",), ("y",), ("z",)},
    "{{ with .m }}{{ .x }}{{ end }}": {("m",)},
    '{{ index .tasks "a" }}{{ (index .tasks "a").output }}': {("tasks",)},
    "{{ $t := .tasks.a }}{{ $t.output }}": {("tasks", "a")},
    '{{ define "t" }}{{ .x }}{{ $.y }}{{ end }}{{ template "t" .z }}': {("z",)},
    "{{ toJson . }}": {()},
    "{{ upper (lower .a.my-b) | printf .f }}": {("a", "my-b"), ("f",)},
    "{{ now }} no path": set(),
}


@pytest.mark.parametrize(("source", "expected"), REFERENCES.items(), ids=list(REFERENCES))
def test_references_are_the_paths_from_the_root(
    source: str, expected: set[tuple[str, ...]]
) -> None:
    """`references` names what a template surely reads from the root, and nothing else."""
    assert expected == compile_text(source).references


class Lazy(Mapping[str, Any]):
    """A map that is no dict, as the engine passes them."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.secret = "attribute"

    def __getitem__(self, key: str) -> Any:
        found = self.content[key]
        return Lazy(found) if isinstance(found, dict) else found

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def __len__(self) -> int:
        return len(self.content)


class LazyList(Sequence[Any]):
    """A list that is no list."""

    def __getitem__(self, index: Any) -> Any:
        return [10, 20, 30][index]

    def __len__(self) -> int:
        return 3


def test_maps_and_lists_of_any_class_work(
    text: Callable[..., str], value: Callable[..., Any]
) -> None:
    """Values are read through the Mapping and Sequence protocols, and come back as plain copies."""
    lazy = Lazy({"b": {"c": [1]}, "a": 1})
    assert "1 [1] map[a:1 b:map[c:[1]]]" == text("{{ .v.a }} {{ .v.b.c }} {{ .v }}", v=lazy)
    assert "102030|20|3" == text(
        "{{ range .l }}{{ . }}{{ end }}|{{ index .l 1 }}|{{ len .l }}", l=LazyList()
    )
    assert {"b": {"c": [1]}, "a": 1} == value("{{ .v }}", v=lazy)
    assert dict is type(value("{{ .v.b }}", v=lazy))
    assert [10, 20, 30] == value("{{ .l }}", l=LazyList())


@pytest.mark.parametrize("name", ["secret", "content", "__class__", "__init__", "get", "keys"])
def test_attributes_cannot_be_reached(text: Callable[..., str], name: str) -> None:
    """A field is a key, never a Python attribute."""
    for source in ("{{ .v." + name + " }}", "{{ .s." + name + " }}", "{{ .l." + name + " }}"):
        with pytest.raises(TemplateError, match="does not exist"):
            text(source, v=Lazy({"a": 1}), s="text", l=[1])
