"""The functions of an entrypoint as its text shows them; user code is never run here."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance.errors import InvalidInput, Overloaded

ANY_NAME = "*"
"""A key of `functions` that says: the module may have functions that its text does not name."""

GIVEN = "context"
"""The parameter that a call fills in by itself."""


class Signature(msgspec.Struct, frozen=True):
    """What a function can be called with. Arguments are given by keyword.

    `parameters` can be given and `required` must be; where `accepts_any`, others can be given too,
    or the text does not show what the function takes. `line` counts from 1.
    """

    parameters: tuple[str, ...]
    required: tuple[str, ...]
    accepts_any: bool
    line: int


def functions(entrypoint: Path) -> dict[str, Signature]:
    """Return the public functions at the top level of a file, by name, and what may be one.

    Names that are imported from elsewhere or assigned may be functions: their signature is unknown.
    `ANY_NAME` is a key where any name may be one (a star import, a `__getattr__`).

    Raises InvalidInput when the file cannot be read or is no Python, with its line.
    """
    names = _Names()
    names.visit_all(_parse(entrypoint).body)
    found = {name: each for name, each in names.found.items() if not name.startswith("_")}
    if "__getattr__" in names.found:
        found[ANY_NAME] = _unknown(names.found["__getattr__"].line)
    if names.listed is None:
        return found
    if ANY_NAME in found:
        found.update({name: _unknown(1) for name in names.listed if name not in found})
    return {name: found[name] for name in names.listed if name in found}


def _parse(entrypoint: Path) -> ast.Module:
    try:
        with warnings.catch_warnings(action="ignore"):  # those of the user's text are not ours
            tree = ast.parse(entrypoint.read_bytes(), str(entrypoint))
            compile(tree, str(entrypoint), "exec", dont_inherit=True)
            return tree
    except OSError as error:
        if lack := Overloaded.by(error):
            raise lack from error
        msg = f"{entrypoint}: the file of functions cannot be read: {error.strerror}"
        raise InvalidInput(msg, file=str(entrypoint)) from None
    except SyntaxError as error:
        line, column = error.lineno or 1, error.offset or 1
        msg = f"{entrypoint}:{line}:{column}: {error.msg}"
        raise InvalidInput(msg, file=str(entrypoint), line=line, column=column) from None
    except (ValueError, RecursionError, MemoryError) as error:
        msg = f"{entrypoint}:1:1: this is not a Python file: {error}"
        raise InvalidInput(msg, file=str(entrypoint), line=1, column=1) from None


class _Names:
    """Collects what a module binds. A name bound twice has an unknown signature."""

    def __init__(self) -> None:
        self.found: dict[str, Signature] = {}
        self.listed: list[str] | None = None

    def visit_all(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self._visit(statement)

    def _visit(self, node: ast.stmt) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._bind(node.name, _signature(node.args, node.lineno, bool(node.decorator_list)))
            case ast.ClassDef():
                self.found.pop(node.name, None)
            case ast.ImportFrom():
                self._import(node)
            case ast.Assign(targets=targets, value=value):
                self._assign(targets, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign([target], value)
            case ast.AugAssign(target=ast.Name(id="__all__")):
                self.listed = None
            case ast.Delete(targets=targets):
                self._forget(targets)
            case _:
                for block in _blocks(node):
                    self.visit_all(block)

    def _import(self, node: ast.ImportFrom) -> None:
        for alias in node.names:  # a star binds ANY_NAME
            self._bind(alias.asname or alias.name, _unknown(node.lineno))

    def _forget(self, targets: list[ast.expr]) -> None:
        for name in _names_in(targets):
            self.found.pop(name, None)

    def _assign(self, targets: list[ast.expr], value: ast.expr) -> None:
        for name in _names_in(targets):
            if name == "__all__":
                self.listed = _texts(value)
            elif isinstance(value, ast.Lambda):
                self._bind(name, _signature(value.args, value.lineno, decorated=False))
            elif not isinstance(value, _NEVER_CALLABLE):
                self._bind(name, _unknown(value.lineno))

    def _bind(self, name: str, signature: Signature) -> None:
        self.found[name] = _unknown(signature.line) if name in self.found else signature


_NEVER_CALLABLE = (ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.Set)


def _signature(args: ast.arguments, line: int, decorated: bool) -> Signature:
    keyword_defaults = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    positional = [each.arg for each in (*args.posonlyargs, *args.args)]
    required = positional[: len(positional) - len(args.defaults)]
    required += [each.arg for each, default in keyword_defaults if default is None]
    parameters = (*[each.arg for each in args.args], *[each.arg for each in args.kwonlyargs])
    if decorated:  # a decorator may change what is taken
        return Signature(parameters, (), accepts_any=True, line=line)
    needed = tuple(name for name in required if name != GIVEN)
    return Signature(parameters, needed, accepts_any=args.kwarg is not None, line=line)


def _unknown(line: int) -> Signature:
    return Signature((), (), accepts_any=True, line=line)


def _names_in(targets: list[ast.expr]) -> Iterator[str]:
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id
        elif isinstance(target, ast.Tuple | ast.List):
            yield from _names_in(target.elts)


def _texts(value: ast.expr) -> list[str] | None:
    """Return the texts of a literal list or tuple; None when it is computed."""
    if not isinstance(value, ast.List | ast.Tuple):
        return None
    texts = [each.value for each in value.elts if isinstance(each, ast.Constant)]
    return (
        [text for text in texts if isinstance(text, str)] if len(texts) == len(value.elts) else None
    )


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Yield the blocks of a compound statement, all of which belong to the module."""
    for field in ("body", "orelse", "finalbody"):
        yield getattr(node, field, [])
    for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
        yield part.body
