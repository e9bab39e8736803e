"""The whole API against requests that a machine thinks up from its description."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from appliance.config import DatabaseSettings
from appliance.language.model import Project
from appliance.operations.actors import SYSTEM
from appliance.operations.appliance import Appliance
from appliance.operations.keys import generate_key
from appliance.operations.users import create_user
from appliance.server.app import create_app
from appliance.server.limits import Limits
from appliance.server.serve import bind, listening, url_of

from .conftest import settings_for

EXAMPLES = 6
ENDLESS = "GET /api/v0/executions/stream"
"""An answer that nobody can wait for; the tests of streams know it."""
BEYOND_SCHEMAS = {
    "POST /api/v0/auth/generate",  # an expiry lies in the future, a name is printable
    "GET /api/v0/executions/workflows",  # a time has a form
    "GET /api/v0/workflows/{workflow_id}/executions",
    "POST /api/v0/events",  # an integer has 64 bit
    "POST /api/v0/memory/{memory_ref}/append",
    "POST /api/v0/memory/{memory_ref}/write",
    "POST /api/v0/workflows/{workflow_id}/executions",
    "POST /api/v0/workflows/{workflow_id}/executions/sync",
    "POST /api/v0/executions/workflows/{exec_id}/signals",
    "POST /api/v0/tasks/{task_id}/executions",
    "POST /api/v0/tasks/{task_id}/executions/sync",
}
"""Where a value that its schema allows may still be refused."""


class Running:
    """A server with its own event loop in a thread, on a real socket."""

    def __init__(self, home: Path, project: Project) -> None:
        self._home, self._project = home, project
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
        database = DatabaseSettings(path=str(self._home / "app.db"))
        rules = settings_for(database, self._home)
        async with Appliance.open(rules, self._project) as appliance:
            app = create_app(appliance)
            self.api: Any = app.state.description.api
            identity = appliance.identity
            ada = await create_user(identity, SYSTEM, email="ada@example.com")
            _, key = await generate_key(identity, SYSTEM, user_id=ada.id)
            self.keys = {"admin": appliance.data.read_admin_key(), "user": key}
            with bind("127.0.0.1", 0) as listener:
                self.url = url_of(listener)
                async with listening(app, listener, Limits(server=rules.server)):
                    self._ready.set()
                    await self._stop.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, project: Project) -> Iterator[Running]:
    server = Running(tmp_path_factory.mktemp("schema"), project)
    yield server
    server.stop()


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


@pytest.mark.parametrize("role", ["admin", "user"])
def test_the_api_is_as_described(api: Any, running: Running, role: str) -> None:
    """No request makes the server fail, and each answer is one that the description names."""
    headers = {"Authorization": f"Bearer {running.keys[role]}"}
    broken = {}
    for found in api.get_all_operations():
        operation = found.ok()
        if operation.label == ENDLESS:
            continue
        for mode in GenerationMode:
            failure = _explore(operation, mode, headers)
            if failure:
                broken[f"{operation.label} ({mode.value})"] = failure
    assert not broken, "\n\n".join(f"{name}: {why}" for name, why in broken.items())


def _explore(operation: Any, mode: GenerationMode, headers: dict[str, str]) -> str:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def explore(case: schemathesis.Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE:
            case.query.pop("cursor", None)  # no schema can say which ones were given out
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    excluded: list[Any] = [positive_data_acceptance] if operation.label in BEYOND_SCHEMAS else []

    try:
        explore()
    except Unsatisfiable:
        return ""  # no such request can be thought of
    except (Exception, BaseExceptionGroup) as failure:  # noqa: BLE001 - one run shows them all
        return "".join(traceback.format_exception_only(failure))
    return ""
