"""API keys: what a program shows instead of a password. The text of a key is never stored."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.store.database import Param, Row, Transaction


class ApiKeys:
    """Keys by id and digest. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def insert(self, row: Mapping[str, Param]) -> None:
        """Add a key that was never used. Raises Conflict when its user does not exist."""
        self._tx.run("insert_api_key", **row)

    def get(self, key_id: str) -> Row | None:
        """Return a key without its digest, or None."""
        return self._tx.one("get_api_key", id=key_id)

    def holder(self, digest: str) -> Row | None:
        """Return the user behind the key with this digest, expired or not, or None."""
        return self._tx.one("find_api_key_holder", digest=digest)

    def page(self, *, user_id: str | None, after: str, limit: int) -> list[Row]:
        """Return keys of one user (None: of all), oldest first, with ids greater than *after*."""
        if user_id is None:
            return self._tx.all("list_api_keys", after=after, row_limit=limit)
        return self._tx.all("list_api_keys_of", user_id=user_id, after=after, row_limit=limit)

    def touch(self, used: Mapping[str, int]) -> None:
        """Note when keys (id -> microseconds) were used last; keys that are gone do not matter."""
        self._tx.many("touch_api_key", [{"id": key, "at": at} for key, at in used.items()])

    def delete(self, key_id: str) -> bool:
        """Revoke a key; False without such a key."""
        return self._tx.run("delete_api_key", id=key_id) == 1
