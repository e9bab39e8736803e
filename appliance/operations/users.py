"""Users: created, changed and removed by admins. There is always at least one admin."""

from __future__ import annotations

import msgspec

from appliance import clock, ids
from appliance.errors import Conflict, Forbidden, NotFound
from appliance.operations import audit, emails
from appliance.operations.actors import Actor, Role, check_role, require_admin
from appliance.operations.identity import Identity
from appliance.operations.pages import Page, decode_cursor, page_of
from appliance.store.database import Param, Row, Transaction
from appliance.store.sessions import Sessions
from appliance.store.users import Users


class User(msgspec.Struct, frozen=True):
    """A user as others may see it. Times are RFC 3339."""

    id: str
    email: str
    role: Role
    created_at: str | None
    updated_at: str | None


async def create_user(
    identity: Identity,
    actor: Actor,
    *,
    email: str,
    role: Role = "user",
    password: str | None = None,
) -> User:
    """Add a user; without a password the user works with API keys alone.

    Raises Forbidden, InvalidInput (address, role or password), Conflict (the address is taken).
    """
    require_admin(actor)
    emails.key(email)
    check_role(role)
    hashed = None if password is None else await identity.passwords.hash(password)

    def work(tx: Transaction) -> User:
        user_id = add(
            tx, actor, email=email, role=role, password_hash=hashed, now=identity.now_us()
        )
        return _user(require(tx, user_id))

    return await identity.add(work)


def add(
    tx: Transaction, actor: Actor, *, email: str, role: Role, password_hash: str | None, now: int
) -> str:
    """Insert a user, note it and return its id. Raises Conflict when the address is taken."""
    _require_free(tx, email)
    user_id = ids.new_id()
    row: dict[str, Param] = {
        "id": user_id,
        "email": email,
        "email_key": emails.key(email),
        "role": role,
        "password_hash": password_hash,
        "created_at": now,
    }
    Users(tx).insert(row)
    audit.record(tx, actor, "user.created", user_id, {"email": email, "role": role})
    return user_id


async def list_users(
    identity: Identity,
    actor: Actor,
    *,
    role: Role | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return users, oldest first. Raises Forbidden, InvalidInput (cursor or role)."""
    require_admin(actor)
    if role is not None:
        check_role(role)
    after = decode_cursor(cursor) if cursor else ""
    rows = await identity.read(
        lambda tx: Users(tx).page(role=role or "", after=after, limit=limit + 1)
    )
    return page_of([msgspec.structs.asdict(_user(row)) for row in rows], limit, "id")


async def get_user(identity: Identity, actor: Actor, user_id: str) -> User:
    """Return a user. Raises NotFound, also for others when *actor* is no admin."""
    _require_visible(actor, user_id)
    return _user(await identity.read(lambda tx: require(tx, user_id)))


async def update_user(
    identity: Identity,
    actor: Actor,
    user_id: str,
    *,
    email: str | None = None,
    role: Role | None = None,
    password: str | None = None,
) -> User:
    """Change what is not None. A new role counts at once; a new password ends every session.

    Admins may change everything; users who are logged in may change their own password.
    Raises NotFound, Forbidden, InvalidInput, Conflict (the address is taken, the last admin).
    """
    _require_visible(actor, user_id)
    _require_may_change(actor, only_password=email is None and role is None)
    if email is not None:
        emails.key(email)
    if role is not None:
        check_role(role)
    hashed = None if password is None else await identity.passwords.hash(password)

    def work(tx: Transaction) -> User:
        now = identity.now_us()
        user = require(tx, user_id)
        if email is not None:
            _set_email(tx, user, email, now)
        if role is not None:
            _set_role(tx, user, role, now)
        if hashed is not None:
            _set_password(tx, user, hashed, now)
        audit.record(tx, actor, "user.updated", user_id, _changes(email, role, password))
        return _user(require(tx, user_id))

    return await identity.change(work)


async def delete_user(identity: Identity, actor: Actor, user_id: str) -> None:
    """Remove a user with all keys and sessions.

    Raises Forbidden, NotFound, Conflict (the last admin).
    """
    require_admin(actor)

    def work(tx: Transaction) -> None:
        user = require(tx, user_id)
        if user["role"] == "admin":
            _require_other_admin(tx)
        Users(tx).delete(user_id)
        audit.record(tx, actor, "user.deleted", user_id, {"email": user["email"]})

    await identity.change(work)


def require(tx: Transaction, user_id: str) -> Row:
    """Return the row of a user. Raises NotFound."""
    row = Users(tx).get(user_id)
    if row is None:
        raise NotFound("There is no user with this id.")
    return row


def _user(row: Row) -> User:
    times = {name: clock.to_rfc3339(row[name]) for name in ("created_at", "updated_at")}
    return User(**{**row, **times})


def _require_visible(actor: Actor, user_id: str) -> None:
    if actor.role != "admin" and actor.user_id != user_id:
        raise NotFound("There is no user with this id.")


def _require_may_change(actor: Actor, *, only_password: bool) -> None:
    # A key may have a lesser role than its user. If it could set the password, it could log in and
    # have the role after all; so it takes a session.
    if actor.role != "admin" and not (only_password and actor.key_id is None):
        raise Forbidden("Only an admin may do this; log in to change your own password.")


def _require_free(tx: Transaction, email: str, *, but_for: str = "") -> None:
    taken = Users(tx).find(emails.key(email))
    if taken is not None and taken["id"] != but_for:
        raise Conflict("There is a user with this email address already.")


def _require_other_admin(tx: Transaction) -> None:
    if Users(tx).hold_admins() < 2:
        raise Conflict("This is the last admin; make another user admin first.")


def _set_email(tx: Transaction, user: Row, email: str, now: int) -> None:
    _require_free(tx, email, but_for=user["id"])
    Users(tx).set_email(user["id"], email, emails.key(email), now=now)


def _set_role(tx: Transaction, user: Row, role: Role, now: int) -> None:
    if user["role"] == "admin" and role != "admin":
        _require_other_admin(tx)
    Users(tx).set_role(user["id"], role, now=now)


def _set_password(tx: Transaction, user: Row, hashed: str, now: int) -> None:
    Users(tx).set_password(user["id"], hashed, now=now)
    Sessions(tx).delete_of(user["id"])


def _changes(email: str | None, role: Role | None, password: str | None) -> dict[str, str]:
    changes = {"email": email, "role": role, "password": password and "changed"}
    return {field: value for field, value in changes.items() if value is not None}
