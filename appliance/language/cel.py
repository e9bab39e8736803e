"""The CEL library, without the command line that its package imports along with it.

`import cel` would load a terminal toolkit and a dozen more packages, which takes seconds on a small
machine. Only the compiled extension is needed, so only that is loaded; import this module lazily.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_NAME = "cel.cel"


def _load() -> ModuleType:
    package = find_spec("cel")
    spec = PathFinder.find_spec(_NAME, package.submodule_search_locations if package else None)
    if spec is None or spec.loader is None:
        raise ImportError("the package common-expression-language is not installed", name=_NAME)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_library = sys.modules[_NAME] = sys.modules.get(_NAME) or _load()


def compile_program(text: str) -> Any:
    """Return *text* compiled: an object with `execute` and `functions`. Raises ValueError."""
    return _library.compile(text)
