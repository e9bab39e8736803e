"""S2: who may do what. Every route against everybody, and what is one's own against what is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings
from tests.reliability.serving import Server

from .access import ACCESS
from .callers import ADMIN, STRANGER, USER, People, bearer, everybody
from .twins import API, PROJECT

ALWAYS = {"without a key", "a user's key", "an admin's key"}
ELSEWHERE = "box.example"
"""The host that is asked for; on this machine itself the metrics need no key."""
ENDED_BY_ASKING = "POST /api/v0/auth/logout"
COMMON = {
    "workflow_id", "exec_id", "task_id", "memory_id", "memory_ref", "resource_id", "part_id", "slug"
}  # fmt: skip
"""Parameters of paths that name what belongs to the project, and so to everybody who may ask."""
ADMINS = {"name"}
"""Those that name what only admins may see."""
OWN: dict[str, tuple[int, int, int]] = {
    "GET /users/{user_id}": (200, 404, 200),
    "PATCH /users/{user_id}": (403, 404, 200),
    "DELETE /users/{user_id}": (403, 403, 204),
    "GET /auth/keys?user_id={user_id}": (200, 404, 200),
    "POST /auth/generate {user_id}": (201, 404, 201),
    "DELETE /auth/keys/{key_id}": (204, 404, 204),
}
"""What belongs to one user: the answers to its owner, to another user, to an admin."""


def table(server: Server) -> dict[str, tuple[int, int, int]]:
    """Return what each route answers on the database of *server*."""
    made = 201 if (server.home / "app.db").exists() else 409
    return ACCESS | {"POST /api/v0/backups": (401, 403, made)}


def surprises(server: Server, people: People, every: int = 1) -> list[str]:
    """Return which route answered whom otherwise than its row says.

    Of most callers one in *every* is tried on a route, and another one on the next.
    """
    found = []
    callers = everybody(people, server.admin_key)
    rows = sorted(table(server).items(), key=lambda row: row[0] == ENDED_BY_ASKING)
    for turn, (route, row) in enumerate(rows):
        for number, (name, call) in enumerate(callers.items()):
            column, fields = call()
            if name not in ALWAYS and (turn + number) % every:
                continue
            status = _ask(people, route, {**fields, "host": ELSEWHERE})
            if status != row[column]:
                found.append(f"{route} for {name}: {status} and not {row[column]}")
    return found


def _ask(people: People, route: str, fields: dict[str, str]) -> int:
    """Ask with as little as can be: what counts is who gets past the door."""
    method, path = route.split()
    if path.endswith("/executions/stream"):
        method = "HEAD"  # the same door, and an end
    target = re.sub(r"{\w+}", "nothing", path)
    if path.endswith("/import"):
        target += "?strategy=seed_only"
    body = b"{}" if method in {"POST", "PATCH"} else None
    return people.ask(method, target, body, **fields).status


@pytest.fixture
def people(server: Server) -> Iterator[People]:
    people = People(server, "matrix")
    yield people
    people.close()


def test_every_route_has_a_row(server: Server, people: People) -> None:
    """A new route is not done before somebody has said who may use it, and whose its things are."""
    described = people.ask("GET", "/openapi.json").json["paths"]
    routes = {
        f"{method.upper()} {path}" for path, methods in described.items() for method in methods
    }
    assert sorted(ACCESS) == sorted(
        routes | {f"{m} {API}/hooks/{{slug}}" for m in ("POST", "PUT", "PATCH")}
    )
    named = {name for route in routes for name in re.findall(r"{(\w+)}", route)}
    owned = {name for route in OWN for name in re.findall(r"{(\w+)}", route)}
    assert named == COMMON | ADMINS | owned
    for route in routes:
        if set(re.findall(r"{(\w+)}", route)) & owned:
            assert route.replace(API, "") in OWN


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.reliability)])
def test_every_route_lets_in_whom_it_should(server: Server, people: People, every: int) -> None:
    """22 kinds of callers: strangers, users and admins are answered as the table says."""
    assert [] == surprises(server, people, every)


@pytest.mark.parametrize("route", OWN)
@pytest.mark.parametrize("who", ["owner", "other", "admin"])
def test_what_belongs_to_one(server: Server, people: People, route: str, who: str) -> None:
    """Another's user and keys do not exist for a user; one's own role cannot be raised."""
    owner, other = people.user("owner"), people.user("other")
    key_id, _ = people.key(owner)
    keys = {"owner": people.key(owner)[1], "other": people.key(other)[1], "admin": server.admin_key}
    method, path, *rest = route.split()
    body: Any = {"email": people.email("new")} if method == "PATCH" else None
    if rest:
        body = {"user_id": owner}
    data = None if body is None else json.dumps(body).encode()
    answer = people.ask(
        method, API + path.format(user_id=owner, key_id=key_id), data, **bearer(keys[who])
    )
    assert OWN[route][("owner", "other", "admin").index(who)] == answer.status


@pytest.mark.parametrize(
    "change",
    [{"role": "admin"}, {"email": "x@y.example"}, {"id": "x"}, {"password": "a new password"}],
)
def test_nobody_raises_the_own_role(server: Server, people: People, change: dict[str, str]) -> None:
    """Neither by a property that only admins set, nor by one that nobody sets, with a key of the user."""
    user = people.user("ada")
    _, key = people.key(user)
    answer = people.ask("PATCH", f"{API}/users/{user}", json.dumps(change).encode(), **bearer(key))
    assert answer.status in {400, 403}
    assert ("user", people.email("ada")) == (
        (shown := server.call("GET", f"/users/{user}"))["role"], shown["email"]
    )  # fmt: skip


def test_an_open_door_is_seen(tmp_path: Path) -> None:
    """This test can fail: a server that lets everybody in is caught at every door that it has."""
    place = DatabaseSettings(path="app.db")
    server = Server(
        tmp_path, place, PROJECT, sabotage="let_everybody_in", RATELIMIT_GLOBAL_LIMIT="0"
    )
    with server.running():
        people = People(server, "open")
        found = " ".join(surprises(server, people, 4))
        people.close()
    closed = [route for route, row in ACCESS.items() if row[STRANGER] == 401]
    assert [] == [route for route in closed if f"{route} for " not in found]
    admins = [route for route, row in ACCESS.items() if row[USER] == 403 and row[ADMIN] != 403]
    assert [] == [route for route in admins if f"{route} for a user's key:" not in found]
