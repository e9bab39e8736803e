"""S9: templates and conditions are a language of their own: nothing of Python, the machine or secrets.

What they cost is bounded as `tests/language/template/test_limits.py` and `tests/security/test_hostile.py` show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from appliance.errors import InvalidInput
from appliance.language.expressions import compile_expression
from appliance.language.template import Environment, TemplateError, compile_text

from .twins import API, HOOK_SECRET, Twins

CANARY = "canary-in-the-environment-4711"
SIGNS = (
    CANARY,
    "root:x:0",
    "<class",
    "<module",
    "<function",
    "<built-in",
    "object at 0x",
    "'__name__':",
    "posix",
    "uid=",
)
"""What an answer holds when somebody got out."""
ENV = Environment(1_773_500_966_535_897, "s9")


class Thing(dict[str, Any]):
    """A map that has more than keys, as the values of the engine may have."""

    secret = CANARY

    def reveal(self) -> str:
        return CANARY


DATA: dict[str, Any] = {"v": Thing(a=1), "s": "text", "l": [1, 2], "n": 7, "f": 1.5, "t": True}

_DUNDERS = ("__class__", "__init__", "__globals__", "__dict__", "__mro__", "__subclasses__", "__reduce__", "__getattribute__", "__doc__",
            "__builtins__", "__import__", "__self__", "__func__", "__code__", "f_globals", "gi_frame", "cr_frame", "func_globals", "secret", "reveal",
            "__class_getitem__", "__format__", "__module__", "format", "format_map", "items", "keys", "get", "pop", "copy", "upper")  # fmt: skip
TEMPLATES = [
    *(template.replace("@", name) for name in _DUNDERS for template in (
        "{{ .v.@ }}", "{{ .s.@ }}", "{{ .l.@ }}", "{{ .n.@ }}", "{{ $.@ }}", "{{ @ }}", '{{ index .v "@" }}', '{{ get .v "@" }}', '{{ dig "@" "none" .v }}',
        '{{ pluck "@" .v }}', "{{ (dict).@ }}", "{{ now.@ }}", "{{ .v.a.@ }}")),
    "{{ env `CANARY` }}", "{{ expandenv `$CANARY` }}", "{{ getenv `CANARY` }}", "{{ os.Getenv `CANARY` }}", "{{ .env.CANARY }}", "{{ $ENV }}", "$CANARY", "${CANARY}",
    "%(CANARY)s", "{CANARY}", "{{ printf `%(v)s` .v }}", "{{ printf `{0.__class__}` .v }}", "{{ printf `%v` .v }}", "{{ printf `%+v` .v }}", "{{ printf `%#v` .v }}",
    "{{ printf `%T` .v }}", "{{ printf `%p` .v }}", "{{ printf `%[1]*.[2]*[3]f` 1 2 3.0 }}", "{{ printf `%!s(PANIC=x)` }}", "{{ printf `%s` (list .v .l) }}", "{{ typeOf .v }}",
    "{{ kindOf .v }}", "{{ typeIs `dict` .v }}", "{{ readFile `/etc/passwd` }}", "{{ .Files.Get `/etc/passwd` }}", "{{ include `/etc/passwd` . }}", "{{ template `/etc/passwd` }}",
    "{{ tpl `{{ env `CANARY` }}` . }}", "{{ call .v.reveal }}", "{{ call (index .v `reveal`) }}", "{{ .v.reveal }}", "{{ exec `id` }}", "{{ shell `id` }}", "{{ lookup `file` `/etc/passwd` }}",
    "{{ getHostByName `localhost` }}", "{{ genPrivateKey `rsa` }}", "{{ derivePassword 1 `long` `a` `b` `c` }}", "{{ toDate `2006` `2026` | printf `%v` }}",
    "{{ dateInZone `2006` now `/etc/passwd` }}", "{{ dateInZone `2006` now `../../../../etc/passwd` }}", "{{ dateInZone `2006` now `../passwd` }}", "{{ dateInZone `2006` now `\\x00` }}",
    "{{ urlParse `file:///etc/passwd` }}", "{{ osBase `/etc/passwd` }}", "{{ osDir `/etc/passwd` }}", "{{ path.Join `/etc` `passwd` }}", "{{ regexFind `(?P<x>` `a` }}", "{{ regexMatch `(?R)` `a` }}",
    "{{ block `x` . }}{{ env `CANARY` }}{{ end }}", "{{ define `x` }}{{ . }}{{ end }}{{ template `x` . }}", "{{ fail `x` }}", "{{ must (env `CANARY`) }}", "{{ fromYaml `!!python/object/apply:os.system [id]` }}",
    '{{ fromJson `{"__class__": 1}` }}', "{{ set .v `secret` 1 }}{{ .v.secret }}", "{{ merge .v (dict `__class__` 1) }}", "{{ js `</script>` }}", "{{ html `<b>` }}",
    # of other languages
    "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ config.__class__.__init__.__globals__['os'].popen('id').read() }}", "{{ self.__init__.__globals__ }}", "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}", "{{ request.application.__globals__ }}", "{{ x|attr('__class__') }}", "{{ 'a'|attr('format_map')({}) }}", "{% import os %}{{ os }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}", "{{ namespace.__init__ }}", "{{ joiner.__init__.__globals__ }}", "{%raw%}{{ 7*7 }}{%endraw%}", "${7*7}", "#{7*7}",
    "<%= `id` %>", "<% import os %>${os.popen('id').read()}", "*{T(java.lang.Runtime).getRuntime().exec('id')}", "{php}echo `id`;{/php}", "{{constructor.constructor('return process')()}}",
    "@(1+1)", "[[${7*7}]]", "{{=7*7}}", "{{{this}}}", "{{#with this}}{{lookup . 'constructor'}}{{/with}}", "{{ eval `1` }}", "{{ `id` | system }}",
]  # fmt: skip
"""Ways out of this and of other template languages; the published ones among them."""
CONDITIONS = [
    *(condition.replace("@", name) for name in _DUNDERS for condition in ("v.@", "s.@", "l.@", "@", 'v["@"]', "v.@()", "@(v)", "has(v.@)", "dyn(v).@", "type(v).@")),
    "string(v)", "string(type(v))", "dyn(v)", "v", "env", "env.CANARY", "os.environ", "getenv('CANARY')", "type(type(1))", "s.format(v)", '"%s".format([v])', "bytes(s)", "matches(s, '(a+)+$')",
    "timestamp('x')", "duration('x')", "google.protobuf.Any{}", "Thing{}", "google.protobuf.Struct{fields: {'a': v}}", "eval('1')", "v.map(x, x.__class__)", "[v].map(x, x)[0].secret", "l[-1]", "l[99999999999999999999]",
    "__import__('os')", "''.__class__", "(lambda: 1)()", "1; 2", "`id`", "{'a': v}.a.secret",
]  # fmt: skip

Render = Callable[[str], Any]


def render(source: str) -> Any:
    """Render a template as text and as a value; its error is text, too."""
    try:
        template = compile_text(source)
        return template.text(DATA, ENV), template.value(DATA, ENV)
    except TemplateError as error:
        return str(error)


def decide(source: str) -> Any:
    """Evaluate a condition; its error is text, too."""
    try:
        return compile_expression(source).evaluate(DATA)
    except InvalidInput as error:
        return error.message


def escapes(run: Render, corpus: list[str]) -> list[str]:
    """Return by which sources somebody got out: what they gave holds what it should not."""
    found = []
    for source in corpus:
        given = str(run(source)).replace(source, "")
        if any(sign in given for sign in SIGNS):
            found.append(f"{source} -> {given[:120]}")
    return found


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", CANARY)


def test_no_template_leads_out() -> None:
    """A value has keys and items, and nothing that Python gives it; no function knows the machine."""
    assert len(TEMPLATES) > 400
    assert [] == escapes(render, TEMPLATES)


def test_no_condition_leads_out() -> None:
    """The same for CEL."""
    assert len(CONDITIONS) > 250
    assert [] == escapes(decide, CONDITIONS)


def test_a_language_that_is_python_is_caught() -> None:
    """This test can fail: where sources are Python, or texts are formatted, many get out."""
    names = {"os": __import__("os"), "v": DATA["v"], "s": "text", "l": [1]}

    def python(source: str) -> Any:
        inner = re.sub(r"^{{\s*|\s*}}$", "", source).replace(".v", "v").replace(".s", "s")
        try:
            return eval(inner, dict(names))
        except Exception as error:  # noqa: BLE001 - whatever a source does
            return str(type(error))[:5]

    def formatted(source: str) -> Any:
        try:
            return source.replace("{{ .v", "{v").replace(" }}", "}").format_map(DATA)
        except Exception as error:  # noqa: BLE001 - whatever a source does
            return type(error).__name__

    assert len(escapes(python, TEMPLATES)) > 10
    assert len(escapes(python, CONDITIONS)) > 10
    assert len(escapes(formatted, TEMPLATES)) > 5


@pytest.mark.parametrize(
    "text",
    [
        "{{ .env.HOOK_SECRET }}",
        "{{ env `HOOK_SECRET` }}",
        "{{ . }}",
        "{{",
        "}}",
        "{{ fail `x` }}",
        "signal.payload",
        '" + env + "',
    ],
)
def test_what_is_given_is_never_a_program(both: Twins, text: str) -> None:
    """Who starts a run says what its values are, not what its templates or conditions are."""
    given = {"text": text, text: "key"}
    ran = both.call("POST", "/workflows/plain/executions/sync", {"input": given})
    waits = both.call("POST", "/workflows/waits/executions", {"input": given})
    hooked = both.call("POST", "/hooks/open", given)
    for name, found in ran.items():
        echoed = found["workflow"]["output"]["echo"]
        assert given == echoed, name
    for name, server in both.servers.items():
        path = f"/executions/workflows/{waits[name]['exec_id']}"
        server.call("POST", f"{path}/signals", {"signal_name": "go", "payload": {"now": text}})
        assert "WAITING" == server.call("GET", path)["status"], "the text was taken for a condition"
        server.call("POST", f"{path}/cancel")
        run = server.call("GET", f"/executions/workflows/{hooked[name]['exec_id']}")
        assert HOOK_SECRET not in json.dumps(run)
    assert [] == [
        answer
        for answer in both.ask("GET", f"{API}/executions/workflows").values()
        if HOOK_SECRET.encode() in answer.body
    ]
