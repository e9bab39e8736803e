"""Tasks as they are written: read into the model, with the place that each of them came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from appliance.language import later
from appliance.language.memory_calls import MEMORY_KEYS, read_memory_call
from appliance.language.model import Json, Memory, Task, Transition
from appliance.language.options import Options, read_options
from appliance.language.placed import Placed
from appliance.language.sections import Section
from appliance.language.signals import WAIT_KEYS, read_signal, read_wait
from appliance.language.ways import catch

MAX_NESTING = 20

_SILENT = ("CWD", "file_path", "resource")
_OWN_KEYS: dict[str, tuple[str, ...]] = {
    "basic": ("tool",),
    "router": ("condition", "routes"),
    "parallel": ("tasks", "strategy", "max_workers"),
    "collection": (
        "batch",
        "filter",
        "index_var",
        "item_var",
        "items",
        "max_workers",
        "mode",
        "strategy",
        "task",
        "tasks",
    ),
    "composite": ("tasks",),
    "aggregate": (),
    "wait": WAIT_KEYS,
    "signal": ("signal",),
    "memory": MEMORY_KEYS,
}
"""Fields of each type beside the common ones."""
_CALLS = ("basic", "memory", "signal")
"""Types that call something: the options for calls concern them."""
_PROCESSORS = tuple(kind for kind in _OWN_KEYS if kind not in ("router", "wait"))
"""Types that can work on a signal which has come."""
_FORBIDDEN = {"aggregate": ("sleep", "with")}
_IDLE = {"composite": ("max_workers", "strategy"), "router": ("default_route",)}
"""Fields that existing projects have and that change nothing."""


class TaskReader:
    """Reads the tasks of one workflow. *options* are those of project and workflow.

    `ids` are those of the tasks that were read; `caught` says whether any list of tasks has the one
    that `options.on_error` names.
    """

    def __init__(
        self,
        options: Options,
        schemas: Mapping[str, Json],
        memories: Mapping[str, Memory] | None = None,
    ) -> None:
        self._options = options
        self._schemas = schemas
        self._memories = memories or {}
        self.ids: set[str] = set()
        self.caught = False

    def scope(self, sections: Iterable[Section], depth: int = 1) -> tuple[Placed, ...]:
        """Read a list of tasks; those written inside of a router's routes follow at the end."""
        found: list[Placed] = []
        lifted: list[Placed] = []
        for section in sections:
            placed = self._task(section, depth, lifted)
            found += [placed] if placed is not None else []
        scope = (*found, *lifted)
        self.ids |= {placed.task.id for placed in scope}
        caught = catch(scope, self._options.on_error)
        self.caught |= caught is not None
        return scope if caught is None else caught

    def _task(
        self, section: Section, depth: int, lifted: list[Placed], name: str = ""
    ) -> Placed | None:
        """Read a task; *name* is the id of one that need not have any."""
        if depth > MAX_NESTING:
            section.error(f"tasks are nested more than {MAX_NESTING} deep")
            return None
        kind = self._type(section)
        fields = self._common(section, kind or "basic")
        fields["id"] = section.text("id", name) if name else section.needed_text("id")
        if kind is None:
            return Placed(Task(**fields), section, partial=True)
        own, members = self._own(section, kind, depth, lifted, fields["id"])
        _finish(section, kind)
        return Placed(Task(**fields, **own), section, members)

    def _own(
        self, section: Section, kind: str, depth: int, lifted: list[Placed], name: str
    ) -> tuple[dict[str, Any], tuple[Placed, ...]]:
        """Read what only tasks of this type have: fields, and the tasks inside."""
        match kind:
            case "basic":
                return {"tool": _tool(section)}, ()
            case "router":
                return self._router(section, depth, lifted), ()
            case "collection":
                return self._collection(section, depth)
            case "wait":
                members = self._processor(section, depth, name)
                processor = members[0].task if members else None
                return {**read_wait(section), "processor": processor}, members
            case "signal":
                return read_signal(section), ()
            case "memory":
                return read_memory_call(section, self._memories), ()
            case "aggregate":
                if not section.has("outputs"):
                    section.error("an aggregate needs 'outputs'")
                return {}, ()
        return self._group(section, kind, depth)

    def _group(
        self, section: Section, kind: str, depth: int
    ) -> tuple[dict[str, Any], tuple[Placed, ...]]:
        members = self.scope(section.sections("tasks"), depth + 1)
        fields = {"tasks": tuple(member.task for member in members)}
        if kind == "composite":
            return fields, members
        if not members:
            section.error("a parallel needs at least one task in 'tasks'")
        return {**fields, **_workers(section)}, members

    def _type(self, section: Section) -> str | None:
        """Return the type of a task, or None once it is noted that there is no such type."""
        kind = section.text("type", "basic")
        return kind if section.choice("type", _OWN_KEYS, "basic") == kind else None

    def _common(self, section: Section, kind: str) -> dict[str, Any]:
        own = read_options(section.section("config"))
        options = self._options.under(own)
        if section.has("retries"):
            again = section.whole("retries", 0, 0)
            options = options.under(Options({"maximum_attempts": again + 1}))
        # A group, a router or a wait makes no call: only its own timeout concerns it.
        limits = options if kind in _CALLS else own
        transitions = _transitions(section, kind, own.on_error)
        return {
            "type": kind,
            "with_": section.values("with"),
            "outputs": section.values("outputs"),
            **transitions,
            "final": _final(section, transitions.values()),
            "sleep": section.seconds("sleep") or 0.0,
            "timeout": None if kind == "wait" else _timeout(section) or limits.timeout,
            "queue_timeout": limits.queue_timeout,
            "total_timeout": limits.total_timeout,
            "retry": options.policy(),
            "env": section.strings("env"),
            "input": section.schema("input", self._schemas),
            "output": section.schema("output", self._schemas),
        }

    def _processor(self, section: Section, depth: int, name: str) -> tuple[Placed, ...]:
        inner = section.section("processor")
        if inner is None:
            return ()
        kind = inner.text("type", "basic")
        if kind in _OWN_KEYS and kind not in _PROCESSORS:
            inner.error(f"a {kind} cannot be a processor; use {_listed(_PROCESSORS)}", "type")
            return ()
        default = "processor" if "{{" in name else f"{name}-processor"
        found = self._task(inner, depth + 1, [], default)
        return (found,) if found is not None else ()

    def _router(self, section: Section, depth: int, lifted: list[Placed]) -> dict[str, Any]:
        for key in ("condition", "routes"):
            if not section.has(key):
                section.error(f"a router needs {key!r}")
        routes = {}
        inner = section.section("routes")
        for result, target in (section.values("routes") or {}).items():
            assert inner is not None
            if isinstance(target, dict):
                routes[result] = self._inline(inner, result, depth, lifted)
            else:
                routes[result] = inner.needed_text(result)
        return {"condition": section.optional_text("condition"), "routes": routes}

    def _inline(self, routes: Section, result: str, depth: int, lifted: list[Placed]) -> str:
        section = routes.section(result)
        assert section is not None
        if not section.has("type"):
            section.error("'type' is missing: a task inside of a route needs one")
        more: list[Placed] = []
        placed = self._task(section, depth + 1, more)
        lifted += [placed, *more] if placed is not None else more
        return placed.task.id if placed is not None else ""

    def _collection(
        self, section: Section, depth: int
    ) -> tuple[dict[str, Any], tuple[Placed, ...]]:
        items, child = section.value("items"), section.section("task")
        if items is None:
            section.error("a collection needs 'items'")
        if child is None:
            section.error("a collection needs 'task', the task to repeat for each item")
        repeated = self.scope([child], depth + 1) if child else ()
        members = (*repeated, *self.scope(section.sections("tasks"), depth + 1))
        fields = {
            "items": items,
            "filter": section.optional_text("filter"),
            "mode": section.choice("mode", ("parallel", "sequential"), "parallel"),
            "batch": section.whole("batch", 0, 0),
            "item_var": _variable(section, "item_var", "item"),
            "index_var": _variable(section, "index_var", "index"),
            "task": members[0].task if repeated else None,
            "tasks": tuple(member.task for member in members[1:]),
            **_workers(section),
        }
        return fields, members if repeated else ()


def _tool(section: Section) -> str | None:
    if isinstance(section.value("tool"), dict):
        selector = section.section("tool")
        assert selector is not None
        name = selector.needed_text("id")
        selector.finish((), lambda key: f"{key} cannot stand here: only 'id' selects a tool")
    else:
        name = section.text("tool")
    if not name and not later.TASK_KEYS & section.keys:
        section.error("a basic task needs 'tool'")
    return name or None


def _timeout(section: Section) -> float | None:
    timeout = section.seconds("timeout")
    if timeout == 0:
        section.error("timeout must be longer than 0", "timeout")
    return timeout


def _transitions(section: Section, kind: str, handler: str | None) -> dict[str, Transition]:
    """Read where the flow goes on; *handler* is what `config.on_error` of the task says."""
    found = {key: _transition(section, key) for key in ("on_success", "on_error")}
    if handler and not found["on_error"].next:
        found["on_error"] = Transition(next=handler)
    if kind == "router" and found["on_success"].next:
        section.warn(
            "on_success has no effect on a router; its routes say what follows", "on_success"
        )
        found["on_success"] = Transition()
    return found


def _transition(section: Section, key: str) -> Transition:
    inner = section.section(key)
    if inner is None:
        return Transition()
    if inner.has("with"):
        inner.warn(f"{key}.with has no effect; write it on the task that follows", "with")
    found = Transition(next=inner.optional_text("next") or None)
    inner.finish(("with",))
    return found


def _final(section: Section, transitions: Iterable[Transition]) -> bool:
    if section.flag("final") and any(transition.next for transition in transitions):
        section.warn("final has no effect on a task that something follows", "final")
        return False
    return section.flag("final")


def _workers(section: Section) -> dict[str, Any]:
    strategies = ("wait_all", "fail_fast", "best_effort", "race")
    return {
        "strategy": section.choice("strategy", strategies, "wait_all"),
        "max_workers": section.whole("max_workers", 0, 0),
    }


def _variable(section: Section, key: str, default: str) -> str:
    name = section.text(key, default)
    if not (name.isascii() and name.isidentifier()):
        section.error(f"{key} {name!r} is not a name; use letters, digits and _", key)
    return name


def _finish(section: Section, kind: str) -> None:
    for key in later.TASK_KEYS & section.keys:
        section.error(later.not_available(f"{key} on a task"), key)
    for key in _FORBIDDEN.get(kind, ()):
        if section.has(key):
            section.error(f"{key} cannot stand on a task of type {kind}", key)
    idle = _IDLE.get(kind, ())
    for key in idle:
        if section.has(key):
            section.warn(f"{key} has no effect on a task of type {kind}", key)
    section.finish((*_SILENT, *later.TASK_KEYS, *idle), _explain)


def _explain(key: str) -> str:
    owners = [kind for kind, keys in _OWN_KEYS.items() if key in keys]
    belongs = f"{key} cannot stand here; it belongs to tasks of type"
    return f"{belongs} {_listed(owners)}" if owners else ""


def _listed(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
