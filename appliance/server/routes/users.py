"""Users: `/users`, for admins; a user sees and may change the own entry."""

from __future__ import annotations

from typing import Annotated, cast, get_args

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter

from appliance.errors import Conflict, Forbidden, NotFound
from appliance.operations import emails, passwords, users
from appliance.operations.actors import Role
from appliance.server.authentication import ADMIN
from appliance.server.contract import raises
from appliance.server.envelope import Cursor, Envelope, Limit, listing, show
from appliance.server.request import ApiRequest
from appliance.server.views import UserList, UserView

Email = Annotated[
    str,
    msgspec.Meta(max_length=emails.MAX_CHARACTERS, extra_json_schema={"format": "email"}),
]
Password = Annotated[
    str, msgspec.Meta(min_length=passwords.MIN_CHARACTERS, max_length=passwords.MAX_BYTES)
]


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A user to add. Without a password the user works with API keys alone."""

    email: Email
    role: Role = "user"
    password: Password | None = None


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to change of a user; what is null or left out stays."""

    email: Email | None = None
    role: Role | None = None
    password: Password | None = None


@get("/users", opt=ADMIN, tags=["users"])
async def list_users(
    request: ApiRequest,
    role: Annotated[
        str | None, QueryParameter(enum=get_args(Role), description="Only users with this role.")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Envelope[UserList]]:
    """List the users, oldest first."""
    page = await users.list_users(
        request.appliance.identity,
        request.actor,
        role=cast("Role | None", role),
        limit=limit,
        cursor=cursor,
    )
    return listing(request, UserList, page, limit)


@post("/users", opt=ADMIN | raises(Conflict), tags=["users"])
async def create_user(request: ApiRequest, data: JSONBody[NewUser]) -> Response[Envelope[UserView]]:
    """Add a user."""
    user = await users.create_user(
        request.appliance.identity,
        request.actor,
        email=data.email,
        role=data.role,
        password=data.password,
    )
    headers = {"location": f"{request.scope['path']}/{user.id}"}
    return Response(
        Envelope(data=show(UserView, user), message="User created", status=201), headers=headers
    )


@get("/users/{user_id:str}", opt=raises(NotFound), tags=["users"])
async def get_user(request: ApiRequest, user_id: FromPath[str]) -> Envelope[UserView]:
    """Show a user; those who are no admin see themselves only."""
    user = await users.get_user(request.appliance.identity, request.actor, user_id)
    return Envelope(data=show(UserView, user))


@patch("/users/{user_id:str}", opt=raises(Forbidden, NotFound, Conflict), tags=["users"])
async def update_user(
    request: ApiRequest, user_id: FromPath[str], data: JSONBody[UserChange]
) -> Envelope[UserView]:
    """Change a user.

    Somebody who is no admin may change the own password, logged in with the old one.
    """
    user = await users.update_user(
        request.appliance.identity,
        request.actor,
        user_id,
        email=data.email,
        role=data.role,
        password=data.password,
    )
    return Envelope(data=show(UserView, user), message="User updated")


@delete("/users/{user_id:str}", opt=ADMIN | raises(NotFound, Conflict), tags=["users"])
async def delete_user(request: ApiRequest, user_id: FromPath[str]) -> None:
    """Remove a user with all keys and sessions. The last admin stays."""
    await users.delete_user(request.appliance.identity, request.actor, user_id)


HANDLERS = [list_users, create_user, get_user, update_user, delete_user]
