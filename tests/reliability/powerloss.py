"""A disk in memory that knows what is safe: what may be left of files when the power goes.

The model is what POSIX promises and no more. Data is safe after fsync of the file, a name after
fsync of its directory, names in the order in which they changed. What is not safe yet may be there
or not, for each sector of 512 bytes on its own; so may the length of a file. After an fsync that
failed the system takes what it could not write for written: another fsync makes nothing safe.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec

from .trace import Call

SECTOR = 512

State = dict[str, bytes]
"""Names and what is in them."""


class File(msgspec.Struct):
    """Content as the process sees it, content that is safe, and the sectors in which they differ."""

    now: bytearray = msgspec.field(default_factory=bytearray)
    safe: bytearray = msgspec.field(default_factory=bytearray)
    unsafe: set[int] = msgspec.field(default_factory=set)

    def change(self, call: Call) -> None:
        """Do what *call* did to it."""
        match call.name:
            case "pwrite64":
                self.write(call.number, call.data)
            case "write":
                self.write(len(self.now), call.data)
            case "ftruncate":
                self.truncate(call.number)
            case name:
                msg = f"{name} is not known to the replay"
                raise AssertionError(msg)

    def write(self, place: int, data: bytes) -> None:
        """Change some bytes."""
        end = place + len(data)
        if len(self.now) < end:
            self.now.extend(bytes(end - len(self.now)))
        self.now[place:end] = data
        self.unsafe.update(range(place // SECTOR, -(-end // SECTOR)))

    def truncate(self, length: int) -> None:
        """Cut, or fill with zeros."""
        before = len(self.now)
        self.now[length:] = bytes(max(length - before, 0))
        self.unsafe.update(range(min(length, before) // SECTOR, -(-max(length, before) // SECTOR)))

    def sync(self) -> None:
        """Make safe what is there now."""
        self._settle(self.safe, self.unsafe, len(self.now))
        self.unsafe = set()

    def lose(self) -> None:
        """Forget, as the system does when it could not write, that something is not safe."""
        self.unsafe = set()

    def torn(self, dice: random.Random) -> bytes:
        """Return what may be there after a power cut."""
        left = bytearray(self.safe)
        length = dice.choice((len(self.safe), len(self.now)))
        some = {sector for sector in sorted(self.unsafe) if dice.random() < 0.5}
        self._settle(left, some, length)
        return bytes(left)

    def _settle(self, target: bytearray, sectors: set[int], length: int) -> None:
        target[length:] = bytes(max(length - len(target), 0))
        for sector in sectors:
            start = sector * SECTOR
            end = min(start + SECTOR, length)
            piece = self.now[start:end]
            target[start : start + len(piece)] = piece


class Disk:
    """The files in *directory*, fed with the calls of a process."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self._names: dict[str, File] = {}
        self._safe_names: dict[str, File] = {}
        self._changes: list[tuple[str, File | None]] = []

    def follow(self, call: Call) -> bool:
        """Do what *call* did; return whether that changed anything here."""
        files = [path for path in call.files if path.startswith(self._directory)]
        if not files or files[-1].endswith("-shm"):  # shared memory, which SQLite makes anew
            return False
        if call.failed:
            self._fail(call, files[-1])
            return False
        return self._follow(call, files)

    def _follow(self, call: Call, files: list[str]) -> bool:
        name = files[-1]
        match call.name:
            case "openat":
                return self._open(name, call.text)
            case "pread64" | "said":  # what is said into a file counts when it is done
                return False
            case "fsync" | "fdatasync":
                self._sync(name)
            case "unlink":
                self._give(name, None)
            case "rename":
                self._give(name, self._names[files[0]])
                self._give(files[0], None)
            case _:
                self._names[name].change(call)
        return True

    def _fail(self, call: Call, name: str) -> None:
        if call.name in ("fsync", "fdatasync") and name in self._names:
            self._names[name].lose()

    def states(self, dice: random.Random, torn: int) -> Iterator[State]:
        """Yield what may be left now: only what is safe, everything, and *torn* times some of it."""
        yield {name: bytes(file.safe) for name, file in self._safe_names.items()}
        if not self._changes and not any(file.unsafe for file in self._names.values()):
            return
        yield {name: bytes(file.now) for name, file in self._names.items()}
        for _ in range(torn):
            names = dict(self._safe_names)
            for name, file in self._changes[: dice.randint(0, len(self._changes))]:
                _put(names, name, file)
            yield {name: file.torn(dice) for name, file in names.items()}

    def _open(self, name: str, flags: str) -> bool:
        if "O_CREAT" in flags and name not in self._names:
            self._give(name, File())
            return True
        if "O_TRUNC" in flags:
            self._names[name].truncate(0)
            return True
        return False

    def _sync(self, name: str) -> None:
        if name in self._names:
            self._names[name].sync()
        elif name == self._directory:
            self._safe_names, self._changes = dict(self._names), []

    def _give(self, name: str, file: File | None) -> None:
        _put(self._names, name, file)
        self._changes.append((name, file))


def _put(names: dict[str, File], name: str, file: File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file
