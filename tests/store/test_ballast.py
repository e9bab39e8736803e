"""The ballast: really allocated, private, left alone while it is right. A full disk: see A6."""

from __future__ import annotations

from pathlib import Path

from appliance.store.ballast import Ballast

SIZE = 2 << 20


def test_the_room_is_really_taken(tmp_path: Path) -> None:
    """A file with holes would keep nothing; others may not even look at it."""
    ballast = Ballast(tmp_path, SIZE)
    ballast.lay()
    status = ballast.path.stat()
    assert SIZE == ballast.held
    assert SIZE <= status.st_blocks * 512
    assert 0o600 == status.st_mode & 0o777


def test_nothing_is_written_again(tmp_path: Path) -> None:
    """A card wears out by writing: what is there stays as it is, start after start."""
    ballast = Ballast(tmp_path, SIZE)
    ballast.lay()
    before = ballast.path.stat()
    for again in (ballast, Ballast(tmp_path, SIZE)):
        again.give_up()
        again.lay()
    assert before == ballast.path.stat()


def test_who_wants_none_has_none(tmp_path: Path) -> None:
    """Size 0 lays nothing, and takes away what was laid before."""
    Ballast(tmp_path, SIZE).lay()
    ballast = Ballast(tmp_path, 0)
    ballast.give_up()
    ballast.lay()
    assert [] == list(tmp_path.iterdir())
    assert ballast.enough
    assert "0 MiB are kept" in ballast.detail
