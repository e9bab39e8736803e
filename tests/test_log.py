"""Rules of the log."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from appliance import log


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_when_not_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal every event, of ours or of a library, is one JSON object on a line."""
    log.configure()
    structlog.get_logger().info("run.started", exec_id="x", count=2)
    logging.getLogger("library").warning("line\n%s", "break")
    ours, theirs = events(capsys)
    assert ("info", "run.started", "x", 2) == (
        ours["level"],
        ours["event"],
        ours["exec_id"],
        ours["count"],
    )
    assert ("warning", "line\nbreak", "library") == (
        theirs["level"],
        theirs["event"],
        theirs["logger"],
    )
    assert ours["time"].endswith("Z")


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Text is one line too: what would break the line or steer the terminal is escaped."""
    log.configure(style="text")
    structlog.get_logger().warning("a\nb", path="x y", esc="\x1b[2J", empty="", n=1)
    line = capsys.readouterr().err
    assert line[9:] == 'WARNING a\\nb path="x y" esc=\\x1b[2J empty="" n=1\n'


def test_level(capsys: pytest.CaptureFixture[str]) -> None:
    """Events below the level are not written, wherever they come from."""
    log.configure("warning", "json")
    structlog.get_logger().info("quiet")
    logging.getLogger("library").info("quiet")
    structlog.get_logger().error("loud")
    assert ["loud"] == [event["event"] for event in events(capsys)]


@pytest.mark.parametrize("style", ["json", "text"])
def test_secrets(capsys: pytest.CaptureFixture[str], style: str) -> None:
    """Nothing named like a secret, no key of ours and no password in a URL is ever written."""
    log.configure(style=style)
    structlog.get_logger().info(
        "cpzy_s3cret",
        password="s3cret",
        api_key="s3cret",
        Authorization="Bearer s3cret",
        conninfo="s3cret",
        url="postgresql://me:s3cret@h/d",
        text="used cpzy_s3cret",
        input_tokens=5,
    )
    logging.getLogger("library").info("session %s", "cpzs_s3cret")
    written = capsys.readouterr().err
    assert "s3cret" not in written
    assert "********@h/d" in written
    assert "5" in written


@pytest.mark.parametrize("style", ["json", "text"])
def test_exceptions(capsys: pytest.CaptureFixture[str], style: str) -> None:
    """An unexpected error carries its traceback, for those who operate the server."""
    log.configure(style=style)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
        logging.getLogger("library").exception("failed")
    assert 2 == capsys.readouterr().err.count("ZeroDivisionError: division by zero")


def test_anything_can_be_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """A value that is no JSON, or no valid text, does not stop the program."""
    log.configure(style="json")
    structlog.get_logger().info("odd", value=object(), path="\udc80", number=float("nan"))
    assert "\\udc80" in capsys.readouterr().err


def test_rich_is_not_imported() -> None:
    """A server does not pay for rich and pygments, which structlog would import."""
    program = (
        "import sys; from appliance import log; log.configure();"
        "print([m for m in ('rich', 'pygments') if m in sys.modules]); import rich.console"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "[]\n" == done.stdout
