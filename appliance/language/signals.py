"""Signals in a workflow: the wait for one, and the sending of one."""

from __future__ import annotations

from typing import Any

from appliance.errors import InvalidInput
from appliance.language.durations import parse_duration
from appliance.language.model import SignalCall
from appliance.language.sections import Section

WAIT_KEYS = ("condition", "on_timeout", "processor", "wait_for")


def read_wait(section: Section) -> dict[str, Any]:
    """Read the fields of a wait, but for its processor."""
    if not section.has("condition"):
        section.error("a wait needs 'condition'; write condition: 'true' to take any signal")
    return {
        "wait_for": section.needed_text("wait_for"),
        "condition": section.optional_text("condition"),
        "wait_timeout": _timeout(section),
        "on_timeout": section.optional_text("on_timeout"),
    }


def read_signal(section: Section) -> dict[str, Any]:
    """Read what a task of type signal sends."""
    inner = section.section("signal")
    if inner is None:
        if not section.has("signal"):
            section.error("a signal needs 'signal', with the 'id' of the event to send")
        return {}
    found = SignalCall(id=inner.needed_text("id"), payload=inner.value("payload"))
    inner.finish(())
    return {"signal": found}


def _timeout(section: Section) -> str | None:
    """Return the longest wait as it is written; one with a template is read when the task begins."""
    text = section.optional_text("timeout")
    if text is None and not section.has("timeout"):
        section.error("a wait needs 'timeout', the longest time to wait; write for example 1h")
    if text is None or "{{" in text:
        return text
    try:
        if parse_duration(text) == 0:
            section.error("timeout must be longer than 0", "timeout")
    except InvalidInput as error:
        section.error(f"timeout: {error.message}", "timeout")
    return text
