"""Reading the functions of an entrypoint from its text."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from appliance.errors import InvalidInput
from appliance.tools.introspect import ANY_NAME, Signature, functions


def read(directory: Path, source: str | bytes) -> dict[str, Signature]:
    """Write *source* to a file and return the functions in it."""
    path = directory / "functions.py"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    return functions(path)


@pytest.mark.parametrize(
    ("source", "parameters", "required", "accepts_any"),
    [
        ("def f(): pass", (), (), False),
        ("async def f(a, b=1): pass", ("a", "b"), ("a",), False),
        ("def f(a, *, b, c=2): pass", ("a", "b", "c"), ("a", "b"), False),
        ("def f(a, **rest): pass", ("a",), ("a",), True),
        ("def f(*rest): pass", (), (), False),
        ("def f(a, context): pass", ("a", "context"), ("a",), False),
        ("def f(a, /, b): pass", ("b",), ("a", "b"), False),
        ("@wrap\ndef f(a): pass", ("a",), (), True),
        ("f = lambda a, b=1: a", ("a", "b"), ("a",), False),
        ("f = partial(g, 1)", (), (), True),
        ("f: object = make()", (), (), True),
        ("e = f = make()", (), (), True),
        ("e, (f, *g) = make()", (), (), True),
        ("from elsewhere import f", (), (), True),
        ("from elsewhere import g as f", (), (), True),
        ("if x:\n    def f(a): pass", ("a",), ("a",), False),
        ("if x:\n    pass\nelse:\n    def f(a): pass", ("a",), ("a",), False),
        ("with x:\n    def f(a): pass", ("a",), ("a",), False),
        ("match x:\n    case 1:\n        def f(a): pass", ("a",), ("a",), False),
        ("try:\n    from x import f\nexcept ImportError:\n    def f(a): pass", (), (), True),
        ("def f(a): pass\ndef f(b): pass", (), (), True),
        ("f = None\ndef f(a): pass", ("a",), ("a",), False),
    ],
)
def test_signatures(
    tmp_path: Path,
    source: str,
    parameters: tuple[str, ...],
    required: tuple[str, ...],
    accepts_any: bool,
) -> None:
    """What the text shows is known exactly; what it does not show may be called with anything."""
    found = read(tmp_path, source)["f"]

    assert (parameters, required, accepts_any) == (
        found.parameters,
        found.required,
        found.accepts_any,
    )


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("", []),
        ("def a(): pass\ndef _b(): pass\nasync def c(): pass", ["a", "c"]),
        ("class A:\n    def a(self): pass", []),
        ("def a():\n    def b(): pass", ["a"]),
        ("import json\nimport a.b as c", []),
        ("LIMIT = 3\nNAMES = ['x']\nTEXT = f'{LIMIT}'\nTABLE = {}", []),
        ("def a(): pass\ndel a", []),
        ("def a(): pass\nclass a: pass", []),
        ("__all__ = ['a', 'missing', '_c']\ndef a(): pass\ndef b(): pass\ndef _c(): pass", ["a"]),
        ("__all__ = ('b',)\ndef a(): pass\ndef b(): pass", ["b"]),
        ("__all__ = other.__all__\ndef a(): pass", ["a"]),
        ("__all__ = ['a']\n__all__ += more\ndef a(): pass\ndef b(): pass", ["a", "b"]),
        ("from x import *\ndef a(): pass", [ANY_NAME, "a"]),
        ("from x import *\n__all__ = ['a', 'b']\ndef a(): pass", ["a", "b"]),
        ("def __getattr__(name): pass", [ANY_NAME]),
    ],
)
def test_names(tmp_path: Path, source: str, names: list[str]) -> None:
    """Public names that may be functions: no classes, modules, constants or underscores."""
    assert names == sorted(read(tmp_path, source))


def test_lines_are_known(tmp_path: Path) -> None:
    """The line of a function is where its `def` stands, below its decorators."""
    found = read(tmp_path, "\n\n@wrap\ndef f(): pass\nfrom x import g")

    assert {"f": 4, "g": 5} == {name: each.line for name, each in found.items()}


def test_nothing_is_run(tmp_path: Path) -> None:
    """Reading a file never imports it or what it imports."""
    before = set(sys.modules)

    read(tmp_path, f"import this, antigravity\nopen({str(tmp_path / 'ran')!r}, 'w')\nexit(1)")

    assert not (tmp_path / "ran").exists()
    assert before == set(sys.modules)


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("x = 1\ndef broken(:\n", 2, "invalid syntax"),
        ("def a():\n  return 1\n return 2", 3, "unindent does not match"),
        ("return 1", 1, "'return' outside function"),
        (b"x = '\xff'", 1, "codec can't decode"),
        (b"x = 1\0", 1, "null bytes"),
        ("(" * 5000, 1, "too many nested parentheses"),
        ("x = " + "-" * 100000 + "1", 1, ""),
    ],
)
def test_what_is_no_python_is_refused_with_its_place(
    tmp_path: Path, source: str | bytes, line: int, words: str
) -> None:
    """InvalidInput begins with file:line:column."""
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, source)

    file = str(tmp_path / "functions.py")
    column = caught.value.details["column"]
    assert line == caught.value.details["line"]
    assert caught.value.message.startswith(f"{file}:{line}:{column}: ")
    assert words in caught.value.message


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A missing file or a directory is named, with the reason."""
    with pytest.raises(InvalidInput, match=r"nowhere\.py: .* cannot be read: No such file"):
        functions(tmp_path / "nowhere.py")
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        functions(tmp_path)


def test_doubtful_text_warns_nobody(tmp_path: Path) -> None:
    """Warnings of the compiler about the user's text are not printed by the server."""
    assert list(read(tmp_path, "def f(a): return a is 1, '\\d'")) == ["f"]
