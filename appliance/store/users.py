"""Users: who may use the appliance. A user may have no password and work with keys alone."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.store.database import Param, Row, Transaction


class Users:
    """Users by id and address. Every method is one statement in the caller's transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def insert(self, row: Mapping[str, Param]) -> None:
        """Add a user. Raises Conflict when its `email_key` is taken."""
        self._tx.run("insert_user", **row)

    def get(self, user_id: str) -> Row | None:
        """Return a user without the hash of the password, or None."""
        return self._tx.one("get_user", id=user_id)

    def find(self, email_key: str) -> Row | None:
        """Return id, email, role and password_hash of the user with this address, or None."""
        return self._tx.one("find_user", email_key=email_key)

    def page(self, *, role: str, after: str, limit: int) -> list[Row]:
        """Return users, oldest first, with ids greater than *after*; an empty role is any role."""
        return self._tx.all("list_users", role=role, after=after, row_limit=limit)

    def set_email(self, user_id: str, email: str, email_key: str, *, now: int) -> bool:
        """Change the address; False without such a user. Raises Conflict when it is taken."""
        params: dict[str, Param] = {
            "id": user_id,
            "email": email,
            "email_key": email_key,
            "now": now,
        }
        return self._tx.run("set_user_email", **params) == 1

    def set_role(self, user_id: str, role: str, *, now: int) -> bool:
        """Change the role; False without such a user."""
        return self._tx.run("set_user_role", id=user_id, role=role, now=now) == 1

    def set_password(self, user_id: str, password_hash: str, *, now: int) -> bool:
        """Change the password; False without such a user."""
        params: dict[str, Param] = {"id": user_id, "password_hash": password_hash, "now": now}
        return self._tx.run("set_user_password", **params) == 1

    def renew_password(self, user_id: str, *, current: str, renewed: str) -> bool:
        """Replace the hash *current* and keep it locked; False when it is no longer the hash."""
        params: dict[str, Param] = {"id": user_id, "current": current, "renewed": renewed}
        return self._tx.run("renew_user_password", **params) == 1

    def hold_admins(self) -> int:
        """Return the number of admins, which cannot change before the transaction ends."""
        return self._tx.run("hold_admins")

    def has_admin(self) -> bool:
        """Tell whether there is an admin."""
        return self._tx.one("find_admin") is not None

    def delete(self, user_id: str) -> bool:
        """Remove a user with its keys and sessions; False without such a user."""
        return self._tx.run("delete_user", id=user_id) == 1
