"""Streams of events: complete, in order, each event once, whatever happens to server and client."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings, ServerSettings
from appliance.engine.feed import Feed, Overrun
from appliance.engine.history import RunEvent
from appliance.engine.run import Moment
from appliance.errors import Unavailable
from appliance.operations import watching
from appliance.operations.watching import Ring
from appliance.server import streams

from .conftest import settings_for
from .streaming import API, RUNS, Event, Server, heard_often, numbers

pytestmark = pytest.mark.anyio

ALL = f"{API}/executions/stream"


@pytest.fixture
async def server(database_settings: DatabaseSettings, tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(heard_often(settings_for(database_settings, tmp_path), 0.1))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def memory(tmp_path: Path) -> AsyncIterator[Server]:
    """A server where the database does not matter."""
    server = ServerSettings(port=0, shutdown_timeout=2.0)
    settings = settings_for(DatabaseSettings(path=":memory:"), tmp_path, server)
    made = Server(heard_often(settings, 0.1))
    await made.start()
    yield made
    await made.stop()


def told(events: list[Event]) -> list[Event]:
    return [event for event in events if event.id]


# -- one run ---------------------------------------------------------------------------------------


async def test_a_run_is_told_from_its_beginning_to_its_end(server: Server) -> None:
    """Also to whoever comes late: every change of state, numbered from 1 without a gap."""
    exec_id = await server.begin("steps", seconds=0.05)
    live = told(await server.read(f"{RUNS}/{exec_id}/stream"))
    late = told(await server.read(f"{RUNS}/{exec_id}/stream"))

    assert live == late
    assert list(range(1, len(live) + 1)) == numbers(live)
    assert ["workflow_start", "complete"] == [live[0].event, live[-1].event]
    assert {"task_status"} == {event.event for event in live[1:-1]}
    assert ("SUCCESS", {"done": 3}, None) == tuple(
        live[-1].data[name] for name in ("status", "output", "error")
    )
    states = [(event.data["task_id"], event.data["status"]) for event in live[1:-1]]
    assert [("step-1", "RUNNING"), ("step-1", "SUCCESS")] == [s for s in states if s[0] == "step-1"]
    shown = await server.state(exec_id)
    assert [1, len(live)] == [moment["number"] for moment in shown["history"]]


async def test_a_stream_that_is_cut_goes_on_where_it_was(server: Server) -> None:
    """However often and wherever it is cut: each event arrives exactly once, in order."""
    exec_id = await server.begin("steps", seconds=0.01, count=12)
    heard: list[Event] = []
    dice, cuts = random.Random(7), 0
    while not heard or heard[-1].event != "complete":
        async with server.listen(f"{RUNS}/{exec_id}/stream", heard[-1].id if heard else "") as told:
            left = dice.randint(1, 3)
            async for event in told:
                if event.id:
                    heard.append(event)
                    left -= 1
                if not left:
                    break
        cuts += 1
    assert cuts > 5
    assert list(range(1, len(heard) + 1)) == numbers(heard)
    assert told_names(heard) == told_names(await server.read(f"{RUNS}/{exec_id}/stream"))


def told_names(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.id, event.event) for event in told(events)]


async def test_a_stream_goes_on_after_a_restart(
    database_settings: DatabaseSettings, tmp_path: Path
) -> None:
    """The numbers stay, nothing is told twice, and what happened without the client is told."""
    server = Server(settings_for(database_settings, tmp_path))
    await server.start()
    exec_id = await server.begin("approval")
    await server.reaches(exec_id, "WAITING")
    heard: list[Event] = []
    async with asyncio.timeout(20), server.listen(f"{RUNS}/{exec_id}/stream") as found:
        async for event in found:
            if event.id:
                heard.append(event)
            if event.event == "workflow_status":
                break
    await server.stop()
    await server.start()
    await server.command(exec_id, "signals", {"signal_name": "answered", "payload": {"by": "Ada"}})
    heard += told(await server.read(f"{RUNS}/{exec_id}/stream", heard[-1].id))
    assert list(range(1, len(heard) + 1)) == numbers(heard)
    assert {"by": "Ada"} == heard[-1].data["output"]
    assert heard == told(await server.read(f"{RUNS}/{exec_id}/stream"))
    await server.stop()


async def test_whoever_has_everything_is_not_asked_back(memory: Server) -> None:
    """204 ends the coming back of an EventSource; the query says the same as the header."""
    exec_id = await memory.begin("steps")
    last = (await memory.read(f"{RUNS}/{exec_id}/stream"))[-1].id
    path = f"{RUNS}/{exec_id}/stream"
    assert 204 == (await memory.http.get(path, headers={"last-event-id": last})).status_code
    assert 204 == (await memory.http.get(path, params={"last_event_id": last})).status_code
    before = str(int(last) - 1)
    assert [int(last)] == numbers(await memory.read(path, last_event_id=before))


async def test_events_can_be_chosen(memory: Server) -> None:
    """Only what is asked for is sent; the stream ends with the run all the same."""
    exec_id = await memory.begin("steps")
    path = f"{RUNS}/{exec_id}/stream"
    chosen = told(await memory.read(path, events="workflow_start,complete"))
    assert ["workflow_start", "complete"] == [event.event for event in chosen]
    assert [] == told(await memory.read(path, events="workflow_status"))


async def test_what_cannot_be_told_is_a_problem(memory: Server) -> None:
    """It is said before the stream begins, as everywhere else."""
    exec_id = await memory.begin("steps")
    await memory.reaches(exec_id, "SUCCESS")
    for path, status in (
        (f"{RUNS}/nothing/stream", 404),
        (f"{API}/executions/tasks/nothing/stream", 404),
        (f"{RUNS}/{exec_id}/stream?last_event_id=999", 400),
        (f"{RUNS}/{exec_id}/stream?last_event_id=-1", 400),
        (f"{RUNS}/{exec_id}/stream?last_event_id=x", 400),
        (f"{RUNS}/{exec_id}/stream?events=nonsense", 400),
        (f"{API}/executions/tasks/{exec_id}/stream", 404),
        (f"{ALL}?events=", 400),
    ):
        refused = await memory.http.get(path)
        found = refused.status_code, refused.headers["content-type"]
        assert (status, "application/problem+json") == found, path


async def test_a_task_that_is_run_by_itself_is_told_too(memory: Server) -> None:
    """It has the same events under an address of its own."""
    begun = await memory.http.post(f"{API}/tasks/nap/executions", json={"with": {"seconds": 0.1}})
    heard = told(await memory.read(f"{begun.json()['data']['exec_url']}/stream"))
    assert ("complete", "SUCCESS") == (heard[-1].event, heard[-1].data["status"])
    assert "task_status" in {event.event for event in heard}


async def test_a_retried_run_is_told_on(memory: Server, tmp_path: Path) -> None:
    """The numbers go on; its former end was no end."""
    exec_id = await memory.begin("stubborn", path=str(tmp_path / "gate"))
    first = told(await memory.read(f"{RUNS}/{exec_id}/stream"))
    assert ("complete", "FAILED") == (first[-1].event, first[-1].data["status"])
    (tmp_path / "gate").touch()
    await memory.command(exec_id, "retry")
    rest = told(await memory.read(f"{RUNS}/{exec_id}/stream", first[-1].id))
    assert list(range(1, len(first + rest) + 1)) == numbers(first + rest)
    assert ("complete", "SUCCESS") == (rest[-1].event, rest[-1].data["status"])
    again = told(await memory.read(f"{RUNS}/{exec_id}/stream"))
    assert 1 == sum(event.event == "complete" for event in again)


# -- clients and servers that come and go ----------------------------------------------------------


async def test_silence_is_broken(memory: Server) -> None:
    """While nothing happens a comment comes, again and again, beyond the deadline of an answer."""
    exec_id = await memory.begin("approval")
    await memory.reaches(exec_id, "WAITING")
    comments = 0
    async with asyncio.timeout(20), memory.listen(f"{RUNS}/{exec_id}/stream") as found:
        async for event in found:
            comments += event.event == ""
            if comments == 4:
                break
    assert 4 == comments


async def test_a_stream_has_no_deadline(tmp_path: Path) -> None:
    """`server.timeout` is for answers that end."""
    settings = settings_for(
        DatabaseSettings(path=":memory:"), tmp_path, ServerSettings(port=0, timeout=0.2)
    )
    server = Server(heard_often(settings, 0.1))
    await server.start()
    exec_id = await server.begin("steps", seconds=0.2)
    assert "complete" == (await server.read(f"{RUNS}/{exec_id}/stream"))[-1].event
    await server.stop()


async def test_a_client_that_left_is_noticed_at_once(memory: Server) -> None:
    """Nothing is kept for it: no place among the streams, no subscription."""
    exec_id = await memory.begin("approval")
    async with memory.listen(f"{RUNS}/{exec_id}/stream") as found:
        async for event in found:
            if event.id:
                break
        assert 1 == memory.app.state.streams.count
    async with asyncio.timeout(1):
        while memory.app.state.streams.count:
            await asyncio.sleep(0.005)
    assert not memory.appliance.engine.feed._subscriptions


async def test_a_server_that_stops_says_when_to_come_back(memory: Server) -> None:
    """The stream ends well and at once, with the wish that the client comes back."""
    exec_id = await memory.begin("approval")
    await memory.reaches(exec_id, "WAITING")
    reading = asyncio.create_task(memory.read(f"{RUNS}/{exec_id}/stream"))
    while not memory.app.state.streams.count:
        await asyncio.sleep(0.005)
    memory.app.state.streams.close()
    async with asyncio.timeout(2):
        assert "retry" == (await reading)[-1].event


async def test_streams_are_bounded(memory: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key cannot hold all connections; HEAD has the door of GET and no body."""
    monkeypatch.setattr(streams, "MAX_PER_KEY", 2)
    async with memory.listen(ALL), memory.listen(ALL):
        refused = await memory.http.get(ALL)
        assert (429, "too_many_requests") == (refused.status_code, refused.json()["code"])
        assert 429 == (await memory.http.head(ALL)).status_code
    while memory.app.state.streams.count:
        await asyncio.sleep(0.005)
    head = await memory.http.head(ALL)
    assert (200, b"") == (head.status_code, head.content)


async def test_a_slow_reader_misses_nothing(
    memory: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What did not fit is read again from the rows, however far the reader fell behind."""
    subscribe = Feed.subscribe
    monkeypatch.setattr(Feed, "subscribe", lambda feed, exec_id: subscribe(feed, exec_id, 4))
    overruns: list[bool] = []

    class Counted(Overrun):
        def __init__(self) -> None:
            overruns.append(True)

    monkeypatch.setattr("appliance.engine.feed.Overrun", Counted)
    exec_id = await memory.begin("steps", count=60, seconds=0.002)
    found = watching.watch_execution(memory.appliance, exec_id)
    heard = []
    async for event in found:
        heard.append(event.number)
        await asyncio.sleep(0.02 if len(heard) % 10 == 3 else 0)
        if event.event == "complete":
            break
    assert list(range(1, len(heard) + 1)) == heard
    assert overruns


async def test_a_reader_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    """It holds nothing for longer than `server.timeout`, and the others are not kept waiting."""
    settings = settings_for(
        DatabaseSettings(path=":memory:"), tmp_path, ServerSettings(port=0, timeout=0.3)
    )
    server = Server(heard_often(settings, 0.05))
    await server.start()
    address = (server.http.base_url.host, server.http.base_url.port or 0)
    with socket.create_connection(address) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        key = server.http.headers["authorization"]
        deaf.sendall(f"GET {ALL} HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\n\r\n".encode())
        while not server.app.state.streams.count:
            await asyncio.sleep(0.005)
        filler = RunEvent("x" * 50_000, "w", "workflow_start", Moment(1, "RUNNING", 1, 0))
        async with asyncio.timeout(20):
            while server.app.state.streams.count:
                server.appliance.engine.feed.publish([filler] * 10)
                await asyncio.sleep(0.01)
    await server.stop()


async def test_what_goes_wrong_on_the_way_is_told(
    memory: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error after the beginning cannot be a status any more, so it is an event."""
    exec_id = await memory.begin("approval")
    await memory.reaches(exec_id, "WAITING")
    past_of, asked = watching.past_of, 0

    async def fails_later(*arguments: Any) -> watching.Past:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise Unavailable("The database is away.")
        return await past_of(*arguments)

    monkeypatch.setattr(watching, "past_of", fails_later)
    heard = await memory.read(f"{RUNS}/{exec_id}/stream")
    assert ("error", "The database is away.") == (heard[-1].event, heard[-1].data["message"])


# -- all runs --------------------------------------------------------------------------------------


async def until(events: AsyncIterator[Event], exec_id: str) -> list[Event]:
    """Read until a run has ended."""
    heard = []
    async with asyncio.timeout(20):
        async for event in events:
            if event.id:
                heard.append(event)
            if event.event == "complete" and event.data["workflow_exec_id"] == exec_id:
                break
    return heard


async def test_all_runs_are_told_from_now_on(server: Server) -> None:
    """Runs that come later are in it, those that have ended are not; each has its own order."""
    before = await server.begin("steps")
    await server.reaches(before, "SUCCESS")
    async with server.listen(ALL) as found:
        first, second = await server.begin("steps"), await server.begin("steps")
        heard = await until(found, second)
        if first not in {e.data["workflow_exec_id"] for e in heard if e.event == "complete"}:
            heard += await until(found, first)
    assert before not in {event.data["workflow_exec_id"] for event in heard}
    for exec_id in (first, second):
        own = [e.data["number"] for e in heard if e.data["workflow_exec_id"] == exec_id]
        assert list(range(1, len(own) + 1)) == own


async def test_all_runs_can_be_resumed(memory: Server) -> None:
    """What came meanwhile is told, each event once; the filters narrow it."""
    async with memory.listen(ALL) as found:
        heard = await until(found, await memory.begin("steps"))
    between = await memory.begin("steps")
    await memory.reaches(between, "SUCCESS")
    async with memory.listen(ALL, heard[-1].id) as found:
        rest = await until(found, between)
    ids = [event.id for event in heard + rest]
    boot, _, first = ids[0].rpartition(":")
    assert [f"{boot}:{int(first) + n}" for n in range(len(ids))] == ids

    async with memory.listen(ALL, heard[-1].id, events="complete") as found:
        assert ["complete"] == [event.event for event in await until(found, between)]
    async with memory.listen(ALL, workflow_id="approval") as found:
        other, asked = await memory.begin("steps"), await memory.begin("approval")
        await memory.command(asked, "signals", {"signal_name": "answered", "payload": {"by": "A"}})
        heard = await until(found, asked)
    assert other not in {event.data["workflow_exec_id"] for event in heard}


async def test_what_cannot_be_resumed_says_so(memory: Server) -> None:
    """After a `reset` a client knows that it has to look at the runs; then it goes on."""
    boot = memory.app.state.streams.ring.boot
    for last in ("nonsense", "another-start:7", ":1", f"{boot}:999999", f"{boot}:x"):
        async with memory.listen(ALL, last) as found:
            exec_id = await memory.begin("steps")
            heard = await until(found, exec_id)
        assert ["reset", "workflow_start"] == [event.event for event in heard[:2]], last


async def test_only_so_much_is_kept() -> None:
    """Memory is bounded: who stayed away for too long is told that something is missing."""
    ring = Ring(Feed(), kept=3)
    made = [RunEvent("x", "w", "workflow_status", Moment(n, "RUNNING", 1, 0)) for n in range(1, 6)]
    for event in made:
        ring.push(event)
    assert [None, None, 2, 5, None] == [ring.position(f"{ring.boot}:{n}") for n in (0, 1, 2, 5, 6)]
    late = ring.watch(2)
    assert [(3, made[2]), (4, made[3])] == [await anext(late) for _ in range(2)]
    for event in made:
        ring.push(event)
    assert (10, None) == await anext(late)
    ring.push(made[0])
    assert (11, made[0]) == await anext(late)
    await late.aclose()


async def test_an_event_is_one_line_of_json(memory: Server) -> None:
    """Whatever a workflow says, it cannot end an event or begin another one."""
    message = streams.Message("task_status", {"text": "a\nb\r\n\nid: 7"}, "3")
    head, body, *rest = message.encode().split(b"\ndata: ")
    assert (b"id: 3\nevent: task_status", []) == (head, rest)
    assert 2 == body.count(b"\n")
    assert {"text": "a\nb\r\n\nid: 7"} == json.loads(body)
