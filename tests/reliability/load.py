"""Clients that ask a server for writes of every kind until they are told to stop."""

from __future__ import annotations

import random
import threading
import time
from types import TracebackType
from typing import Self

from .history import History, Outcome
from .serving import Server

RUN, NOTE, ANSWER, USER, DEFINITION = "run", "note", "answer", "user", "definition"
NAMES = ["Ada", "Grace", "Edsger"]
LANES = 4


class Load:
    """A few clients at once; each asks for one thing after the other. What they heard is *history*.

    What is asked for depends on *seed* alone, and on how far the clients come.
    """

    def __init__(self, server: Server, history: History, seed: str, lanes: int = LANES) -> None:
        self._server = server
        self._history = history
        self._stop = threading.Event()
        self._clients = [
            threading.Thread(target=self._ask, args=(f"{seed}-{lane}",), daemon=True)
            for lane in range(lanes)
        ]

    def __enter__(self) -> Self:
        for client in self._clients:
            client.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for client in self._clients:
            client.join(30)
            assert not client.is_alive(), "a client was left without an answer for 30 seconds"

    def _ask(self, lane: str) -> None:
        dice = random.Random(lane)
        acts = (*[self._run] * 4, *[self._note] * 8, self._answer, self._user, self._define)
        number = 0
        while not self._stop.is_set():
            outcome = dice.choice(acts)(f"{lane}-{number}", dice)
            number += 1
            time.sleep(0.002 if outcome is Outcome.OK else 0.05)

    def _run(self, name: str, _: random.Random) -> Outcome:
        return run(self._server, self._history, name)

    def _note(self, name: str, _: random.Random) -> Outcome:
        return note(self._server, self._history, name)

    def _answer(self, name: str, _: random.Random) -> Outcome:
        return answer(self._server, self._history, name)

    def _user(self, name: str, _: random.Random) -> Outcome:
        email = f"{name}@example.org"
        return self._history.write(
            USER, email, lambda: self._server.call("POST", "/users", {"email": email})
        ).outcome

    def _define(self, name: str, _: random.Random) -> Outcome:
        body = {"id": name, "tasks": [{"id": "only", "tool": "echo"}]}
        return self._history.write(
            DEFINITION, name, lambda: self._server.call("PUT", f"/workflows/{name}", body)
        ).outcome


def run(server: Server, history: History, name: str) -> Outcome:
    """Begin a run of twelve tasks. The same name is the same request, and may be repeated."""
    pause = random.Random(name).uniform(0, 0.1)
    body = {"input": {"names": [name, *NAMES], "pause": pause}}
    path = "/workflows/twelve/executions"
    return history.write(
        RUN, name, lambda: server.call("POST", path, body, **{"Idempotency-Key": name})
    ).outcome


def note(server: Server, history: History, name: str) -> Outcome:
    """Append a message to the memory of the lane that the name begins with."""
    lane = name.rpartition("-")[0]
    body = {"key": lane, "messages": [{"role": "user", "content": name}]}
    return history.write(
        NOTE, name, lambda: server.call("POST", "/memory/notes/append", body)
    ).outcome


def answer(server: Server, history: History, name: str) -> Outcome:
    """Begin a run that waits, and give it the signal that it waits for."""
    begun = history.write(
        "question",
        name,
        lambda: server.call(
            "POST", "/workflows/approval/executions", {"input": {"question": name}}
        ),
    )
    if begun.outcome is not Outcome.OK:
        return begun.outcome
    path = f"/executions/workflows/{begun.answer['exec_id']}/signals"
    body = {"signal_name": "answered", "payload": {"by": name, "yes": True}}
    return history.write(
        ANSWER, begun.answer["exec_id"], lambda: server.call("POST", path, body)
    ).outcome
