"""Compozy itself: the built file, as a user starts it, asked over HTTP."""

from __future__ import annotations

import hashlib
import shutil

from benchmarks.peers import client
from benchmarks.peers.peer import ROOT, free_port, wait_for
from benchmarks.peers.server import Server

PYZ = ROOT / "dist" / "compozy.pyz"
PROJECT = ROOT / "benchmarks" / "project"


class CompozySqlite(Server):
    """One server on its own SQLite file."""

    name = "compozy-sqlite"
    title = "Compozy, SQLite"
    beside = "compozy-sqlite"
    promise = "every step durable before the next: WAL, synchronous=FULL"

    def message(self, flow: str, values: dict[str, int | str]) -> bytes:
        """See `Server.message`."""
        path = f"/api/v0/workflows/{flow}/executions{'' if flow == 'stay' else '/sync'}"
        return client.request(path, {"input": values}, {"Authorization": f"Bearer {self._key}"})

    def _install(self) -> str:
        # A copy, so that one run measures one file although somebody may build another meanwhile.
        self._pyz = self.scratch / "compozy.pyz"
        shutil.copy2(PYZ, self._pyz)
        return f"with SHA-256 {hashlib.sha256(self._pyz.read_bytes()).hexdigest()[:16]}"

    def start(self) -> None:
        """See `Peer.start`."""
        self.port = free_port()
        variables = {
            "SHIV_ROOT": str(self.scratch / "unpacked"),
            "RATELIMIT_GLOBAL_LIMIT": "0",
            "RATELIMIT_API_KEY_LIMIT": "0",
            **self._database(),
        }
        places = ["--cwd", PROJECT, "--data-dir", self.home / "data"]
        command = [self._pyz, "start", "--port", str(self.port), *places]
        process = self._run(command, variables)
        wait_for(f"http://127.0.0.1:{self.port}/health", process)
        self._key = (self.home / "data" / "admin.key").read_text().strip()

    def _database(self) -> dict[str, str]:
        return {}


class CompozyPostgres(CompozySqlite):
    """One server on PostgreSQL."""

    name = "compozy-postgres"
    title = "Compozy, PostgreSQL"
    beside = "compozy-postgres"
    promise = "every step durable before the next"
    on_postgres = True

    def _database(self) -> dict[str, str]:
        return {"DB_CONN_STRING": self._conninfo()}
