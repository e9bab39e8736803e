"""The whole API against requests that a machine thinks up from its description."""

from __future__ import annotations

import asyncio
import copy
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from appliance.config import DatabaseSettings
from appliance.language.loader import load_project
from appliance.language.model import Project, Trigger, Webhook, WebhookEvent
from appliance.language.sources import Resource
from appliance.operations.actors import SYSTEM
from appliance.operations.appliance import Appliance
from appliance.operations.executions import start_execution
from appliance.operations.keys import generate_key
from appliance.operations.users import create_user
from appliance.server.app import Application
from appliance.server.limits import Limits
from appliance.server.serve import bind, listening, url_of
from tests.postgres_server import PostgresServer

from .conftest import settings_for
from .streaming import FLOWS

IN_CI, IN_FULL, FOR_LONG = 1, 6, 20
"""Requests of each kind to each route."""
ENDLESS = "GET /api/v0/executions/stream"
"""An answer that nobody can wait for; the tests of streams know it."""
BEYOND_SCHEMAS = {
    "POST /api/v0/auth/generate",  # an expiry lies in the future, a name is printable
    "GET /api/v0/executions/workflows",  # a time has a form
    "GET /api/v0/workflows/{workflow_id}/executions",
    "GET /api/v0/executions/workflows/{exec_id}/stream",  # an event that is not yet
    "DELETE /api/v0/workflows/{workflow_id}",  # `If-Match` may not match
    "POST /api/v0/events",  # an integer has 64 bit
    "POST /api/v0/memory/{memory_ref}/append",
    "POST /api/v0/memory/{memory_ref}/write",
    "POST /api/v0/workflows/{workflow_id}/executions",
    "POST /api/v0/workflows/{workflow_id}/executions/sync",
    "POST /api/v0/executions/workflows/{exec_id}/signals",
    "POST /api/v0/tasks/{task_id}/executions",
    "POST /api/v0/tasks/{task_id}/executions/sync",
    "PATCH /api/v0/hooks/{slug}",  # a webhook takes one method, and any JSON
    "POST /api/v0/hooks/{slug}",
    "PUT /api/v0/hooks/{slug}",
}
"""Where a value that its schema allows may still be refused."""
DEFINING = ("PUT", "/import", "DELETE /api/v0/project")
"""The loader judges a definition, and the project itself is a file."""


SLUG = "told"


def _with_a_hook(resources: Iterable[Resource]) -> Project:
    """Load the project and let a webhook start one of its workflows."""
    project = load_project(FLOWS, {}, resources)
    event = WebhookEvent(name="any", filter="true", input={})
    hook = Trigger(type="webhook", webhook=Webhook(slug=SLUG, events=(event,)))
    steps = msgspec.structs.replace(project.workflows["steps"], triggers=(hook,))
    return msgspec.structs.replace(project, workflows={**project.workflows, "steps": steps})


class Running:
    """A server with its own event loop in a thread, on a real socket."""

    def __init__(self, database: DatabaseSettings, home: Path) -> None:
        self._rules = settings_for(database, home)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        project = _with_a_hook(())
        async with Appliance.open(self._rules, project, load=_with_a_hook) as appliance:
            app = Application(appliance)
            self.api: Any = app.state.description.api
            identity = appliance.identity
            ada = await create_user(identity, SYSTEM, email="ada@example.com")
            _, key = await generate_key(identity, SYSTEM, user_id=ada.id)
            admin = appliance.data.read_admin_key()
            self.keys = {"admin": admin, "user": key, "nobody": ""}
            run = await start_execution(appliance, SYSTEM, "approval", run_input={})
            self.known = {"workflow_id": "steps", "task_id": "double", "exec_id": run.exec_id}
            self.known["slug"] = SLUG
            with bind("127.0.0.1", 0) as listener:
                self.url = url_of(listener)
                async with listening(app, listener, Limits(server=self._rules.server)):
                    self._ready.set()
                    await self._stop.wait()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("schema")
    with ExitStack() as stack:
        database = DatabaseSettings(path=str(home / "app.db"))
        if request.param == "postgres":
            postgres: PostgresServer = request.getfixturevalue("postgres_server")
            migrated = request.getfixturevalue("migrated_postgres")
            conninfo = stack.enter_context(postgres.database(migrated))
            database = DatabaseSettings(driver="postgres", conninfo=conninfo, max_open_conns=4)
        server = Running(database, home)
        stack.callback(server.stop)
        yield server


@pytest.fixture(scope="module")
def api(running: Running) -> Any:
    described = running.api
    for methods in described["paths"].values():
        for operation in methods.values():
            del operation["responses"]["default"]  # so that only what is named is expected
    schema = schemathesis.openapi.from_dict(described)
    schema.config.update(base_url=running.url)
    schema.config.generation.allow_extra_parameters = False  # unknown ones are ignored
    schema.config.generation.allow_x00 = False  # refused everywhere, as other tests show
    return schema


@pytest.mark.parametrize(
    "examples",
    [
        IN_CI,
        pytest.param(IN_FULL, marks=pytest.mark.reliability),
        pytest.param(FOR_LONG, marks=pytest.mark.soak),
    ],
)
@pytest.mark.parametrize("role", ["admin", "user", "nobody"])
def test_the_api_is_as_described(api: Any, running: Running, role: str, examples: int) -> None:
    """No request makes the server fail, and each answer is one that the description names.

    Without a key only what is open to everybody is explored: `tests/security/access.py` has the rest.
    """
    key = running.keys[role]
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    broken = {}
    for found in api.get_all_operations():
        operation = found.ok()
        if operation.label == ENDLESS or (not key and not _is_public(operation)):
            continue
        for mode in GenerationMode:
            explore = _explorer(operation, mode, headers, running.known)
            failure = _failure(settings(_RULES, max_examples=examples)(explore))
            if failure:
                broken[f"{operation.label} ({mode.value})"] = failure
    assert not broken, "\n\n".join(f"{name}: {why}" for name, why in broken.items())


def test_a_description_that_is_wrong_is_seen(running: Running) -> None:
    """This test can fail: an answer that is not described, or not as described, is reported."""
    described = copy.deepcopy(running.api)
    answers = described["paths"]["/api/v0/auth/me"]["get"]["responses"]
    answers.pop("default", None)
    headers = {"Authorization": f"Bearer {running.keys['user']}"}
    found = []
    for wrong in ({}, {"200": {"description": "", "content": {"application/json": _LIST}}}):
        answers.pop("200", None)
        answers |= wrong
        schema = schemathesis.openapi.from_dict(described)
        schema.config.update(base_url=running.url)
        operation = schema["/api/v0/auth/me"]["GET"]
        explore = _explorer(operation, GenerationMode.POSITIVE, headers, {})
        found.append(_failure(settings(_RULES, max_examples=1)(explore)))
    assert "Undocumented status code" in found[0]
    assert "Response violates schema" in found[1]


_LIST = {"schema": {"type": "array"}}


def _is_public(operation: Any) -> bool:
    return bool(operation.definition.raw.get("security") == [])


_RULES = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def _explorer(
    operation: Any, mode: GenerationMode, headers: dict[str, str], known: dict[str, str]
) -> Callable[[], None]:
    """Return a test that sends requests, half of those to things that are there."""
    there = {name: value for name, value in known.items() if f"{{{name}}}" in operation.path}
    beyond = operation.label in BEYOND_SCHEMAS or any(word in operation.label for word in DEFINING)
    excluded: list[Any] = [positive_data_acceptance] if beyond else []

    @given(case=operation.as_strategy(generation_mode=mode), place=st.sampled_from([{}, there]))
    def explore(case: schemathesis.Case[Any], place: dict[str, str]) -> None:
        if mode is GenerationMode.POSITIVE:
            case.query.pop("cursor", None)  # no schema can say which ones were given out
            case.path_parameters.update(place)
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    return explore


def _failure(explore: Callable[[], None]) -> str:
    try:
        explore()
    except Unsatisfiable:
        return ""  # no such request can be thought of
    except (Exception, BaseExceptionGroup) as failure:  # noqa: BLE001 - one run shows them all
        return "".join(traceback.format_exception_only(failure))
    return ""
