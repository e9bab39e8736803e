"""Bootstrap: the first admin, made when an appliance starts for the first time."""

from __future__ import annotations

from collections.abc import Callable

from appliance import clock
from appliance.errors import Conflict
from appliance.failpoint import failpoint
from appliance.operations import emails, keys, tokens, users
from appliance.operations.actors import SYSTEM
from appliance.operations.tokens import Token
from appliance.store.database import Database, Transaction, settle
from appliance.store.users import Users


def _discard(_text: str) -> None:
    pass


async def bootstrap(
    db: Database,
    *,
    email: str = "admin@localhost",
    former: str | None = None,
    keep: Callable[[str], object] = _discard,
) -> str | None:
    """Create an admin with an API key and return its text; None when there is an admin already.

    The key that an earlier database was opened with, *former*, is taken again: it opens both.
    *keep* gets the text just before it becomes valid: a crash in between leaves a useless copy, not
    an admin whose key nobody has. Raises InvalidInput (address), Conflict (a user who is no admin
    has the address), what *keep* raises.
    """
    emails.key(email)
    if await settle(db.read(lambda tx: Users(tx).has_admin())):
        return None
    token = tokens.known_key(former) or tokens.new_key()
    failpoint("bootstrap.begun")
    keep(token.text)
    failpoint("bootstrap.key_kept")
    try:
        made = await settle(db.write(lambda tx: _make(tx, email, token)))
    except Conflict:
        if not await settle(db.read(lambda tx: Users(tx).has_admin())):
            raise
        made = False
    failpoint("bootstrap.made")
    return token.text if made else None


def _make(tx: Transaction, email: str, token: Token) -> bool:
    if Users(tx).has_admin():
        return False
    now = clock.now_us()
    user_id = users.add(tx, SYSTEM, email=email, role="admin", password_hash=None, now=now)
    keys.add(
        tx,
        SYSTEM,
        token,
        user_id=user_id,
        role="admin",
        name="admin",
        description="Made at the first start.",
        expires_at_us=None,
        now=now,
    )
    return True
