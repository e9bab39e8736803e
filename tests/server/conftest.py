"""A real appliance over a real database, and clients for it inside this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from appliance.config import DatabaseSettings, RateLimitSettings, ServerSettings, Settings
from appliance.language.model import Project, RetryPolicy, Runtime, Task, Tool, Workflow
from appliance.operations.appliance import Appliance
from appliance.server.app import Application

Client = Callable[..., httpx.AsyncClient]

PLENTY = 10_000_000
"""Requests in a minute, so that no test is refused for being fast."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def _workflow(name: str, /, **arguments: str) -> Workflow:
    schema = {
        "type": "object",
        "properties": {argument: {"type": kind} for argument, kind in arguments.items()},
        "required": list(arguments),
    }
    task = Task(
        id="only",
        tool=name,
        with_={argument: f"{{{{ .workflow.input.{argument} }}}}" for argument in arguments},
        retry=RetryPolicy(maximum_attempts=1),
    )
    outputs = {"result": "{{ .tasks.only.output }}"}
    tools = {name: Tool(id=name)}
    return Workflow(id=name, input=schema, tasks=(task,), outputs=outputs, tools=tools)


def sample_project() -> Project:
    workflows = [
        _workflow("greet", name="string"),
        _workflow("nap", seconds="number"),
        _workflow("fail"),
    ]
    return Project(
        name="test",
        directory=str(Path(__file__).parent),
        runtime=Runtime(entrypoint=str(Path(__file__).parent / "tools.py")),
        workflows={workflow.id: workflow for workflow in workflows},
    )


@pytest.fixture(scope="session")
def project() -> Project:
    return sample_project()


def settings_for(
    database: DatabaseSettings, home: Path, server: ServerSettings | None = None
) -> Settings:
    return Settings(
        cwd=home,
        data_dir=home / "data",
        database=database,
        server=server or ServerSettings(port=0),
        ratelimit=RateLimitSettings(address_limit=PLENTY, key_limit=PLENTY),
    )


@pytest.fixture(params=["sqlite", "postgres"])
def database_settings(request: pytest.FixtureRequest) -> DatabaseSettings:
    """A migrated database of each kind; one in memory is SQLite to whoever looks from here."""
    settings: DatabaseSettings = request.getfixturevalue(f"{request.param}_settings")
    return settings


@pytest.fixture
async def appliance(
    database_settings: DatabaseSettings, tmp_path: Path, project: Project
) -> AsyncIterator[Appliance]:
    async with Appliance.open(settings_for(database_settings, tmp_path), project) as opened:
        yield opened


@pytest.fixture
def app(appliance: Appliance) -> Application:
    return Application(appliance)


@pytest.fixture
def admin_key(appliance: Appliance) -> str:
    key = appliance.data.read_admin_key()
    assert key is not None
    return key


@asynccontextmanager
async def clients(app: Application) -> AsyncIterator[Client]:
    """Make clients of *app* with a token, or with none."""
    async with AsyncExitStack() as stack:

        def client(token: str = "", address: str = "192.0.2.7") -> httpx.AsyncClient:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            transport = httpx.ASGITransport(cast("Any", app), client=(address, 50_000))
            made = httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers)
            stack.push_async_callback(made.aclose)
            return made

        yield client


@pytest.fixture
async def connect(app: Application) -> AsyncIterator[Client]:
    async with clients(app) as client:
        yield client


@pytest.fixture(scope="module")
async def sqlite_app(
    tmp_path_factory: pytest.TempPathFactory, project: Project
) -> AsyncIterator[tuple[Application, Client]]:
    """One application in memory for all tests of a module, where the database does not matter."""
    home = tmp_path_factory.mktemp("home")
    database = DatabaseSettings(path=":memory:")
    async with Appliance.open(settings_for(database, home), project) as opened:
        app = Application(opened)
        async with clients(app) as client:
            yield app, client


@pytest.fixture
def admin(connect: Client, admin_key: str) -> httpx.AsyncClient:
    return connect(admin_key)


@pytest.fixture
async def user_key(admin: httpx.AsyncClient) -> str:
    created = await admin.post("/api/v0/users", json={"email": "ada@example.com"})
    wish = {"user_id": created.json()["data"]["id"], "name": "work"}
    key = await admin.post("/api/v0/auth/generate", json=wish)
    text: str = key.json()["data"]["api_key"]
    return text


@pytest.fixture
def user(connect: Client, user_key: str) -> httpx.AsyncClient:
    return connect(user_key)
