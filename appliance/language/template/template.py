"""A compiled template: one text that is rendered many times."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from appliance.language.model import Json
from appliance.language.template.compiler import Program, compile_program
from appliance.language.template.errors import Fault, TemplateError
from appliance.language.template.limits import SOURCE, Environment, Run
from appliance.language.template.parser import parse
from appliance.language.template.values import SCALARS, plain, without_halves

_STORED = SCALARS | {str, dict, list}
"""Types of values as they are stored, which nobody changes; a view of a run is none of them."""
_MISSING = object()
_SAFE = 2**53 - 1
_DIGITS = 17
"""A float keeps this many digits; a longer decimal stays text."""


class Template:
    """A text with actions. `references` are the dotted paths it surely reads from the root.

    Both ways to render raise TemplateError, and read variables through the Mapping and Sequence
    protocols only.
    """

    __slots__ = ("_program", "references", "source")

    def __init__(
        self, source: str, program: Program, references: frozenset[tuple[str, ...]]
    ) -> None:
        self.source, self.references = source, references
        self._program = program

    def text(self, variables: Mapping[str, Any], env: Environment) -> str:
        """Render to text."""
        return str(self._guarded(self._text, variables, env))

    def value(self, variables: Mapping[str, Any], env: Environment) -> Json:
        """Render to a JSON value.

        Exactly one action keeps its type: data that a lone path leads to come back as they are, what
        else is a map or a list as a plain copy. Everything else is text. Text that is a JSON object
        or array becomes that, unless a lone path led to it; numbers in it that JavaScript could not
        hold exactly stay text.
        """
        found = self._at_path(variables)
        return self._guarded(self._value, variables, env) if found is _MISSING else found

    def _at_path(self, variables: Mapping[str, Any]) -> Any:
        """Return the stored value that a lone path leads to, if so: that costs next to nothing."""
        path = self._program.path
        if path is None:
            return _MISSING
        value: Any = variables
        try:
            for name in path:
                value = value[name]
        except (KeyError, TypeError):  # `_value` knows more, also what to say
            return _MISSING
        return value if type(value) in _STORED else _MISSING

    def _text(self, run: Run, variables: Mapping[str, Any]) -> str:
        self._program.main(run, variables)
        return "".join(run.parts)

    def _value(self, run: Run, variables: Mapping[str, Any]) -> Json:
        single = self._program.single
        if single is None:
            return _structured(self._text(run, variables))
        value = single(run, variables)
        return _structured(value) if isinstance(value, str) else plain(value, run)

    def _guarded(
        self, render: Callable[[Run, Any], Any], variables: Mapping[str, Any], env: Environment
    ) -> Any:
        try:
            return render(Run(env, variables, self._program.slots), variables)
        except Fault as fault:
            raise fault.placed(self.source) from None
        except RecursionError:
            raise TemplateError("the template or its values are nested too deeply") from None


def compile_text(text: str) -> Template:
    """Compile *text*; raises TemplateError with line and column of what is wrong."""
    if len(text) > SOURCE:
        raise TemplateError(f"the template is longer than {SOURCE} characters")
    try:
        parsed = parse(text)
        return Template(text, compile_program(parsed.definitions), parsed.references)
    except Fault as fault:
        raise fault.placed(text) from None


def _structured(text: str) -> Json:
    """Return the object or array that *text* is in JSON, else *text*."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return _DECODER.decode(without_halves(text.strip()))
    except (ValueError, RecursionError):
        return text


def _whole(digits: str) -> int | str:
    value = int(digits) if len(digits) <= _DIGITS else _SAFE + 1
    return value if abs(value) <= _SAFE else digits


def _real(digits: str) -> float | str:
    exact = len(digits.lower().partition("e")[0].replace(".", "").strip("-0")) <= _DIGITS
    value = float(digits)
    return value if exact and abs(value) != float("inf") else digits


def _refuse(_constant: str) -> None:
    raise ValueError


_DECODER = json.JSONDecoder(parse_int=_whole, parse_float=_real, parse_constant=_refuse)
