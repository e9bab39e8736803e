"""Conditions in CEL (https://cel.dev): compiled once, given only the values that they name.

The library copies whatever it is handed, so `tasks.fetch.output.rate` is handed that one number,
not the outputs of the whole run. It cannot be stopped once it runs, so what it is given to do is
bounded before: the length of the text, and loops times the number of values that they go over.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, NoReturn, TypeVar

from appliance.errors import InvalidInput
from appliance.language.model import Json

MAX_LENGTH = 2000
"""Characters of an expression; longer ones could exhaust the stack of the library."""
MAX_STEPS = 1_000_000
"""Bound of what an evaluation may cost. A step copies a value; all of them take about 60 ms, and
nobody else has a turn in that time: the library does not let go of the interpreter."""
GIVING, ASKING = 40, 6
"""Steps of giving the library a value, and of one turn of a loop."""
LOOPS = {"all": 1, "exists": 1, "exists_one": 2, "existsOne": 2, "filter": 2, "map": 3}
"""Macros that go over a list, and the power of its length that they may cost."""

FUNCTIONS = frozenset(
    (  # noqa: SIM905 - words
        "bytes contains double duration dyn endsWith getDate getDayOfMonth getDayOfWeek getDayOfYear"
        " getFullYear getHours getMilliseconds getMinutes getMonth getSeconds has int matches size"
        " startsWith string timestamp type uint"
    ).split()
)

TYPES = frozenset(
    (name,)
    for name in "bool bytes double int list map null_type string uint".split()  # noqa: SIM905
)
"""Paths that mean themselves where no variable has the name: what `type` answers."""

T = TypeVar("T")
Path = tuple[str, ...]
Tree = dict[str, "Tree"]
"""Which parts of the variables an expression names; an empty branch means all there is."""

_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*)
      | (?P<string>[rRbB]{0,2}(?:\"{3}(?:\\.|.)*?\"{3}|'{3}(?:\\.|.)*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      | (?P<number>\.?[0-9][0-9a-zA-Z.]*)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_PLACE = re.compile(r"<input>:([0-9]+):([0-9]+): (?:Syntax error: )?([^\n]*)")
_UNEXPECTED = re.compile(
    r"(?:mismatched input|extraneous input|no viable alternative at input|token recognition error at:)"
    r" '(.*?)'(?: expecting |$)",
    re.DOTALL,
)
_CONSTANTS = frozenset({"true", "false", "null", "in"})


class InvalidExpression(InvalidInput):
    """The condition is not valid CEL. Line and column count from 1 inside its text; 0 is unknown."""

    code = "expression"

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message, line=line, column=column)
        self.line, self.column = line, column


class Reference(NamedTuple):
    """A path that an expression names, and where in its text."""

    path: Path
    offset: int


class _Token(NamedTuple):
    kind: str
    text: str
    offset: int


class Expression:
    """A condition that can be evaluated again and again.

    `names` are the variables that it reads, `references` the paths that are known beforehand.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        tokens = [*_tokens(text)]
        bound = _bound_names(tokens)
        found = tuple(_references(tokens))
        self.references = tuple(ref for ref in found if ref.path[0] not in bound)
        self.names = frozenset(ref.path[0] for ref in self.references)
        self._mentions = len(found)
        self._tree = _tree(ref.path for ref in found)
        self._depth, self._power = _nesting(tokens)
        signs = [token.text for token in tokens if token.kind == "sign"]
        self._literals, self._sums = signs.count(","), signs.count("+")
        self._program = _compile(text) if text.strip() else None

    @property
    def unknown_functions(self) -> tuple[str, ...]:
        """The functions that it calls and that do not exist."""
        called = self._program.functions() if self._program is not None else ()
        return tuple(name for name in called if name.isidentifier() and name not in FUNCTIONS)

    def evaluate(self, variables: Mapping[str, Json]) -> Json:
        """Return the result for *variables*, of which only the named parts are looked up.

        An empty expression is true. Raises InvalidExpression saying what went wrong.
        """
        if self._program is None:
            return True
        given = _Given()
        found = given.narrow(self._tree, variables) if self._tree else {}
        self._refuse_expensive(given.values)
        try:
            return _json(self._program.execute(found))
        except Exception as error:  # noqa: BLE001 - the library raises nearly every built-in error
            _refuse(self.text, _cause(error))

    def _refuse_expensive(self, values: int) -> None:
        if self._price(values) > MAX_STEPS:
            most = bisect_right(range(MAX_STEPS), MAX_STEPS, key=self._price) - 1
            _refuse(
                self.text,
                f"it would go over {values} values or more, and {max(most, 0)} are allowed for"
                " what it does; let a tool do it",
            )

    def _price(self, values: int) -> int:
        """Return the steps that it may take at worst.

        Each `+` copies what those before it made, and each mention of a value may copy it.
        """
        parts = 1 + self._sums
        amount = (values + self._literals) * parts
        turns = ASKING * amount**self._depth if self._depth else 0
        copies = max(amount * parts, amount**self._power, values * self._mentions)
        return int(GIVING * values + turns + copies)


@lru_cache(maxsize=512)
def compile_expression(text: str) -> Expression:
    """Return *text* compiled. Raises InvalidExpression with line and column where known."""
    return Expression(text)


def _compile(text: str) -> Any:
    from appliance.language.cel import compile_program

    if len(text) > MAX_LENGTH:
        raise InvalidExpression(f"the condition has more than {MAX_LENGTH} characters")
    try:
        return compile_program(text)
    except ValueError as error:
        place = _PLACE.search(str(error))
        if place is None:
            raise InvalidExpression("the condition is not valid CEL") from None
        cause = f"not a valid condition: {_explained(place[3])}"
        raise InvalidExpression(cause, int(place[1]), int(place[2])) from None


def _explained(cause: str) -> str:
    """Say what the parser says in words for people."""
    found = _UNEXPECTED.match(cause)
    if found is None:
        return cause.partition(" expecting ")[0].replace("'<EOF>'", "the end")
    return "it ends too early" if found[1] == "<EOF>" else f"{found[1]!r} cannot stand here"


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text[: MAX_LENGTH + 1]):
        kind = match.lastgroup
        if kind is not None and kind != "skip":
            yield _Token(kind, match[0], match.start())


def _references(tokens: list[_Token]) -> Iterator[Reference]:
    """Find chains such as `a.b["c"]`. A method's name and what follows it are not part of one."""
    texts = [token.text for token in tokens] + [""] * 3
    for start, token in enumerate(tokens):
        if token.kind != "name" or token.text in _CONSTANTS or texts[start + 1] == "(":
            continue
        if start and texts[start - 1] == ".":
            continue
        path, at = [token.text], start + 1
        while True:
            if texts[at] == "." and tokens[at + 1 :] and tokens[at + 1].kind == "name":
                if texts[at + 2] == "(":
                    break
                path.append(texts[at + 1])
                at += 2
            elif texts[at] == "[" and texts[at + 2] == "]" and _plain_string(tokens[at + 1]):
                path.append(texts[at + 1][1:-1])
                at += 3
            else:
                break
        yield Reference(tuple(path), token.offset)


def _plain_string(token: _Token) -> bool:
    return token.kind == "string" and token.text[0] in "\"'" and "\\" not in token.text


def _bound_names(tokens: list[_Token]) -> frozenset[str]:
    """Return the names that macros bind, as the `x` of `list.all(x, ...)`."""
    return frozenset(
        name.text
        for macro, _, name, comma in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False)
        if macro.text in LOOPS and name.kind == "name" and comma.text == ","
    )


def _nesting(tokens: list[_Token]) -> tuple[int, int]:
    """Return how deep loops are nested, and the power of the number of values that they may cost."""
    open_loops: list[int] = []
    depth, power = 0, 1
    previous = ""
    for token in tokens:
        if token.text == "(":
            open_loops.append(LOOPS.get(previous, 0))
            depth = max(depth, sum(loop > 0 for loop in open_loops))
            power = max(power, sum(open_loops))
        elif token.text == ")" and open_loops:
            open_loops.pop()
        previous = token.text
    return depth, power


def _tree(paths: Iterator[Path]) -> Tree:
    root: Tree = {}
    for path in sorted(set(paths), key=len, reverse=True):
        branch = root
        for step in path[:-1]:
            branch = branch.setdefault(step, {})
        branch[path[-1]] = {}
    return root


class _Given:
    """Counts the values that an expression is given; a long text counts by its length.

    What is more than any expression may have is not looked at.
    """

    def __init__(self) -> None:
        self.values = 0

    def narrow(self, tree: Tree, value: Json) -> Json:
        """Return the parts of *value* that *tree* names, as plain data."""
        self.values += 1 + (len(value) // 64 if isinstance(value, str) else 0)
        if self.values * GIVING > MAX_STEPS:
            return None
        if not isinstance(value, Mapping):
            if not isinstance(value, list):
                return value
            return [self.narrow({}, item) for item in self._first(value, value)]
        if not tree:
            return {key: self.narrow({}, item) for key, item in self._first(value, value.items())}
        return {key: self.narrow(tree[key], value[key]) for key in tree if key in value}

    def _first(self, container: Collection[Any], items: Iterable[T]) -> Iterable[T]:
        """Return as many of *items* as may be given, and count the others."""
        most = MAX_STEPS // GIVING + 1
        self.values += max(len(container) - most, 0)
        return islice(items, most)


def _json(value: Any) -> Json:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("the result is not a finite number")
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(f"the result is a {type(value).__name__}; use string(...)")


def _cause(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no {error.args[0]!r} in what it names"
    first = str(error).partition("\n")[0].partition(". ")[0]
    name = first.removeprefix("Undefined variable or function: ").strip("'")
    if name in FUNCTIONS:
        return f"{name} cannot take what it is given here"
    return first.removesuffix(".") or type(error).__name__


def _refuse(text: str, cause: str) -> NoReturn:
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    raise InvalidExpression(f"the condition {shown!r} failed: {cause}") from None
