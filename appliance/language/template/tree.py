"""A compiled value: a JSON tree in which strings may be templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from appliance.language.model import Json
from appliance.language.template.errors import TemplateError
from appliance.language.template.limits import Environment
from appliance.language.template.template import Template, compile_text

_Place = tuple[str | int, ...]
_Render = Callable[[Mapping[str, Any], Environment], Json]


class Value:
    """A JSON tree to render many times. `constant` tells that it holds no template at all."""

    __slots__ = ("_render", "constant", "references")

    def __init__(self, value: Json, name: str = "") -> None:
        templates: list[Template] = []
        render = _compile(value, (name,) if name else (), templates)
        self.constant = render is None
        self.references = frozenset().union(*(template.references for template in templates))
        self._render: _Render = render or (lambda _variables, _env: value)

    def render(self, variables: Mapping[str, Any], env: Environment) -> Json:
        """Return the tree with every template rendered by `Template.value`.

        Parts without templates are shared between renders: do not change them. Raises
        TemplateError whose message begins with the place in the tree: `with.user.name: ...`.
        """
        return self._render(variables, env)


def compile_value(value: Json, name: str = "") -> Value:
    """Compile a JSON tree; *name* begins the places in messages. Raises TemplateError."""
    return Value(value, name)


def _compile(value: Json, place: _Place, templates: list[Template]) -> _Render | None:
    """Return how to render *value*, or None when it is constant."""
    if isinstance(value, str):
        return _compile_text(value, place, templates) if "{{" in value else None
    if isinstance(value, dict):
        parts: list[tuple[Any, Json, _Render | None]] = [
            (key, part, _compile(part, (*place, key), templates)) for key, part in value.items()
        ]
        if not any(render for _, _, render in parts):
            return None
        return lambda variables, env: {
            key: render(variables, env) if render else part for key, part, render in parts
        }
    if isinstance(value, (list, tuple)):
        items = [
            (part, _compile(part, (*place, index), templates)) for index, part in enumerate(value)
        ]
        if not any(render for _, render in items):
            return None
        return lambda variables, env: [
            render(variables, env) if render else part for part, render in items
        ]
    return None


def _compile_text(text: str, place: _Place, templates: list[Template]) -> _Render:
    try:
        template = compile_text(text)
    except TemplateError as error:
        raise _placed(error, place) from None
    templates.append(template)

    def render(variables: Mapping[str, Any], env: Environment) -> Json:
        try:
            return template.value(variables, env)
        except TemplateError as error:
            raise _placed(error, place) from None

    return render


def _placed(error: TemplateError, place: _Place) -> TemplateError:
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)[0:]
    message = f"{shown.removeprefix('.')}: {error.message}" if place else error.message
    return TemplateError(message, line=error.line, column=error.column, path=place)
