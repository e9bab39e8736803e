"""The jail: nothing outside of the roots is reached, whatever a path looks like or becomes."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tools.native.cell import SECRET, Cell, names_in

ESCAPES = [
    "../outside/note.txt",
    "x/../../outside/note.txt",
    "./.././outside//note.txt",
    "{outside}/note.txt",
    "{root}/../outside/note.txt",
    "{root}x/note.txt",
    "/etc/passwd",
    "//etc/passwd",
    "/proc/self/root{outside}/note.txt",
    "/proc/self/cwd/../note.txt",
    "file_link",
    "directory_link/note.txt",
    "up_link/outside/note.txt",
    "chain/note.txt",
    "proc_link/self/root{outside}/note.txt",
    "proc_link/self/environ",
]


def furnish(cell: Cell) -> None:
    (cell.root / "x").mkdir()
    (cell.root / "file_link").symlink_to(cell.outside / "note.txt")
    (cell.root / "directory_link").symlink_to("../outside")
    (cell.root / "up_link").symlink_to("..")
    (cell.root / "chain").symlink_to("x/back")
    (cell.root / "x/back").symlink_to(cell.root / "directory_link")
    (cell.root / "proc_link").symlink_to("/proc")
    Path(f"{cell.root}x").symlink_to(cell.outside)


@pytest.mark.parametrize("path", ESCAPES)
def test_no_path_leads_out(cell: Cell, path: str) -> None:
    """Dots, links, chains of links, absolute paths: each tool refuses them, and nothing changes."""
    furnish(cell)
    given = path.format(root=cell.root, outside=cell.outside)

    refused = [
        cell.code(tool, **{name: given, **rest})
        for tool, name, rest in (
            ("read_file", "path", {}),
            ("write_file", "path", {"content": "x"}),
            ("write_file", "path", {"content": "x", "append": True}),
            ("delete_file" if path != "file_link" else "read_file", "path", {}),
            ("list_dir", "path", {}),
            ("list_files", "dir", {}),
            ("grep", "path", {"pattern": "."}),
        )
    ]

    assert ["PermissionDenied"] * 7 == refused
    assert SECRET == (cell.outside / "note.txt").read_text()
    assert ["note.txt"] == names_in(cell.outside)


def test_a_new_file_cannot_be_made_outside(cell: Cell) -> None:
    """Neither through a link to a directory nor through a link to what is not there yet."""
    (cell.root / "directory").symlink_to(cell.outside)
    (cell.root / "dangling").symlink_to(cell.outside / "new")

    for path in ("directory/new", "dangling", "directory/a/b", "../outside/new"):
        assert "PermissionDenied" == cell.code("write_file", path=path, content="x")
    assert ["note.txt"] == names_in(cell.outside)


def test_links_that_stay_inside_are_followed(cell: Cell) -> None:
    """Relative or absolute, to files or directories; a written file takes the place of the target."""
    (cell.root / "releases/1").mkdir(parents=True)
    (cell.root / "current").symlink_to("releases/1")
    (cell.root / "absolute").symlink_to(cell.root / "current/f")
    (cell.root / "releases/1/up").symlink_to("../../note.txt")

    cell.output("write_file", path="current/f", content="through")

    assert "through" == cell.output("read_file", path="absolute")["content"]
    assert "inside" == cell.output("read_file", path="current/up")["content"]
    cell.output("write_file", path="absolute", content="again")
    assert "again" == (cell.root / "releases/1/f").read_text()
    assert (cell.root / "absolute").is_symlink()


def test_dots_that_stay_inside_are_followed(cell: Cell) -> None:
    """`..` means the directory above as long as that is inside."""
    (cell.root / "a/b").mkdir(parents=True)

    assert "inside" == cell.output("read_file", path="a/b/../../note.txt")["content"]


def test_links_in_a_circle_end(cell: Cell) -> None:
    """A walk has a bounded number of links."""
    (cell.root / "a").symlink_to("b")
    (cell.root / "b").symlink_to("a")

    assert "more than 40 links" in cell.failure("read_file", path="a").message


def test_further_roots_are_reached_by_absolute_paths(cell: Cell) -> None:
    """Only those that were named, and also through a link of the main root."""
    shared = cell.outside.parent / "shared"
    shared.mkdir()
    (shared / "f").write_text("shared")
    (cell.root / "link").symlink_to(shared)
    cell.open(additional_roots=(str(shared),))

    assert "shared" == cell.output("read_file", path=f"{shared}/f")["content"]
    assert "shared" == cell.output("read_file", path="link/f")["content"]
    assert "PermissionDenied" == cell.code("read_file", path=f"{shared}/../outside/note.txt")


def test_a_root_may_be_a_link(cell: Cell) -> None:
    """A path that begins with the root as it was named is inside."""
    link = cell.outside.parent / "named"
    link.symlink_to(cell.root)
    cell.open(additional_roots=(str(link),))

    assert "inside" == cell.output("read_file", path=f"{link}/note.txt")["content"]


def test_a_root_that_is_missing_is_named(cell: Cell) -> None:
    """Whoever sets a root that is not there learns so from the first call."""
    cell.open(additional_roots=("/no/such/directory",))

    failure = cell.failure("read_file", path="/no/such/directory/x")

    assert ("FileNotFound", True) == (failure.code, "/no/such/directory" in failure.message)


def test_pipes_and_sockets_are_no_files(cell: Cell) -> None:
    """Nothing waits for the other end of a pipe, and no device is touched."""
    os.mkfifo(cell.root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(cell.root / "socket"))
        for name in ("pipe", "socket"):
            assert "PermissionDenied" == cell.code("read_file", path=name)
            assert "PermissionDenied" == cell.code("write_file", path=name, content="x")
            assert "PermissionDenied" == cell.code(
                "write_file", path=name, content="x", append=True
            )
            assert "PermissionDenied" == cell.code("grep", path=name, pattern="x")
        assert 1 == cell.output("grep", path=".", pattern="x", recursive=True)["files_searched"]


def test_a_hard_link_is_a_file_like_any_other(cell: Cell) -> None:
    """Who could make it could read the file."""
    os.link(cell.root / "note.txt", cell.root / "second")

    assert "inside" == cell.output("read_file", path="second")["content"]


# -- what belongs to the server -------------------------------------------------------------------


@pytest.fixture
def guarded(cell: Cell) -> Cell:
    """A root that holds the data directory, a database beside it and a file of variables."""
    (cell.root / "data/backups").mkdir(parents=True)
    for name in ("data/admin.key", "data/backups/b", "mine.db", "mine.db-wal", ".env", "kept"):
        (cell.root / name).write_text(SECRET)
    paths = ("data", "mine.db*", ".env")
    cell.open(protected=tuple(str(cell.root / path) for path in paths))
    return cell


@pytest.mark.parametrize(
    "path",
    [
        *("data/admin.key", "data/backups/b", "data", "./data/../data/admin.key", "data/new"),
        *("mine.db", "mine.db-wal", "mine.db-shm", "mine.db.before-restore-1", ".env"),
        *("link/admin.key", "key", "twin", "data_twin/admin.key"),
    ],
)
def test_what_belongs_to_the_server_is_out_of_reach(guarded: Cell, path: str) -> None:
    """The data directory, the database with its journals, also those to be, and the variables.

    Neither a link nor a second name of the file leads there.
    """
    root = guarded.root
    (root / "link").symlink_to("data")
    (root / "key").symlink_to(root / "data/admin.key")
    os.link(root / "mine.db", root / "twin")
    (root / "data_twin").symlink_to(root / "link")

    assert "PermissionDenied" == guarded.code("read_file", path=path)
    assert "PermissionDenied" == guarded.code("write_file", path=path, content="x")
    assert "PermissionDenied" == guarded.code("write_file", path=path, content="x", append=True)
    assert "PermissionDenied" == guarded.code("list_dir", path=path)
    assert "PermissionDenied" == guarded.code("grep", path=path, pattern=".")
    if not (root / path).is_symlink():
        assert "PermissionDenied" == guarded.code("delete_file", path=path, recursive=True)
    assert SECRET == (root / "data/admin.key").read_text() == (root / "mine.db").read_text()


def test_what_belongs_to_the_server_is_not_shown(guarded: Cell) -> None:
    """Lists and searches leave it out, at any depth."""
    assert ["kept", "note.txt"] == guarded.output("list_files", dir=".", recursive=True)["files"]
    listed = guarded.output("list_dir", path=".", recursive=True)["entries"]
    assert ["kept", "note.txt"] == [each["name"] for each in listed]
    matches = guarded.output("grep", path=".", pattern="hunter2")["matches"]
    assert ["kept"] == [each["path"] for each in matches]


def test_a_directory_around_it_is_not_deleted(guarded: Cell) -> None:
    """Nothing is deleted of a tree that holds something of the server."""
    inner = guarded.root / "a/b"
    inner.mkdir(parents=True)
    (guarded.root / "a/0").write_text("stays")
    (guarded.root / "data").rename(inner / "data")
    guarded.open(protected=(str(inner / "data"),))

    assert "PermissionDenied" == guarded.code("delete_file", path="a", recursive=True)
    assert (guarded.root / "a/0").exists()
    assert (inner / "data/admin.key").exists()


def test_a_root_inside_it_is_refused(guarded: Cell) -> None:
    """Nobody opens the data directory by naming a part of it as a root."""
    backups = str(guarded.root / "data/backups")
    guarded.open(protected=(str(guarded.root / "data"),), additional_roots=(backups,))

    assert "PermissionDenied" == guarded.code("read_file", path=f"{backups}/b")


# -- races ----------------------------------------------------------------------------------------


@contextmanager
def swapping(first: Path, second: Path) -> Iterator[None]:
    """Exchange two names all the time, each time at once, so that both are always there."""
    exchange = ctypes.CDLL(None, use_errno=True).renameat2
    names, here, flag = (bytes(first), bytes(second)), -100, 2
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            assert 0 == exchange(here, names[0], here, names[1], flag)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_a_link_that_comes_and_goes_leads_nowhere(cell: Cell, kind: str) -> None:
    """Whatever the moment, a call sees what is inside or is refused; nothing outside is changed."""
    place, link = cell.root / "place", cell.root / "link"
    if kind == "directory":
        place.mkdir()
        (place / "note.txt").write_text("inside")
        link.symlink_to(cell.outside)
    else:
        place.write_text("inside")
        link.symlink_to(cell.outside / "note.txt")
    path = "place/note.txt" if kind == "directory" else "place"
    calls: list[tuple[str, dict[str, Any]]] = [
        ("read_file", {"path": path}),
        ("read_file", {"path": path.replace("place", "link")}),
        ("write_file", {"path": path, "content": "", "append": True}),
        ("grep", {"path": ".", "pattern": ".*"}),
        ("list_files", {"dir": ".", "recursive": True}),
    ]
    if kind == "directory":
        calls.append(("write_file", {"path": "place/new", "content": "inside"}))
        calls.append(("delete_file", {"path": "place/new"}))

    with swapping(place, link):
        outcomes = cell.outcomes(*(calls * 40))

    codes = {getattr(each, "code", "") for each in outcomes}
    assert {"", "PermissionDenied"} <= codes <= {"", "PermissionDenied", "FileNotFound"}
    assert not [each for each in outcomes if SECRET in repr(each)]
    assert SECRET == (cell.outside / "note.txt").read_text()
    assert ["note.txt"] == names_in(cell.outside)
