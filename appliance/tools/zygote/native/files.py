"""Reading, writing and deleting one file: `cp__read_file`, `cp__write_file`, `cp__delete_file`."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import stat
from typing import Any

from . import jail
from .arguments import flag, invalid, text
from .grant import Grant
from .jail import Spot
from .listing import children

SIZE_LIMIT = 4 << 20
"""Bytes that are read or written by one call."""

MOST_LEVELS = 200
"""Depth of directories that are deleted at once: each level holds a descriptor."""


def read_file(grant: Grant, *, path: Any) -> dict[str, Any]:
    """Return the content of a file: as text, or in base64 where it is not UTF-8."""
    given = text("path", path)
    with jail.find(grant, given) as spot:
        size = spot.require().st_size
        with open(spot.open(os.O_RDONLY), "rb") as file:  # noqa: PTH123 - a descriptor
            data = file.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        size = max(size, len(data))
        raise invalid(f"{given!r} has {size} bytes; the limit is {SIZE_LIMIT}.")
    content, encoding = as_text(data)
    return {"path": given, "content": content, "encoding": encoding, "size": len(data)}


def as_text(data: bytes) -> tuple[str, str]:
    """Return *data* as text and how: `utf-8`, or `base64` where it is none."""
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(data).decode(), "base64"


def write_file(
    grant: Grant, *, path: Any, content: Any, append: Any = None, mode: Any = None
) -> dict[str, Any]:
    """Put a file in the place of what was there, whole or not at all, or extend it."""
    given, extend, bits = text("path", path), flag("append", append, False), _mode(mode)
    if not isinstance(content, str):
        raise invalid("'content' must be text; toJson makes text of any value.")
    data = content.encode("utf-8", "replace")
    if len(data) > SIZE_LIMIT:
        raise invalid(f"'content' has {len(data)} bytes; the limit is {SIZE_LIMIT}.")
    with jail.find(grant, given, make=True) as spot:
        if spot.exists:
            spot.require()
        if not spot.name:
            raise invalid(f"{given!r} names no file.")
        size = (_append if extend else _replace)(spot, data, bits)
        return {"path": given, "size": size, "created": not spot.exists}


def _mode(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch("0?[0-7]{3}", value):
        raise invalid("'mode' must be text of three octal digits, such as \"0644\".")
    return int(value, 8)


def _replace(spot: Spot, data: bytes, mode: int | None) -> int:
    """Write a new file beside the old one and let it take its name."""
    if mode is None:
        mode = stat.S_IMODE(spot.found.st_mode) & 0o777 if spot.found else 0o644
    temporary = f".{spot.name[:60]}.{os.urandom(6).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=spot.directory)
    try:
        try:
            _write(descriptor, data)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, spot.name, src_dir_fd=spot.directory, dst_dir_fd=spot.directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=spot.directory)
        raise
    _sync(spot.directory)
    return len(data)


def _append(spot: Spot, data: bytes, mode: int | None) -> int:
    """Extend the file. Calls at the same time lose nothing of each other."""
    flags = os.O_WRONLY | os.O_APPEND
    if spot.exists:
        descriptor = spot.open(flags)
    else:
        flags |= os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(spot.name, flags, 0o644, dir_fd=spot.directory)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise jail.denied(f"{spot.given!r} is a device, a pipe or a socket, not a file")
        if mode is not None:
            os.fchmod(descriptor, mode)
        _write(descriptor, data)
        os.fsync(descriptor)
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    if not spot.exists:
        _sync(spot.directory)
    return size


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync(directory: int) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def delete_file(grant: Grant, *, path: Any, recursive: Any = None) -> dict[str, Any]:
    """Delete a file, a link or, with *recursive*, a directory with all that is in it."""
    given, deep = text("path", path), flag("recursive", recursive, False)
    with jail.find(grant, given, follow=False) as spot:
        if not spot.name:
            raise jail.denied(f"{given!r} is a root and stays")
        if spot.is_directory:
            if not deep:
                raise invalid(f"{given!r} is a directory; 'recursive: true' deletes it.")
            _empty(spot, spot.node, 0, really=False)
            _empty(spot, spot.node, 0, really=True)
            os.rmdir(spot.name, dir_fd=spot.directory)
        elif spot.exists:
            os.unlink(spot.name, dir_fd=spot.directory)
        return {"path": given, "deleted": spot.exists}


def _empty(spot: Spot, directory: int, level: int, *, really: bool) -> None:
    """Delete all that is in *directory*, or only make sure that nothing in it is out of reach."""
    if level > MOST_LEVELS:
        raise invalid(f"{spot.given!r} is nested more than {MOST_LEVELS} levels deep.")
    for child in children(directory):
        if spot.guard.forbids_name(directory, child.name):
            raise jail.denied(f"{spot.given!r} holds what belongs to the server itself")
        if child.kind == "directory":
            with child.opened(directory) as node:
                if spot.guard.forbids(os.fstat(node)):
                    raise jail.denied(f"{spot.given!r} holds what belongs to the server itself")
                _empty(spot, node, level + 1, really=really)
            if really:
                os.rmdir(child.name, dir_fd=directory)
        elif spot.guard.forbids(child.found):
            raise jail.denied(f"{spot.given!r} holds what belongs to the server itself")
        elif really:
            os.unlink(child.name, dir_fd=directory)
