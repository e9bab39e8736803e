"""A call that has no result: its code, its sentence and what helps to find the cause."""

from __future__ import annotations

import os
import resource
import traceback
from typing import Any

MESSAGE_LIMIT = 2000
TRACEBACK_LIMIT = 4000
FRAME_LIMIT = 20

MACHINERY = (os.path.dirname(__file__), os.path.dirname(os.__file__) + "/asyncio/", "<frozen ")  # noqa: PTH120
"""Where code lives that calls the user's and is no news to them."""


class Refusal(Exception):
    """A call that ends in a failure with a code of its own."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message[:MESSAGE_LIMIT])
        self.code = code
        self.details = details


def raised(error: BaseException) -> Refusal:
    """Report what a function raised."""
    if isinstance(error, MemoryError):
        traceback.clear_frames(error.__traceback__)  # make room to report it
    frames = "".join(traceback.format_list(user_frames(error)))[-TRACEBACK_LIMIT:]
    return Refusal("TOOL_ERROR", sentence_of(error), type=type(error).__name__, traceback=frames)


def sentence_of(error: BaseException) -> str:
    """Return `Type: message` with a bounded length."""
    if isinstance(error, MemoryError):
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        return f"MemoryError: the limit of {limit} bytes (runtime.tool_memory_limit) was reached"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the class of the user's error may be broken as well
        text = "its message cannot be shown"
    name = type(error).__name__
    return f"{name}: {text}"[:MESSAGE_LIMIT] if text else name


def user_frames(error: BaseException) -> traceback.StackSummary:
    """Return the innermost frames of user code, oldest first."""
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if not frame.filename.startswith(MACHINERY)]
    return traceback.StackSummary.from_list(users[-FRAME_LIMIT:])
