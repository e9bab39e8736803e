"""Rules of `schema`."""

from __future__ import annotations

import json

from tests.cli.conftest import Terminal


def test_a_schema_is_printed(terminal: Terminal) -> None:
    """It is JSON, for a file or for a program that reads it."""
    printed = terminal.json("schema", "workflow")

    assert "workflow.schema.json" == printed["$id"]
    assert "cron" in printed["definitions"]["schedule"]["properties"]


def test_without_a_kind_the_kinds_are_listed(terminal: Terminal) -> None:
    """One name in a line, and each of them can be asked for."""
    names = terminal.ok("schema").split()

    assert {"project", "workflow", "task", "tool", "memory", "agent", "schedule"} <= {*names}
    assert names == [terminal.json("schema", name)["title"] for name in names]


def test_all_are_written_into_a_directory(terminal: Terminal) -> None:
    """An editor reads them as files; the directory is made, and what was there is replaced."""
    place = terminal.directory / ".vscode" / "schemas"
    for _ in range(2):
        said = terminal.ok("schema", "--out", ".vscode/schemas").split()

    files = sorted(place.iterdir())
    assert sorted(said) == [str(file.relative_to(terminal.directory)) for file in files]
    assert "compozy" not in json.loads(files[0].read_text())["$id"]
    assert 0o644 == files[0].stat().st_mode & 0o777
    assert ["one/task.schema.json"] == terminal.ok("schema", "task", "--out", "one").split()


def test_a_kind_that_is_none_is_told(terminal: Terminal) -> None:
    """The name that was probably meant, and how to see all of them."""
    said = 'error: There is no schema "wokflow"; did you mean \'workflow\'? "schema" lists them.\n'
    assert said == terminal.fails(64, "schema", "wokflow")
    assert 'There is no schema "zzz"; "schema" lists them.' in terminal.fails(64, "schema", "zzz")
