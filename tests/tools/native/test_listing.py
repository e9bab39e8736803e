"""Lists of files, pages of directories, searches of text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.tools.native.cell import Cell


@pytest.fixture
def tree(cell: Cell) -> Cell:
    """A root with a few files, directories and a link that leads out."""
    for name in ("a.txt", "b.md", "src/main.py", "src/lib/util.py", "src/lib/util.md", "z/k.txt"):
        path = cell.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"This is {path.name}.\nSecond line\r\n")
    (cell.root / "src/out").symlink_to(cell.outside)
    return cell


def test_files_of_a_directory(tree: Cell) -> None:
    """Only files, as paths that the other tools understand, by name."""
    assert {"files": ["a.txt", "b.md", "note.txt"], "truncated": False} == tree.output(
        "list_files", dir="."
    )
    assert ["src/main.py"] == tree.output("list_files", dir="src/")["files"]
    absolute = tree.output("list_files", dir=str(tree.root / "z"))["files"]
    assert [f"{tree.root}/z/k.txt"] == absolute


def test_files_of_a_tree(tree: Cell) -> None:
    """With `recursive` those of every directory below; a link is no way."""
    assert ["src/lib/util.md", "src/lib/util.py", "src/main.py"] == tree.output(
        "list_files", dir="src", recursive=True
    )["files"]


@pytest.mark.parametrize(
    ("exclude", "files"),
    [
        ("*.md", ["a.txt", "note.txt", "src/lib/util.py", "src/main.py", "z/k.txt"]),
        (["*.txt", "src"], ["b.md"]),
        (["src/lib/*", "?.txt"], ["b.md", "note.txt", "src/main.py"]),
    ],
)
def test_what_is_excluded_is_left_out(tree: Cell, exclude: Any, files: list[str]) -> None:
    """Patterns with a slash are for the path, others for the name; a directory goes with all in it."""
    assert files == tree.output("list_files", dir=".", recursive=True, exclude=exclude)["files"]


def test_entries_of_a_directory(tree: Cell) -> None:
    """Each has a name, a path, a type, a size and a time."""
    os.utime(tree.root / "a.txt", (1_700_000_000, 1_700_000_000.5))

    found = tree.output("list_dir", path=".")

    assert "" == found["next_page_token"]
    assert {
        "name": "a.txt", "path": "a.txt", "type": "file", "size": 28, "modified_at": 1_700_000_000_500,
    } == found["entries"][0]  # fmt: skip
    kinds = {each["name"]: each["type"] for each in found["entries"]}
    files = dict.fromkeys(("a.txt", "b.md", "note.txt"), "file")
    assert {**files, "src": "directory", "z": "directory"} == kinds
    assert "link" == tree.output("list_dir", path="src", pattern="out")["entries"][0]["type"]


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        ({"pattern": "*.py", "recursive": True}, ["src/lib/util.py", "src/main.py"]),
        ({"include_files": False}, ["src", "z"]),
        ({"include_dirs": False}, ["a.txt", "b.md", "note.txt"]),
        ({"pattern": "src/*.md", "recursive": True}, ["src/lib/util.md"]),
    ],
)
def test_entries_can_be_chosen(tree: Cell, arguments: dict[str, Any], paths: list[str]) -> None:
    """By pattern and by kind."""
    found = tree.output("list_dir", path=".", **arguments)["entries"]
    assert paths == [each["path"] for each in found]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_make_up_the_whole(tree: Cell, size: int) -> None:
    """Each entry is on one page, in the same order, also where files come and go in between."""
    whole = [each["path"] for each in tree.output("list_dir", path=".", recursive=True)["entries"]]
    seen: list[str] = []
    token = ""
    while True:
        page = tree.output("list_dir", path=".", recursive=True, page_size=size, page_token=token)
        assert len(page["entries"]) <= size
        seen += [each["path"] for each in page["entries"]]
        token = page["next_page_token"]
        (tree.root / "a").touch()  # it sorts before what was seen
        if not token:
            break

    assert whole == [path for path in seen if path != "a"]


def test_a_name_that_is_no_text_is_shown_all_the_same(cell: Cell) -> None:
    """One odd name does not hide a directory."""
    Path(os.fsdecode(bytes(cell.root) + b"/\xff")).touch()

    assert ["note.txt", "\ufffd"] == cell.output("list_files", dir=".")["files"]


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("list_dir", {"path": "gone"}, "FileNotFound"),
        ("list_dir", {"path": "note.txt"}, "InvalidArgument"),
        ("list_dir", {"path": ".", "page_size": 0}, "InvalidArgument"),
        ("list_dir", {"path": ".", "recursive": "yes"}, "InvalidArgument"),
        ("list_files", {"dir": ".", "exclude": [1]}, "InvalidArgument"),
        ("grep", {"path": ".", "pattern": "("}, "InvalidArgument"),
        ("grep", {"path": "gone", "pattern": "x"}, "FileNotFound"),
    ],
)
def test_what_cannot_be_listed_is_refused(
    cell: Cell, tool: str, arguments: dict[str, Any], code: str
) -> None:
    """A missing directory and arguments of the wrong kind have codes of their own."""
    assert code == cell.code(tool, **arguments)


def test_lines_are_found(tree: Cell) -> None:
    """Each match has its path, the number of the line from 1 and the line without its end."""
    found = tree.output("grep", path="src", pattern=r"util\.\w+")

    assert {
        "matches": [
            {"path": "src/lib/util.md", "line": 1, "text": "This is util.md."},
            {"path": "src/lib/util.py", "line": 1, "text": "This is util.py."},
        ],
        "files_searched": 3,
        "files_skipped": 0,
        "truncated": False,
    } == found
    assert (
        2
        == tree.output("grep", path="a.txt", pattern="second", ignore_case=True)["matches"][0][
            "line"
        ]
    )
    assert [] == tree.output("grep", path=".", pattern="util", recursive=False)["matches"]
    assert [] == tree.output("grep", path="src", pattern="util", exclude="lib")["matches"]


def test_a_search_is_bounded(tree: Cell) -> None:
    """No more matches than asked for, told when there are more; binary files are left out."""
    (tree.root / "binary").write_bytes(b"Second\0line")
    (tree.root / "long").write_text("Second " + "x" * 5000)

    two = tree.output("grep", path=".", pattern="Second", max_results=2)
    all_ = tree.output("grep", path=".", pattern="Second")

    assert (2, True) == (len(two["matches"]), two["truncated"])
    assert (7, False, 1) == (len(all_["matches"]), all_["truncated"], all_["files_skipped"])
    assert 500 == max(len(each["text"]) for each in all_["matches"])
