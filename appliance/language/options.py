"""Global options (`config`): retries and timeouts, merged project < workflow < task."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.language.model import RetryPolicy
from appliance.language.sections import Section


class Options(msgspec.Struct, frozen=True):
    """What a `config` says; what it leaves open is absent."""

    retry: dict[str, Any] = {}
    timeout: float | None = None
    queue_timeout: float | None = None
    total_timeout: float | None = None
    on_error: str | None = None
    """Task that failures lead to where a task says nothing of its own."""

    def under(self, nearer: Options) -> Options:
        """Return these options with those of a *nearer* `config` on top."""
        said = {key: value for key in _SINGLE if (value := getattr(nearer, key)) is not None}
        return msgspec.structs.replace(self, retry={**self.retry, **nearer.retry}, **said)

    def policy(self) -> RetryPolicy:
        """Return the retry policy, with defaults for what nobody said."""
        return RetryPolicy(**self.retry)


_SINGLE = ("timeout", "queue_timeout", "total_timeout", "on_error")


def read_options(section: Section | None, *known: str) -> Options:
    """Read the options of a `config` mapping; *known* are fields of its own that it also has."""
    if section is None:
        return Options()
    if section.has("heartbeat_timeout"):
        message = "heartbeat_timeout has no effect: a tool that hangs is found by its timeout"
        section.warn(message, "heartbeat_timeout")
    options = Options(
        retry=_read_retry(section.section("retry_policy")),
        timeout=_read_timeout(section, "start_to_close_timeout"),
        queue_timeout=_read_timeout(section, "schedule_to_start_timeout"),
        total_timeout=_read_timeout(section, "schedule_to_close_timeout"),
        on_error=section.optional_text("on_error") or None,
    )
    section.finish(("heartbeat_timeout", *known))
    return options


def _read_timeout(section: Section, key: str) -> float | None:
    timeout = section.seconds(key)
    if timeout == 0:
        section.error(f"{key} must be longer than 0", key)
    return timeout or None


def _read_retry(section: Section | None) -> dict[str, Any]:
    if section is None:
        return {}
    found = {
        "maximum_attempts": section.whole("maximum_attempts", 1, 3),
        "initial_interval": section.seconds("initial_interval"),
        "backoff_coefficient": section.number("backoff_coefficient", 1, 2.0),
        "maximum_interval": section.seconds("maximum_interval"),
        "non_retryable_error_types": section.texts("non_retryable_error_types"),
    }
    section.finish(())
    return {key: value for key, value in found.items() if section.has(key) and value is not None}
