"""The jail of the file tools: a path becomes an open descriptor that is surely inside a root.

A path is walked component by component, each opened in the descriptor of its directory and never
followed by the kernel. Links are read and walked here, so nobody can swap one between a check and
a use. What is found is held by its descriptor, so it stays what it was when it was looked at.
"""

from __future__ import annotations

import contextlib
import os
import stat
from types import TracebackType
from typing import Tuple  # noqa: UP035 - runs on 3.9

from ..refusal import Refusal
from .arguments import invalid
from .grant import Grant

MOST_LINKS = 40
OUT_OF_REACH = ("/proc", "/sys")
"""Where files mean more than their content. Only a root that holds them would lead there."""

_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

Identity = Tuple[int, int]  # noqa: UP006 - runs on 3.9


class Guard:
    """What stays out of reach wherever it lies, known by what it is and by where it would be."""

    def __init__(self, grant: Grant) -> None:
        self._nodes = set()
        self._names = []
        for entry in (*grant.protected, *OUT_OF_REACH):
            path = entry.rstrip("*")
            self._nodes.add(identity_of(path))
            for spelling in (path, os.path.realpath(path)):
                directory, name = os.path.split(spelling)
                self._names.append((identity_of(directory), name, path != entry))
        self._nodes.discard(None)

    def forbids_name(self, directory: int, name: str) -> bool:
        """Tell whether *name* in an open directory is protected, be there something or not."""
        here = identity(os.fstat(directory))
        return any(
            here == place and (name == own or (begins and name.startswith(own)))
            for place, own, begins in self._names
        )

    def forbids_root(self, root: str) -> bool:
        """Tell whether the directory *root* is protected, or lies in one that is."""
        parts = root.split("/")
        above = ("/".join(parts[:count]) or "/" for count in range(1, len(parts) + 1))
        return any(identity_of(path) in self._nodes for path in above)

    def forbids(self, found: os.stat_result) -> bool:
        """Tell whether something is protected, whatever its name is here."""
        return identity(found) in self._nodes


def identity(found: os.stat_result) -> Identity:
    """Return what tells a file from all others."""
    return (found.st_dev, found.st_ino)


def identity_of(path: str) -> Identity | None:
    """Return the identity of what is at *path*, None where nothing can be seen."""
    try:
        return identity(os.stat(path))  # noqa: PTH116
    except OSError:
        return None


class Spot:
    """A name in an open directory of the jail and what it names; closed at the end of `with`.

    `node` is a descriptor good for looking only (O_PATH), or -1 where there is nothing.
    `directory` is -1 for a root, which has no name here.
    """

    def __init__(self, given: str, guard: Guard, directory: int, name: str, node: int) -> None:
        self.given, self.guard = given, guard
        self.directory, self.name, self.node = directory, name, node
        self.found = os.fstat(node) if node >= 0 else None

    def __enter__(self) -> Spot:  # noqa: PYI034 - runs on 3.9
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for descriptor in (self.directory, self.node):
            if descriptor >= 0:
                os.close(descriptor)

    @property
    def exists(self) -> bool:
        """Whether there is something."""
        return self.found is not None

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.found is not None and stat.S_ISDIR(self.found.st_mode)

    def require(self, directory: bool = False) -> os.stat_result:
        """Return what is known of the file (of the *directory*). Raises Refusal if it is none."""
        if self.found is None:
            raise missing(self.given)
        if directory and not stat.S_ISDIR(self.found.st_mode):
            raise invalid(f"{self.given!r} is not a directory.")
        if not directory and stat.S_ISDIR(self.found.st_mode):
            raise invalid(f"{self.given!r} is a directory.")
        if not directory and not stat.S_ISREG(self.found.st_mode):
            raise denied(f"{self.given!r} is a device, a pipe or a socket, not a file")
        return self.found

    def open(self, flags: int) -> int:
        """Return a descriptor of what was found, of no other. Raises OSError."""
        return reopen(self.node, flags)


def reopen(node: int, flags: int) -> int:
    """Return a descriptor of what the descriptor *node* holds, good for more. Raises OSError."""
    # This way through /proc leads to the very file, whatever its name means by now.
    return os.open(f"/proc/self/fd/{node}", flags | os.O_CLOEXEC | os.O_NONBLOCK)


def find(grant: Grant, path: str, *, make: bool = False, follow: bool = True) -> Spot:
    """Return the spot that *path* means: absolute inside a root, or relative to the first one.

    With *make*, directories on the way are created. Without *follow*, a link at the end is meant
    itself. Raises Refusal: PermissionDenied where the path leads out, FileNotFound where a
    directory on the way is missing.
    """
    walk = _Walk(grant, path)
    try:
        return walk.to_the_end(make, follow)
    finally:
        walk.close()


class _Walk:
    def __init__(self, grant: Grant, given: str) -> None:
        self._given = given
        self._guard = Guard(grant)
        self._roots = _roots(grant)
        self._stack: list[int] = []
        """Open directories from a root to where the walk is."""
        self._ahead: list[str] = []
        """Components still to walk, the next one last."""
        self._links = 0
        self._begin(given)

    def close(self) -> None:
        while self._stack:
            os.close(self._stack.pop())

    def _begin(self, path: str) -> None:
        self.close()
        root, rest = self._root_of(path)
        self._ahead.extend(reversed(rest))
        try:
            self._stack.append(os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            msg = f"The root {root} of the native tools cannot be opened: {error.strerror}."
            raise Refusal("FileNotFound", msg) from None
        if self._guard.forbids_root(root):
            raise self._protected()

    def _root_of(self, path: str) -> tuple[str, list[str]]:
        parts = _parts(path)
        if not path.startswith("/"):
            return self._roots[0][1], parts
        for spelling, root in self._roots:
            if parts[: len(spelling)] == spelling:
                return root, parts[len(spelling) :]
        raise self._outside()

    def to_the_end(self, make: bool, follow: bool) -> Spot:
        while self._ahead:
            name = self._ahead.pop()
            if name == "..":
                self._back()
                continue
            if self._guard.forbids_name(self._stack[-1], name):
                raise self._protected()
            node = self._look(name, make)
            if node >= 0 and stat.S_ISLNK(os.fstat(node).st_mode) and (follow or self._ahead):
                self._follow(node)
            elif self._ahead:
                self._into(node)
            else:
                return self._spot(name, node)
        return Spot(self._given, self._guard, -1, "", self._stack.pop())

    def _spot(self, name: str, node: int) -> Spot:
        if node >= 0:
            self._refuse_protected(os.fstat(node), node)
        return Spot(self._given, self._guard, self._stack.pop(), name, node)

    def _look(self, name: str, make: bool) -> int:
        """Return a descriptor of what *name* is here, -1 where the last component is missing."""
        directory = self._stack[-1]
        try:
            return os.open(name, _LOOK, dir_fd=directory)
        except FileNotFoundError:
            if not self._ahead:
                return -1
            if not make:
                raise missing(self._given) from None
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=directory)
        return os.open(name, _LOOK, dir_fd=directory)

    def _into(self, node: int) -> None:
        self._stack.append(node)
        found = os.fstat(node)
        self._refuse_protected(found)
        if not stat.S_ISDIR(found.st_mode):
            raise missing(self._given)

    def _back(self) -> None:
        if len(self._stack) == 1:
            raise self._outside()
        os.close(self._stack.pop())

    def _follow(self, node: int) -> None:
        target = os.readlink("", dir_fd=node)
        os.close(node)
        self._links += 1
        if self._links > MOST_LINKS:
            raise denied(f"{self._given!r} goes through more than {MOST_LINKS} links")
        if target.startswith("/"):
            self._begin(target)
        else:
            self._ahead.extend(reversed(_parts(target)))

    def _refuse_protected(self, found: os.stat_result, node: int = -1) -> None:
        if self._guard.forbids(found):
            if node >= 0:
                os.close(node)
            raise self._protected()

    def _protected(self) -> Refusal:
        return denied(f"{self._given!r} belongs to the server itself and is out of reach")

    def _outside(self) -> Refusal:
        return denied(
            f"{self._given!r} leads out of what the native tools may reach"
            " (runtime.native_tools.root_dir and additional_roots)"
        )


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _roots(grant: Grant) -> list[tuple[list[str], str]]:
    """Return the spellings of the roots, each with the real path; the first is the main one."""
    found = []
    for root in (grant.root, *grant.additional_roots):
        real = os.path.realpath(root)
        found += [(_parts(spelling), real) for spelling in (root, real)]
    return found


def denied(clause: str) -> Refusal:
    """Return the refusal of what must not be reached."""
    return Refusal("PermissionDenied", f"{clause}.")


def missing(given: str) -> Refusal:
    """Return the refusal of a path that names nothing."""
    return Refusal("FileNotFound", f"There is no {given!r}.")
