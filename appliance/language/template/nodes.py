"""The parsed form of a template. Every node knows its `offset` in the source."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple


class Constant(NamedTuple):
    """A literal in the template."""

    value: Any
    offset: int


class Word(NamedTuple):
    """The name of a function."""

    name: str
    offset: int


class Path(NamedTuple):
    """Keys followed from dot (`start` None), from a variable (its slot) or from another operand."""

    start: Operand | int | None
    names: tuple[str, ...]
    offset: int
    spelled: str = ""
    """How the start was written, for messages: "", "$", "$item", "(...)"."""


class Pipe(NamedTuple):
    """Commands, each fed by the one before. The result goes into `slots`, when there are any.

    `cost` is the number of operands inside, nested pipelines included.
    """

    commands: tuple[tuple[Operand, ...], ...]
    slots: tuple[int, ...]
    cost: int
    offset: int


Operand = Constant | Word | Path | Pipe


class Text(NamedTuple):
    """Copied to the output."""

    text: str


class Action(NamedTuple):
    """A pipeline whose result is printed, unless it goes into a variable."""

    pipe: Pipe


class Block(NamedTuple):
    """`if`, `with` and `range`."""

    kind: Literal["if", "with", "range"]
    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


class Jump(NamedTuple):
    """`break` and `continue`."""

    kind: Literal["break", "continue"]


class Invoke(NamedTuple):
    """`template` and the second half of `block`. Without a pipeline, dot is null there."""

    name: str
    pipe: Pipe | None
    offset: int


Node = Text | Action | Block | Jump | Invoke


class Definition(NamedTuple):
    """A named template and how many variable slots it needs; slot 0 is `$`."""

    body: tuple[Node, ...]
    slots: int
