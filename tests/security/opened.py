"""Which files a process opens, as the kernel sees it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.reliability.serving import PROGRAM, ROOT

_CALLS = "trace=open,openat,openat2,creat"
_OPENED = re.compile(r"= \d+<([^>]*)>$")
"""The end of a call that succeeded: where its descriptor really leads to."""
LIBRARIES = tuple(
    {str(ROOT), sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), "/usr/", "/lib", "/dev/",
     "/proc/self/maps", "/sys/", "/etc/ld.so.cache", "/etc/local", "/etc/ssl/"}
)  # fmt: skip
"""What any Python opens."""
UNPACKED = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "compozy"
"""Where the built file has its own files."""


@contextmanager
def watching(pid: int, log: Path) -> Iterator[None]:
    """Write down what a process, and all that it starts, opens in the meantime."""
    command = ["strace", "-f", "-y", "-e", _CALLS, "-o", str(log), "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        assert tracer.stderr is not None
        line = tracer.stderr.readline().decode()
        if "attached" not in line:
            tracer.kill()
            pytest.skip(f"strace cannot attach to a process here: {line.strip()}")
        try:
            yield
        finally:
            time.sleep(0.1)
            tracer.send_signal(signal.SIGINT)
            tracer.wait(10)


def watched(command: list[str], log: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a command and write down what it opens."""
    tracer = ["strace", "-f", "-y", "-e", _CALLS, "-o", str(log)]
    return subprocess.run(
        [*tracer, *command], capture_output=True, timeout=120, check=True, cwd=ROOT
    )


def opened(log: Path) -> list[str]:
    """Return every file that was opened, once."""
    found = (_OPENED.search(line) for line in log.read_text(errors="replace").splitlines())
    return sorted({match[1] for match in found if match})


def outside(log: Path, *roots: Path) -> list[str]:
    """Return what was opened beyond *roots* and what any Python opens."""
    own = [UNPACKED] if PROGRAM else []
    inside = (*(str(root.resolve()) for root in [*roots, *own]), *LIBRARIES)
    return [path for path in opened(log) if not path.startswith(inside)]
