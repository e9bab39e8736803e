"""Passwords: argon2id with 19 MiB, two passes, one lane. One check costs about 20 ms of a core."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from appliance.errors import InvalidInput, TooManyRequests

if TYPE_CHECKING:
    from argon2 import PasswordHasher

P = ParamSpec("P")
T = TypeVar("T")

MIN_CHARACTERS = 8
MAX_BYTES = 1024
THREADS = 2
QUEUE = 64
"""Checks that may wait or run at once, so that a flood of logins cannot pile up."""

_NOBODYS = (
    "$argon2id$v=19$m=19456,t=2,p=1"
    "$0QqmKf1tkvoujA4qMArwdQ$hQHJijsjvT0jrFw5qqfzMvLRt5cxkLQq710/gqhMbjs"
)


def check(password: str) -> None:
    """Raise InvalidInput unless *password* may become a password."""
    if len(password) < MIN_CHARACTERS:
        raise InvalidInput(f"The password is too short; use at least {MIN_CHARACTERS} characters.")
    check_size(password)


def check_size(password: str) -> None:
    """Raise InvalidInput when *password* is longer than any password can be."""
    if len(_bytes(password)) > MAX_BYTES:
        raise InvalidInput(f"The password is too long; it has at most {MAX_BYTES} bytes.")


def hash_password(password: str) -> str:
    """Return a salted hash in PHC form."""
    return _argon2().hash(_bytes(password))


def verify(hashed: str | None, password: str) -> bool:
    """Tell whether *password* belongs to *hashed*; None costs the same and is always False."""
    from argon2.exceptions import VerifyMismatchError

    try:
        _argon2().verify(hashed or _NOBODYS, _bytes(password))
    except VerifyMismatchError:
        return False
    return hashed is not None


def outdated(hashed: str) -> bool:
    """Tell whether *hashed* was made with other costs than those of today."""
    return _argon2().check_needs_rehash(hashed)


class Passwords:
    """Hashing beside the event loop, on two threads at most so that work and memory are bounded."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
        self._pending = 0

    async def hash(self, password: str) -> str:
        """Return the hash of a new password. Raises InvalidInput, TooManyRequests."""
        check(password)
        return await self._apart(hash_password, password)

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Tell whether *password* belongs to *hashed*; one check is made whatever is known.

        Raises TooManyRequests when too many checks wait already.
        """
        return await self._apart(verify, hashed, password)

    async def _apart(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._pending >= QUEUE:
            raise TooManyRequests("Too many logins at once; try again in a second.", retry_after=1)
        self._pending += 1
        try:
            return await asyncio.wrap_future(self._threads.submit(function, *args, **kwargs))
        finally:
            self._pending -= 1


@cache
def _argon2() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def _bytes(password: str) -> bytes:
    # The same letters may arrive composed or decomposed, depending on the keyboard's system.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
