"""`auth`: users and API keys. A password or a key is never an argument: others see those."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from appliance.cli.bootstrap import bootstrap
from appliance.cli.client import Client, call, segment
from appliance.cli.invocation import CLIENT, Invocation, confirm, takes
from appliance.errors import InvalidInput, NotFound, UsageError

_ROLE = click.Choice(["admin", "user"])
_LIMIT = click.option("--limit", type=click.IntRange(1), default=500, help="At most. [500]")
_KEY_FIELDS = ("id", "prefix", "name", "role", "user_id", "created_at", "expires_at")
_USER_FIELDS = ("id", "email", "role", "created_at")


@click.group()
def auth() -> None:
    """Manage users and API keys."""


auth.add_command(bootstrap)


def _with_password(function: Callable[..., Any]) -> Callable[..., Any]:
    asked = click.option("--password", "ask", is_flag=True, help="Ask for a password, hidden.")
    read = click.option("--password-stdin", "read", is_flag=True, help="Read it from stdin.")
    return asked(read(function))


@auth.command("create-user")
@click.option("--email", required=True, help="Address of the user.")
@click.option("--role", type=_ROLE, default="user", help="What the user may do. [user]")
@_with_password
@takes(*CLIENT)
def create_user(invocation: Invocation, *, email: str, role: str, ask: bool, read: bool) -> None:
    """Add a user; without a password the user works with API keys alone."""
    body = {"email": email, "role": role, "password": _new_password(ask, read)}
    invocation.output().record(call(invocation, lambda client: client.post("/users", body)))


@auth.command("list-users")
@click.option("--role", type=_ROLE, help="Only users with this role.")
@_LIMIT
@takes(*CLIENT)
def list_users(invocation: Invocation, *, role: str | None, limit: int) -> None:
    """List users, oldest first."""
    rows = call(invocation, lambda client: client.pages("/users", "users", limit=limit, role=role))
    invocation.output().rows(rows, *_USER_FIELDS)


@auth.command("update-user")
@click.argument("user")
@click.option("--email", help="The new address.")
@click.option("--role", type=_ROLE, help="The new role.")
@_with_password
@takes(*CLIENT)
def update_user(
    invocation: Invocation, *, user: str, email: str | None, role: str | None, ask: bool, read: bool
) -> None:
    """Change a user, who is named by id or email address."""
    body = {"email": email, "role": role, "password": _new_password(ask, read)}
    if not any(body.values()):
        raise UsageError("Nothing to change: give --email, --role or --password.")

    async def work(client: Client) -> Any:
        return await client.patch(f"/users/{segment(await _user_id(client, user))}", body)

    invocation.output().record(call(invocation, work))


@auth.command("delete-user")
@click.argument("user")
@click.option("--force", is_flag=True, help="Do not ask.")
@takes(*CLIENT)
def delete_user(invocation: Invocation, *, user: str, force: bool) -> None:
    """Remove a user, who is named by id or email address, with all keys and sessions."""
    if not force:
        confirm(f"Remove {user} with all keys?", "--force")

    async def work(client: Client) -> None:
        await client.delete(f"/users/{segment(await _user_id(client, user))}")

    call(invocation, work)
    click.echo(f"{user} is removed.")


@auth.command()
@click.option("--name", default="", help="What to call it.")
@click.option("--description", default="", help="What it is for.")
@click.option("--role", type=_ROLE, help="What it may do at most [what its user may].")
@click.option("--user", help="For this user, by id or email address [oneself].")
@click.option("--expires", help='When it ends: "30d", "12h" from now, or a date (RFC 3339).')
@takes(*CLIENT)
def generate(
    invocation: Invocation,
    *,
    name: str,
    description: str,
    role: str | None,
    user: str | None,
    expires: str | None,
) -> None:
    """Make an API key. Its text is shown now and never again."""
    body = {"name": name, "description": description, "role": role}
    body["expires_at"] = _moment(expires) if expires else None

    async def work(client: Client) -> Any:
        user_id = await _user_id(client, user) if user else None
        return await client.post("/auth/generate", {**body, "user_id": user_id})

    made = call(invocation, work)
    output = invocation.output()
    if output.style == "table":
        click.echo("Keep this key, it is not shown again:", err=True)
        click.echo(made["api_key"])
    else:
        output.value(made)


@auth.command("list")
@click.option("--user", help="Only keys of this user, by id or email address.")
@_LIMIT
@takes(*CLIENT)
def list_keys(invocation: Invocation, *, user: str | None, limit: int) -> None:
    """List API keys, oldest first; an admin sees all."""

    async def work(client: Client) -> list[dict[str, Any]]:
        user_id = await _user_id(client, user) if user else None
        return await client.pages("/auth/keys", "keys", limit=limit, user_id=user_id)

    invocation.output().rows(call(invocation, work), *_KEY_FIELDS)


@auth.command()
@click.argument("key_id")
@click.option("--force", is_flag=True, help="Do not ask.")
@takes(*CLIENT)
def revoke(invocation: Invocation, *, key_id: str, force: bool) -> None:
    """Revoke an API key, which is named by its id, at once."""
    if not force:
        confirm(f"Revoke the key {key_id}?", "--force")
    call(invocation, lambda client: client.delete(f"/auth/keys/{segment(key_id)}"))
    click.echo(f"{key_id} is revoked.")


@auth.command()
@click.option("--email", required=True, help="Address of the user.")
@click.option("--password-stdin", "read", is_flag=True, help="Read it from stdin.")
@takes(*CLIENT)
def login(invocation: Invocation, *, email: str, read: bool) -> None:
    """Begin a session with a password, and show its token: it works like an API key."""
    body = {"email": email, "password": _read_password() if read else _ask_password()}
    session = call(invocation, lambda client: client.post("/auth/login", body))
    invocation.output().record(session)


@auth.command()
@takes(*CLIENT)
def whoami(invocation: Invocation) -> None:
    """Show whose key is used, and what it may do."""
    invocation.output().record(call(invocation, lambda client: client.get("/auth/me")))


async def _user_id(client: Client, who: str) -> str:
    """Return the id of a user who is named by id or email address. Raises: NotFound."""
    if "@" not in who:
        return who
    users = await client.pages("/users", "users", limit=1_000_000)
    for user in users:
        if user["email"].lower() == who.lower():
            return str(user["id"])
    raise NotFound(f"There is no user with the address {who}.")


def _new_password(ask: bool, read: bool) -> str | None:
    if read:
        return _read_password()
    return _ask_password(confirm=True) if ask else None


def _ask_password(*, confirm: bool = False) -> str:
    text: str = click.prompt("Password", hide_input=True, confirmation_prompt=confirm, err=True)
    return text


def _read_password() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise UsageError("--password-stdin: standard input is empty.")
    return password


def _moment(text: str) -> str:
    """Return the moment that *text* means, in RFC 3339: a duration from now, or a date."""
    from appliance import clock
    from appliance.language.durations import parse_duration

    try:
        seconds = parse_duration(text)
    except InvalidInput:
        return text if "T" in text else f"{text}T00:00:00Z"
    return clock.to_rfc3339(clock.now_us() + int(seconds * clock.MICROSECONDS)) or ""
