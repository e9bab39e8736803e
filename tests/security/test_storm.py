"""Much at once to a real server: whoever was told yes is served, the others are told no, it lives."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings
from tests.reliability.serving import Server

from .hostile import write_project
from .storm import scheduled, stored, storm
from .test_hostile import MOST_MIB, peak_mib


def _server(home: Path, project: Path, **environment: str) -> Server:
    return Server(home, DatabaseSettings(path=str(home / "app.db")), project, **environment)


def _weather(home: Path, rate: int, seconds: float, limit: int) -> dict[int, int]:
    """Let a storm come and return how often which status was answered."""
    server = _server(home, write_project(home), RATELIMIT_GLOBAL_LIMIT=str(limit))
    with server.running() as process:
        answers = storm(server.url, rate, seconds).answers
        assert server.answers
        assert peak_mib(process.pid) < MOST_MIB
        assert answers[202] == stored(server), "what was accepted is not what is stored"
    assert rate * seconds == answers.total()
    return dict(answers)


def test_a_storm_is_refused_in_part(tmp_path: Path) -> None:
    """What is beyond the rate limit is 429; each 202 is a run on disk, and each run was a 202."""
    answers = _weather(tmp_path, 500, 1, limit=300)
    assert {202, 429} == set(answers)
    assert answers[202] >= 300


@pytest.mark.reliability
@pytest.mark.parametrize("limit", [6000, 0])
def test_a_storm_of_ten_seconds(tmp_path: Path, limit: int) -> None:
    """The same with a thousand in each second, and with a limit that lets them all in."""
    answers = _weather(tmp_path, 1000, 10, limit)
    assert {202, 429} >= set(answers)
    assert answers[202] >= (limit or 10_000)


@pytest.mark.reliability
def test_ten_thousand_schedules_at_the_same_second(tmp_path: Path) -> None:
    """Each of them starts, and the server answers all the while."""
    server = _server(tmp_path, scheduled(tmp_path, 10_000))
    with server.running() as process:
        until = time.monotonic() + 150
        while stored(server) < 10_000 and time.monotonic() < until:
            assert server.answers
            time.sleep(0.2)
        assert 10_000 <= stored(server)
        assert peak_mib(process.pid) < MOST_MIB
