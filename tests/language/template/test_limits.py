"""Hostile templates end soon, in a TemplateError."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from appliance.language.template import Environment, TemplateError, compile_text

MANY = "{{ range until 100000 }}{{ range until 100000 }}"
BOMB = "{{ $x := list 1 1 }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}"
LONG = '{{ $s := repeat 5000000 "ab" }}'
HOSTILE = {
    "nested loops": MANY + "{{ end }}{{ end }}",
    "nested loops with work": MANY + "{{ $x := upper `a` | lower | title }}{{ end }}{{ end }}",
    "range over a huge number": "{{ range 1000000000000 }}x{{ end }}",
    "until": "{{ until 1000000000000 }}",
    "untilStep": "{{ untilStep 0 9000000000000000000 1 }}",
    "seq": "{{ seq 1 1000000000 }}",
    "repeat": '{{ repeat 999999999 "a" }}',
    "repeat of repeat": '{{ repeat 10000 (repeat 10000 "a") }}',
    "doubling text": '{{ $s := "aaaaaaaa" }}{{ range until 99 }}{{ $s = print $s $s }}{{ end }}',
    "doubling by replace": '{{ $s := "aaaaaaaa" }}{{ range until 99 }}{{ $s = replace "a" "aa" $s }}{{ end }}',
    "doubling a list": "{{ $l := list 1 1 }}{{ range until 99 }}{{ $l = concat $l $l }}{{ end }}",
    "replace the empty text": '{{ replace "" (repeat 9000000 "b") (repeat 9000000 "a") }}',
    "indent": '{{ indent 1000000000 "a" }}',
    "indent every line": '{{ indent 9000000 (repeat 9000 "\\n") }}',
    "join references": '{{ $s := repeat 1000000 "a" }}{{ $l := list $s $s $s $s $s $s $s $s $s $s $s $s $s }}{{ join "" $l }}',
    "wide printf": '{{ printf "%1000000000d" 1 }}',
    "wide printf by argument": '{{ printf "%*d" 1000000000 1 }}',
    "many wide printf": "{{ range until 100000 }}{{ $s := printf `%1000d%1000d%1000d` 1 1 1 }}{{ end }}",
    "precise printf": '{{ printf "%.1000000000f" 1.5 }}',
    "much output": LONG + "{{ range until 9 }}{{ $s }}{{ end }}",
    "long text in a loop": LONG + "{{ range until 100000 }}{{ $t := upper $s }}{{ end }}",
    "long text in a slow loop": LONG + "{{ range until 100000 }}{{ $t := snakecase $s }}{{ end }}",
    "search in a loop": LONG + '{{ range until 100000 }}{{ $t := contains "x" $s }}{{ end }}',
    "print a bomb": BOMB + "{{ $x }}",
    "json of a bomb": BOMB + "{{ toJson $x }}",
    "pretty json of a bomb": BOMB + "{{ toPrettyJson $x }}",
    "compare bombs": BOMB + "{{ $y := deepCopy $x }}{{ deepEqual $x $y }}",
    "copy a bomb": BOMB + "{{ deepCopy $x | len }}",
    "printf a bomb": BOMB + '{{ printf "%d" $x }}',
    "uniq": "{{ uniq (until 100000) | len }}",
    "without": "{{ range until 1000 }}{{ $x := without (until 1000) 7 8 9 }}{{ end }}",
    "a map in itself": '{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d }}',
    "json of a map in itself": '{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ toJson $d }}',
    "merge a map into itself": '{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ merge $d (deepCopy $d) }}',
    "endless recursion": '{{ define "t" }}{{ template "t" . }}{{ end }}{{ template "t" . }}',
    "wide recursion": '{{ define "t" }}{{ if . }}{{ template "t" (sub . 1) }}{{ template "t" (sub . 1) }}{{ end }}{{ end }}{{ template "t" 40 }}',
    "deep parentheses": "{{ " + "(" * 10_000 + "1" + ")" * 10_000 + " }}",
    "deep blocks": "{{ if true }}" * 10_000 + "{{ end }}" * 10_000,
    "long else if": "{{ if false }}" + "{{ else if false }}" * 10_000 + "{{ end }}",
    "a long source": "x" * 2_000_000,
    "many variables": "{{ range until 100000 }}" + "{{ $x := 1 }}" * 1000 + "{{ end }}",
    "long chain in a loop": "{{ range until 100000 }}{{ $x := " + "upper `a` | " * 1000 + "upper }}{{ end }}",
    "random text": "{{ randAlpha 1000000000 }}",
    "random bytes": "{{ randBytes 1000000000 }}",
    "shuffle in a loop": '{{ $s := repeat 100000 "a" }}{{ range until 100000 }}{{ $t := shuffle $s }}{{ end }}',
    "wrap each character": '{{ range until 100 }}{{ $t := wrapWith 1 "\\n" (repeat 1000000 "a") }}{{ end }}',
    "wrap blanks": '{{ range until 100 }}{{ $t := wrap 1 (repeat 1000000 " ") }}{{ end }}',
    "split each character": '{{ range until 100 }}{{ $t := splitList "" (repeat 1000000 "a") }}{{ end }}',
    "parse json in a loop": '{{ $j := repeat 300000 "[" }}{{ range until 100000 }}{{ $t := fromJson $j }}{{ end }}',
    "regex (a|a)*b": '{{ $s := repeat 100000 "a" }}{{ range until 999 }}{{ $t := regexMatch "^(a|a)*b$" $s }}{{ end }}',
    "regex (a*)*b": '{{ $s := repeat 100000 "a" }}{{ range until 999 }}{{ $t := regexMatch "(a*)*b" $s }}{{ end }}',
    "regex a*a*a*a*a*b": '{{ regexMatch "a*a*a*a*a*a*a*a*b" (repeat 100000 "a") }}',
    "regex bounds": '{{ regexMatch "((a{0,100}){0,100}){0,100}" "a" }}',
    "regex of regexes": "{{ range $i := until 100000 }}{{ $t := regexMatch (printf `[a-z]{1000}%d` $i) `a` }}{{ end }}",
    "regex replace": '{{ regexReplaceAll "" (repeat 100000 "a") (repeat 1000 "b") }}',
    "regex references": '{{ regexReplaceAll "^(.*)$" (repeat 10000 "a") (repeat 10000 "$1") }}',
    "regex nesting": '{{ regexMatch (repeat 900 "(") "a" }}',
    "long layout": '{{ date (repeat 1000000 ".0") now }}',
    "long layout to read": "{{ toDate (repeat 900 `1`) (repeat 900 `1`) }}",
    "dates in a loop": '{{ range until 100000 }}{{ $t := now | date "Monday, 02-Jan-06 15:04:05.000 MST" }}{{ $t = now | date "Monday" }}{{ end }}',
    "zones": "{{ range $i := until 100000 }}{{ $t := dateInZone `15` now `Europe/Lisbon` }}{{ $t = dateInZone `15` now `UTC` }}{{ end }}",
}  # fmt: skip


@pytest.mark.parametrize("source", HOSTILE.values(), ids=list(HOSTILE))
@pytest.mark.parametrize("method", ["text", "value"])
def test_a_hostile_template_ends_soon(source: str, method: str, env: Environment) -> None:
    """Whatever a template tries, it is over soon, and nothing but a TemplateError comes out."""
    started = time.process_time()
    with pytest.raises(TemplateError):
        getattr(compile_text(source), method)({}, env)
    assert time.process_time() - started < 3.0  # a second on the slowest machine that was tried


GREEDY = ["doubling text", "doubling a list", "join references", "print a bomb", "json of a bomb",
          "regex (a*)*b", "long text in a loop", "split each character", "many wide printf"]  # fmt: skip
MEASURE = """
import random, resource, sys
from appliance.language.template import Environment, TemplateError, compile_text
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for source in sys.stdin.read().split("\\0"):
    try:
        compile_text(source).text({}, Environment(0, "0"))
        sys.exit(f"came through: {source}")
    except TemplateError:
        pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_hostile_templates_stay_small() -> None:
    """No template can make the server use more than about a hundred megabytes."""
    sources = "\0".join(HOSTILE[name] for name in GREEDY)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], input=sources, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 100 * 1024


LIMITS = {
    "{{ range 90000 }}{{ end }}{{ range 90000 }}{{ end }}":
        "the template does more than 14000 steps' worth of work",
    '{{ repeat 99999999 "a" }}': "repeat: the text would be longer than 4194304 characters",
    "{{ $s := repeat 2500000 `a` }}{{ $s }}{{ $s }}": "the output is longer than 4194304 characters",
    "{{ until 100001 }}": "until: the list would have more than 100000 items",
    '{{ printf "%1001d" 1 }}': "printf: a width or precision must be a whole number up to 1000",
    '{{ define "t" }}{{ template "t" . }}{{ end }}{{ template "t" . }}':
        "more than 50 templates call each other",
}  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), LIMITS.items(), ids=list(LIMITS))
def test_a_limit_says_which_it_is(source: str, expected: str, env: Environment) -> None:
    """The message names the limit that was passed."""
    with pytest.raises(TemplateError) as caught:
        compile_text(source).text({}, env)
    assert expected == caught.value.message


def test_honest_work_fits(env: Environment) -> None:
    """What real workflows do stays far below the limits."""
    rows = [{"id": n, "name": f"row {n}"} for n in range(100_000)]
    assert rows == compile_text("{{ .rows }}").value({"rows": rows}, env)
    del rows[2_500:]
    source = "{{ range $i, $r := .rows }}{{ if $i }},{{ end }}{{ $r.name | upper }}{{ end }}"
    assert 2_500 == len(compile_text(source).text({"rows": rows}, env).split(","))
    assert rows == compile_text("{{ toJson .rows }}").value({"rows": rows}, env)
    book = "word " * 50_000
    assert 50_000 == compile_text('{{ splitList " " (trim .book) | len }}').value(
        {"book": book}, env
    )
    assert "" == compile_text('{{ regexReplaceAll "wo(rd)" .part "" | nospace }}').text(
        {"part": book[:10_000]}, env
    )
    deep: Any = 1
    for _ in range(100):
        deep = {"d": [deep]}
    assert deep == compile_text("{{ .deep }}").value({"deep": deep}, env)


def test_values_that_are_nested_too_deeply_are_refused(env: Environment) -> None:
    """A value that would overflow the stack is an error, not a crash."""
    deep: Any = 1
    for _ in range(50_000):
        deep = [deep]
    with pytest.raises(TemplateError, match="nested too deeply"):
        compile_text("{{ list .deep }}").value({"deep": deep}, env)
    while isinstance(deep, list):  # freeing it in one go would recurse as deeply
        deep = deep[0]


def test_a_simple_render_costs_microseconds() -> None:
    """A path is rendered in well under 50 microseconds, so a step costs its commit only."""
    template = compile_text("{{ .tasks.fetch.output.value }}")
    data = {"tasks": {"fetch": {"output": {"value": 42}}}}
    env = Environment(0, "0")
    best = min(_seconds(lambda: template.value(data, env)) for _ in range(5))
    assert best < 50e-6


def _seconds(call: Any) -> float:
    started = time.perf_counter()
    for _ in range(1000):
        call()
    return (time.perf_counter() - started) / 1000
