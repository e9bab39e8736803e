"""Compozy itself: the built file, as a user starts it, asked over HTTP."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.peers import client
from benchmarks.peers.load import Load
from benchmarks.peers.peer import Peer, free_port
from benchmarks.peers.program import ROOT

PYZ = ROOT / "dist" / "compozy.pyz"
PROJECT = ROOT / "benchmarks" / "project"


class CompozySqlite(Peer):
    """One server on its own SQLite file."""

    name = "compozy-sqlite"
    title = "Compozy, SQLite"
    beside = "compozy-sqlite"
    promise = "every step durable before the next: WAL, synchronous=FULL"

    def load(self, flow: str, in_flight: int, seconds: float) -> Load:
        """See `Peer.load`."""
        return client.load(self._port, self._request(flow, "/sync", n=1), in_flight, seconds)

    def begin(self, count: int, notes: Path) -> None:
        """See `Peer.begin`."""
        asked = [self._request("stay", "", n=n, notes=str(notes)) for n in range(count)]
        client.send(self._port, asked)

    def _install(self) -> str:
        # A copy, so that one run measures one file although somebody may build another meanwhile.
        self._pyz = self.scratch / "compozy.pyz"
        shutil.copy2(PYZ, self._pyz)
        return "this commit"

    def _start(self) -> None:
        self._port = free_port()
        variables = {
            "SHIV_ROOT": str(self.scratch / "unpacked"),
            "RATELIMIT_GLOBAL_LIMIT": "0",
            "RATELIMIT_API_KEY_LIMIT": "0",
            **self._database(),
        }
        places = ["--cwd", PROJECT, "--data-dir", self.home / "data"]
        command = [self._pyz, "start", "--port", str(self._port), *places]
        process = self._run(command, variables)
        client.wait_for(f"http://127.0.0.1:{self._port}/health", process)
        self._key = (self.home / "data" / "admin.key").read_text().strip()

    def _database(self) -> dict[str, str]:
        return {}

    def _request(self, flow: str, how: str, **values: int | str) -> bytes:
        path = f"/api/v0/workflows/{flow}/executions{how}"
        return client.request(path, {"input": values}, {"Authorization": f"Bearer {self._key}"})


class CompozyPostgres(CompozySqlite):
    """One server on PostgreSQL."""

    name = "compozy-postgres"
    title = "Compozy, PostgreSQL"
    beside = "compozy-postgres"
    promise = "every step durable before the next"
    on_postgres = True

    def _database(self) -> dict[str, str]:
        return {"DB_CONN_STRING": self._conninfo()}
