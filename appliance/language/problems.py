"""What is wrong with the files of a project: found one by one, told all at once."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from appliance.errors import InvalidProject


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong. Line and column count from 1; 0 is the file as a whole."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{place}: {self.message}"


class InvalidDocument(InvalidProject):
    """A file that cannot be read at all; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem), problems=[str(problem)])
        self.problem = problem


class Problems:
    """Collects errors and warnings while a project is read."""

    def __init__(self) -> None:
        self.errors: set[Problem] = set()
        self.warnings: set[Problem] = set()

    def add(self, problem: Problem) -> None:
        """Note an error."""
        self.errors.add(problem)

    def warn(self, problem: Problem) -> None:
        """Note something that has no effect, but does not hinder a run."""
        self.warnings.add(problem)

    def include(self, other: Problems) -> None:
        """Take over what *other* found."""
        self.errors |= other.errors
        self.warnings |= other.warnings

    def forgive(self, other: Problems) -> None:
        """Take over what *other* found; its errors count as warnings here."""
        self.warnings |= other.errors | other.warnings

    def raise_errors(self) -> None:
        """Raise InvalidProject with every error, in the order of the files, if there is any."""
        found = texts(self.errors)
        if found:
            more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
            raise InvalidProject(f"The project has errors: {found[0]}{more}", problems=found)


def texts(problems: Iterable[Problem]) -> list[str]:
    """Return the problems as text, by file and position."""
    return [str(problem) for problem in sorted(problems)]
