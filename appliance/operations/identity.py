"""Identity: the database together with what is kept in memory about who may come in.

One object for the life of the process. The operations on users, keys and logins take it in place of
a database, because whatever they change must take effect on the memory at once.
"""

from __future__ import annotations

from collections.abc import Callable

from appliance import clock
from appliance.operations.authentication import Authenticator
from appliance.operations.passwords import Passwords
from appliance.operations.throttle import Throttle
from appliance.store.database import Database, T, Work, settle


class Identity:
    """Users, keys, sessions, and the guard at the door. Belongs to one event loop."""

    def __init__(
        self,
        db: Database,
        *,
        now_us: Callable[[], int] = clock.now_us,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self.db = db
        self.now_us = now_us
        self.authenticator = Authenticator(db, now_us=now_us)
        self.passwords = Passwords()
        self.throttle = Throttle(monotonic=monotonic)

    async def read(self, work: Work[T]) -> T:
        """Return what *work* reads. Raises what `Database.read` raises."""
        return await settle(self.db.read(work))

    async def add(self, work: Work[T]) -> T:
        """Write what takes nothing away from anybody. Raises what `Database.write` raises."""
        return await settle(self.db.write(work))

    async def change(self, work: Work[T]) -> T:
        """Write what may take a right away; it is gone when this returns, whatever happened.

        Raises what `Database.write` raises.
        """
        try:
            return await settle(self.db.write(work))
        finally:
            self.authenticator.forget()

    async def close(self) -> None:
        """Write what is not written yet; call it before the database is closed."""
        await self.authenticator.close()
