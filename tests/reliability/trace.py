"""What strace wrote down: the calls of a process that change files, with every byte, in order."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

_CALLS = (
    "openat,pwrite64,write,fsync,fdatasync,ftruncate,"
    "unlink,unlinkat,rename,renameat,renameat2,link,linkat"
)
_LINE = re.compile(r"(\d+) +(?:<\.\.\. \w+ resumed>|(\w+)\()(.*)")
_RESULT = re.compile(r"\) += (-?\d+)(?:<[^>]*>)?(?: .*)?$")
_UNFINISHED = " <unfinished ...>"
_TEXT = re.compile(r"<((?:\\x..)*)>|\"((?:\\x..)*)\"")
_NUMBER = re.compile(r", (\d+)\b(?=[,)]|$)")


class Call(msgspec.Struct):
    """A call that succeeded: the files it names, the data it carries, and its last numbers."""

    name: str
    files: list[str]
    data: bytes
    text: str

    @property
    def number(self) -> int:
        """The last argument: the place of a `pwrite64`, the length of an `ftruncate`."""
        return int(_NUMBER.findall(self.text)[-1])


def traced(command: list[str], trace: Path) -> Iterator[Call]:
    """Run *command* to its end and yield its calls. What it said counts when it began to say it."""
    strace = ["strace", "-f", "-y", "-xx", "-s", "10000000", "--seccomp-bpf", "-o", str(trace)]
    subprocess.run(
        [*strace, "-e", f"trace={_CALLS}", *command],
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    return _calls(trace)


def _calls(trace: Path) -> Iterator[Call]:
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
                    yield _call("said", rest)
                continue
            yield from _finished(name, rest)


def _finished(name: str, rest: str) -> Iterator[Call]:
    result = _RESULT.search(rest)
    if result is not None and int(result[1]) >= 0:
        yield _call(name, rest[: result.start() + 1])


def _call(name: str, rest: str) -> Call:
    found = _TEXT.findall(rest)
    texts = [_bytes(quoted) for _, quoted in found if quoted]
    paths = [_bytes(path).decode() for path, _ in found if path]
    data = texts[-1] if texts and name in ("write", "said", "pwrite64") else b""
    if not data:
        paths += [text.decode() for text in texts]
    return Call(name, paths, data, _TEXT.sub("", rest))


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))
