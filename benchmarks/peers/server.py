"""Peers that are servers: runs are asked for over HTTP."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from benchmarks.peers import client
from benchmarks.peers.load import Load
from benchmarks.peers.peer import Peer


class Server(Peer):
    """A peer that takes runs at a port of this machine."""

    port: int

    @abstractmethod
    def message(self, flow: str, values: dict[str, int | str]) -> bytes:
        """Return the request for a run of *flow*, answered at its end, `stay` at its begin."""

    def load(self, flow: str, in_flight: int, seconds: float) -> Load:
        """See `Peer.load`."""
        return client.load(self.port, self.message(flow, {"n": 1}), in_flight, seconds)

    def begin(self, count: int, notes: Path) -> None:
        """See `Peer.begin`."""
        asked = [self.message("stay", {"n": n, "notes": str(notes)}) for n in range(count)]
        client.send(self.port, asked)
