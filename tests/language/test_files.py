"""Rules of looking at the files of a project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.language.files import CODE, stamps


def save(file: Path, text: str = "x") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_sources_are_seen_and_nothing_else(tmp_path: Path) -> None:
    """Definitions, code and variables, also below; not what is made, installed or kept by a server."""
    seen = ["compozy.yaml", ".env", ".env.local", "flows/a.yml", "lib/data/x.py", "t.ts", "s.json"]
    unseen = [
        *(".git/x.yaml", "node_modules/m/x.js", "__pycache__/x.py", "notes.txt", "a.yaml~"),
        *("data/instance.lock", "data/x.yaml", "env/pyvenv.cfg", "env/lib/x.py"),
    ]
    for name in seen + unseen:
        save(tmp_path / name)
    assert {str(tmp_path / name) for name in seen} == stamps(tmp_path).keys()
    code = {".env", ".env.local", "lib/data/x.py", "t.ts"}
    assert {str(tmp_path / name) for name in code} == stamps(tmp_path, CODE).keys()
    assert "lib" not in " ".join(stamps(tmp_path, depth=0))


@pytest.mark.parametrize("change", ["text", "replaced", "time", "gone", "new"])
def test_every_change_shows(tmp_path: Path, change: str) -> None:
    """Whatever an editor does to save a file."""
    file = save(tmp_path / "a.yaml")
    os.utime(file, ns=(5, 5))
    before = stamps(tmp_path)
    if change == "text":
        file.write_text("yy")
        os.utime(file, ns=(5, 5))
    elif change == "replaced":
        other = save(tmp_path / "other.tmp")
        os.utime(other, ns=(5, 5))
        other.replace(file)
    elif change == "time":
        os.utime(file, ns=(6, 6))
    elif change == "gone":
        file.unlink()
    else:
        save(tmp_path / "b.yaml")
    assert before != stamps(tmp_path)


def test_what_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    """A directory that is gone, links that lead nowhere or in a circle, other files that are missing."""
    (tmp_path / "dangling.yaml").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to(tmp_path)
    missing = tmp_path / "missing.env"
    assert {str(missing): (0, 0, 0)} == stamps(tmp_path, others=[missing])
    assert {} == stamps(tmp_path / "gone")
