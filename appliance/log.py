"""The log: one event per line on standard error, text on a terminal and JSON otherwise.

Own events (`structlog`) and those of libraries (`logging`) come out in the same form. What is named
like a secret, or looks like a key of ours, is masked.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

from appliance import clock
from appliance.lean import without_rich

Event = MutableMapping[str, Any]

_MASK = "********"
_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token(?!s)|api_?key|admin_?key|authori[sz]ation|cookie|conninfo|dsn",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(r"\bcpz[ys]_\w+|(?<=://)[^\s/@:]*:[^\s/@]*(?=@)")
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31"}


def configure(level: str = "info", style: str = "auto") -> None:
    """Send all events from *level* on to standard error, in *style* `auto`, `text` or `json`."""
    with without_rich():
        import structlog

    text = style == "text" or (style == "auto" and sys.stderr.isatty())
    threshold = getattr(logging, level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        _stamp,
        _mask,
        _render_text if text else _render_json,
    ]
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[_forget, *shared]))
    logging.basicConfig(level=threshold, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)


class _Stderr:
    """Writes to what standard error is at the moment of the event."""

    def __init__(self, *_name: str) -> None:
        pass

    def _write(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")

    debug = info = warning = error = critical = _write


def _stamp(_logger: object, _method: str, event: Event) -> Event:
    moment = clock.to_rfc3339(clock.now_us())
    return {"time": moment, "level": event.pop("level"), "event": event.pop("event"), **event}


def _forget(_logger: object, _method: str, event: Event) -> Event:
    record: logging.LogRecord = event.pop("_record")
    event.pop("_from_structlog")
    return {**event, "logger": record.name}


def _mask(_logger: object, _method: str, event: Event) -> Event:
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: str, value: Any) -> Any:
    if _SECRET_NAME.search(key) and value:
        return _MASK
    return _SECRET_TEXT.sub(_MASK, value) if isinstance(value, str) else value


def _render_json(_logger: object, _method: str, event: Event) -> str:
    return json.dumps(event, default=repr)


def _render_text(_logger: object, _method: str, event: Event) -> str:
    moment, level = str(event.pop("time"))[11:19], str(event.pop("level"))
    trace = event.pop("exception", None)
    head = f"{moment} {_coloured(level)} {_plain(str(event.pop('event')))}"
    pairs = [f"{key}={_word(value)}" for key, value in event.items()]
    return " ".join([head, *pairs]) + (f"\n{trace}" if trace else "")


def _coloured(level: str) -> str:
    name = f"{level.upper():<7}"
    return f"\x1b[{_COLOURS[level]}m{name}\x1b[0m" if _colours() else name


def _colours() -> bool:
    import os

    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def _word(value: Any) -> str:
    text = _plain(value if isinstance(value, str) else repr(value))
    return f'"{text}"' if " " in text or not text else text


def _plain(text: str) -> str:
    """Escape what would break the line or steer the terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: repr(match[0])[1:-1], text)
