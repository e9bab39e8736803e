"""`config`: the options of a project, a workflow and a task."""

from __future__ import annotations

from appliance.language.editor.fields import (
    Schema,
    data,
    duration,
    idle,
    mapping,
    number,
    refer,
    text,
    texts,
    whole,
)

RETRY: Schema = mapping(
    "When a failed call is tried again.",
    {
        "maximum_attempts": whole("Attempts in all; the first one counts.", 1, default=3),
        "initial_interval": duration("Pause before the second attempt.", "1s"),
        "backoff_coefficient": number("By how much each pause is longer.", 1, default=2.0),
        "maximum_interval": duration("The longest pause.", "1m"),
        "non_retryable_error_types": texts("Classes of errors that are not tried again."),
    },
)

OPTIONS: dict[str, Schema] = {
    "start_to_close_timeout": duration("The longest one attempt of a call may take."),
    "schedule_to_start_timeout": duration("The longest a call may wait for a process to run in."),
    "schedule_to_close_timeout": duration("The longest all attempts of a task may take together."),
    "heartbeat_timeout": idle(data("A tool that hangs is found by its timeout.")),
    "retry_policy": refer("retry_policy", "When a failed call is tried again."),
    "on_error": text("Task that failures lead to, wherever a task has no on_error of its own."),
}
"""Options that every `config` has; the nearest one wins."""
