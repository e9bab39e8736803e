"""What a worker does: it answers calls, one at a time."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any, Iterator  # noqa: UP035 - runs on 3.9

from .functions import Toolbox
from .parameters import mismatch_of
from .refusal import Refusal, raised, sentence_of

OUTPUT_LIMIT = 10 << 20
DEPTH_LIMIT = 100

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def serve(connection: socket.socket, toolbox: Toolbox) -> None:
    """Answer calls until the server closes the connection or the process must end."""
    own_pid = os.getpid()
    while True:
        frame = receive(connection)
        if frame is None:
            return
        reply = answer(toolbox, frame)
        if os.getpid() != own_pid:
            os._exit(0)  # the function forked and both returned: only one may answer
        connection.sendall(len(reply).to_bytes(4, "big") + reply)
        if toolbox.spent:
            return


def receive(connection: socket.socket) -> bytes | None:
    """Return the next frame, or None at the end of file."""
    data = connection.recv(65536)
    while data and (len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big")):
        missing = 4 + int.from_bytes(data[:4], "big") - len(data) if len(data) >= 4 else 1
        more = connection.recv(missing, socket.MSG_WAITALL)
        data = data + more if more else b""
    return data[4:] if data else None


def answer(toolbox: Toolbox, frame: bytes) -> bytes:
    """Carry out the call in *frame* and return the JSON that answers it."""
    try:
        reply = b'{"output":' + output_of(toolbox, read(frame))
    except Refusal as refusal:
        report = {"code": refusal.code, "message": str(refusal), "details": refusal.details}
        reply = b'{"failure":' + encode(report).encode("utf-8", "replace")
    return reply + (b',"last":true}' if toolbox.spent else b"}")


def read(frame: bytes) -> Any:
    """Return the call in *frame*. Raises Refusal."""
    try:
        return json.loads(frame)
    except (ValueError, RecursionError) as error:
        msg = f"The arguments cannot be read as JSON: {error}."
        raise Refusal("TOOL_ARGUMENTS", msg) from None


def output_of(toolbox: Toolbox, call: dict[str, Any]) -> bytes:
    """Call the function and return its result as JSON. Raises Refusal."""
    tool, arguments = call["tool"], call["arguments"]
    function = toolbox.find(tool)
    if not isinstance(arguments, dict):
        raise Refusal("TOOL_ARGUMENTS", f"The arguments of {tool!r} must be an object.")
    if function.wants_context:
        arguments.setdefault("context", call["context"])
    try:
        with environment(call["env"]):
            result = function.call(**arguments)
            if hasattr(result, "__await__"):
                result = finish(result)
    except Refusal:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit ends the call, not the worker
        mismatch = mismatch_of(function.call, arguments) if isinstance(error, TypeError) else ""
        if not mismatch:
            raise raised(error) from None
        msg = f"The function {tool!r} cannot be called: {mismatch}."
        raise Refusal("TOOL_ARGUMENTS", msg, function=tool) from None
    return b"{}" if result is None else to_json(result)


def finish(awaitable: Any) -> Any:
    """Run an awaitable to its end in an event loop of its own."""
    import asyncio

    async def wait() -> Any:
        return await awaitable

    return asyncio.run(wait())


@contextlib.contextmanager
def environment(entries: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the time of a call."""
    before = {name: os.environ.get(name) for name in entries}
    try:
        os.environ.update(entries)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def to_json(result: Any) -> bytes:
    """Return *result* as JSON that every reader can take. Raises Refusal."""
    try:
        data = encode(result).encode()
    except Exception as error:  # noqa: BLE001 - a mapping of the user may raise anything
        msg = f"The result, a {type(result).__name__}, is not JSON: {sentence_of(error)}."
        raise Refusal("TOOL_OUTPUT", msg) from None
    if len(data) > OUTPUT_LIMIT:
        msg = f"The result has {len(data)} bytes of JSON; the limit is {OUTPUT_LIMIT}."
        raise Refusal("TOOL_OUTPUT", msg)
    # Few results have so many brackets: only those are walked.
    if data.count(b"[") + data.count(b"{") > DEPTH_LIMIT and is_deeper(result, DEPTH_LIMIT):
        msg = f"The result is nested more than {DEPTH_LIMIT} levels deep."
        raise Refusal("TOOL_OUTPUT", msg)
    return data


def is_deeper(value: Any, levels: int) -> bool:
    """Tell whether lists and mappings are nested more than *levels* deep."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return False
    return levels == 0 or any(is_deeper(item, levels - 1) for item in value)
