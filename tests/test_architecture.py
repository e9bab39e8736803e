"""The shape of the code: who may import whom, how long things may be, what stands nowhere."""

from __future__ import annotations

import ast
import io
import re
import statistics
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "appliance"

LAYERS = [
    ["__main__"],
    ["cli"],
    ["server"],
    ["operations"],
    ["engine"],
    ["memory"],
    ["language", "sample"],
    ["tools"],
    ["cluster"],
    ["moving"],
    ["backup"],
    ["store"],
    ["atomic", "config", "log"],
    ["background", "clock", "errors", "failpoint", "ids", "lean"],
]
"""From top to bottom. A module imports from its own layer and from lower ones."""

LINES_PER_FILE, MEDIAN_LINES_PER_FILE = 500, 150
LINES_PER_FUNCTION, MEDIAN_LINES_PER_FUNCTION = 80, 8
LINES_OF_CODE = 27_500
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
CLOCKS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "now", "utcnow", "today"}
NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}
WRITING = {"write_text", "write_bytes"}

SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s.+\sSET|DELETE\s+FROM"
    r"|(CREATE|ALTER|DROP)\s+(TABLE|INDEX|VIEW|TRIGGER))\b",
    re.DOTALL,
)


class Module(NamedTuple):
    """A module of the package, read once."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def layer(self) -> str:
        """The first part of the name below the package."""
        return self.name.split(".")[1] if "." in self.name else ""


def read(path: Path) -> Module:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = path.read_text("utf-8")
    return Module(name, path, text, ast.parse(text))


@cache
def modules() -> dict[str, Module]:
    return {module.name: module for module in map(read, sorted(PACKAGE.rglob("*.py")))}


def imports(module: Module, *, lazy: bool = True) -> Iterator[str]:
    """The modules of the package that *module* imports; without *lazy*, only when it is loaded."""
    package = module.name if module.path.stem == "__init__" else module.name.rpartition(".")[0]
    for node in nodes(module.tree, lazy=lazy):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            outer = ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level])
            base = ".".join(filter(None, (outer if node.level else "", node.module)))
            found = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name in modules() else base for name in found]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == "appliance")


def nodes(tree: ast.AST, *, lazy: bool) -> Iterator[ast.AST]:
    """Every node; without *lazy* none that runs later, or for a type checker alone."""
    for node in ast.iter_child_nodes(tree):
        later = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if lazy or not (later or typing):
            yield node
            yield from nodes(node, lazy=lazy)


def where(module: Module, node: ast.AST) -> str:
    return f"{module.path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def test_every_module_has_a_layer() -> None:
    """A new part of the program is given its place before anything else."""
    known = {name for layer in LAYERS for name in layer} | {""}
    assert sorted({module.layer for module in modules().values()} - known) == []


def test_imports_go_down() -> None:
    """Nothing imports from a layer above its own, not even inside a function."""
    height = {name: -row for row, layer in enumerate(LAYERS) for name in layer} | {"": -99}
    upward = [
        f"{module.name} imports {name}"
        for module in modules().values()
        if module.layer
        for name in imports(module)
        if height[modules()[name].layer] > height[module.layer]
    ]
    assert upward == []


def test_no_cycle() -> None:
    """What is loaded does not need itself to be loaded."""
    graph = {
        name: {target for target in imports(module, lazy=False) if target != name}
        for name, module in modules().items()
    }
    while leaves := [name for name, targets in graph.items() if not targets & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert sorted(graph) == []


def test_files_are_short() -> None:
    """A file near its budget wants a second noun."""
    lengths = {name: module.text.count("\n") for name, module in modules().items()}
    assert {name: length for name, length in lengths.items() if length > LINES_PER_FILE} == {}
    assert statistics.median(filter(None, lengths.values())) <= MEDIAN_LINES_PER_FILE


def functions() -> Iterator[tuple[str, int]]:
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{where(module, node)} {node.name}", body_lines(node)


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement to the last, the docstring apart."""
    has_docstring = ast.get_docstring(node) is not None
    body = node.body[1:] if has_docstring else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 1


def test_functions_are_short() -> None:
    """Half of all functions have at most 8 lines, none more than 80."""
    lengths = dict(functions())
    assert {name: length for name, length in lengths.items() if length > LINES_PER_FUNCTION} == {}
    assert statistics.median(lengths.values()) <= MEDIAN_LINES_PER_FUNCTION


def lines_of_code(module: Module) -> int:
    """Lines that do something: no blank ones, no comments, no docstrings."""
    texts = docstrings(module.tree)
    silent = {
        line
        for node in texts
        if isinstance(node, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    code = {
        line
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline)
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    return len(code - silent)


def test_the_whole_can_be_read() -> None:
    """The server stays small enough for one person."""
    assert sum(map(lines_of_code, modules().values())) <= LINES_OF_CODE


def test_names_say_something() -> None:
    """One noun, one module: no drawer for what found no place."""
    words = {
        part: name for name in modules() for part in re.split(r"[._]", name.rpartition(".")[2])
    }
    assert {word: name for word, name in words.items() if word in BANNED_NAMES} == {}


def docstrings(tree: ast.Module) -> set[ast.AST]:
    """The texts that document something; a text that stands alone documents what is above it."""
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def test_sql_is_in_sql_files() -> None:
    """A query in Python is one that nobody EXPLAINs and no dialect is checked for."""
    found = [
        f"{where(module, node)} {node.value[:60]!r}"
        for module in modules().values()
        for node in set(ast.walk(module.tree)) - docstrings(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.search(node.value)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "is_sql"),
    [
        ("SELECT id FROM users", True),
        ("DELETE  FROM users", True),
        ("UPDATE users\nSET x = 1", True),
        ("CREATE TABLE t (x)", True),
        ("PRAGMA journal_mode = WAL", False),
        ("Select a workflow from the list", False),
        ("update the settings", False),
    ],
)
def test_what_counts_as_sql(text: str, is_sql: bool) -> None:
    """Statements are found, sentences are not."""
    assert bool(SQL.search(text)) == is_sql


def calls(module: Module) -> Iterator[tuple[ast.Call, str, str]]:
    """Every call of `owner.name(...)`, or of `name(...)` with an empty owner."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node, ast.unparse(node.func.value), node.func.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node, "", node.func.id


def test_time_is_read_in_one_place() -> None:
    """Whoever can move the clock in one place can test everything that depends on it."""
    owners = re.compile(r"(\w+\.)*(time|datetime|date)")
    found = [
        where(module, node)
        for module in modules().values()
        if module.name != "appliance.clock"
        for node, owner, name in calls(module)
        if name in CLOCKS and owners.fullmatch(owner)
    ]
    names = [
        f"{where(module, node)} {alias.name}"
        for module in modules().values()
        if module.name != "appliance.clock"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
    ]
    assert found + names == []


def opens_for_writing(node: ast.Call, owner: str, name: str) -> bool:
    """Whether a call opens a file to replace or extend it."""
    if name != "open" or owner in ("os", "zipfile", "tarfile"):
        return False
    position = 0 if owner and owner != "io" else 1
    modes = [*node.args[position : position + 1]]
    modes += [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
    texts = [mode.value for mode in modes if isinstance(mode, ast.Constant)]
    return any(isinstance(text, str) and set(text) & set("wax") for text in texts)


def test_files_are_written_in_one_place() -> None:
    """A file that is not replaced atomically is one that a power cut can leave half-written."""
    found = [
        where(module, node)
        for module in modules().values()
        if module.name != "appliance.atomic"
        for node, owner, name in calls(module)
        if name in WRITING or opens_for_writing(node, owner, name)
    ]
    assert found == []


def test_every_module_says_what_it_is() -> None:
    """The first line of a file is what its noun means."""
    silent = [
        name
        for name, module in modules().items()
        if module.text.strip() and ast.get_docstring(module.tree) is None
    ]
    assert silent == []
