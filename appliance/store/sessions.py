"""Sessions: what a login with a password gives. The text of a token is never stored."""

from __future__ import annotations

from appliance.store.database import Row, Transaction


class Sessions:
    """Sessions by digest. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def insert(self, digest: str, user_id: str, *, created_at: int, expires_at: int) -> None:
        """Begin a session; times are in microseconds. Raises Conflict without such a user."""
        self._tx.run(
            "insert_session",
            digest=digest,
            user_id=user_id,
            created_at=created_at,
            expires_at=expires_at,
        )

    def holder(self, digest: str) -> Row | None:
        """Return the user behind the session with this digest, expired or not, or None."""
        return self._tx.one("find_session_holder", digest=digest)

    def delete(self, digest: str) -> bool:
        """End a session; False without such a session."""
        return self._tx.run("delete_session", digest=digest) == 1

    def delete_of(self, user_id: str) -> int:
        """End every session of a user and return how many there were."""
        return self._tx.run("delete_sessions_of", user_id=user_id)

    def delete_expired(self, now: int) -> int:
        """Remove sessions that are over at *now* (microseconds) and return how many there were."""
        return self._tx.run("delete_expired_sessions", now=now)
