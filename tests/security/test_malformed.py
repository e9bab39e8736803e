"""S3: JSON, YAML and addresses that are no good. One clear refusal, the same on both databases."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.postgres_server import PostgresServer

from .malformed import DEEP, FIELDS, KNOWN, PLACES, TEXTS, YAMLS, bodies
from .twins import API, Answers, Twins, flaws, twins
from .wire import Answer

Known = dict[str, dict[str, str]]
SHORT = 17
"""Of how many cases one is in the short form; each run of it takes the same ones."""


@pytest.fixture(scope="module")
def described(both: Twins) -> dict[str, Any]:
    """Every route by method and path, as the server describes it."""
    paths = both.ask("GET", "/openapi.json")["sqlite"].json["paths"]
    return {
        f"{method.upper()} {path.removeprefix(API)}": operation
        for path, methods in paths.items()
        if path.startswith(f"{API}/")
        for method, operation in methods.items()
        if f"{method.upper()} {path}" != f"POST {API}/backups"
    }


@pytest.fixture(scope="module")
def known(both: Twins) -> Known:
    """What is there for the parameters of paths, on each of the two."""
    return known_of(both)


def known_of(both: Twins) -> Known:
    begun = both.call("POST", "/workflows/waits/executions", {"input": {}})
    users = both.call("POST", "/users", {"email": "malformed@example.com"})
    return {
        name: KNOWN | {"exec_id": begun[name]["exec_id"], "user_id": users[name]["id"]}
        for name in begun
    }


class Asking:
    """Asks both the same, where a path may mean a thing of each."""

    def __init__(self, both: Twins, known: Known) -> None:
        self._both, self._known = both, known
        self.broken: list[str] = []

    def __call__(
        self, route: str, body: bytes | None = None, query: bytes = b"", **fields: str | bytes
    ) -> Answers:
        """Ask, and note what is wrong with the answers."""
        method, path = route.split()
        if path.endswith("/stream"):
            method = "HEAD"  # the same door, and an end
        found: Answers = {}
        for name, there in self._known.items():
            target = f"{API}{path}".format_map(_Else(there)).encode() + query
            found |= self._both.ask(method, target, body, only=name, **fields)
        if wrong := flaws(found):
            self.broken.append(f"{route} {query[:80]!r} {(body or b'')[:80]!r} {fields}: {wrong}")
        return found


class _Else(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "nothing"


@pytest.fixture
def ask(both: Twins, known: Known) -> Iterator[Asking]:
    asking = Asking(both, known)
    yield asking
    assert not asking.broken, "\n".join(asking.broken[:20])


def test_every_body_has_its_places(described: dict[str, Any]) -> None:
    """A route that reads a body has a row; a new one is not done before it has."""
    read = {route for route, about in described.items() if "requestBody" in about}
    assert sorted(read | {f"{m} /hooks/{{slug}}" for m in ("POST", "PUT", "PATCH")}) == sorted(
        PLACES
    )


FORMS = [SHORT, pytest.param(1, marks=pytest.mark.reliability)]


@pytest.mark.parametrize("every", FORMS)
def test_bodies(ask: Asking, every: int) -> None:
    """Every odd value in every place of every body: refused or taken, alike on both."""
    cases = [(route, body) for route in PLACES for body in bodies(route)]
    for route, body in cases[::every]:
        ask(route, body)


@pytest.mark.parametrize("every", FORMS)
def test_documents(ask: Asking, every: int) -> None:
    """YAML that is none, or does what nobody should want it to: refused or taken, alike on both."""
    routes = [route for route in PLACES if route.endswith("/import") or "resource_id" in route]
    cases = [(route, text) for route in routes for text in YAMLS]
    for route, text in cases[::every]:
        ask(route, text, content_type="application/yaml")


@pytest.mark.parametrize("every", FORMS)
def test_addresses(ask: Asking, described: dict[str, Any], every: int) -> None:
    """Every parameter of every path and query with every odd text."""
    cases = []
    for route, about in described.items():
        for parameter in about.get("parameters", []):
            cases += [(route, parameter["in"], parameter["name"], text) for text in TEXTS]
    for route, place, name, text in cases[::every]:
        if place == "query":
            ask(route, query=b"?%s=%s" % (name.encode(), text))
        elif place == "path":
            ask(route.replace(f"{{{name}}}", text.decode()))


@pytest.mark.parametrize("every", FORMS)
def test_header_fields(ask: Asking, described: dict[str, Any], every: int) -> None:
    """Every header field that means something, with every odd value."""
    cases = []
    for route, about in described.items():
        names = [p["name"] for p in about.get("parameters", []) if p["in"] == "header"]
        cases += [(route, name, value) for name in [*names, "Content-Type"] for value in FIELDS]
    for route, name, value in cases[::every]:
        body = b"{}" if route.split()[0] in {"POST", "PUT", "PATCH"} else None
        ask(route, body, **{name.replace("-", "_").lower(): value})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_BROKEN = st.binary(max_size=60) | _JSON.map(json.dumps).map(str.encode).flatmap(
    lambda text: st.tuples(st.just(text), st.integers(0, len(text)), st.binary(max_size=3)).map(
        lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] + len(cut[2]) :]
    )
)
_ROUTES = [
    route for route in PLACES if "/hooks/" in route or "/executions" in route or "/events" in route
]


@pytest.mark.parametrize("examples", [60, pytest.param(2_000, marks=pytest.mark.reliability)])
def test_what_a_machine_thinks_up(ask: Asking, examples: int) -> None:
    """Any JSON that Python can write, and that with some bytes of it replaced."""

    @seed(int(os.environ.get("RELIABILITY_SEED", "12")))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(_ROUTES), _JSON.map(json.dumps).map(str.encode) | _BROKEN, st.booleans())
    def send(route: str, body: bytes, inside: bool) -> None:
        ask(route, PLACES[route][0].encode().replace(b"@", body) if inside else body)

    send()


def test_a_server_that_reads_like_python_is_caught(
    tmp_path: Path, postgres_server: PostgresServer, migrated_postgres: str
) -> None:
    """This test can fail: without strict reading the databases differ, and one of them breaks."""
    with (
        postgres_server.database(migrated_postgres) as conninfo,
        twins(tmp_path, conninfo, sabotage="read_json_as_python_does") as both,
    ):
        asking = Asking(both, known_of(both))
        for value in (b"[" * DEEP + b"]" * DEEP, b'"\xff"', b"[1,]"):
            asking("POST /workflows/{workflow_id}/executions", b'{"input": {"v": %s}}' % value)
    assert 3 == len(asking.broken), asking.broken


def test_answers_that_differ_are_caught() -> None:
    """This test can fail: what is told apart is the status, the code and the sentence."""
    taken, refused = Answer(202, b"", b"{}"), Answer(400, b"", b'{"code": "invalid_input"}')
    assert ["databases differ"] == [
        flaw.partition("the ")[2].partition(":")[0]
        for flaw in flaws({"sqlite": taken, "postgres": refused})
    ]
    assert flaws({"sqlite": taken, "postgres": Answer(202, b"", b"Traceback (most recent call)")})


MADE: dict[str, dict[str, Any]] = {
    "value": {"type": "aggregate", "outputs": {"v": "@"}},
    "text": {"type": "aggregate", "outputs": {"v": "[{{ .workflow.input.s }}]"}},
    "key": {"type": "aggregate", "outputs": {"v": "{{ dict (fromJson .workflow.input.s) 1 }}"}},
    "wait": {"type": "wait", "wait_for": "@", "condition": "true", "timeout": "50ms"},
    "signal": {"type": "signal", "signal": {"id": "@", "payload": {"v": "@"}}},
    "memory": {"type": "memory", "operation": "append", "memory_ref": "chat", "key_template": "@",
               "payload": {"role": "user", "content": "@"}},
    "collection": {"type": "collection", "items": [1],
                   "task": {"id": "c-@", "type": "aggregate", "outputs": {"v": "@"}}},
    "call": {"tool": "cp__call_workflow", "with": {"workflow_id": "@"}},
    "file": {"tool": "cp__read_file", "with": {"path": "@"}},
    "url": {"tool": "cp__fetch", "with": {"url": "@"}},
}  # fmt: skip
"""Tasks into which a text goes that a template has read out of JSON, as it reads a payload."""
INNER = (
    rb'"\u0000"',
    rb'"\ud800"',
    rb'"\udc00\ud800"',
    rb'{"\udfff": 1}',
    rb'"\ufffe"',
    b"18446744073709551616",
)


def test_what_a_template_reads(both: Twins) -> None:
    """JSON inside of a text was not looked at by the door: no run, and nobody else, suffers for it."""
    for name, task in MADE.items():
        config = {"retry_policy": {"maximum_attempts": 1}} if "tool" in task else {}
        step = json.dumps({"id": "step", **task, **({"config": config} if config else {})})
        text = step.replace("@", "{{ fromJson .workflow.input.s }}")
        path = f"{API}/workflows/made-{name}"
        put = both.ask(
            "PUT", path, b'{"id": "made-%s", "tasks": [%s]}' % (name.encode(), text.encode())
        )
        assert {200, 201} >= {answer.status for answer in put.values()}, put
        for inner in INNER:
            body = json.dumps({"input": {"s": inner.decode()}, "timeout": 10}).encode()
            found = both.ask("POST", f"{path}/executions/sync", body)
            assert [] == flaws(found), (name, inner)
            ends = [answer.json["data"]["workflow"] for answer in found.values()]
            assert 1 == len({(run["status"], str(run["error"])) for run in ends}), (name, ends)
