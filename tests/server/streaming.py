"""A server on a real socket that can be started anew, and clients that read its streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec

from appliance.config import Settings, StreamSettings
from appliance.language.loader import load_project
from appliance.operations.appliance import Appliance
from appliance.server.app import Application
from appliance.server.limits import Limits
from appliance.server.serve import bind, listening, url_of

API = "/api/v0"
RUNS = f"{API}/executions/workflows"
FLOWS = Path(__file__).parent / "flows"


class Event(NamedTuple):
    """An event as a client sees it."""

    id: str
    event: str
    data: Any


class Server:
    """Serves the project `flows`; `start` and `stop` may follow each other."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        project = load_project(FLOWS, {})
        enter = self._stack.enter_async_context
        self.appliance = await enter(Appliance.open(self.settings, project))
        self.app = Application(self.appliance)
        listener = self._stack.enter_context(bind("127.0.0.1", 0))
        await enter(listening(self.app, listener, Limits(server=self.settings.server)))
        headers = {"authorization": f"Bearer {self.appliance.data.read_admin_key()}"}
        self.http = await enter(
            httpx.AsyncClient(
                base_url=url_of(listener), headers=headers, timeout=20, trust_env=False
            )
        )

    async def stop(self) -> None:
        """End as the server does when it is told to."""
        self.app.state.streams.close()
        await self._stack.aclose()

    async def begin(self, workflow_id: str, **given: Any) -> str:
        """Begin a run and return its id."""
        answer = await self.http.post(
            f"{API}/workflows/{workflow_id}/executions", json={"input": given}
        )
        assert 202 == answer.status_code, answer.text
        exec_id: str = answer.json()["data"]["exec_id"]
        return exec_id

    async def command(self, exec_id: str, command: str, body: Any = None, **headers: str) -> Any:
        """Give a run a command and return status and body of the answer."""
        answer = await self.http.post(f"{RUNS}/{exec_id}/{command}", json=body, headers=headers)
        return answer.status_code, answer.json()

    async def state(self, exec_id: str) -> Any:
        return (await self.http.get(f"{RUNS}/{exec_id}")).json()["data"]

    async def reaches(self, exec_id: str, *statuses: str) -> Any:
        """Wait until a run is in one of *statuses* and return its state."""
        async with asyncio.timeout(20):
            while (state := await self.state(exec_id))["status"] not in statuses:
                await asyncio.sleep(0.01)
        return state

    @asynccontextmanager
    async def listen(
        self, path: str, last: str = "", **query: str
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Open a stream and give what can be read of it."""
        headers = {"last-event-id": last} if last else {}
        async with self.http.stream("GET", path, params=query, headers=headers) as answer:
            assert 200 == answer.status_code, await answer.aread()
            assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
            yield events_of(answer)

    async def read(self, path: str, last: str = "", **query: str) -> list[Event]:
        """Read a stream to its end."""
        async with asyncio.timeout(20), self.listen(path, last, **query) as events:
            return [event async for event in events]


async def events_of(answer: httpx.Response) -> AsyncIterator[Event]:
    """Yield events, and comments as events without a name."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif line:
            yield Event("", "", value)
        elif "data" in fields:
            yield Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            fields = {}
        elif fields.pop("retry", ""):
            yield Event("", "retry", None)


def numbers(events: list[Event]) -> list[int]:
    """Return the ids of events that have one."""
    return [int(event.id) for event in events if event.id]


def heard_often(settings: Settings, seconds: float) -> Settings:
    """Return *settings* with a short heartbeat."""
    return msgspec.structs.replace(settings, stream=StreamSettings(heartbeat=seconds))
