"""What goes wrong in a template, and the hint that helps to put it right."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.errors import InvalidInput


class TemplateError(InvalidInput):
    """The template is not valid, or it cannot be rendered.

    `line` and `column` count from 1 inside the template text, 0 when unknown. `path` says where in
    a value of `compile_value` the template stands: keys and list indexes.
    """

    code = "template"

    def __init__(
        self, message: str, *, line: int = 0, column: int = 0, path: tuple[str | int, ...] = ()
    ) -> None:
        super().__init__(message, line=line, column=column)
        self.line, self.column, self.path = line, column, path


class Fault(Exception):  # noqa: N818 - a TemplateError in the making: it does not know its place yet
    """A template error before its position is known; `offset` counts characters, -1 is unknown."""

    def __init__(self, message: str, offset: int = -1) -> None:
        super().__init__(message)
        self.message, self.offset = message, offset

    def placed(self, source: str) -> TemplateError:
        """Return the error to show, with line and column in *source*."""
        if self.offset < 0:
            return TemplateError(self.message)
        line = source.count("\n", 0, self.offset) + 1
        column = self.offset - (source.rfind("\n", 0, self.offset) + 1) + 1
        where = f" (template line {line}, column {column})" if "\n" in source.strip() else ""
        return TemplateError(self.message + where, line=line, column=column)


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice that *name* was probably meant to be."""
    from difflib import get_close_matches

    by_fold = {str(choice).lower(): str(choice) for choice in choices}
    found = get_close_matches(name.lower(), by_fold, n=1)
    return by_fold[found[0]] if found else None
