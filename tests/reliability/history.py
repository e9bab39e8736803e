"""What was asked of a server and what it said: the memory of the oracle, outside the server."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.error
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

UNDECIDED = {"outcome_unknown", "deadline_exceeded", "storage_broken", "internal", "stopping"}
"""Codes after which a write may have happened: a commit that failed can still be found later."""


class Outcome(StrEnum):
    """What a client knows of a write."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Write(msgspec.Struct):
    """A write that was asked for. `answer` is the `data` of a good answer, else the reason."""

    kind: str
    name: str
    outcome: Outcome
    answer: Any = None


class History:
    """Every write that was asked for, in the order of the answers; also as lines of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.writes: list[Write] = []

    def write(self, kind: str, name: str, ask: Callable[[], Any]) -> Write:
        """Ask, and keep what came of it."""
        write = _asked(kind, name, ask)
        with self._lock:
            self.writes.append(write)
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(write) + b"\n")
        return write

    def of(self, kind: str) -> Iterator[Write]:
        """Yield the writes of a kind, in the order of the answers."""
        return (write for write in self.writes if write.kind == kind)

    def at(self, moment: int) -> History:
        """Return a copy as if asked when there were *moment* writes: of later ones little is known.

        What was refused later was not there before; all else may have been.
        """
        past = History(self._path)
        past.writes = [msgspec.structs.replace(write) for write in self.writes]
        for write in past.writes[moment:]:
            if write.outcome is Outcome.OK:
                write.outcome = Outcome.UNKNOWN
        return past

    def count(self, outcome: Outcome) -> int:
        """Return how many writes had this outcome."""
        return sum(write.outcome is outcome for write in self.writes)


def _asked(kind: str, name: str, ask: Callable[[], Any]) -> Write:
    try:
        return Write(kind, name, Outcome.OK, ask())
    except urllib.error.HTTPError as refusal:
        code, detail = _problem(refusal)
        outcome = Outcome.UNKNOWN if code in UNDECIDED else Outcome.FAIL
        return Write(kind, name, outcome, f"{refusal.code} {code}: {detail}")
    except ConnectionRefusedError as error:
        return Write(kind, name, Outcome.FAIL, str(error))
    except urllib.error.URLError as error:
        refused = isinstance(error.reason, ConnectionRefusedError)
        return Write(kind, name, Outcome.FAIL if refused else Outcome.UNKNOWN, str(error))
    except (OSError, http.client.HTTPException) as error:
        return Write(kind, name, Outcome.UNKNOWN, repr(error))


def _problem(refusal: urllib.error.HTTPError) -> tuple[str, str]:
    """Return code and sentence of a refusal. What is no problem document is a defect."""
    with refusal:
        told = json.load(refusal)
    return told["code"], told["detail"]
