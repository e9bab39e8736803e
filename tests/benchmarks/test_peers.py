"""The harness beside peers: that what it says of its rounds is right. No peer is started here."""

from __future__ import annotations

import contextlib
import inspect
import socketserver
import threading
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import client, pins, plot, table
from benchmarks.peers.figures import FIGURES, Figure, ratio
from benchmarks.peers.lineup import PEERS
from benchmarks.peers.load import Load, closed_loop_of_threads
from benchmarks.peers.measure import KILLED, Measurement, Plan
from benchmarks.peers.peer import Peer
from benchmarks.peers.processes import Processes, tree, usage
from benchmarks.peers.program import Library
from benchmarks.peers.publish import BEGIN, END, published

SPEED = Figure("speed", "runs/s", more_is_better=True)
DELAY = Figure("delay", "ms", 1)
AT_ONCE = Plan(
    rounds=2, rest_rounds=1, seconds=0, settle=0, rest=0.01, recovery=0.2, kills_at_once=1
)


def record(peer: str, number: int, **figures: float) -> dict[str, Any]:
    return {"peer": peer, "round": number, "figures": figures}


def results(*records: dict[str, Any]) -> dict[str, Any]:
    def told(title: str, missing: str = "") -> dict[str, str]:
        return {"title": title, "beside": "ours", "missing": missing, "version": "1", "promise": ""}

    return {
        "date": "2026-01-02",
        "commit": "abc",
        "note": "It rained.",
        "seed": 1,
        "machine": {"cores": 2, "cpu": "CPU", "flushes_per_s": 9, "python": "3", "load_average": 0},
        "plan": {"rounds": 3, "seconds": 1.0},
        "peers": {"ours": told("Ours"), "theirs": told("Theirs"), "gone": told("Gone", "no disk")},
        "records": list(records),
        "failures": [{"peer": "theirs", "round": 1, "reason": "it fell"}],
    }


def test_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    """Noise of the machine hits both in a round: medians are not divided, rounds are."""
    records = [
        record("ours", 0, speed=100),
        record("theirs", 0, speed=10),
        record("ours", 1, speed=10),
        record("theirs", 1, speed=5),
        record("ours", 2, speed=60),
        record("theirs", 2, speed=20),
        record("ours", 3, speed=1),
    ]
    assert ratio(records, SPEED, "ours", "theirs") == 3


def test_ratio_says_better_whichever_end_is_the_good_one() -> None:
    """Half the delay is twice as good."""
    records = [record("ours", 0, delay=2.0), record("theirs", 0, delay=4.0)]
    assert ratio(records, DELAY, "ours", "theirs") == 2


@pytest.mark.parametrize(
    "records",
    [
        [record("ours", 0, delay=2.0), record("theirs", 1, delay=4.0)],
        [record("ours", 0, delay=0), record("theirs", 0, delay=4.0)],
        [],
    ],
)
def test_ratio_of_nothing_is_nothing(records: list[dict[str, Any]]) -> None:
    """Rounds that only one has, and divisions by zero, give no figure."""
    assert ratio(records, DELAY, "ours", "theirs") is None


def test_table_has_medians_and_the_best() -> None:
    """The median is what is told, the best beside it; best means most or least."""
    measured = results(*(record("ours", n, speed=v, delay=v) for n, v in enumerate([1, 2000, 3])))
    assert "| Ours | 3 (2,000) | 3.0 (1.0) |" in table.medians(measured, (SPEED, DELAY))


def test_small_figures_keep_a_digit() -> None:
    """Less than one run a second is not none."""
    measured = results(record("ours", 0, speed=5), record("theirs", 0, speed=0.84))
    assert "| Theirs | 0.8 (0.8) |" in table.medians(measured, (SPEED,))
    assert "| Theirs | 6 x |" in table.ratios(measured, (SPEED,))


def test_table_names_what_was_not_measured() -> None:
    """A peer that could not be measured keeps its row, with the reason."""
    text = table.medians(results(), (SPEED,))
    assert "| Theirs | - |" in text
    assert "| Gone | not measured: no disk |" in text


def test_readme_gets_the_table_between_its_marks() -> None:
    """The README shows medians and ratios; what stands around them stays."""
    records = [record("ours", 0, one_16_steps_per_s=30), record("theirs", 0, one_16_steps_per_s=2)]
    text = published(f"before {BEGIN} old {END} after", results(*records))
    assert text.startswith(f"before {BEGIN}")
    assert text.endswith(f"{END} after")
    assert "| Ours | 30 |" in text
    assert "| Theirs | 2 (15 x) |" in text
    assert "It rained." in text
    assert "old" not in text
    with pytest.raises(ValueError, match="no place"):
        published("nothing", results())


def test_page_tells_failures_and_durability() -> None:
    """Failed rounds are told, none is dropped in silence."""
    text = table.page(results())
    assert "- Theirs, round 2: it fell" in text
    assert "- Theirs 1: " in text


def test_plot_is_a_picture_of_all_that_were_measured() -> None:
    """It is XML with a bar for each in each panel, also for zero; those that lose runs are pale."""
    keys = {key: float(n) for n, key in enumerate(plot.PANELS)} | {"survivors": 19}
    picture = ET.fromstring(
        plot.svg(results(record("ours", 0, **keys), record("theirs", 0, **keys)))
    )
    bars = [rect for rect in picture.iter("{http://www.w3.org/2000/svg}rect") if rect.get("class")]
    kinds = Counter(bar.get("class") for bar in bars)
    assert kinds["ours"] == kinds["loses"] >= len(plot.PANELS) - 1
    assert all(float(bar.get("width", "0")) > 0 for bar in bars)


def test_every_column_is_measured(tmp_path: Path) -> None:
    """No heading without a figure: a name that is wrong would be a column of dashes."""
    measured = measure(Fake(tmp_path, survive=KILLED))
    told = {key for one in measured.records for key in one["figures"]}
    assert {figure.key for figure in FIGURES} - told == set()


def test_a_failure_is_noted_and_the_rest_goes_on(tmp_path: Path) -> None:
    """One peer that falls takes no other with it."""
    measured = measure(Broken(tmp_path), Fake(tmp_path, survive=KILLED))
    assert {failure["peer"] for failure in measured.failures} == {"broken"}
    assert "RuntimeError: it fell" in {failure["reason"] for failure in measured.failures}
    assert len([one for one in measured.records if one["peer"] == "fake"]) == 4


@pytest.mark.parametrize(("early", "survive", "told"), [(0, 20, 20), (0, 5, 5), (10, 15, 10)])
def test_survivors_are_those_in_flight_at_the_kill(
    tmp_path: Path, early: int, survive: int, told: float
) -> None:
    """Runs that had ended before the kill prove nothing; the rest is told as of 20."""
    measured = measure(Fake(tmp_path, survive=survive, early=early))
    kill = next(one["figures"] for one in measured.records if "survivors" in one["figures"])
    assert (KILLED - early, told) == (kill["in_flight"], kill["survivors"])


@pytest.mark.parametrize("kind", PEERS, ids=lambda kind: kind.name)
def test_every_peer_fits(kind: type[Peer], tmp_path: Path) -> None:
    """Every peer can do everything, is compared with one that is there, and is pinned."""
    assert not inspect.isabstract(kind)
    assert kind(tmp_path).home == tmp_path / "homes" / kind.name
    assert kind.beside in {peer.name for peer in PEERS}
    if issubclass(kind, Library):
        assert all("==" in requirement for requirement in pins.PYTHON[kind.environment])


def test_peers_have_names_of_their_own() -> None:
    """Two with one name would share a home and a row."""
    assert len({kind.name for kind in PEERS}) == len({kind.title for kind in PEERS}) == len(PEERS)


def test_every_caller_calls_at_least_once() -> None:
    """A loop of no time still gives a figure, and a failure of a call is not swallowed."""
    assert closed_loop_of_threads(lambda: None, 3, 0).runs == 3
    with pytest.raises(ZeroDivisionError):
        closed_loop_of_threads(lambda: 1 / 0, 3, 0)


def test_client_counts_answers() -> None:
    """One answer is one run, whatever the pieces in which it arrives."""
    with serving(b"HTTP/1.1 200 OK\r\nContent-Len", b"gth: 2\r\n\r\no", b"k") as port:
        assert client.load(port, client.request("/", {}, {}), 2, 0).runs == 2
        assert client.send(port, [client.request("/", {}, {})] * 2) == [b"ok", b"ok"]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b""])
def test_client_refuses_what_is_no_success(answer: bytes) -> None:
    """An error of a server, or a lost connection, is not a run."""
    with serving(answer) as port, pytest.raises(ConnectionError):
        client.load(port, client.request("/", {}, {}), 1, 0)


def test_killed_processes_are_gone_with_their_children(tmp_path: Path) -> None:
    """Nothing is left running, and what it used was counted."""
    processes = Processes()
    processes.start(["sh", "-c", "sleep 100 & sleep 100"], tmp_path, {"PATH": "/usr/bin:/bin"})
    while len(pids := processes.pids()) < 3:
        pass
    assert usage(pids).rss_mib > 0
    processes.kill()
    assert tree(pids) == pids
    assert usage(pids).rss_mib == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()] == []


def measure(*peers: Peer) -> Measurement:
    measurement = Measurement(peers, AT_ONCE, seed=1)
    measurement.run()
    return measurement


class Fake(Peer):
    """A peer without processes: of the runs that a kill cuts off, some end at the next start."""

    name = "fake"
    title = "Fake"
    beside = "fake"
    promise = ""

    def __init__(self, scratch: Path, survive: int, early: int = 0) -> None:
        super().__init__(scratch)
        self._survive, self._early = survive, early

    def start(self) -> None:
        notes = self.home / "notes"
        if notes.exists():
            self._note("end", self._early, self._survive)

    def begin(self, count: int, notes: Path) -> None:
        self._note("begin", 0, count)
        self._note("end", 0, self._early)

    def load(self, flow: str, in_flight: int, seconds: float) -> Load:
        return Load(runs=in_flight, seconds=1, p50_ms=1)

    def _install(self) -> str:
        return "1"

    def _note(self, word: str, first: int, end: int) -> None:
        with (self.home / "notes").open("a") as file:
            file.writelines(f"{word} {n}\n" for n in range(first, end))


class Broken(Fake):
    """A peer that does not start."""

    name = "broken"

    def __init__(self, scratch: Path) -> None:
        super().__init__(scratch, survive=0)

    def start(self) -> None:
        raise RuntimeError("it fell")


@contextlib.contextmanager
def serving(*pieces: bytes) -> Iterator[int]:
    """Answer every request with *pieces*, one after the other; without any, hang up."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while any(pieces) and self.request.recv(4096):
                for piece in pieces:
                    self.request.sendall(piece)
                    time.sleep(0.005)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
