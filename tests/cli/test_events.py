"""Rules of `event`: what is sent to a server that runs, and what is refused before."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Terminal

EXAMPLE = Path(__file__).parents[2] / "examples" / "signals"
SEND = ("event", "send", "sale.booked")
BOOKED = ("--field", "customer=Ada", "--field", "number=S-1")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the example, in which a server runs."""
    place = tmp_path_factory.mktemp("place") / "signals"
    shutil.copytree(EXAMPLE, place)
    words = [sys.executable, "-m", "appliance", "start", "--port", "0", "--cwd", str(place)]
    server = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert server.stderr is not None
    for line in server.stderr:
        if "Listening on" in line:
            break
    yield place
    server.terminate()
    server.communicate(timeout=20)
    assert 0 == server.returncode


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal beside the server."""
    monkeypatch.chdir(place)
    return Terminal(place)


def test_an_event_starts_who_listens(here: Terminal) -> None:
    """Fields win over the payload, and that over the file; the run is there to be watched."""
    file, payload = '{"customer": "file", "number": "S-1"}', '{"customer": "payload"}'
    sent = here.json(
        *SEND, "--payload-file", "-", "--payload", payload, "--field", "customer=Ada", stdin=file
    )
    [run] = sent["executions"]
    assert "thanks" == run["workflow_id"]
    here.ok("exec", "watch", run["exec_id"])
    state = here.json("exec", "get", run["exec_id"])
    assert {"letter": "Dear Ada, thank you for S-1."} == state["output"]


def test_a_run_sends_it_too(here: Terminal) -> None:
    """A task of type signal starts the same workflow, with what the run says."""
    booked = here.json("workflow", "run", "sale", "--input", "customer=Grace")
    runs = here.json("exec", "list", "--workflow", "thanks")
    inputs = [here.json("exec", "get", run["workflow_exec_id"])["input"] for run in runs]
    assert {"customer": "Grace", "number": booked["number"]} in inputs


def test_a_key_starts_it_once(here: Terminal) -> None:
    """However often it is sent."""
    once = [here.json(*SEND, *BOOKED, "--idempotency-key", "k") for _ in range(2)]
    assert once[0] == once[1]


def test_a_table_for_people(here: Terminal) -> None:
    """A row for each run."""
    shown = here.ok(*SEND, *BOOKED, "-o", "table")
    assert ["WORKFLOW ID", "thanks"] == [line[:11].strip() for line in shown.splitlines()]


def test_nobody_listens(here: Terminal) -> None:
    """A warning, and no error: an event may be of interest later."""
    result = here.run("event", "send", "nothing.happened")
    assert 0 == result.exit_code
    assert "no workflow listens to 'nothing.happened'" in result.stderr.lower()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((*SEND, "--field", "customer=Ada"), 65, "thanks: payload needs number"),
        ((*SEND, *BOOKED, "--field", "n"), 64, "--field n: write name=text"),
        ((*SEND, "--field", "n:=x"), 64, "--field n:=x: what follows := must be JSON"),
        ((*SEND, "--payload", "{"), 64, "--payload: this is not JSON text"),
        ((*SEND, "--payload", "[]"), 64, "--payload: it must hold a JSON object"),
        ((*SEND, "--payload-file", "none.json"), 74, "none.json: No such file or directory"),
        (("event", "send", "x" * 256), 65, "body"),
        (("event", "send"), 64, "NAME"),
    ],
)
def test_what_cannot_be_sent(
    here: Terminal, words: tuple[str, ...], code: int, sentence: str
) -> None:
    """A sentence says what is wrong, and where."""
    assert sentence in here.fails(code, *words)


def test_an_event_needs_a_server(terminal: Terminal) -> None:
    """A run that is begun in this process would end with it."""
    assert "start one first" in terminal.fails(64, *SEND)
