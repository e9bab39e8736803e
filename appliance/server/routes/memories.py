"""Memories: `/memory/{memory_ref}` and `/memory/health`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from appliance.errors import Conflict, NotFound
from appliance.memory.home import Outcome
from appliance.memory.limits import MAX_KEY_BYTES, MAX_MESSAGES
from appliance.memory.order import Operation, Order
from appliance.operations import memories
from appliance.server.contract import raises
from appliance.server.envelope import Cursor, Envelope, Limit, T, listing, show
from appliance.server.request import ApiRequest
from appliance.server.routes.executions import IdempotencyKey
from appliance.server.routes.memory_views import (
    AppendView,
    ClearView,
    ClearWish,
    DeleteView,
    FlushView,
    FlushWish,
    KeyChoice,
    MemoriesView,
    MemoryHealthView,
    MemoryKeyList,
    MemoryView,
    NewMessages,
    ReadView,
    StatsView,
    WriteView,
)

KeyQuery = Annotated[
    str,
    QueryParameter(min_length=1, max_length=MAX_KEY_BYTES, description="The key that is meant."),
]
Offset = Annotated[
    int, QueryParameter(ge=0, le=MAX_MESSAGES, description="How many of the oldest to leave out.")
]


@get("/memory/{memory_ref:str}/keys", opt=raises(NotFound), tags=["memory"])
async def list_memory_keys(
    request: ApiRequest, memory_ref: FromPath[str], limit: Limit = 50, cursor: Cursor = None
) -> Response[Envelope[MemoryKeyList]]:
    """List the keys of a memory, by key."""
    page = await memories.list_memory_keys(
        request.appliance, memory_ref, limit=limit, cursor=cursor
    )
    return listing(request, MemoryKeyList, page, limit)


@get("/memory/{memory_ref:str}/read", opt=raises(NotFound), tags=["memory"])
async def read_memory(
    request: ApiRequest,
    memory_ref: FromPath[str],
    key: KeyQuery,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="How many at most.")] = 50,
    offset: Offset = 0,
) -> Envelope[ReadView]:
    """Read the messages under a key, oldest first. Under a key that nobody wrote there are none."""
    order = Order(memory_ref, key, limit=limit, offset=offset)
    return shown(ReadView, await ask(request, "read", order))


@post(
    "/memory/{memory_ref:str}/write",
    status_code=200,
    opt=raises(NotFound, Conflict),
    tags=["memory"],
)
async def write_memory(
    request: ApiRequest, memory_ref: FromPath[str], data: JSONBody[NewMessages]
) -> Envelope[WriteView]:
    """Put messages in the place of those under a key."""
    return shown(WriteView, await ask(request, "write", order_of(memory_ref, data)))


@post(
    "/memory/{memory_ref:str}/append",
    status_code=200,
    opt=raises(NotFound, Conflict),
    tags=["memory"],
)
async def append_memory(
    request: ApiRequest,
    memory_ref: FromPath[str],
    data: JSONBody[NewMessages],
    idempotency_key: IdempotencyKey = None,
) -> Response[Envelope[AppendView]]:
    """Add messages under a key. Where there are too many then, the oldest go.

    The same `Idempotency-Key` with the same request adds them once, within a day.
    """
    outcome = await memories.ask_memory(
        request.appliance,
        request.actor,
        "append",
        order_of(memory_ref, data),
        idempotency_key=idempotency_key,
    )
    headers = {"idempotency-replayed": "true"} if outcome.replayed else {}
    return Response(shown(AppendView, outcome), headers=headers)


@post("/memory/{memory_ref:str}/delete", status_code=200, opt=raises(NotFound), tags=["memory"])
async def delete_memory(
    request: ApiRequest, memory_ref: FromPath[str], data: JSONBody[KeyChoice]
) -> Envelope[DeleteView]:
    """Remove a key with its messages. It is a success when there is none, too."""
    return shown(DeleteView, await ask(request, "delete", Order(memory_ref, data.key)))


@post("/memory/{memory_ref:str}/flush", status_code=200, opt=raises(NotFound), tags=["memory"])
async def flush_memory(
    request: ApiRequest, memory_ref: FromPath[str], data: JSONBody[FlushWish]
) -> Envelope[FlushView]:
    """Make room under a key that is as full as the threshold says, or see what would happen."""
    order = Order(memory_ref, **msgspec.structs.asdict(data))
    return shown(FlushView, await ask(request, "flush", order))


@post("/memory/{memory_ref:str}/clear", status_code=200, opt=raises(NotFound), tags=["memory"])
async def clear_memory(
    request: ApiRequest, memory_ref: FromPath[str], data: JSONBody[ClearWish]
) -> Envelope[ClearView]:
    """Remove every message under a key; `confirm` must be true."""
    order = Order(memory_ref, **msgspec.structs.asdict(data))
    return shown(ClearView, await ask(request, "clear", order))


@get("/memory/{memory_ref:str}/health", opt=raises(NotFound), tags=["memory"])
async def get_memory_health(
    request: ApiRequest, memory_ref: FromPath[str], key: KeyQuery
) -> Envelope[MemoryHealthView]:
    """Tell whether a key can be read and written."""
    order = Order(memory_ref, key, include_stats=True)
    return shown(MemoryHealthView, await ask(request, "health", order))


@get("/memory/{memory_ref:str}/stats", opt=raises(NotFound), tags=["memory"])
async def get_memory_stats(
    request: ApiRequest,
    *,
    memory_ref: FromPath[str],
    key: KeyQuery,
    include_content: Annotated[
        bool, QueryParameter(description="Whether to show messages, too.")
    ] = False,
    group_by: Annotated[
        str, QueryParameter(enum=("", "role"), description="`role` counts by role.")
    ] = "",
    limit: Annotated[
        int, QueryParameter(ge=1, le=MAX_MESSAGES, description="How many messages at most.")
    ] = 100,
    offset: Offset = 0,
) -> Envelope[StatsView]:
    """Show a key in numbers."""
    order = Order(
        memory_ref,
        key,
        include_content=include_content,
        group_by=group_by,
        limit=limit,
        offset=offset,
    )
    return shown(StatsView, await ask(request, "stats", order))


@get("/memory/health", tags=["memory"])
async def get_memories_health(request: ApiRequest) -> Envelope[MemoriesView]:
    """Tell whether the memories of the project can be read, and what they hold."""
    found = await memories.survey_memories(request.appliance)
    healthy = sum(bool(memory["healthy"]) for memory in found.memories)
    return Envelope(
        data=MemoriesView(
            healthy=found.healthy,
            total_instances=len(found.memories),
            healthy_instances=healthy,
            unhealthy_instances=len(found.memories) - healthy,
            last_checked=found.at,
            instance_health={view.memory_id: view for view in map(_view, found.memories)},
        )
    )


@get("/memory/health/{memory_id:str}", opt=raises(NotFound), tags=["memory"])
async def get_memory_instance_health(
    request: ApiRequest, memory_id: FromPath[str]
) -> Envelope[MemoryView]:
    """Tell whether a memory can be read, and what it holds."""
    found = await memories.survey_memories(request.appliance, memory_id)
    return Envelope(data=_view(found.memories[0]))


async def ask(request: ApiRequest, operation: Operation, order: Order) -> Outcome:
    """Do what *order* says for whoever asks."""
    return await memories.ask_memory(request.appliance, request.actor, operation, order)


def order_of(memory_ref: str, data: NewMessages) -> Order:
    """Return the order to write what was sent."""
    return Order(memory_ref, data.key, payload=msgspec.to_builtins(data.messages))


def shown(kind: type[T], outcome: Outcome) -> Envelope[T]:
    """Return the answer of an operation in the form *kind*."""
    return Envelope(data=show(kind, outcome.answer))


def _view(found: dict[str, Any]) -> MemoryView:
    return show(MemoryView, found)


HANDLERS = [
    list_memory_keys,
    read_memory,
    write_memory,
    append_memory,
    delete_memory,
    flush_memory,
    clear_memory,
    get_memory_health,
    get_memory_stats,
    get_memories_health,
    get_memory_instance_health,
]
