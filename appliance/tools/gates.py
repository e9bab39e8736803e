"""Gates: how many calls of a tool go on at once, and the line of those that wait for a place."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from appliance.tools.calls import ToolCall


class _Gate:
    def __init__(self) -> None:
        self.inside: set[ToolCall] = set()
        self.line: OrderedDict[ToolCall, None] = OrderedDict()


class Gates:
    """One gate for each tool with a limit, as long as there are calls of it.

    *admit* is told when a call may begin. A call is inside from then until nothing runs for it.
    """

    def __init__(self, admit: Callable[[ToolCall], None]) -> None:
        self._admit = admit
        self._gates: dict[str, _Gate] = {}

    @property
    def waiting(self) -> int:
        """How many calls are in line."""
        return sum(len(gate.line) for gate in self._gates.values())

    def enter(self, call: ToolCall) -> None:
        """Let *call* begin, at once where there is room, else when those before it have ended."""
        if not call.limit:
            self._admit(call)
            return
        gate = self._gates.setdefault(call.tool, _Gate())
        gate.line[call] = None
        call.over = self._leave
        self._let_in(gate)

    def _leave(self, call: ToolCall) -> None:
        gate = self._gates.get(call.tool)
        if gate is None:
            return
        gate.inside.discard(call)
        gate.line.pop(call, None)
        self._let_in(gate)
        if not gate.inside and not gate.line:
            self._gates.pop(call.tool, None)

    def _let_in(self, gate: _Gate) -> None:
        while gate.line:
            call = next(iter(gate.line))
            if len(gate.inside) >= call.limit:
                return
            del gate.line[call]
            gate.inside.add(call)
            self._admit(call)

    def clear(self) -> None:
        """Forget every call; those in line are killed."""
        gates, self._gates = self._gates, {}
        for gate in gates.values():
            for call in gate.line:
                call.kill()
