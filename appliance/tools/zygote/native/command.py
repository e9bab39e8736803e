"""Executing a command that is allowed: `cp__exec`. No shell is involved.

The command stays in the process group of the worker and the worker ends after it, so whatever the
command leaves running ends as well.
"""

from __future__ import annotations

import os
import re
import selectors
import shutil
import subprocess
from typing import IO, Any

from ..refusal import Refusal
from . import jail
from .arguments import invalid, named_texts, seconds, text, texts
from .deadline import Late, deadline
from .grant import Grant

INHERITED = ("HOME", "USER", "LOGNAME", "LANG", "LC_", "TZ", "TMPDIR")
"""How the names of variables begin that a command gets beside PATH and those of the call."""

STEERING = re.compile(
    "PATH|IFS|ENV|SHELLOPTS|(LD|GLIBC|GCONV|GIT|NODE|JAVA|_JAVA|JDK)_.*|(BASH|PYTHON|PERL|RUBY).*"
)
"""Names of variables that would decide which code runs."""

CHUNK = 1 << 16


def execute(
    grant: Grant,
    *,
    command: Any,
    args: Any = None,
    working_dir: Any = None,
    env: Any = None,
    timeout_ms: Any = None,
) -> dict[str, Any]:
    """Execute a command and return its exit code and output. An exit code is no failure."""
    name = text("command", command)
    program = _program(grant, name)
    arguments = texts("args", args)
    environment = {**_inherited(grant), **_chosen(env)}
    limit = seconds("timeout_ms", timeout_ms, grant.exec_timeout)
    with jail.find(grant, text("working_dir", working_dir or ".")) as spot:
        spot.require(directory=True)
        process = subprocess.Popen(  # noqa: S603 - only what is allowed gets here
            [name, *arguments],
            executable=program,
            cwd=f"/proc/self/fd/{spot.node}",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    try:
        with deadline(limit):
            return _watched(process, grant)
    except Late:
        process.kill()
        msg = (
            f"The command {name!r} did not end within {limit:g} s and was killed"
            " (timeout_ms, runtime.native_tools.exec.timeout)."
        )
        raise Refusal("DeadlineExceeded", msg, timeout=limit) from None


def _program(grant: Grant, name: str) -> str:
    """Return the file of a command. Raises Refusal if it is not allowed or not there."""
    if name not in grant.commands:
        allowed = ", ".join(grant.commands) or "no command"
        msg = (
            f"The command {name!r} is not allowed; runtime.native_tools.exec.allowlist"
            f" allows {allowed}."
        )
        raise Refusal("CommandNotAllowed", msg)
    if "/" in name and not name.startswith("/"):
        raise invalid(f"The command {name!r} must be a name or an absolute path.")
    program = shutil.which(name, path=grant.path)
    if program is None:
        raise Refusal("FileNotFound", f"There is no program {name!r} that can be executed.")
    return os.path.abspath(program)  # noqa: PTH100


def _inherited(grant: Grant) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(INHERITED)}
    return {**kept, "PATH": grant.path}


def _chosen(env: Any) -> dict[str, str]:
    chosen = named_texts("env", env)
    for name in chosen:
        if not name or "=" in name:
            raise invalid(f"'env' has the name {name!r}, which no variable can have.")
        if STEERING.fullmatch(name):
            msg = f"'env' must not set {name}: it would decide which code is executed."
            raise Refusal("PermissionDenied", msg)
    return chosen


class _Output:
    """The first bytes of a stream; the rest is read and dropped, so that the command can go on."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self.stream = stream
        self._limit = limit
        self._kept = bytearray()
        self._dropped = False
        os.set_blocking(stream.fileno(), False)

    def take(self) -> bool:
        """Take in what there is. Return whether more can come."""
        try:
            data = os.read(self.stream.fileno(), CHUNK)
        except BlockingIOError:
            return False
        room = self._limit - len(self._kept)
        self._kept += data[:room]
        self._dropped = self._dropped or len(data) > room
        return bool(data)

    def described(self, name: str) -> dict[str, Any]:
        content = self._kept.decode("utf-8", "ignore" if self._dropped else "replace")
        return {name: content, f"{name}_truncated": self._dropped}


def _watched(process: subprocess.Popen[bytes], grant: Grant) -> dict[str, Any]:
    """Read what the command says until it ends. What it left behind may hold the streams open."""
    assert process.stdout is not None
    assert process.stderr is not None
    outputs = [
        _Output(process.stdout, grant.max_stdout),
        _Output(process.stderr, grant.max_stderr),
    ]
    ended = os.pidfd_open(process.pid)
    with selectors.DefaultSelector() as selector:
        selector.register(ended, selectors.EVENT_READ)
        for output in outputs:
            selector.register(output.stream, selectors.EVENT_READ, output)
        while process.returncode is None:
            for key, _ in selector.select():
                if key.data is None:
                    process.wait()
                elif not key.data.take():
                    selector.unregister(key.fileobj)
    os.close(ended)
    for output in outputs:
        while output.take():
            pass
        output.stream.close()
    described = {**outputs[0].described("stdout"), **outputs[1].described("stderr")}
    return {"exit_code": process.returncode, "success": process.returncode == 0, **described}
