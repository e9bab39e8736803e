"""What goes wrong in a template."""

from __future__ import annotations

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


class Fault(Exception):
    """A template error before its position is known; `offset` counts characters, -1 is unknown."""

    def __init__(self, message: str, offset: int = -1) -> None:
        super().__init__(message)
        self.message, self.offset = message, offset

    def placed(self, source: str) -> TemplateError:
        """Return the error to show, with line and column in *source*."""
        if self.offset < 0:
            return TemplateError(self.message)
        line = source.count("\n", 0, self.offset) + 1
        column = self.offset - source.rfind("\n", 0, self.offset)
        where = f" (template line {line}, column {column})" if "\n" in source.strip() else ""
        return TemplateError(self.message + where, line=line, column=column)
