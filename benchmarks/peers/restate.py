"""Restate: a server that keeps a journal, and a service of the user that it calls over HTTP/2."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

from benchmarks.peers import client, install, pins
from benchmarks.peers.peer import STAY_S, free_port, wait_for
from benchmarks.peers.server import Server

SERVICE = Path(__file__).with_name("restate_service.mjs")


class Restate(Server):
    """The server of its npm package with its Node.js library."""

    name = "restate"
    title = "Restate"
    beside = "compozy-sqlite"
    promise = "every step durable before the next: RocksDB, flushed (its default)"

    def message(self, flow: str, values: dict[str, int | str]) -> bytes:
        """See `Server.message`."""
        if flow == "stay":
            return client.request("/flow/stay/send", {**values, "ms": STAY_S * 1000}, {})
        return client.request(f"/flow/{flow}", values, {})

    def _install(self) -> str:
        self._modules = install.modules(self.scratch, "restate")
        self._node = install.node(self.scratch)
        shutil.copy2(SERVICE, self._modules)
        return pins.NODE["restate"][0].rpartition("@")[2]

    def start(self) -> None:
        """See `Peer.start`."""
        base = self.home / "restate"
        if not base.exists():  # a server that is started again looks for its service where it was
            self.port, self._admin, self._internal, self._service = (free_port() for _ in range(4))
        quiet = {"NODE_ENV": "production", "RESTATE_LOGGING": "ERROR"}
        self._run([self._node, self._modules / SERVICE.name, str(self._service)], quiet)
        server = next(self._modules.glob("node_modules/@restatedev/restate-server-*/bin/*"))
        variables = {
            "RESTATE_BIND_IP": "127.0.0.1",
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_BIND_PORT": str(self._internal),
            "RESTATE_INGRESS__BIND_PORT": str(self.port),
            "RESTATE_ADMIN__BIND_PORT": str(self._admin),
            "RESTATE_LOG_FILTER": "warn",
            "RESTATE_DISABLE_TELEMETRY": "true",
        }
        process = self._run([server, "--base-dir", base, "--no-logo"], variables)
        wait_for(f"http://127.0.0.1:{self._admin}/health", process)
        wait_for(f"http://127.0.0.1:{self.port}/restate/health", process)
        self._register()

    def _register(self) -> None:
        body = json.dumps({"uri": f"http://127.0.0.1:{self._service}", "use_http_11": False})
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._admin}/deployments",
            body.encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=30).close()
