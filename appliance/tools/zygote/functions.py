"""The functions of the entrypoint, found by name."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, NamedTuple, Protocol  # noqa: UP035 - runs on 3.9

from .parameters import parameters_of
from .refusal import Refusal


class Function(NamedTuple):
    """A function that can be called by name, and whether it declares the parameter `context`."""

    call: Callable[..., Any]
    wants_context: bool


class Toolbox(Protocol):
    """What a worker can call."""

    @property
    def spent(self) -> bool:
        """Whether the process must end after the present call."""
        ...

    def find(self, tool: str) -> Function:
        """Return what is to be called for the id *tool*. Raises Refusal."""
        ...


class Functions:
    """The functions of a module. Public are the names in `__all__`, or those without underscore."""

    spent = False

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._found: dict[str, Function] = {}

    def find(self, tool: str) -> Function:
        """Return the function for the id *tool*; hyphens stand for underscores.

        Raises Refusal.
        """
        found = self._found.get(tool)
        if found is None:
            found = self._found[tool] = self._look_up(tool.replace("-", "_"))
        return found

    def _look_up(self, name: str) -> Function:
        value = self._public(name)
        if value is None:
            raise self._not_found(name)
        return Function(value, "context" in parameters_of(value))

    def _public(self, name: str) -> Callable[..., Any] | None:
        listed = getattr(self._module, "__all__", None)
        if name.startswith("_") or (listed is not None and name not in listed):
            return None
        value = getattr(self._module, name, None)
        return value if callable(value) and not isinstance(value, type) else None

    def _not_found(self, name: str) -> Refusal:
        import difflib

        names = [each for each in dir(self._module) if self._public(each)]
        close = difflib.get_close_matches(name, names, 1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        message = f"There is no function {name!r} in {self._module.__file__}{hint}"
        return Refusal("TOOL_NOT_FOUND", message, function=name)

    def need_asyncio(self) -> bool:
        """Tell whether a function is `async def`: then asyncio is better imported before forking."""
        return any(inspect.iscoroutinefunction(value) for value in vars(self._module).values())


def load(entrypoint: Path) -> Functions:
    """Import the file *entrypoint*. `sys.path` begins with its directory, as that of a script does."""
    package = entrypoint.name == "__init__.py"
    home = entrypoint.parent.parent if package else entrypoint.parent
    name = entrypoint.parent.name if package else entrypoint.stem
    ours = ("", str(Path(__file__).parents[1]))
    sys.path[:] = [str(home), *[each for each in sys.path if each not in ours]]
    sys.argv[:] = [str(entrypoint)]
    spec = importlib.util.spec_from_file_location(
        name, entrypoint, submodule_search_locations=[str(entrypoint.parent)] if package else None
    )
    if spec is None or spec.loader is None:
        msg = f"{entrypoint} is not a Python file"
        raise ImportError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return Functions(module)
