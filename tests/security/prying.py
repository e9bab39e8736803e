"""Lets every native tool for files try the paths of the corpus; prints what came of it.

python -m tests.security.prying ROOT EVERY: of how many paths one is tried
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from appliance.tools.zygote.native.files import delete_file, read_file, write_file
from appliance.tools.zygote.native.grant import Grant
from appliance.tools.zygote.native.grep import grep
from appliance.tools.zygote.native.listing import list_dir, list_files
from appliance.tools.zygote.refusal import Refusal

from .traversal import CORPUS

TOOLS: dict[str, Callable[[Grant, str], Any]] = {
    "read": lambda grant, path: read_file(grant, path=path),
    "write": lambda grant, path: write_file(grant, path=path, content="written"),
    "append": lambda grant, path: write_file(grant, path=path, content="written", append=True),
    "list_dir": lambda grant, path: list_dir(grant, path=path),
    "list_files": lambda grant, path: list_files(grant, dir=path),
    "grep": lambda grant, path: grep(grant, path=path, pattern="."),
    "delete": lambda grant, path: delete_file(grant, path=path, recursive=True),
}


def attempts(grant: Grant, every: int) -> Iterator[tuple[str, str, str]]:
    """Yield tool, path and outcome of each attempt: a code, `done`, or the class of an error."""
    paths = list(dict.fromkeys(form for text in CORPUS for form in (text, unquote(text))))
    for path in paths[::every]:
        for name, tool in TOOLS.items():
            try:
                outcome = "done:" + json.dumps(tool(grant, path))[:2_000]
            except Refusal as refusal:
                outcome = refusal.code
            except (OSError, ValueError) as error:
                outcome = type(error).__name__
            yield name, path, outcome


if __name__ == "__main__":
    print(json.dumps(list(attempts(Grant(sys.argv[1]), int(sys.argv[2])))))
