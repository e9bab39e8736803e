"""Who may run: bounds for the whole server and for each workflow, and a line where there is no room.

The lines hold ids only; the runs in them are rows with the state PENDING. Within a workflow it is
first come, first served; the workflows take turns, so that a flood of one does not hold up another.
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict
from collections.abc import Callable


class Admission:
    """Counts runs. *limit_of* gives the bound of a workflow; *total* is that of the server; 0 is none.

    A run counts for its workflow until it ends. For the server it counts only while it is running:
    a run that waits for a person or is paused takes no room from others.
    """

    def __init__(self, total: int, limit_of: Callable[[str], int]) -> None:
        self._total = total
        self._limit_of = limit_of
        self._under_way: dict[str, str] = {}
        self._of_workflow: Counter[str] = Counter()
        self._running: set[str] = set()
        self._lines: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many runs are in line."""
        return sum(map(len, self._lines.values()))

    @property
    def room(self) -> int:
        """How many more runs may be running than do or stand in line here."""
        if not self._total:
            return sys.maxsize
        return max(0, self._total - len(self._running) - self.waiting)

    def clear(self) -> None:
        """Forget every run: another server has them now."""
        self._under_way.clear()
        self._of_workflow.clear()
        self._running.clear()
        self._lines.clear()

    def admits(self, workflow_id: str) -> bool:
        """Whether a new run may begin at once: there is room, and nobody who came before it."""
        return self._has_room() and workflow_id not in self._lines and self._fits(workflow_id)

    def enter(self, exec_id: str, workflow_id: str) -> None:
        """Count a run that is running."""
        if exec_id not in self._under_way:
            self._under_way[exec_id] = workflow_id
            self._of_workflow[workflow_id] += 1
        self._running.add(exec_id)

    def rest(self, exec_id: str) -> None:
        """A run waits or is paused; it goes on with `enter`."""
        self._running.discard(exec_id)

    def leave(self, exec_id: str) -> None:
        """A run has ended, or is not this server's any more."""
        self._running.discard(exec_id)
        workflow_id = self._under_way.pop(exec_id, None)
        if workflow_id is not None:
            self._of_workflow[workflow_id] -= 1
            if not self._of_workflow[workflow_id]:
                del self._of_workflow[workflow_id]

    def line_up(self, exec_id: str, workflow_id: str) -> None:
        """Put a run at the end of the line of its workflow, unless it is in it."""
        self._lines.setdefault(workflow_id, OrderedDict()).setdefault(exec_id)

    def next(self) -> str | None:
        """Take the run out of its line that may begin now and count it; None when there is none."""
        if not self._has_room():
            return None
        for workflow_id, line in self._lines.items():
            if self._fits(workflow_id):
                exec_id, _ = line.popitem(last=False)
                if line:
                    self._lines.move_to_end(workflow_id)
                else:
                    del self._lines[workflow_id]
                self.enter(exec_id, workflow_id)
                return exec_id
        return None

    def _has_room(self) -> bool:
        return not self._total or len(self._running) < self._total

    def _fits(self, workflow_id: str) -> bool:
        limit = self._limit_of(workflow_id)
        return not limit or self._of_workflow[workflow_id] < limit
