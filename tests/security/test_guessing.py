"""S10: guessing passwords is slow from one address and from many, and tells nothing about who exists.

How the delays grow is shown by `tests/operations/test_throttle.py`, guesses of keys by
`tests/server/test_ratelimit.py`.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.config import DatabaseSettings
from tests.reliability.serving import Server

from .callers import PASSWORD, People, bearer
from .twins import API, PROJECT
from .wire import Answer, Line, request

LOGIN = f"{API}/auth/login"


def most(seconds: float) -> int:
    """Return how many guesses an account takes in so many seconds: after five the wait doubles."""
    return 7 + math.ceil(math.log2(seconds + 1))


class Guesser:
    """Somebody who guesses, from any address of this machine."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def guess(self, email: str, source: str, password: str = "wrong", **fields: str) -> Answer:
        """Try to log in once."""
        body = json.dumps({"email": email, "password": password}).encode()
        with Line(self._server.url, source=source) as line:
            line.send(request("POST", LOGIN, body, **fields))
            answer = line.answer()
        assert answer is not None
        return answer

    def many(
        self, emails: list[str], sources: list[str], number: int, **fields: str
    ) -> Counter[int]:
        """Guess so often, for one account after the other and from one address after the other."""
        turns = range(number)
        return Counter(
            self.guess(
                emails[turn % len(emails)], sources[turn % len(sources)], f"guess {turn}", **fields
            ).status
            for turn in turns
        )


@pytest.fixture
def people(server: Server, request: pytest.FixtureRequest) -> Iterator[People]:
    people = People(server, f"g{abs(hash(request.node.name))}")
    yield people
    people.close()


def _range(third: int, number: int) -> list[str]:
    return [f"127.9.{third}.{last + 1}" for last in range(number)]


@pytest.fixture
def guesser(server: Server) -> Guesser:
    return Guesser(server)


@pytest.mark.parametrize("number", [100, pytest.param(10_000, marks=pytest.mark.reliability)])
def test_one_address_guesses_little(
    people: People, guesser: Guesser, server: Server, number: int
) -> None:
    """However it calls itself; the user, who is elsewhere, notices nothing."""
    people.user("ada")
    email, home, enemy = people.email("ada"), *_range(1 + number % 7, 2)
    assert 200 == guesser.guess(email, home, PASSWORD).status
    begun = time.monotonic()
    told = Counter(
        guesser.guess(email, enemy, f"guess {turn}", x_forwarded_for=f"198.51.100.{turn % 250}",
                      forwarded=f"for=198.51.100.{turn % 250}", x_real_ip="198.51.100.7").status
        for turn in range(number)
    )  # fmt: skip
    assert {401, 429} == set(told)
    assert told[401] <= most(time.monotonic() - begun)
    assert 200 == guesser.guess(email, home, PASSWORD).status
    audit = server.call("GET", "/audit?action=login.failed&limit=200")["entries"]
    seen = {entry["details"]["address"] for entry in audit if entry["subject"] == email.lower()}
    assert {enemy} == seen


@pytest.mark.parametrize("number", [100, pytest.param(1_000, marks=pytest.mark.reliability)])
def test_many_addresses_guess_as_little(people: People, guesser: Guesser, number: int) -> None:
    """Each of them is new, the account is the same."""
    people.user("ada")
    sources = [f"127.{10 + number % 7}.{turn // 250}.{turn % 250 + 1}" for turn in range(number)]
    begun = time.monotonic()
    told = guesser.many([people.email("ada")], sources, number)
    assert {401, 429} == set(told)
    assert told[401] <= most(time.monotonic() - begun)


def test_one_address_tries_few_accounts(people: People, guesser: Guesser) -> None:
    """Whoever has one password for all and many names is slowed by where it comes from."""
    emails = [people.email(f"name{turn}") for turn in range(60)]
    told = guesser.many(emails, _range(20, 1), 60)
    assert {401, 429} == set(told)
    assert told[401] <= 24


def differences(
    server: Server, guesser: Guesser, known: str, unknown: str, third: int
) -> list[str]:
    """Return by what a login shows whether an account exists: the answer, or the time that it takes."""
    found = []
    answers: dict[str, Answer] = {}
    quickest = {known: 60.0, unknown: 60.0}
    for source in _range(third, 5):
        for email in (known, unknown):
            begun = time.perf_counter()
            answers[email] = guesser.guess(email, source)
            quickest[email] = min(quickest[email], time.perf_counter() - begun)
    if len({(each.status, each.body) for each in answers.values()}) > 1:
        found.append(f"the answers differ: {answers}")
    if not 1 / 3 < quickest[known] / quickest[unknown] < 3:
        found.append(f"the times differ: {quickest}")
    return found


def test_nobody_learns_who_exists(people: People, guesser: Guesser, server: Server) -> None:
    """A known address, an unknown one and one without a password: the same words, as late."""
    people.user("ada")
    keys_only = server.call("POST", "/users", {"email": people.email("keys")})["id"]
    people.users.append(keys_only)
    for turn, name in enumerate(("ada", "keys")):
        unknown = people.email(f"nobody{turn}")
        assert [] == differences(server, guesser, people.email(name), unknown, 30 + turn)


def test_no_route_tells_who_exists(people: People) -> None:
    """For a user another's id is as unknown as one that nobody has."""
    _, key = people.key(people.user("ada"))
    other, key_of_other = people.user("bob"), ""
    key_of_other, _ = people.key(other)
    nobody = "01a1ff69-5d7f-7b3f-a17a-000000000000"
    for method, path, body in (
        ("GET", "/users/@", None),
        ("GET", "/auth/keys?user_id=@", None),
        ("POST", "/auth/generate", {"user_id": "@"}),
        ("DELETE", "/auth/keys/@", None),
        ("PATCH", "/users/@", {"password": "a new password"}),
    ):
        thing = key_of_other if "/keys/" in path else other
        told = []
        for found in (thing, nobody):
            data = None if body is None else json.dumps(body).replace("@", found).encode()
            answer = people.ask(method, API + path.replace("@", found), data, **bearer(key))
            told.append((answer.status, answer.code, answer.detail))
        assert 404 == told[0][0]
        assert told[0] == told[1], path


def test_a_server_that_does_not_slow_is_caught(tmp_path: Path) -> None:
    """This test can fail: where guesses are not counted, and nobody's hash is not checked, it shows."""
    server = Server(tmp_path, DatabaseSettings(path="app.db"), PROJECT, sabotage="let_them_guess")
    with server.running():
        people, guesser = People(server, "slow"), Guesser(server)
        people.user("ada")
        known, unknown = people.email("ada"), people.email("nobody")
        assert Counter({401: 20}) == guesser.many([known], _range(40, 1), 20)
        found = differences(server, guesser, known, unknown, 41)
        people.close()
    assert ["the times differ"] == [each.partition(":")[0] for each in found]
