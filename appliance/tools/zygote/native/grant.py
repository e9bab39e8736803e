"""What the native tools may do. The server makes a grant, the zygote takes it as JSON."""

from __future__ import annotations

import os
from typing import NamedTuple


class Grant(NamedTuple):
    """Durations are seconds, sizes are bytes, paths are absolute."""

    root: str
    """Where relative paths start."""
    additional_roots: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    """Files and directories that stay out of reach even inside a root; they need not exist.

    A `*` at the end stands for every name that begins so.
    """
    commands: tuple[str, ...] = ()
    """What may be executed: names that are looked up in `path`, or absolute paths."""
    path: str = os.defpath
    exec_timeout: float = 30.0
    max_stdout: int = 2 << 20
    max_stderr: int = 1 << 10
    fetch_timeout: float = 5.0
    max_body: int = 2 << 20
    max_redirects: int = 5
    methods: tuple[str, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
    private_hosts: tuple[str, ...] = ()
    """Names, addresses and networks that may be fetched from though they are not public; `*` = all."""
