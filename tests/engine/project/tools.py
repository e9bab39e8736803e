"""Tools of the engine's tests. Each call leaves a line in the ledger that `LEDGER` names."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any


def _note(context: dict[str, Any], what: str) -> None:
    ledger = os.environ.get("LEDGER")
    if ledger:
        line = f"{context['task_exec_id']} {context['attempt']} {what} {os.getpid()}\n"
        descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
        os.close(descriptor)


def echo(context: dict[str, Any], **values: Any) -> dict[str, Any]:
    _note(context, "begin")
    _note(context, "end")
    return values


def slow(context: dict[str, Any], seconds: float, **values: Any) -> dict[str, Any]:
    _note(context, "begin")
    time.sleep(seconds)
    _note(context, "end")
    return values


def fail_until(context: dict[str, Any], file: str) -> dict[str, Any]:
    _note(context, "begin")
    if not Path(file).exists():
        raise RuntimeError(f"{file} is not there")
    _note(context, "end")
    return {"found": file}
