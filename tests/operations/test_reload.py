"""The project while a server runs: read again, refused where it is wrong, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appliance.config import DatabaseSettings
from appliance.errors import Conflict, InvalidInput, InvalidProject, NotSupported
from appliance.language.loader import load_project
from appliance.operations import executions, resources
from appliance.operations.actors import SYSTEM
from appliance.operations.appliance import Appliance
from tests.operations.projects import TOOLS, Shop

pytestmark = pytest.mark.anyio

MEMORY = DatabaseSettings(driver="sqlite", path=":memory:")
HOLD = """
id: hold
tasks:
  - {id: wait, tool: hold, with: {gate: "{{ .workflow.input.gate }}"}, on_success: {next: after}}
  - {id: after, tool: greet, with: {name: before}}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def lasting(request: pytest.FixtureRequest) -> DatabaseSettings:
    """A database of each kind that outlives a server."""
    settings: DatabaseSettings = request.getfixturevalue(f"{request.param}_settings")
    return settings


@pytest.fixture
async def opened(shop: Shop) -> AsyncIterator[Appliance]:
    async with shop.opened(MEMORY) as appliance:
        yield appliance


async def run(appliance: Appliance, workflow: str, **run_input: Any) -> Any:
    status, output = await outcome(appliance, await start(appliance, workflow, **run_input))
    assert "SUCCESS" == status
    return output


async def start(appliance: Appliance, workflow: str, **run_input: Any) -> str:
    started = await executions.start_execution(appliance, SYSTEM, workflow, run_input=run_input)
    return started.exec_id


async def outcome(appliance: Appliance, exec_id: str) -> tuple[str, Any]:
    assert await appliance.engine.wait(exec_id, 20)
    state: Any = await executions.get_execution(appliance, exec_id)
    return state["status"], state["output"]


async def test_what_is_new_counts_for_runs_to_come(shop: Shop, opened: Appliance) -> None:
    """Workflows, schemas, tools and a new function: all of it at once, and told in sentences."""
    assert [] == await opened.reload()
    shop.write("parts/tool.yaml", "{resource: tool, id: bow, description: Bows}")
    shop.write("parts/bow.yaml", "{resource: workflow, id: bow, tasks: [{id: a, tool: bow}]}")
    shop.write("tools.py", TOOLS + "\ndef bow():\n    return 'deeply'\n")
    shop.replace("greet.yaml", "said", "heard")

    assert [
        "tool bow is new",
        "workflow bow is new",
        "workflow greet is changed",
        "the tools are loaded again",
    ] == await opened.reload()
    assert {"a": {"output": "deeply"}} == await run(opened, "bow")
    assert {"heard": "Hello, Eve"} == await run(opened, "greet", name="Eve")
    (shop.directory / "parts/bow.yaml").unlink()
    assert ["workflow bow is gone"] == await opened.reload()


async def test_a_module_beside_the_tools_counts_too(shop: Shop, opened: Appliance) -> None:
    """What the tools import is a part of them."""
    shop.write("words.py", "WORD = 'one'\n")
    shop.write("tools.py", "from words import WORD\n\ndef greet(name):\n    return WORD\n")
    await opened.reload()
    assert {"said": "one"} == await run(opened, "greet")
    shop.write("words.py", "WORD = 'another'\n")
    assert ["the tools are loaded again"] == await opened.reload()
    assert {"said": "another"} == await run(opened, "greet")


@pytest.mark.parametrize(
    ("file", "text", "error", "words"),
    [
        ("greet.yaml", "id: greet\ntasks: [", InvalidProject, "greet.yaml:3:1"),
        (
            "greet.yaml",
            "id: greet\ntasks: [{id: a, tool: nothing}]",
            InvalidProject,
            "greet.yaml:2",
        ),
        ("compozy.yaml", "nmae: shop", InvalidProject, "compozy.yaml:1:1"),
        ("tools.py", "def greet(:", InvalidProject, "tools.py:1"),
        ("tools.py", "def greet(name):\n    pass\n1 / 0\n", InvalidInput, "division by zero"),
    ],
)
async def test_a_broken_file_is_refused(
    shop: Shop, opened: Appliance, file: str, text: str, *, error: type[Exception], words: str
) -> None:
    """With its place; the former project goes on, whole, and a mended file is taken up."""
    good = (shop.directory / file).read_text()
    shop.write(file, text)
    with pytest.raises(error, match=words):
        await opened.reload()
    assert {"said": "Hello, Ada"} == await run(opened, "greet")
    assert "greet" in opened.project.workflows
    with pytest.raises(error, match=words):
        await resources.put_resource(opened, SYSTEM, "tools", "bow", "id: bow")
    assert "bow" not in opened.project.tools

    shop.write(file, good)
    await opened.reload()
    assert {"said": "Hello, Ada"} == await run(opened, "greet")


async def test_runs_under_way_keep_their_definition(shop: Shop, lasting: DatabaseSettings) -> None:
    """Also the tasks that begin after the reload, and after a restart."""
    shop.write("greet.yaml", HOLD)
    gate = shop.directory / "gate"
    async with shop.opened(lasting) as appliance:
        first = await start(appliance, "hold", gate=str(gate))
        shop.replace("greet.yaml", "name: before", "name: after")
        assert ["workflow hold is changed"] == await appliance.reload()
        second = await start(appliance, "hold", gate=str(gate))
    async with shop.opened(lasting) as appliance:
        gate.touch()
        assert "Hello, before" == (await outcome(appliance, first))[1]["after"]["output"]
        assert "Hello, after" == (await outcome(appliance, second))[1]["after"]["output"]


async def test_a_reload_under_load_loses_nothing(shop: Shop, lasting: DatabaseSettings) -> None:
    """Every run that was accepted ends well, by the one definition or the other."""
    async with shop.opened(lasting) as appliance:
        accepted: list[str] = []
        stopping = False

        async def load() -> None:
            while not stopping:
                accepted.append(await start(appliance, "greet", name="Eve"))

        loads = [asyncio.create_task(load()) for _ in range(4)]
        for number in range(1, 7):
            shop.write("greet.yaml", shop_greet(number))
            if number % 3 == 0:
                shop.write("tools.py", TOOLS + f"\nNUMBER = {number}\n")
            await appliance.reload()
        stopping = True
        await asyncio.gather(*loads)
        ended = [await outcome(appliance, exec_id) for exec_id in accepted]
    assert {"SUCCESS"} == {status for status, _ in ended}
    assert {"Hello, Eve"} == {text for _, output in ended for text in output.values()}
    assert len({name for _, output in ended for name in output}) > 2


def shop_greet(number: int) -> str:
    task = '{id: only, tool: greet, with: {name: "{{ .workflow.input.name }}"}}'
    return (
        f'id: greet\ntasks: [{task}]\noutputs: {{said{number}: "{{{{ .tasks.only.output }}}}"}}\n'
    )


async def test_one_change_at_a_time(shop: Shop, opened: Appliance) -> None:
    """Many changes and reloads at once leave all of what was acknowledged."""
    text = "{id: t%d, description: x}"
    changes = [
        resources.put_resource(opened, SYSTEM, "tools", f"t{number}", text % number)
        for number in range(8)
    ]
    await asyncio.gather(*changes, *(opened.reload() for _ in range(4)))
    assert {f"t{number}" for number in range(8)} <= opened.project.tools.keys()


async def test_a_change_is_finished_also_when_nobody_waits(shop: Shop, opened: Appliance) -> None:
    """Who asked may leave: what was begun is stored and live, or neither."""
    change = asyncio.create_task(resources.put_resource(opened, SYSTEM, "tools", "bow", "id: bow"))
    await asyncio.sleep(0)
    change.cancel()
    await asyncio.gather(change, return_exceptions=True)
    await opened.reload()
    assert ("bow" in opened.project.tools) == (
        opened.definitions.stored(("tool", "bow")) is not None
    )


async def test_a_file_that_comes_later_is_no_silent_winner(
    shop: Shop, lasting: DatabaseSettings
) -> None:
    """A file with the id of something stored is refused until one of them goes."""
    async with shop.opened(lasting) as appliance:
        await resources.put_resource(appliance, SYSTEM, "tools", "bow", "id: bow")
        shop.write("parts/bow.yaml", "{resource: tool, id: bow, timeout: 5s}")
        with pytest.raises(InvalidProject, match=r"parts/bow\.yaml defines the tool 'bow' already"):
            await appliance.reload()
        assert appliance.project.tools["bow"].timeout is None
    with pytest.raises(InvalidProject):
        async with shop.opened(lasting):
            pass
    async with shop.opened(lasting, resume=False) as appliance:
        assert 5.0 == appliance.project.tools["bow"].timeout
        with pytest.raises(Conflict, match=r"parts/bow\.yaml"):
            await resources.put_resource(appliance, SYSTEM, "tools", "bow", "id: bow")
        await resources.delete_resource(appliance, SYSTEM, "tools", "bow")
    async with shop.opened(lasting) as appliance:
        assert 5.0 == appliance.project.tools["bow"].timeout


async def test_a_project_that_was_not_read_cannot_be_read_again(shop: Shop, tmp_path: Path) -> None:
    """That is said, instead of pretending."""
    from appliance.config import Settings

    project = load_project(shop.directory, {})
    settings = Settings(cwd=tmp_path, data_dir=tmp_path / "other", database=MEMORY)
    async with Appliance.open(settings, project) as appliance:
        with pytest.raises(NotSupported):
            await appliance.reload()
        with pytest.raises(NotSupported):
            await resources.put_resource(appliance, SYSTEM, "tools", "bow", "id: bow")
