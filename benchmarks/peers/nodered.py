"""Node-RED: flows of messages in one Node.js process. It promises nothing about a crash."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.peers import client, install, pins
from benchmarks.peers.peer import STAY_S, free_port, wait_for
from benchmarks.peers.server import Server

SETTINGS = {
    "uiHost": "127.0.0.1",
    "flowFile": "flows.json",
    "credentialSecret": False,
    "telemetry": {"enabled": False},
    "logging": {"console": {"level": "warn"}},
}


class NodeRed(Server):
    """An HTTP request in, function nodes, an HTTP response out."""

    name = "node-red"
    title = "Node-RED"
    beside = "compozy-sqlite"
    promise = "nothing is kept: a message is in memory only"

    def message(self, flow: str, values: dict[str, int | str]) -> bytes:
        """See `Server.message`."""
        return client.request(f"/{flow}", values, {})

    def _install(self) -> str:
        self._modules = install.modules(self.scratch, "nodered")
        self._node = install.node(self.scratch)
        return pins.NODE["nodered"][0].rpartition("@")[2]

    def start(self) -> None:
        """See `Peer.start`."""
        self.port = free_port()
        settings = json.dumps({**SETTINGS, "uiPort": self.port})
        (self.home / "settings.js").write_text(f"module.exports = {settings};\n")
        (self.home / "flows.json").write_text(json.dumps(flows()))
        program = self._modules / "node_modules" / "node-red" / "red.js"
        process = self._run(
            [self._node, program, "--userDir", self.home], {"NODE_ENV": "production"}
        )
        wait_for(f"http://127.0.0.1:{self.port}/ready", process)


def flows() -> list[dict[str, Any]]:
    """Return the flows, as its editor would save them."""
    answer = {"type": "http response", "statusCode": "200"}
    step = _function("msg.payload = { n: msg.payload.n }")
    stay = [
        _function("Object.assign(msg, msg.payload, { filename: msg.payload.notes })"),
        *_noting("begin"),
        {"type": "delay", "pauseType": "delay", "timeout": str(STAY_S), "timeoutUnits": "seconds"},
        *_noting("end"),
    ]
    answering = {**answer, "id": "answer", "z": "tab", "wires": []}
    ready, stays = _chain("ready", [answer], "get"), _chain("stay", stay)
    stays[0]["wires"][0].append("answer")
    one, ten = _chain("one", [step, answer]), _chain("ten", [*[step] * 10, answer])
    return [{"id": "tab", "type": "tab", "label": "bench"}, *ready, *one, *ten, *stays, answering]


def _chain(flow: str, nodes: list[dict[str, Any]], method: str = "post") -> list[dict[str, Any]]:
    """Return *nodes* one after the other behind a request to the name of the flow."""
    entry = {"type": "http in", "url": f"/{flow}", "method": method}
    ids = [f"{flow}{place}" for place in range(len(nodes) + 1)]
    following = [[[name]] for name in ids[1:]] + [[[]]]
    return [
        {**node, "id": name, "z": "tab", "wires": wires}
        for node, name, wires in zip([entry, *nodes], ids, following, strict=True)
    ]


def _noting(word: str) -> list[dict[str, Any]]:
    file = {
        "type": "file",
        "filename": "filename",
        "filenameType": "msg",
        "appendNewline": True,
        "overwriteFile": "false",
    }
    return [_function(f"msg.payload = `{word} ${{msg.n}}`"), file]


def _function(code: str) -> dict[str, Any]:
    return {"type": "function", "func": f"{code}; return msg;", "outputs": 1}
