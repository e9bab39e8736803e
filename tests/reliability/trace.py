"""What strace wrote down: the calls of a process that change files, with every byte, in order."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

_CALLS = (
    "openat,pwrite64,write,fsync,fdatasync,ftruncate,"
    "unlink,unlinkat,rename,renameat,renameat2,link,linkat"
)
_MOVES_DATA = ("write", "said", "pwrite64", "pread64", "ftruncate")
_LINE = re.compile(r"(\d+) +(?:<\.\.\. \w+ resumed>|(\w+)\()(.*)")
_RESULT = re.compile(r"\) += (-?\d+)(?:<[^>]*>)?(?: .*)?$")
_UNFINISHED = " <unfinished ...>"
_TEXT = re.compile(r"<((?:\\x..)*)>|\"((?:\\x..)*)\"")
_NUMBER = re.compile(r", (\d+)\b(?=[,)]|$)")


class Call(msgspec.Struct):
    """A call: the files it names, the data it carries, the rest of its text, and whether it failed."""

    name: str
    files: list[str]
    data: bytes
    text: str
    failed: bool

    @property
    def number(self) -> int:
        """The last argument: the place of a `pwrite64`, the length of an `ftruncate`."""
        return int(_NUMBER.findall(self.text)[-1])


def traced(command: list[str], trace: Path, *inject: str) -> int:
    """Run *command* to its end, write its calls to *trace* and return its exit code.

    *inject* are calls that fail, such as `fsync:error=EIO:when=3`.
    """
    strace = ["strace", "-f", "-y", "-xx", "-s", "10000000", "-o", str(trace)]
    faults = [word for fault in inject for word in ("-e", f"inject={fault}")]
    filters = ["-e", f"trace={_CALLS},pread64" if inject else f"trace={_CALLS}"]
    return subprocess.run(
        [*strace, *filters, *faults, *command], stdout=subprocess.PIPE, check=False, timeout=120
    ).returncode


@contextmanager
def striking(pid: int, path: str, fault: str) -> Iterator[None]:
    """Have a call of a running process on a database or its log fail."""
    command = ["strace", "-f", "-p", str(pid), "-P", path, "-P", f"{path}-wal", "-o", "/dev/null"]
    with subprocess.Popen([*command, "-e", f"inject={fault}"], stderr=subprocess.PIPE) as strace:
        assert strace.stderr is not None
        assert b"attached" in strace.stderr.readline()
        try:
            yield
        finally:
            strace.terminate()


def calls(trace: Path) -> Iterator[Call]:
    """Yield the calls in *trace*. What was said counts from the moment at which that began."""
    begun: dict[str, tuple[str, str]] = {}
    with trace.open() as lines:
        for line in lines:
            match = _LINE.match(line)
            if match is None:  # a signal, an exit
                continue
            thread, name, rest = match.groups()
            if name is None:
                name, head = begun.pop(thread)
                rest = head + rest
            elif rest.endswith(_UNFINISHED):
                rest = rest.removesuffix(_UNFINISHED)
                begun[thread] = (name, rest)
                if name == "write":  # nobody knows when it was heard, so it counts from here
                    yield _call("said", rest, failed=False)
                continue
            yield from _finished(name, rest)


def _finished(name: str, rest: str) -> Iterator[Call]:
    result = _RESULT.search(rest)
    if result is not None:
        yield _call(name, rest[: result.start() + 1], failed=int(result[1]) < 0)


def _call(name: str, rest: str, *, failed: bool) -> Call:
    found = _TEXT.findall(rest)
    texts = [_bytes(quoted) for _, quoted in found if quoted]
    paths = [_bytes(path).decode() for path, _ in found if path]
    if name in _MOVES_DATA:
        return Call(name, paths, b"".join(texts), _TEXT.sub("", rest), failed)
    return Call(name, paths + [text.decode() for text in texts], b"", rest, failed)


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))
