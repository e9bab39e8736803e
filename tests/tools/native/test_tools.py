"""Native tools as a whole: what is published is what there is, and how they live beside functions."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.config import DatabaseSettings, Settings
from appliance.operations.native_tools import grant
from appliance.tools.calls import ToolOutcome
from appliance.tools.native import IN_SERVER, IN_WORKERS, NATIVE, NOT_AVAILABLE, PREFIX
from appliance.tools.pool import ToolFailure, ToolRequest, ToolResult, ToolRuntime
from appliance.tools.pools import ToolPools
from appliance.tools.zygote.native import tools
from appliance.tools.zygote.native.grant import Grant
from tests.tools.native.cell import SECRET, Cell
from tests.tools.workshop import zygotes


def test_signatures_are_those_of_the_functions() -> None:
    """What a workflow is checked against is what the worker takes."""
    assert list(IN_WORKERS) == list(tools.PLACES)
    for name, signature in IN_WORKERS.items():
        function = tools._import(tools.PLACES[name])
        parameters = list(inspect.signature(function).parameters.values())[1:]
        assert signature.parameters == tuple(each.name for each in parameters)
        needed = tuple(each.name for each in parameters if each.default is each.empty)
        assert signature.required == needed


def test_every_name_has_one_place() -> None:
    """A native tool runs in a worker, or in the server, or is not available."""
    assert set(NATIVE) == {*IN_WORKERS, *IN_SERVER}
    assert not set(NATIVE) & NOT_AVAILABLE
    assert all(name.startswith(PREFIX) for name in {*NATIVE, *NOT_AVAILABLE})


def test_what_no_process_runs_is_not_found(cell: Cell) -> None:
    """A name that slipped through every check ends the task, not the worker."""
    assert "TOOL_NOT_FOUND" == cell.code("no_such")
    assert "inside" == cell.output("read_file", path="note.txt")["content"]


def test_the_zygote_needs_no_package(tmp_path: Path) -> None:
    """Everything that a worker imports is in the standard library, and in Python 3.9 already."""
    home = str(Path(tools.__file__).parents[2])
    code = f"""
import sys; sys.path[:] = [{home!r}, *filter(None, sys.path)]
from zygote.native import tools
for place in tools.PLACES.values(): tools._import(place)
print([name for name in sys.modules if name.partition(".")[0] in ("appliance", "msgspec")])
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert "[]\n" == done.stdout


# -- beside functions -----------------------------------------------------------------------------


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """An event loop whose processes are gone at the end."""
    with asyncio.Runner() as runner:
        yield runner
    assert zygotes() == []


def call(
    runner: asyncio.Runner, runtime: ToolRuntime, *wanted: tuple[str, dict[str, Any]]
) -> list[ToolOutcome]:
    """Make calls one after the other in pools of their own."""

    async def live() -> list[ToolOutcome]:
        pools = ToolPools(runtime)
        await pools.open()
        try:
            outcomes = []
            for tool, arguments in wanted:
                future: asyncio.Future[ToolOutcome] = asyncio.get_running_loop().create_future()
                pools.submit(
                    ToolRequest(tool, msgspec.json.encode(arguments), {}, 20.0), future.set_result
                )
                outcomes.append(await future)
            return outcomes
        finally:
            await pools.close()

    return runner.run(live())


def test_native_tools_need_no_entrypoint(runner: asyncio.Runner, tmp_path: Path) -> None:
    """A project without functions has them; only functions are refused then."""
    (tmp_path / "f").write_text("x")

    native, function = call(
        runner,
        ToolRuntime(None, native=Grant(str(tmp_path))),
        ("cp__read_file", {"path": "f"}),
        ("mine", {}),
    )

    assert isinstance(native, ToolResult)
    assert "TOOL_UNAVAILABLE" == getattr(function, "code", function)


def test_native_tools_do_not_depend_on_functions(runner: asyncio.Runner, tmp_path: Path) -> None:
    """Neither a broken entrypoint nor modules with the names of standard ones touch them."""
    for name in ("tools.py", "http.py", "ssl.py", "subprocess.py", "base64.py"):
        (tmp_path / name).write_text("raise ValueError")

    read, listed, fetched, executed = call(
        runner,
        ToolRuntime(tmp_path / "tools.py", native=Grant(str(tmp_path), commands=("pwd",))),
        ("cp__read_file", {"path": "http.py"}),
        ("cp__list_files", {"dir": "."}),
        ("cp__fetch", {"url": "http://127.0.0.1:1/"}),
        ("cp__exec", {"command": "pwd"}),
    )

    assert isinstance(read, ToolResult)
    assert isinstance(listed, ToolResult)
    assert "PermissionDenied" == getattr(fetched, "code", fetched)
    assert isinstance(executed, ToolResult)


def test_a_function_cannot_take_their_names(runner: asyncio.Runner, tmp_path: Path) -> None:
    """What begins with cp__ is built in, whatever the project defines."""
    entrypoint = tmp_path / "tools.py"
    entrypoint.write_text("def cp__read_file(**rest): return 'mine'\ndef own(): return 'own'")

    native, own = call(
        runner,
        ToolRuntime(entrypoint, native=Grant(str(tmp_path))),
        ("cp__read_file", {"path": "gone"}),
        ("own", {}),
    )

    assert "FileNotFound" == getattr(native, "code", native)
    assert ToolResult(b'"own"') == own


def test_turned_off_means_all(runner: asyncio.Runner, tmp_path: Path) -> None:
    """Each is refused with the name of the setting, and nothing is started for it."""
    entrypoint = tmp_path / "tools.py"
    entrypoint.write_text("def cp__exec(**rest): return 'mine'\ndef own(): return 'own'")

    outcomes = call(
        runner, ToolRuntime(entrypoint), *[(name, {}) for name in IN_WORKERS], ("own", {})
    )

    assert ToolResult(b'"own"') == outcomes.pop()
    for outcome in outcomes:
        assert isinstance(outcome, ToolFailure)
        assert ("PermissionDenied", False) == (outcome.code, outcome.retryable)
        assert "runtime.native_tools.enabled" in outcome.message


def test_variables_of_the_project_are_not_given_to_them(
    runner: asyncio.Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither entries of `.env` files nor secrets of the server can be fetched from /proc or shown."""
    monkeypatch.setenv("DATABASE_URL", SECRET)
    runtime = ToolRuntime(
        None,
        env={"TOKEN": SECRET},
        native=Grant("/", commands=("sh",), path=os.environ["PATH"]),
    )

    outcomes = call(
        runner,
        runtime,
        ("cp__exec", {"command": "sh", "args": ["-c", "env; cat /proc/$PPID/environ"]}),
        ("cp__read_file", {"path": "/proc/self/environ"}),
    )

    assert [ToolResult, ToolFailure] == [type(each) for each in outcomes]
    assert SECRET not in repr(outcomes)


# -- what the settings say ------------------------------------------------------------------------


def settings(home: Path, database: DatabaseSettings) -> Settings:
    files = (home / ".env", home / "named.env")
    return Settings(cwd=home, data_dir=home / "data", database=database, env_files=files)


def test_the_server_keeps_its_own_out_of_reach(tmp_path: Path) -> None:
    """Data directory, database wherever it is, and files of variables; the root is the project's."""
    found = grant(settings(tmp_path, DatabaseSettings(path=f"{tmp_path}/my.db")), "/project")
    postgres = grant(settings(tmp_path, DatabaseSettings(driver="postgres")), "/project")
    memory = grant(settings(tmp_path, DatabaseSettings(path=":memory:")), "/project")

    assert found is not None
    assert "/project" == found.root
    common = tuple(f"{tmp_path}/{name}" for name in ("data", ".env", "named.env"))
    assert (*common, f"{tmp_path}/my.db*", f"{tmp_path}/instance.lock") == found.protected
    assert [common, common] == [each.protected for each in (postgres, memory) if each]


def test_settings_can_turn_them_off(tmp_path: Path) -> None:
    """Then there is nothing to grant."""
    whole = settings(tmp_path, DatabaseSettings(path=":memory:"))
    off = msgspec.structs.replace(whole.runtime.native_tools, enabled=False)
    runtime = msgspec.structs.replace(whole.runtime, native_tools=off)

    assert grant(msgspec.structs.replace(whole, runtime=runtime), "/project") is None
