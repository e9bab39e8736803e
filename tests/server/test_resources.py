"""Definitions over HTTP: every answer of every kind, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from appliance.config import DatabaseSettings
from appliance.language import yaml
from appliance.server.app import Application
from tests.operations.projects import GREET, Shop

from .conftest import Client, clients

pytestmark = pytest.mark.anyio

YAML = {"content-type": "application/yaml"}
BODIES: dict[str, tuple[str, str, str]] = {
    "schemas": ("order", "id: order\ntype: object", "id: order\ntype: string"),
    "models": ("mock:m", "{provider: mock, model: m}", "{provider: mock, model: m, api_key: k}"),
    "memories": ("chat", "id: chat", "id: chat\nmax_messages: 7"),
    "mcps": ("gh", "{id: gh, url: 'http://localhost:1'}", "{id: gh, url: 'http://localhost:2'}"),
    "tools": ("hold", "id: hold", "id: hold\ntimeout: 5s"),
    "agents": (
        "writer",
        "{id: writer, instructions: Write, model: {provider: mock, model: m}}",
        "{id: writer, instructions: Draw, model: {provider: mock, model: m}}",
    ),
    "tasks": ("wave", "{id: wave, tool: greet}", "{id: wave, tool: greet, with: {name: Bob}}"),
    "workflows": (
        "wave",
        "{id: wave, tasks: [{id: a, tool: greet}]}",
        "{id: wave, tasks: [{id: a, tool: greet, with: {name: Bob}}]}",
    ),
}
BODIES["models"] = (
    "mock:m",
    "{provider: mock, model: m}",
    "{provider: mock, model: m, api_key: k}",
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@asynccontextmanager
async def serving(shop: Shop, database: DatabaseSettings) -> AsyncIterator[Client]:
    """Serve the shop to clients with a token, by default that of the admin."""
    async with shop.opened(database) as appliance, clients(Application(appliance)) as connect:

        def client(token: str = "") -> httpx.AsyncClient:
            made = connect(token or str(appliance.data.read_admin_key()))
            made.base_url = httpx.URL("http://test/api/v0/")
            return made

        yield client


@pytest.fixture
async def root(database_settings: DatabaseSettings, shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    """An admin of a shop on each database."""
    async with serving(shop, database_settings) as client:
        yield client()


@pytest.fixture(scope="module")
async def memory(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """Clients of one shop in memory, for what is the same on every database."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    async with serving(shop, DatabaseSettings(path=":memory:")) as client:
        yield client


@pytest.fixture
async def anywhere(memory: Client) -> AsyncIterator[httpx.AsyncClient]:
    """An admin of a shop in memory, which is as it was afterwards."""
    client = memory()
    yield client
    for noun in ("workflows", "tasks", "agents", "tools", "mcps", "memories", "models", "schemas"):
        for one in data(await client.get(noun))[noun]:
            if one["defined_in"] == "api":
                assert 204 == (await client.delete(f"{noun}/{one['id']}")).status_code


def data(response: httpx.Response, status: int = 200) -> Any:
    assert status == response.status_code, response.text
    return response.json()["data"]


def told(response: httpx.Response, status: int, code: str) -> Any:
    """The problem that an answer is; it says what and where."""
    assert (status, code) == (response.status_code, response.json()["code"]), response.text
    assert "application/problem+json" == response.headers["content-type"]
    return response.json()


async def put(
    client: httpx.AsyncClient, path: str, text: str, status: int = 201, **headers: str
) -> httpx.Response:
    fields = YAML | {name.replace("_", "-"): value for name, value in headers.items()}
    response = await client.put(path, content=text, headers=fields)
    assert status == response.status_code, response.text
    return response


async def run(client: httpx.AsyncClient, workflow: str, **run_input: Any) -> Any:
    started = await client.post(f"workflows/{workflow}/executions/sync", json={"input": run_input})
    return data(started)["output"]


async def test_the_life_of_a_definition(root: httpx.AsyncClient) -> None:
    """Created, shown, known, replaced with the right etag alone, listed, deleted, gone."""
    for noun in BODIES:
        await live(root, noun)


async def live(root: httpx.AsyncClient, noun: str) -> None:
    name, first, second = BODIES[noun]
    path = f"{noun}/{name}"
    created = await put(root, path, first, if_none_match="*")
    assert f"/api/v0/{path}" == created.headers["location"]
    etag = created.headers["etag"]
    shown = await root.get(path)
    assert etag == shown.headers["etag"]
    assert (name, etag.strip('"'), "api") == tuple(
        data(shown)[key] for key in ("id", "etag", "defined_in")
    )
    same = await root.get(path, headers={"if-none-match": f'"old", {etag}'})
    assert (304, b"", etag) == (same.status_code, same.content, same.headers["etag"])

    told(
        await root.put(path, content=first, headers=YAML | {"if-none-match": "*"}),
        412,
        "precondition_failed",
    )
    told(
        await root.put(path, content=second, headers=YAML | {"if-match": '"x"'}),
        412,
        "precondition_failed",
    )
    told(
        await root.put(path, content=second, headers=YAML | {"if-match": f"W/{etag}"}),
        412,
        "precondition_failed",
    )
    replaced = await put(root, path, second, 200, if_match=f'"x", {etag}')
    assert etag != replaced.headers["etag"]
    assert replaced.headers["etag"] == (await root.get(path)).headers["etag"]

    listed = data(await root.get(noun, params={"q": name[:2]}))[noun]
    assert [name] == [one["id"] for one in listed]
    told(await root.delete(path, headers={"if-match": etag}), 412, "precondition_failed")
    assert 204 == (await root.delete(path, headers={"if-match": "*"})).status_code
    told(await root.delete(path), 404, "not_found")
    told(await root.get(path), 404, "not_found")
    told(
        await root.put(path, content=first, headers=YAML | {"if-match": "*"}),
        412,
        "precondition_failed",
    )
    await put(root, path, first)


async def test_a_workflow_is_live_and_durable_when_it_is_answered(
    shop: Shop, database_settings: DatabaseSettings
) -> None:
    """New runs use it at once, and the next server on the same database has it too."""
    async with serving(shop, database_settings) as client:
        root = client()
        await put(root, "workflows/wave", BODIES["workflows"][1])
        assert {"a": {"output": "Hello, Ada"}} == await run(root, "wave")
        await put(root, "workflows/wave", BODIES["workflows"][2], 200)
        assert {"a": {"output": "Hello, Bob"}} == await run(root, "wave")
        etag = (await root.get("workflows/wave")).headers["etag"]
    async with serving(shop, database_settings) as client:
        root = client()
        assert etag == (await root.get("workflows/wave")).headers["etag"]
        assert {"a": {"output": "Hello, Bob"}} == await run(root, "wave")


async def test_of_two_writers_with_one_etag_one_wins(root: httpx.AsyncClient) -> None:
    """Whoever read first and writes last is told, instead of undoing what the other did."""
    etag = (await put(root, "tools/hold", "id: hold")).headers["etag"]

    async def write(seconds: int) -> int:
        text = f"id: hold\ntimeout: {seconds}s"
        headers = YAML | {"if-match": etag}
        return (await root.put("tools/hold", content=text, headers=headers)).status_code

    statuses = await asyncio.gather(*(write(seconds) for seconds in range(1, 9)))
    assert [200, *[412] * 7] == sorted(statuses)
    winner = statuses.index(200) + 1
    assert f"{winner}s" == data(await root.get("tools/hold"))["timeout"]


async def test_of_many_who_create_one_does(root: httpx.AsyncClient) -> None:
    """`If-None-Match: *` makes one definition, however many ask at once."""
    headers = YAML | {"if-none-match": "*"}
    answers = await asyncio.gather(
        *(root.put("tools/hold", content="id: hold", headers=headers) for _ in range(6))
    )
    assert [201, *[412] * 5] == sorted(answer.status_code for answer in answers)


async def test_a_file_comes_first(anywhere: httpx.AsyncClient) -> None:
    """What a file has cannot be replaced or deleted here; the answer names file and setting."""
    for method, path in (
        ("PUT", "workflows/greet"),
        ("PUT", "tools/greet"),
        ("PUT", "schemas/person"),
    ):
        name = path.partition("/")[2]
        answer = await anywhere.request(method, path, content=f"id: {name}", headers=YAML)
        problem = told(answer, 409, "conflict")
        file = "greet.yaml" if path.startswith("workflows") else "compozy.yaml"
        assert {"file": file, "setting": "config.source_of_truth"} == problem["details"]
        assert file in problem["detail"]
        assert "config.source_of_truth: builder" in problem["detail"]
        assert file in told(await anywhere.delete(path), 409, "conflict")["detail"]


async def test_the_api_comes_first_where_that_is_set(shop: Shop, root: httpx.AsyncClient) -> None:
    """With `builder` a file's definition is hidden, and counts again when the other is deleted."""
    shop.replace("compozy.yaml", "repo", "builder")
    data(await root.post("admin/reload"))
    former = (await root.get("workflows/greet")).headers["etag"]
    text = "{id: greet, tasks: [{id: only, tool: greet, with: {name: builder}}]}"

    hidden = await put(root, "workflows/greet", text, 200, if_match=former)

    assert {"only": {"output": "Hello, builder"}} == await run(root, "greet")
    assert "api" == data(await root.get("workflows/greet"))["defined_in"]
    assert (
        204
        == (
            await root.delete("workflows/greet", headers={"if-match": hidden.headers["etag"]})
        ).status_code
    )
    assert former == (await root.get("workflows/greet")).headers["etag"]
    assert {"said": "Hello, Eve"} == await run(root, "greet", name="Eve")
    told(await root.delete("workflows/greet"), 409, "conflict")


async def test_what_others_name_stays(anywhere: httpx.AsyncClient) -> None:
    """The refusal lists who names it; when they are gone it can go."""
    await put(anywhere, "schemas/order", "id: order\ntype: object")
    await put(anywhere, "tools/hold", "id: hold\ninput: order")
    await put(anywhere, "tasks/wait", "{id: wait, tool: hold, with: {gate: x}}")
    await put(
        anywhere, "workflows/w", "{id: w, tasks: [{id: a, tool: {id: hold}, with: {gate: x}}]}"
    )

    problem = told(await anywhere.delete("tools/hold"), 409, "conflict")
    assert {"tasks": ["wait"], "workflows": ["w"]} == problem["details"]["references"]
    assert "tasks: wait; workflows: w" in problem["detail"]
    assert {"tools": ["hold"]} == told(await anywhere.delete("schemas/order"), 409, "conflict")[
        "details"
    ]["references"]

    for path in ("workflows/w", "tasks/wait", "tools/hold", "schemas/order"):
        assert 204 == (await anywhere.delete(path)).status_code, path


@pytest.mark.parametrize(
    ("path", "text", "places"),
    [
        ("tools/t", "id: t\ntimeout: 5x", ["api:tool/t:2:1"]),
        ("tools/t", "id: t\ntimeuot: 5s", ["api:tool/t:2:1"]),
        ("workflows/w", "id: w\ntasks:\n  - {id: a, tool: nothing}", ["api:workflow/w:3:13"]),
        ("workflows/w", "id: w", ["api:workflow/w:1:1"]),
        ("workflows/w", "resource: tool\nid: w", ["api:workflow/w:1:1"]),
        ("schemas/s", "id: s\ntype: nonsense", ["api:schema/s:2:1"]),
    ],
)
async def test_what_does_not_fit_is_refused(
    anywhere: httpx.AsyncClient, path: str, text: str, places: list[str]
) -> None:
    """With every problem and its place; nothing is stored."""
    problem = told(await anywhere.put(path, content=text, headers=YAML), 422, "invalid_project")
    problems = problem["details"]["problems"]
    assert places == [one.rpartition(": ")[0][: len(places[0])] for one in problems[:1]]
    told(await anywhere.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"id: [", "application/yaml", 400),
        (b"- id: t", "application/yaml", 400),
        (b"", "application/yaml", 400),
        (b"id: other", "application/yaml", 400),
        (b"description: no id", "application/yaml", 400),
        (b"id: t\nid: t", "application/yaml", 400),
        (b"id: &a t", "application/yaml", 400),
        (b"id: \xff", "application/yaml", 400),
        (b"id: t\ndescription: \x00", "application/yaml", 400),
        (b'{"id": "t"', "application/json", 400),
        (b'{"id": "t", "description": "\\u0000"}', "application/json", 400),
        (b"id: t", "application/json", 400),
        (b"<id>t</id>", "application/xml", 415),
        (b'{"id": "t"}', "application/json; charset=utf-8", 201),
        (b'{"id": "t"}', "application/vnd.x+json", 201),
        (b'{"id": "t", "description": "\\ud83d\\ude00\\u0085\\n"}', "application/json", 201),
        (b"id: t  # comment", "text/yaml", 201),
    ],
)
async def test_bodies(anywhere: httpx.AsyncClient, body: bytes, kind: str, status: int) -> None:
    """YAML and JSON with the limits of files and of requests; what is not read is said."""
    answer = await anywhere.put("tools/t", content=body, headers={"content-type": kind})
    assert status == answer.status_code, answer.text
    if status == 201 and b"ud83d" in body:
        assert "\U0001f600\x85\n" == data(await anywhere.get("tools/t"))["description"]


async def test_a_body_that_is_too_large(anywhere: httpx.AsyncClient) -> None:
    """Is 413, as everywhere."""
    large = b"id: t\ndescription: " + b"x" * (11 << 20)
    told(await anywhere.put("tools/t", content=large, headers=YAML), 413, "too_large")


@pytest.mark.parametrize("value", ["etag", "'x'", '"x', '"x" "y"', ""])
async def test_an_etag_is_quoted(anywhere: httpx.AsyncClient, value: str) -> None:
    """A condition that cannot be understood is not taken for none."""
    headers = YAML | {"if-match": value}
    told(await anywhere.put("tools/t", content="id: t", headers=headers), 400, "invalid_input")


async def test_listings_go_page_by_page(anywhere: httpx.AsyncClient) -> None:
    """By id, with Link; `q` is the beginning, `workflow_id` whose they are; a bad cursor is 400."""
    for name in "abcd":
        await put(anywhere, f"schemas/s{name}", f"id: s{name}\ntype: object")
    await put(
        anywhere, "workflows/w", "{id: w, config: {input: sb}, tasks: [{id: a, tool: greet}]}"
    )
    seen, url = [], "/api/v0/schemas?limit=1&q=s"
    while url:
        page = await anywhere.get(f"http://test{url}")
        seen += [one["id"] for one in data(page)["schemas"]]
        url = page.links.get("next", {}).get("url", "")
    assert ["sa", "sb", "sc", "sd"] == seen
    of_workflow = await anywhere.get("schemas", params={"workflow_id": "w"})
    assert ["sb"] == [one["id"] for one in data(of_workflow)["schemas"]]
    told(await anywhere.get("schemas?cursor=nonsense"), 400, "invalid_input")
    told(await anywhere.get("schemas?workflow_id=ghost"), 404, "not_found")


async def test_users_read_and_do_not_write(anywhere: httpx.AsyncClient, memory: Client) -> None:
    """Who is no admin sees definitions without their secrets, and changes none."""
    await put(anywhere, "models/m", "{id: m, provider: mock, model: m, api_key: 's3cret'}")
    await put(anywhere, "models/n", "{id: n, provider: mock, model: m, api_key: '{{ .env.KEY }}'}")
    made = data(await anywhere.post("users", json={"email": "ada@example.com"}), 201)
    key = data(await anywhere.post("auth/generate", json={"user_id": made["id"]}), 201)["api_key"]
    user = memory(key)

    assert "********" == data(await user.get("models/m"))["api_key"]
    assert "{{ .env.KEY }}" == data(await user.get("models/n"))["api_key"]
    assert "s3cret" not in (await user.get("models")).text
    assert "s3cret" == data(await anywhere.get("models/m"))["api_key"]
    told(await user.put("tools/t", content="id: t", headers=YAML), 403, "forbidden")
    told(await user.delete("models/m"), 403, "forbidden")
    told(await user.post("project/export"), 403, "forbidden")


async def test_export_and_import_are_a_round_trip(root: httpx.AsyncClient, tmp_path: Path) -> None:
    """An empty project that imports an export has the same definitions with the same etags."""
    for noun, (name, _, text) in BODIES.items():
        await put(root, f"{noun}/{name}", text)
    exported = (await root.post("project/export")).text
    etags = await all_etags(root)
    empty = Shop(tmp_path / "empty")
    empty.write("compozy.yaml", "name: empty")

    database = DatabaseSettings(driver="sqlite", path=":memory:")
    async with serving(empty, database) as client:
        other = client()
        done = data(await other.post("project/import", content=exported, headers=YAML))
        assert (sorted(etags), [], []) == tuple(map(sorted, done.values()))
        assert etags == await all_etags(other)
        assert exported == (await other.post("project/export")).text
        assert {"said": "Hello, Eve"} == await run(other, "greet", name="Eve")
        again = data(await other.post("project/import", content=exported, headers=YAML))
        assert ([], [], sorted(etags)) == tuple(map(sorted, again.values()))


async def all_etags(client: httpx.AsyncClient) -> dict[str, str]:
    found = {}
    for noun in BODIES:
        for one in data(await client.get(noun))[noun]:
            found[f"{noun}/{one['id']}"] = one["etag"]
    return found


async def test_the_strategy_of_an_import(root: httpx.AsyncClient) -> None:
    """Seeds leave what is there; overwriting replaces what is different; files stay files."""
    await put(root, "tools/hold", "id: hold")
    text = "tools:\n- {id: hold, timeout: 9s}\n- {id: fresh}\n"
    seeded = data(
        await root.post("tools/import", content="tools: [{id: hold, timeout: 9s}]", headers=YAML)
    )
    assert {"created": [], "replaced": [], "skipped": ["tools/hold"]} == seeded
    assert "timeout" not in data(await root.get("tools/hold"))
    query = {"strategy": "overwrite_conflicts"}
    done = data(await root.post("tools/import", params=query, content=text, headers=YAML))
    assert {"created": ["tools/fresh"], "replaced": ["tools/hold"], "skipped": []} == done
    assert "9s" == data(await root.get("tools/hold"))["timeout"]

    clash = "tools:\n- {id: other}\n- {id: greet}\n"
    answer = await root.post("tools/import", params=query, content=clash, headers=YAML)
    assert "compozy.yaml" in told(answer, 409, "conflict")["detail"]
    told(await root.get("tools/other"), 404, "not_found")
    wrong = await root.post("tools/import?strategy=nonsense", content=clash, headers=YAML)
    told(wrong, 400, "invalid_input")


@pytest.mark.parametrize(
    "text",
    [
        "workflows: []",
        "tools: {id: x}",
        "tools: [x]",
        "tools: [{description: x}]",
        "tools: [{id: x}, {id: x}]",
        "[]",
        "nonsense: []",
    ],
)
async def test_what_is_no_export_is_refused(anywhere: httpx.AsyncClient, text: str) -> None:
    """An import takes what an export gives, of its own kind."""
    told(await anywhere.post("tools/import", content=text, headers=YAML), 400, "invalid_input")


async def test_an_import_is_all_or_nothing(anywhere: httpx.AsyncClient) -> None:
    """One definition that does not fit, and none is taken."""
    text = "tools: [{id: good}, {id: bad, timeout: never}]"
    problem = told(
        await anywhere.post("tools/import", content=text, headers=YAML), 422, "invalid_project"
    )
    assert "api:tool/bad:2:1" in problem["detail"]
    told(await anywhere.get("tools/good"), 404, "not_found")


async def test_workflows_show_their_parts(anywhere: httpx.AsyncClient) -> None:
    """Tasks, agents and tools by themselves, and in the listing where asked for."""
    text = """
id: big
agents: [{id: own, instructions: x, model: {provider: mock, model: m}}]
triggers: [{type: webhook, webhook: {slug: x, verify: {strategy: hmac, header: X-S, secret: s3cret},
  events: [{name: e, filter: 'true', input: {a: b}}]}}]
tasks:
- {id: group, type: parallel, tasks: [{id: inner, tool: greet}]}
"""
    await put(anywhere, "workflows/big", text)
    shown = await anywhere.get("workflows/big")
    assert "s3cret" not in shown.text
    assert "api" == data(shown)["defined_in"]
    assert ["group"] == [
        task["id"] for task in data(await anywhere.get("workflows/big/tasks"))["tasks"]
    ]
    assert "greet" == data(await anywhere.get("workflows/big/tasks/inner"))["tool"]
    assert "Greets" == data(await anywhere.get("workflows/big/tools/greet"))["description"]
    assert "x" == data(await anywhere.get("workflows/big/agents/own"))["instructions"]
    told(await anywhere.get("workflows/big/tools/nothing"), 404, "not_found")
    told(await anywhere.get("workflows/nothing/tools"), 404, "not_found")
    [listed] = data(await anywhere.get("workflows?q=big&expand=tasks,nonsense"))["workflows"]
    assert ["group"] == [task["id"] for task in listed["tasks"]]
    assert {"tools", "agents"} & listed.keys() == set()


async def test_the_project_is_its_file(anywhere: httpx.AsyncClient) -> None:
    """It is shown; to change it is 405, with the reason."""
    shown = data(await anywhere.get("project"))
    assert ("shop", "repo", 1) == (
        shown["name"],
        shown["source_of_truth"],
        shown["counts"]["workflows"],
    )
    for method in ("PUT", "DELETE"):
        answer = await anywhere.request(method, "project")
        assert "compozy.yaml" in told(answer, 405, "method_not_allowed")["detail"]
        assert "HEAD, GET" == answer.headers["allow"]


async def test_changes_are_noted(root: httpx.AsyncClient) -> None:
    """Who stored, deleted, imported and reloaded what is in the audit log."""
    await put(root, "tools/hold", "id: hold")
    await root.delete("tools/hold")
    await root.post("tools/import", content="tools: [{id: hold}]", headers=YAML)
    await root.post("admin/reload")
    entries = data(await root.get("audit"))["entries"][:4]
    assert [
        ("project.reloaded", "shop"),
        ("definition.imported", "tools/seed_only"),
        ("definition.deleted", "tools/hold"),
        ("definition.stored", "tools/hold"),
    ] == [(entry["action"], entry["subject"]) for entry in entries]
    assert ["tools/hold"] == entries[1]["details"]["done"]["created"]


async def test_the_export_is_what_was_written(anywhere: httpx.AsyncClient) -> None:
    """Definitions of files and of the API alike, as data that reads back."""
    text = (await anywhere.post("workflows/export")).text
    assert {"workflows": [yaml.load(GREET, "x").data]} == yaml.load(text, "x").data
