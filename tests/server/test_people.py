"""Users, keys, sessions and the audit log over HTTP, on every database."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .conftest import Client

pytestmark = pytest.mark.anyio

API = "/api/v0"


def data(response: httpx.Response, status: int = 200) -> Any:
    assert status == response.status_code, response.text
    return response.json()["data"]


def code(response: httpx.Response) -> tuple[int, str]:
    assert "application/problem+json" == response.headers["content-type"]
    return response.status_code, response.json()["code"]


async def test_the_life_of_a_user(admin: httpx.AsyncClient, connect: Client) -> None:
    """Created, shown, changed, logged in, removed; keys and sessions end with the user."""
    wish = {"email": "ada@example.com", "password": "correct horse"}
    created = await admin.post(f"{API}/users", json=wish)
    ada = data(created, 201)
    assert f"{API}/users/{ada['id']}" == created.headers["location"]
    assert {"id", "email", "role", "created_at", "updated_at"} == ada.keys()
    assert ada == data(await admin.get(created.headers["location"]))

    session = data(await connect().post(f"{API}/auth/login", json=wish))
    hers = connect(session["token"])
    me = data(await hers.get(f"{API}/auth/me"))
    assert (ada["id"], "user", None) == (me["user_id"], me["role"], me["key_id"])
    assert ada == data(await hers.get(f"{API}/users/{ada['id']}"))
    assert (403, "forbidden") == code(await hers.get(f"{API}/users"))

    changed = await admin.patch(f"{API}/users/{ada['id']}", json={"role": "admin"})
    assert "admin" == data(changed)["role"]
    assert 200 == (await hers.get(f"{API}/users")).status_code

    key = data(await hers.post(f"{API}/auth/generate", json={"name": "laptop"}), 201)
    assert 200 == (await connect(key["api_key"]).get(f"{API}/auth/me")).status_code
    assert 204 == (await admin.delete(f"{API}/users/{ada['id']}")).status_code
    assert 401 == (await hers.get(f"{API}/auth/me")).status_code
    assert 401 == (await connect(key["api_key"]).get(f"{API}/auth/me")).status_code
    assert (404, "not_found") == code(await admin.get(f"{API}/users/{ada['id']}"))


async def test_what_users_cannot_be(admin: httpx.AsyncClient) -> None:
    """Taken addresses, unknown roles and fields, and the end of the last admin are refused."""
    assert 201 == (await admin.post(f"{API}/users", json={"email": "a@b.c"})).status_code
    again = await admin.post(f"{API}/users", json={"email": "A@b.C"})
    assert (409, "conflict") == code(again)
    for wish in (
        {},
        {"email": "nobody"},
        {"email": "x@y", "role": "root"},
        {"email": "x@y", "admin": True},
        {"email": "x@y", "password": ""},
        {"email": "x" * 250 + "@y.zz"},
    ):
        assert (400, "invalid_input") == code(await admin.post(f"{API}/users", json=wish)), wish
    me = data(await admin.get(f"{API}/auth/me"))["user_id"]
    assert (409, "conflict") == code(await admin.delete(f"{API}/users/{me}"))
    demoted = await admin.patch(f"{API}/users/{me}", json={"role": "user"})
    assert (409, "conflict") == code(demoted)


async def test_keys_are_shown_once_and_end_at_once(
    user: httpx.AsyncClient, connect: Client
) -> None:
    """The text is in the first answer only; times are RFC 3339; revoking works immediately."""
    wish = {"name": "ci", "description": "builds", "expires_at": "2100-01-01T00:00:00+01:00"}
    made = data(await user.post(f"{API}/auth/generate", json=wish), 201)
    key, text = made["key"], made["api_key"]
    assert text.startswith(key["prefix"])
    assert "2099-12-31T23:00:00.000000Z" == key["expires_at"]
    listed = await user.get(f"{API}/auth/keys")
    assert text not in listed.text
    assert key["id"] in [one["id"] for one in data(listed)["keys"]]

    opened = connect(text)
    assert 200 == (await opened.get(f"{API}/auth/me")).status_code
    assert 204 == (await user.delete(f"{API}/auth/keys/{key['id']}")).status_code
    assert (401, "unauthorized") == code(await opened.get(f"{API}/auth/me"))


async def test_what_keys_cannot_be(user: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    """Nobody makes a key that may do more than they may, or for others, or for the past."""
    for wish, expected in (
        ({"role": "admin"}, (403, "forbidden")),
        ({"user_id": "somebody"}, (404, "not_found")),
        ({"expires_at": "2001-01-01T00:00:00Z"}, (400, "invalid_input")),
        ({"expires_at": "2100-01-01T00:00:00"}, (400, "invalid_input")),
        ({"expires_at": "soon"}, (400, "invalid_input")),
        ({"name": "x" * 101}, (400, "invalid_input")),
    ):
        assert expected == code(await user.post(f"{API}/auth/generate", json=wish)), wish
    theirs = data(await admin.get(f"{API}/auth/keys?limit=1"))["keys"][0]
    assert (404, "not_found") == code(await user.delete(f"{API}/auth/keys/{theirs['id']}"))


async def test_listings_go_page_by_page(admin: httpx.AsyncClient) -> None:
    """Users, keys and audit entries: each once, by following the Link header."""
    for number in range(4):
        await admin.post(f"{API}/users", json={"email": f"user{number}@example.com"})
        await admin.post(f"{API}/auth/generate", json={"name": f"key{number}"})
    for path, noun in (("users", "users"), ("auth/keys", "keys"), ("audit", "entries")):
        url: str | None = f"{API}/{path}?limit=2"
        ids: list[str] = []
        while url:
            response = await admin.get(url)
            ids += [entry["id"] for entry in data(response)[noun]]
            url = response.links.get("next", {}).get("url")
        whole = data(await admin.get(f"{API}/{path}?limit=500"))
        assert [entry["id"] for entry in whole[noun]] == ids
        assert {"limit": 500, "next_cursor": None} == whole["page"]
        assert len(ids) >= 5
    admins = data(await admin.get(f"{API}/users?role=admin"))["users"]
    assert ["admin@localhost"] == [one["email"] for one in admins]
    for role in ("root", "null", ""):
        assert (400, "invalid_input") == code(await admin.get(f"{API}/users?role={role}"))
    made = data(await admin.get(f"{API}/audit?action=user.created&limit=2"))["entries"]
    assert ["user.created"] * 2 == [entry["action"] for entry in made]


async def test_guessing_is_slow(connect: Client, admin: httpx.AsyncClient) -> None:
    """Wrong and unknown look the same; after some failures 429 says how long to wait."""
    wish = {"email": "ada@example.com", "password": "correct horse"}
    await admin.post(f"{API}/users", json=wish)
    stranger = connect(address="192.0.2.66")
    wrong = await stranger.post(f"{API}/auth/login", json=wish | {"password": "wrong"})
    unknown = await stranger.post(f"{API}/auth/login", json=wish | {"email": "no@body"})
    assert (401, "unauthorized") == code(wrong) == code(unknown)
    assert wrong.json()["detail"] == unknown.json()["detail"]
    for _ in range(10):
        wrong = await stranger.post(f"{API}/auth/login", json=wish | {"password": "wrong"})
        if wrong.status_code != 401:
            break
    assert (429, "too_many_requests") == code(wrong)
    assert int(wrong.headers["retry-after"]) >= 1


async def test_logging_out_ends_the_session(connect: Client, admin: httpx.AsyncClient) -> None:
    """The token opens nothing afterwards, and other sessions go on."""
    wish = {"email": "ada@example.com", "password": "correct horse"}
    await admin.post(f"{API}/users", json=wish)
    first, second = [
        connect(data(await connect().post(f"{API}/auth/login", json=wish))["token"])
        for _ in range(2)
    ]
    assert 204 == (await first.post(f"{API}/auth/logout")).status_code
    assert 401 == (await first.get(f"{API}/auth/me")).status_code
    assert 200 == (await second.get(f"{API}/auth/me")).status_code
