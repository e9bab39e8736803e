"""The native tools by name, bound to what they may do."""

from __future__ import annotations

import errno
import importlib
from functools import partial
from typing import Any

from ..functions import Function
from ..parameters import mismatch_of
from ..refusal import Refusal
from .grant import Grant

PLACES = {
    "cp__read_file": "files:read_file",
    "cp__write_file": "files:write_file",
    "cp__delete_file": "files:delete_file",
    "cp__list_files": "listing:list_files",
    "cp__list_dir": "listing:list_dir",
    "cp__grep": "grep:grep",
    "cp__exec": "command:execute",
    "cp__fetch": "fetch:fetch",
}
"""Where each is: `module:function`. A module is imported when it is first needed."""

CODES = {
    errno.ENOENT: "FileNotFound",
    errno.ENOTDIR: "FileNotFound",
    errno.EACCES: "PermissionDenied",
    errno.EPERM: "PermissionDenied",
    errno.EROFS: "PermissionDenied",
    errno.ENXIO: "PermissionDenied",
    errno.EISDIR: "InvalidArgument",
    errno.ENAMETOOLONG: "InvalidArgument",
    errno.ENOTEMPTY: "InvalidArgument",
}
"""What an error of the system means. Any other is Internal and may be gone the next time."""


def native_tools(grant: dict[str, Any]) -> NativeTools:
    """Return the tools with what they may do, as the server wrote it."""
    return NativeTools(Grant(**grant))


class NativeTools:
    """Finds a native tool. `spent` tells whether the process must end after the present call."""

    def __init__(self, grant: Grant) -> None:
        self._grant = grant
        self.spent = False

    def find(self, tool: str) -> Function:
        """Return the native tool of that name. Raises Refusal."""
        if tool not in PLACES:
            msg = f"There is no native tool {tool!r} that a process can run."
            raise Refusal("TOOL_NOT_FOUND", msg, function=tool)
        return Function(partial(self._call, tool, _import(PLACES[tool])), wants_context=False)

    def _call(self, tool: str, function: Any, /, **arguments: Any) -> Any:
        bound = partial(function, self._grant)
        mismatch = mismatch_of(bound, arguments)
        if mismatch:
            raise Refusal("InvalidArgument", f"{tool} cannot be called: {mismatch}.")
        self.spent = tool == "cp__exec"  # what the command started ends with the process
        try:
            return bound(**arguments)
        except OSError as error:
            subject = arguments.get("path") or arguments.get("dir") or tool
            code = CODES.get(error.errno or 0, "Internal")
            raise Refusal(code, f"{subject!r}: {error.strerror or error}.") from None
        except Refusal as refusal:
            # What was interrupted may have left something behind.
            self.spent = self.spent or refusal.code == "DeadlineExceeded"
            raise


def _import(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f".{module}", __package__), name)
