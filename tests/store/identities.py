"""Rows of users and keys that tests put into a database."""

from __future__ import annotations

from appliance import ids
from appliance.operations import tokens
from appliance.store.api_keys import ApiKeys
from appliance.store.database import Database, Param
from appliance.store.users import Users


def add_user(db: Database, email: str = "ada@example.com", **more: Param) -> str:
    """Insert a user and return the id."""
    row: dict[str, Param] = {
        "id": ids.new_id(),
        "email": email,
        "email_key": email.casefold(),
        "role": "user",
        "password_hash": None,
        "created_at": 1_000_000,
        **more,
    }
    db.write(lambda tx: Users(tx).insert(row)).result()
    return str(row["id"])


def add_key(db: Database, user_id: str, **more: Param) -> tuple[str, str]:
    """Insert a key of a user and return id and digest."""
    token = tokens.new_key()
    row: dict[str, Param] = {
        "id": ids.new_id(),
        "user_id": user_id,
        "digest": token.digest,
        "prefix": token.prefix,
        "name": "ci",
        "description": "",
        "role": "user",
        "created_at": 2_000_000,
        "expires_at": None,
        **more,
    }
    db.write(lambda tx: ApiKeys(tx).insert(row)).result()
    return str(row["id"]), token.digest
