"""Clients that ask a server for writes of every kind until they are told to stop."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from typing import Self

from .history import History, Outcome
from .serving import Server

RUN, NOTE, ANSWER, USER, DEFINITION = "run", "note", "answer", "user", "definition"
NAMES = ["Ada", "Grace", "Edsger"]
LANES = 4
WEIGHTS = {RUN: 4, NOTE: 8, ANSWER: 1, USER: 1, DEFINITION: 1}
"""How often each kind is asked for, beside the others."""


class Load:
    """A few clients at once; each asks for one thing after the other. What they heard is *history*.

    What is asked for depends on *seed* alone, and on how far the clients come. A client rests for
    *rest_s* seconds after each answer.
    """

    def __init__(
        self,
        server: Server,
        history: History,
        seed: str,
        lanes: int = LANES,
        *,
        weights: Mapping[str, int] = WEIGHTS,
        rest_s: float = 0.002,
    ) -> None:
        self._acts = list(weights), list(weights.values())
        self._rest_s = rest_s
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

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for client in self._clients:
            client.join(30)
            assert not client.is_alive(), "a client was left without an answer for 30 seconds"

    def _ask(self, lane: str) -> None:
        dice = random.Random(lane)
        kinds, weights = self._acts
        number = 0
        while not self._stop.is_set():
            (kind,) = dice.choices(kinds, weights)
            outcome = self._do(kind, f"{lane}-{number}")
            number += 1
            time.sleep(self._rest_s if outcome is Outcome.OK else 0.05)

    def _do(self, kind: str, name: str) -> Outcome:
        act = {RUN: run, NOTE: note, ANSWER: answer, USER: user, DEFINITION: define}[kind]
        return act(self._server, self._history, name)


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


def user(server: Server, history: History, name: str) -> Outcome:
    """Add a user."""
    email = f"{name}@example.org"
    return history.write(
        USER, email, lambda: server.call("POST", "/users", {"email": email})
    ).outcome


def define(server: Server, history: History, name: str) -> Outcome:
    """Add a workflow."""
    body = {"id": name, "tasks": [{"id": "only", "tool": "echo"}]}
    return history.write(
        DEFINITION, name, lambda: server.call("PUT", f"/workflows/{name}", body)
    ).outcome
