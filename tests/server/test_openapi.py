"""The description of the API says what the API does."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from appliance.errors import ApplianceError
from appliance.server import docs
from appliance.server.app import Application
from appliance.server.openapi import operations
from appliance.server.routes import handlers

from .conftest import Client

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(sqlite_app: tuple[Application, Client]) -> Any:
    return (await sqlite_app[1]().get("/openapi.json")).json()


@pytest.fixture
async def page(sqlite_app: tuple[Application, Client]) -> httpx.Response:
    return await sqlite_app[1]().get("/docs")


def described(api: Any) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    }


async def test_every_route_is_described(api: Any) -> None:
    """With a summary, an id of its own, an answer that has a form, and the errors of its door."""
    routes = {f"{one.method} {one.path}": one for one in operations(handlers())}
    assert routes.keys() == described(api).keys()
    ids = [operation["operationId"] for operation in described(api).values()]
    assert len(set(ids)) == len(ids)
    for name, operation in described(api).items():
        assert operation["summary"].endswith("."), name
        answers = operation["responses"]
        access = routes[name].access
        proven = name.endswith(("/login", "/hooks/{slug}"))  # by something else than a key
        assert ("401" in answers) == (access != "public" or proven), name
        assert access != "admin" or "403" in answers, name
        assert ("{" not in name) or "400" in answers, name
        assert operation.get("security", "key") == {
            "public": [],
            "local": [{}, {"bearer": []}],
        }.get(access, "key"), name
        for status, answer in answers.items():
            kind = "application/problem+json"
            if status == "default" or (int(status) >= 400 and name[-4:] + status != "sync408"):
                assert kind in answer["content"], (name, status)


async def test_every_reference_leads_somewhere(api: Any) -> None:
    """No schema is missing and none is superfluous."""
    wanted = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(api)))
    assert api["components"]["schemas"].keys() == wanted


async def test_the_page_shows_everything_and_needs_nothing(api: Any, page: httpx.Response) -> None:
    """Every operation and schema is on it, links lead to places on it, nothing comes from outside."""
    shown = Page(page.text)
    for operation in described(api).values():
        assert operation["operationId"] in shown.ids
    for name in api["components"]["schemas"]:
        assert f"schema-{name}" in shown.ids
    assert len(shown.ids) == len(set(shown.ids))
    assert [] == [link for link in shown.links if link[1:] not in shown.ids and link[0] == "#"]
    assert {"/openapi.json"} == {link for link in shown.links if link[0] != "#"}
    assert not {"script", "img", "link", "iframe", "object"} & shown.tags
    assert [] == shown.attributes
    assert "url(" not in page.text
    assert "@import" not in page.text


async def test_the_page_explains_every_code(page: httpx.Response) -> None:
    """The `type` of a problem is an address on the page."""

    def kinds(error: type[ApplianceError]) -> set[str]:
        return {error.code}.union(*(kinds(kind) for kind in error.__subclasses__()))

    edge = {"method_not_allowed", "unsupported_media_type", "deadline_exceeded", "stopping"}
    assert kinds(ApplianceError) | edge <= set(Page(page.text).ids)


async def test_the_policy_of_the_page_lets_its_style_in(page: httpx.Response) -> None:
    """The style is allowed by its hash, scripts not at all."""
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script" not in policy
    style = re.search(r"<style>(.*)</style>", page.text, re.DOTALL)
    assert style is not None
    assert docs.digest(style[1]) in policy
    assert "text/html; charset=utf-8" == page.headers["content-type"]


def test_what_is_described_is_escaped() -> None:
    """Whatever a description says, it is text on the page."""
    evil = "<script>\"&'"
    operation = {
        "operationId": evil,
        "summary": evil,
        "description": f"`{evil}`",
        "tags": [evil],
        "parameters": [
            {
                "name": evil,
                "in": evil,
                "description": evil,
                "schema": {"enum": [evil], "description": evil},
            },
            {"name": "b", "in": "query", "schema": {"format": evil, "default": evil}},
        ],
        "requestBody": {"content": {evil: {"schema": {"$ref": f"#/components/schemas/{evil}"}}}},
        "responses": {evil: {"description": evil, "content": {evil: {"schema": {}}}}},
    }
    api = {
        "info": {"title": evil, "version": evil, "description": evil},
        "tags": [{"name": evil}],
        "paths": {evil: {"get": operation}},
        "components": {
            "schemas": {
                evil: {"title": evil, "description": evil, "properties": {evil: {"type": evil}}}
            }
        },
    }
    shown = docs.render(api).decode()
    assert "<script" not in shown
    assert "\"&'" not in shown


async def test_the_manual_names_every_route() -> None:
    """docs/api.md has each route with who may use it, and no other."""
    audience = {"public": "everybody", "local": "this machine, user"}
    expected = {
        (one.method, one.path, audience.get(one.access, one.access))
        for one in operations(handlers())
    }
    manual = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    rows = re.findall(r"^\| ([A-Z]+) \| (.*?) \| (.*?) \|", manual, re.MULTILINE)
    named = {
        (method, path, who) for method, paths, who in rows for path in re.findall("`(.*?)`", paths)
    }
    assert expected == named


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name not in {"class", "lang", "charset", "name", "content"}:
                self.attributes.append(name)


async def test_the_description_is_json(sqlite_app: tuple[Application, Client]) -> None:
    """Served under its own media type, and small enough to read."""
    response = await sqlite_app[1]().get("/openapi.json")
    assert response.headers["content-type"].startswith("application/vnd.oai.openapi+json")
    assert "3.1.0" == msgspec.json.decode(response.content)["openapi"]
