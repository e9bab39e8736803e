"""Reading, writing and deleting files."""

from __future__ import annotations

import stat

import pytest

from appliance.tools.zygote.native.files import SIZE_LIMIT
from tests.tools.native.cell import Cell, names_in


def test_text_is_read_as_text(cell: Cell) -> None:
    """The content, how it is written and how many bytes it has."""
    (cell.root / "ü.txt").write_text("grüß\n")

    assert {"path": "ü.txt", "content": "grüß\n", "encoding": "utf-8", "size": 7} == cell.output(
        "read_file", path="ü.txt"
    )
    assert "inside" == cell.output("read_file", path=str(cell.root / "note.txt"))["content"]


def test_what_is_no_text_is_read_in_base64(cell: Cell) -> None:
    """Nothing is lost of a file that is not UTF-8."""
    (cell.root / "image").write_bytes(b"\xff\x00\xfe")

    found = cell.output("read_file", path="image")

    assert ("/wD+", "base64", 3) == (found["content"], found["encoding"], found["size"])


def test_a_written_file_is_what_was_given(cell: Cell) -> None:
    """Directories on the way are made; what was there is replaced; no other file is left."""
    first = cell.output("write_file", path="a/b/c.txt", content="één")
    second = cell.output("write_file", path="a/b/c.txt", content="2")

    assert [(5, True), (1, False)] == [(each["size"], each["created"]) for each in (first, second)]
    assert "2" == (cell.root / "a/b/c.txt").read_text()
    assert ["c.txt"] == names_in(cell.root / "a/b")


def test_the_mode_of_a_file(cell: Cell) -> None:
    """It is the one that was given, else the one it had, else 0644."""
    seen = []
    for arguments in ({}, {"mode": "0600"}, {}, {"mode": "755"}):
        cell.output("write_file", path="f", content="", **arguments)
        seen.append(stat.S_IMODE((cell.root / "f").stat().st_mode))

    assert [0o644, 0o600, 0o600, 0o755] == seen


def test_a_replaced_file_is_a_new_one(cell: Cell) -> None:
    """Who reads the old file goes on reading the old: it is never half of one and half of the other."""
    with (cell.root / "note.txt").open() as reader:
        cell.output("write_file", path="note.txt", content="new")
        assert "inside" == reader.read()


def test_appending_at_the_same_time_loses_nothing(cell: Cell) -> None:
    """Twenty calls at once leave twenty lines, whole, and the first of them makes the file."""
    calls = [
        ("write_file", {"path": "log", "content": f"line {n}\n", "append": True}) for n in range(20)
    ]

    cell.outcomes(*calls)

    lines = (cell.root / "log").read_text().splitlines()
    assert {f"line {n}" for n in range(20)} == set(lines)
    assert 20 == len(lines)


def test_a_deleted_file_is_gone(cell: Cell) -> None:
    """Deleting again changes nothing and is no failure: a call may be made twice."""
    assert [True, False] == [
        cell.output("delete_file", path="note.txt")["deleted"] for _ in range(2)
    ]
    assert not (cell.root / "note.txt").exists()


def test_a_directory_is_deleted_only_when_asked(cell: Cell) -> None:
    """`recursive` deletes all that is in it; links are deleted, not what they lead to."""
    (cell.root / "d/e").mkdir(parents=True)
    (cell.root / "d/e/f").write_text("x")
    (cell.root / "d/link").symlink_to(cell.outside)

    assert "InvalidArgument" == cell.code("delete_file", path="d")
    assert (cell.root / "d/e/f").exists()
    assert cell.output("delete_file", path="d", recursive=True)["deleted"]
    assert not (cell.root / "d").exists()
    assert (cell.outside / "note.txt").exists()


def test_a_link_is_deleted_itself(cell: Cell) -> None:
    """What it leads to stays, wherever that is."""
    (cell.root / "link").symlink_to(cell.outside / "note.txt")

    assert cell.output("delete_file", path="link")["deleted"]
    assert not (cell.root / "link").is_symlink()
    assert (cell.outside / "note.txt").exists()


@pytest.mark.parametrize("path", [".", "", "{root}", "d/..", "link"])
def test_a_root_stays(cell: Cell, path: str) -> None:
    """The root itself cannot be deleted, however it is written; a link to it is only a link."""
    (cell.root / "d").mkdir()
    (cell.root / "link").symlink_to(cell.root)
    [outcome] = cell.outcomes(
        ("delete_file", {"path": path.format(root=cell.root), "recursive": True})
    )

    assert getattr(outcome, "code", "") == ("" if path == "link" else "PermissionDenied")
    assert (cell.root / "note.txt").exists()


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "words"),
    [
        ("read_file", {"path": "gone"}, "FileNotFound", "no 'gone'"),
        ("read_file", {"path": "note.txt/x"}, "FileNotFound", "note.txt/x"),
        ("read_file", {"path": "."}, "InvalidArgument", "is a directory"),
        ("read_file", {"path": 5}, "InvalidArgument", "'path' must be text"),
        ("read_file", {"path": "a\0b"}, "InvalidArgument", "no text can have"),
        ("read_file", {"path": "x" * 300}, "InvalidArgument", "too long"),
        ("read_file", {}, "InvalidArgument", "missing a required argument: 'path'"),
        ("read_file", {"path": "a", "mode": 1}, "InvalidArgument", "unexpected keyword argument"),
        ("write_file", {"path": "a", "content": {}}, "InvalidArgument", "toJson"),
        ("write_file", {"path": "a", "content": "", "mode": 420}, "InvalidArgument", '"0644"'),
        ("write_file", {"path": "a", "content": "", "mode": "4755"}, "InvalidArgument", "octal"),
        ("write_file", {"path": "a", "content": "", "append": 1}, "InvalidArgument", "true or"),
        ("write_file", {"path": ".", "content": ""}, "InvalidArgument", "is a directory"),
        ("write_file", {"path": "note.txt/x", "content": ""}, "FileNotFound", "note.txt/x"),
    ],
)
def test_what_cannot_be_done_is_said(
    cell: Cell, tool: str, arguments: dict[str, object], code: str, words: str
) -> None:
    """A refusal has one of the codes and names what is wrong; no retry would help."""
    failure = cell.failure(tool, **arguments)

    assert (code, False) == (failure.code, failure.retryable)
    assert words in failure.message


def test_sizes_are_bounded(cell: Cell) -> None:
    """A file at the limit passes both ways; one byte more is refused and nothing changed."""
    text = "x" * SIZE_LIMIT
    cell.output("write_file", path="large", content=text)
    assert SIZE_LIMIT == cell.output("read_file", path="large")["size"]

    assert "InvalidArgument" == cell.code("write_file", path="large", content=text + "x")
    cell.output("write_file", path="large", content="x", append=True)
    assert f"has {SIZE_LIMIT + 1} bytes" in cell.failure("read_file", path="large").message
