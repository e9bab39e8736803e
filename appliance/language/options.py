"""Global options (`config`): retries and timeouts, merged project < workflow < task."""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.language.model import RetryPolicy
from appliance.language.sections import Section

IDLE = (
    "on_error",
    "schedule_to_start_timeout",
    "schedule_to_close_timeout",
    "heartbeat_timeout",
)
"""Options of Compozy that nothing here needs."""


class Options(msgspec.Struct, frozen=True):
    """What a `config` says; what it leaves open is absent."""

    retry: dict[str, Any] = {}
    timeout: float | None = None

    def under(self, nearer: Options) -> Options:
        """Return these options with those of a *nearer* `config` on top."""
        timeout = self.timeout if nearer.timeout is None else nearer.timeout
        return Options({**self.retry, **nearer.retry}, timeout)

    def policy(self) -> RetryPolicy:
        """Return the retry policy, with defaults for what nobody said."""
        return RetryPolicy(**self.retry)


def read_options(section: Section | None, *known: str) -> Options:
    """Read the options of a `config` mapping; *known* are fields of its own that it also has."""
    if section is None:
        return Options()
    for key in IDLE:
        if section.has(key):
            section.warn(f"{key} has no effect", key)
    options = Options(_read_retry(section.section("retry_policy")), _read_timeout(section))
    section.finish((*IDLE, *known))
    return options


def _read_timeout(section: Section) -> float | None:
    timeout = section.seconds("start_to_close_timeout")
    if timeout == 0:
        section.error("start_to_close_timeout must be longer than 0", "start_to_close_timeout")
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
