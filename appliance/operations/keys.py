"""API keys: made for a user, shown once, revoked at once."""

from __future__ import annotations

import msgspec

from appliance import clock, ids
from appliance.errors import Forbidden, InvalidInput, NotFound
from appliance.operations import audit, tokens, users
from appliance.operations.actors import Actor, Role, check_role, least
from appliance.operations.identity import Identity
from appliance.operations.pages import Page, decode_cursor, page_of
from appliance.operations.tokens import Token
from appliance.store.api_keys import ApiKeys
from appliance.store.database import Row, Transaction

_YEAR_10000_US = 253_402_300_800 * clock.MICROSECONDS
MAX_NAME = 100
MAX_DESCRIPTION = 1000


class ApiKey(msgspec.Struct, frozen=True):
    """A key as its owner may see it. Times are RFC 3339; None is never."""

    id: str
    user_id: str
    prefix: str
    """The first characters of the text, to recognise it by."""
    name: str
    description: str
    role: Role
    """What the key may do at most; its user's role limits it further."""
    created_at: str | None
    expires_at: str | None
    last_used_at: str | None
    """Right to a minute."""


async def generate_key(
    identity: Identity,
    actor: Actor,
    *,
    name: str = "",
    description: str = "",
    expires_at_us: int | None = None,
    role: Role | None = None,
    user_id: str | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its text, which is never seen again.

    It is for *actor*, or as an admin for *user_id*. Without *role* it may do what its user and
    *actor* both may. Raises InvalidInput (text, expiry or role), Forbidden (a role too high),
    NotFound (no such user).
    """
    _check_text("name", name, MAX_NAME)
    _check_text("description", description, MAX_DESCRIPTION)
    _check_expiry(expires_at_us, identity.now_us())
    owner_id = _whose(actor, user_id)
    token = tokens.new_key()

    def work(tx: Transaction) -> ApiKey:
        key_id = add(
            tx,
            actor,
            token,
            user_id=owner_id,
            role=_role(actor, users.require(tx, owner_id), role),
            name=name,
            description=description,
            expires_at_us=expires_at_us,
            now=identity.now_us(),
        )
        return _key(_require(tx, actor, key_id))

    return await identity.add(work), token.text


def add(
    tx: Transaction,
    actor: Actor,
    token: Token,
    *,
    user_id: str,
    role: Role,
    name: str,
    description: str,
    expires_at_us: int | None,
    now: int,
) -> str:
    """Insert the key of *token*, note it and return its id. Raises what the transaction raises."""
    key_id = ids.new_id()
    ApiKeys(tx).insert(
        {
            "id": key_id,
            "user_id": user_id,
            "digest": token.digest,
            "prefix": token.prefix,
            "name": name,
            "description": description,
            "role": role,
            "created_at": now,
            "expires_at": expires_at_us,
        }
    )
    details = {"prefix": token.prefix, "user_id": user_id, "role": role}
    audit.record(tx, actor, "key.created", key_id, details)
    return key_id


async def list_keys(
    identity: Identity,
    actor: Actor,
    *,
    user_id: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page:
    """Return keys, oldest first: an admin sees all or those of *user_id*, a user the own ones.

    Raises NotFound for another's, InvalidInput for a bad cursor.
    """
    whose = user_id if actor.role == "admin" else _whose(actor, user_id)
    after = decode_cursor(cursor) if cursor else ""
    rows = await identity.read(
        lambda tx: ApiKeys(tx).page(user_id=whose, after=after, limit=limit + 1)
    )
    return page_of([msgspec.structs.asdict(_key(row)) for row in rows], limit, "id")


async def revoke_key(identity: Identity, actor: Actor, key_id: str) -> None:
    """Remove a key; it opens nothing any more when this returns.

    Raises NotFound, also for another's key unless *actor* is an admin.
    """

    def work(tx: Transaction) -> None:
        key = _require(tx, actor, key_id)
        ApiKeys(tx).delete(key_id)
        details = {"prefix": key["prefix"], "user_id": key["user_id"]}
        audit.record(tx, actor, "key.revoked", key_id, details)

    await identity.change(work)


def _require(tx: Transaction, actor: Actor, key_id: str) -> Row:
    key = ApiKeys(tx).get(key_id)
    if key is None or (actor.role != "admin" and key["user_id"] != actor.user_id):
        raise NotFound("There is no API key with this id.")
    return key


def _key(row: Row) -> ApiKey:
    names = ("created_at", "expires_at", "last_used_at")
    return ApiKey(**{**row, **{name: clock.to_rfc3339(row[name]) for name in names}})


def _check_text(field: str, value: str, limit: int) -> None:
    # Not printable: NUL and lone surrogates, which a database may refuse, and terminal escapes.
    if len(value) > limit or not value.replace("\n", " ").isprintable():
        raise InvalidInput(f"The {field} must be plain text of at most {limit} characters.")


def _check_expiry(expires_at_us: int | None, now: int) -> None:
    if expires_at_us is not None and not now < expires_at_us < _YEAR_10000_US:
        raise InvalidInput("The expiry must be later than now and before the year 10000.")


def _whose(actor: Actor, user_id: str | None) -> str:
    if user_id is None or user_id == actor.user_id:
        return actor.user_id
    if actor.role != "admin":
        raise NotFound("There is no user with this id.")
    return user_id


def _role(actor: Actor, owner: Row, role: Role | None) -> Role:
    highest = least(actor.role, owner["role"])
    if role is None:
        return highest
    check_role(role)
    if least(role, highest) != role:
        raise Forbidden(f"The role {role} is more than this key may have: {highest}.")
    return role
