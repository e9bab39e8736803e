"""Tools in JavaScript and TypeScript: the same contract as that of Python, on Node.js and on Bun."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from appliance.errors import InvalidInput
from appliance.tools import scripts
from appliance.tools.pool import ToolResult
from tests.tools.scripting import PROGRAMS, ScriptWorkshop
from tests.tools.workshop import (
    CONTEXT,
    Workshop,
    children,
    descriptors,
    gone,
    request,
    zygotes,
)

FAMILY = """
    import fs from "node:fs";
    import { spawn } from "node:child_process";

    export const pid = () => process.pid;
    export const sleep = async ({ seconds }) => {
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
        return process.pid;
    };
    export const spin = () => { for (;;); };
    // Starts a child and a grandchild, notes all three, and hangs.
    export const family = ({ directory }) => {
        const child = spawn("sh", ["-c", "sleep 600 & echo $!; wait"]);
        child.stdout.once("data", (text) => {
            fs.writeFileSync(directory + "/.pids", `${process.pid} ${child.pid} ${text}`);
            fs.renameSync(directory + "/.pids", directory + "/pids");
        });
        return new Promise(() => {});
    };
"""


# -- calls ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("tools.mjs", "export default { greet_all }; function greet_all(i) { return [i.name]; }"),
        ("tools.mjs", "export function greet_all({ name }) { return [name]; }"),
        ("tools.mjs", "export default { 'greet-all': async ({ name }) => [name] };"),
        ("tools.js", "module.exports = { greet_all: ({ name }) => [name] };"),
        ("tools.cjs", "exports.greet_all = ({ name }) => [name];"),
        ("tools.ts", "export const greet_all = (i: { name: string }): string[] => [i.name];"),
    ],
)
def test_functions_are_found_however_they_are_exported(
    scripting: ScriptWorkshop, name: str, source: str
) -> None:
    """By name or in the default object, as a module of either kind, with types or without."""
    scripting.entrypoint = scripting.directory / name
    scripting.open(source)

    assert scripting.output("greet-all", name="Ada") == ["Ada"]


def test_a_function_gets_the_input_and_the_context(scripting: ScriptWorkshop) -> None:
    """The first argument is the object that the task gives, the second says for which task."""
    scripting.open("export default { both: (...given) => given };")

    assert scripting.output("both", n=1) == [{"n": 1}, {**CONTEXT, "attempt": 1}]


def test_methods_of_the_default_object_know_it(scripting: ScriptWorkshop) -> None:
    """`this` is the object, so that functions can share what it holds."""
    scripting.open("export default { unit: 'km', far() { return `3 ${this.unit}`; } };")

    assert scripting.output("far") == "3 km"


def test_promises_are_awaited(scripting: ScriptWorkshop) -> None:
    """A promise is a result to come; one after the other runs in the same process."""
    scripting.open(FAMILY)

    pids = {scripting.output("sleep", seconds=0.001) for _ in range(5)}

    assert len(pids) == 1


def test_what_nobody_exports_is_not_found(scripting: ScriptWorkshop) -> None:
    """TOOL_NOT_FOUND names what there is; what every object inherits is no tool."""
    scripting.open("export default { one() {}, two() {}, three: 3 }; export const four = () => {};")

    for name in ("five", "three", "toString", "constructor", "default", "__proto__"):
        failure = scripting.failure(name)
        assert ("TOOL_NOT_FOUND", False) == (failure.code, failure.retryable)
        words = f'There is no function "{name}" in {scripting.entrypoint}; '
        assert failure.message == words + "it exports: four, one, two."


def test_results_are_passed_on_as_json(scripting: ScriptWorkshop) -> None:
    """Any JSON value is a result; none, and null, are an empty object."""
    scripting.open(
        "export const nothing = () => {}, none = () => null, same = (i) => i.value,"
        "date = () => new Date(0);"
    )

    assert scripting.output("nothing") == {}
    assert scripting.output("none") == {}
    assert scripting.output("date") == "1970-01-01T00:00:00.000Z"
    values: list[object] = [0, "", [], {"a": [None, True, 1.5]}, "añ\u2028\x00\U0001f600\\ud800"]
    for value in values:
        assert scripting.output("same", value=value) == value


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("() => 1", "The result, a function, is not JSON."),
        ("10n", "The result, a bigint, is not JSON: TypeError: "),
        ("loop", "The result, a Object, is not JSON: TypeError: "),
        ("'a\\ud800\\ud800'", "The result has half of a surrogate pair in a text."),
        ("nested(101)", "The result is nested more than 100 levels deep."),
        ("'x'.repeat(10 << 20)", "The result has 10485762 bytes of JSON; the limit is 10485760."),
    ],
)
def test_a_result_that_is_not_json_is_refused(
    scripting: ScriptWorkshop, expression: str, words: str
) -> None:
    """TOOL_OUTPUT says what is wrong with a result, and the process goes on."""
    scripting.open(f"""
        const loop = {{}};
        loop.self = loop;
        const nested = (levels) => levels ? [nested(levels - 1)] : "[[[";
        export default {{ tool: () => {expression}, deep: () => nested(100), pid: () => process.pid }};
    """)
    pid = scripting.output("pid")

    failure = scripting.failure("tool")

    assert ("TOOL_OUTPUT", False) == (failure.code, failure.retryable)
    assert words in failure.message
    assert isinstance(scripting.outcome("deep"), ToolResult)
    assert pid == scripting.output("pid")


def test_large_arguments_and_results_pass(scripting: ScriptWorkshop) -> None:
    """Frames of megabytes cross in pieces, both ways, byte for byte."""
    scripting.open("export const same = (input) => input;")
    text = "añ" * (3 << 20)

    assert scripting.output("same", text=text) == {"text": text}


def test_what_is_printed_is_no_answer(
    scripting: ScriptWorkshop, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever a function prints goes to the log of the server; the protocol has its own socket."""
    scripting.open("""
        import fs from "node:fs";
        console.log("while importing");
        export const tool = () => {
            console.log('{"output": "forged"}');
            process.stdout.write("\\x00\\x00\\x00\\x01");
            fs.writeSync(1, "x".repeat(100000));
            console.error("to stderr");
            return "real";
        };
    """)

    assert scripting.output("tool") == "real"
    assert {"while importing", '{"output": "forged"}', "to stderr"} <= {
        line.lstrip("\0\1x") for line in capfd.readouterr().err.splitlines()
    }


def test_env_is_set_for_the_call_only(
    scripting: ScriptWorkshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables of a call are there while it runs; secrets of the server never are."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    scripting.open(
        """
        const seen = () => ["A", "B", "DATABASE_URL"].map((name) => process.env[name] ?? null);
        export default { seen, fail() { throw new Error(process.env.B); } };
        """,
        env={"A": "of the runtime"},
    )

    assert scripting.output("seen", env={"A": "mine", "B": "too"}) == ["mine", "too", None]
    assert scripting.output("seen") == ["of the runtime", None, None]
    assert scripting.failure("fail", env={"B": "b"}).message == "Error: b"
    assert scripting.output("seen") == ["of the runtime", None, None]


# -- errors ---------------------------------------------------------------------------------------


def test_an_error_is_reported_with_type_and_place(scripting: ScriptWorkshop) -> None:
    """TOOL_ERROR has the type, the message, the cause and the frames of the user, none of ours."""
    scripting.open("""
        const inner = (n) => {
            throw new RangeError(`no ${n}`, { cause: new TypeError("that") });
        };
        export const outer = ({ n }) => { inner(n); };
        export const later = async ({ n }) => { inner(n); };
    """)

    for tool in ("outer", "later"):
        failure = scripting.failure(tool, n=7)

        assert ("TOOL_ERROR", True) == (failure.code, failure.retryable)
        assert failure.message == "RangeError: no 7; cause: TypeError: that"
        assert failure.details["type"] == "RangeError"
        frames = failure.details["traceback"].splitlines()
        assert [True, True] == [str(scripting.entrypoint) in frame for frame in frames]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("throw 'text'", "string: text"),
        ("throw undefined", "undefined: undefined"),
        ("throw new Error('x'.repeat(100000))", "Error: " + "x" * 1993),
        ("throw new Error('\\ud800')", "Error: \ufffd"),
        ("throw { toString() { throw 1; } }", "Error: its message cannot be shown"),
        ("return Promise.reject(new SyntaxError('later'))", "SyntaxError: later"),
    ],
)
def test_whatever_is_thrown_ends_the_call_alone(
    scripting: ScriptWorkshop, body: str, message: str
) -> None:
    """No value, however odd, takes the process or the protocol down."""
    scripting.open(f"export default {{ tool() {{ {body}; }}, fine: () => 1 }};")

    failure = scripting.failure("tool")

    assert ("TOOL_ERROR", message) == (failure.code, failure.message)
    assert scripting.output("fine") == 1


@pytest.mark.parametrize(
    "body",
    ["setTimeout(() => { throw new Error('stray'); }, 1)", "Promise.reject(new Error('stray'))"],
)
def test_an_error_that_nobody_awaits_fails_the_call(scripting: ScriptWorkshop, body: str) -> None:
    """It would be lost otherwise, and the call would hang; its process gets no further call."""
    scripting.open(f"""
        const stray = () => {{ {body}; return new Promise(() => {{}}); }};
        export default {{ stray, pid: () => process.pid }};
    """)
    pid = scripting.output("pid")

    failure = scripting.failure("stray")

    assert ("TOOL_ERROR", "Error: stray") == (failure.code, failure.message)
    assert pid != scripting.output("pid")
    assert scripting.wait_until(lambda: gone(pid))


@pytest.mark.parametrize(
    ("body", "words", "details"),
    [
        ("process.exit(3)", "ended with exit code 3.", {"exit_code": 3}),
        ("process.exit(0)", "ended with exit code 0.", {"exit_code": 0}),
        ("process.abort()", "was killed by SIG", None),
        ("process.kill(process.pid, 'SIGKILL')", "was killed by SIGKILL", {"signal": "SIGKILL"}),
    ],
)
def test_a_process_that_ends_is_a_crash(
    scripting: ScriptWorkshop, body: str, words: str, details: dict[str, object] | None
) -> None:
    """TOOL_CRASHED says how the process ended; another attempt may do better."""
    scripting.open(f"export default {{ tool() {{ {body}; }}, fine: () => 1 }};")

    failure = scripting.failure("tool")

    assert ("TOOL_CRASHED", True) == (failure.code, failure.retryable)
    assert words in failure.message
    assert details is None or details == failure.details
    assert scripting.output("fine") == 1


def test_a_process_that_ends_between_calls_is_replaced(scripting: ScriptWorkshop) -> None:
    """One that exits while it waits for a call is gone at once, and the next call finds another."""
    pool = scripting.open("""
        export const leave = () => { setTimeout(() => process.exit(0), 20); return process.pid; };
    """)
    pid = scripting.output("leave")

    assert scripting.wait_until(lambda: pool.processes == 0, 2)
    assert gone(pid)
    assert pid != scripting.output("leave")


@pytest.mark.parametrize(
    "hog", ["Buffer.alloc(64 << 20, 1)", "Array.from({ length: 1e6 }, Object)"]
)
def test_memory_is_bounded(scripting: ScriptWorkshop, hog: str) -> None:
    """A function that takes all memory fails by itself; the server and the machine go on."""
    source = f"""
        const kept = [];
        export default {{ hog() {{ for (;;) kept.push({hog}); }}, fine: () => 1 }};
    """
    scripting.open(source, memory_limit=128 << 20)

    failure = scripting.failure("hog")

    assert failure.code in {"TOOL_ERROR", "TOOL_CRASHED"}
    assert scripting.output("fine") == 1


# -- processes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["sleep", "spin"])
def test_a_call_without_time_left_is_killed(scripting: ScriptWorkshop, tool: str) -> None:
    """TOOL_TIMEOUT comes when the time is over, even for a loop that never yields."""
    scripting.open(FAMILY)
    pid = scripting.output("pid")
    began = time.monotonic()

    failure = scripting.failure(tool, timeout=0.2, seconds=600)

    assert 0.2 <= time.monotonic() - began < 2
    assert ("TOOL_TIMEOUT", True) == (failure.code, failure.retryable)
    assert gone(pid)


def test_the_time_of_a_call_begins_when_the_module_is_imported(scripting: ScriptWorkshop) -> None:
    """Starting a process may take longer than the call: that is not the function's time."""
    scripting.open("""
        await new Promise((resolve) => setTimeout(resolve, 400));
        export const quick = () => 1;
    """)

    assert scripting.output("quick", timeout=0.3) == 1


def test_kill_ends_the_whole_family(scripting: ScriptWorkshop, tmp_path: Path) -> None:
    """`kill` takes children and grandchildren along within milliseconds; no outcome follows."""
    scripting.open(FAMILY)
    call, future = scripting.submit(request("family", directory=str(tmp_path)))
    assert scripting.wait_until((tmp_path / "pids").exists)
    pids = [int(each) for each in (tmp_path / "pids").read_text().split()]
    assert not any(gone(pid) for pid in pids)
    began = time.monotonic()

    call.kill()

    while not all(gone(pid) for pid in pids):
        assert time.monotonic() - began < 1
    scripting.run(asyncio.sleep(0.05))
    assert not future.done()


def test_many_calls_share_few_processes(scripting: ScriptWorkshop) -> None:
    """200 calls at once are answered, each by its own answer, by as few processes as suffice."""
    pool = scripting.open("export const twice = ({ n }) => n * 2;", max_processes=4)

    outcomes = scripting.outcomes([request("twice", n=n) for n in range(200)])

    answers = [int(each.output) for each in outcomes if isinstance(each, ToolResult)]
    assert [n * 2 for n in range(200)] == answers
    assert pool.processes <= 4


def test_calls_that_wait_run_beside_each_other(scripting: ScriptWorkshop) -> None:
    """A call that is held up does not hold up the others: each has a process to itself."""
    scripting.open(FAMILY)
    wanted = [request("sleep", seconds=0.5) for _ in range(4)]

    outcomes = scripting.outcomes(wanted)

    assert 4 == len({each.output for each in outcomes if isinstance(each, ToolResult)})


def test_a_worker_holds_nothing_of_the_server(scripting: ScriptWorkshop) -> None:
    """It has its connection, its output and what its program opened: no socket of another."""
    pool = scripting.open(FAMILY, max_processes=2)
    pids = scripting.outcomes([request("sleep", seconds=0.3) for _ in range(2)])
    assert pool.processes == 2

    for outcome in pids:
        assert isinstance(outcome, ToolResult)
        opened = descriptors(int(outcome.output))
        assert [1] == [1 for target in opened.values() if target.startswith("socket:")][:2]
        assert opened["0"] == "/dev/null"


def test_a_closed_pool_leaves_no_process(scripting: ScriptWorkshop, tmp_path: Path) -> None:
    """Closing kills the calls under way and waits until everything is gone."""
    pool = scripting.open(FAMILY)
    scripting.submit(request("family", directory=str(tmp_path)))
    assert scripting.wait_until((tmp_path / "pids").exists)
    pids = [int(each) for each in (tmp_path / "pids").read_text().split()]

    scripting.run(pool.close())

    assert zygotes() == []
    assert [] == [pid for pid in pids if not gone(pid)]


def test_no_process_outlives_a_killed_server(scripting: ScriptWorkshop, tmp_path: Path) -> None:
    """When the processes above are killed with -9, even a loop that never yields ends."""
    scripting.open(FAMILY)
    scripting.submit(request("spin"))
    (zygote,) = zygotes()
    assert scripting.wait_until(lambda: bool(children(zygote)))
    (worker,) = children(zygote)

    os.kill(zygote, signal.SIGKILL)

    assert scripting.wait_until(lambda: gone(worker), 2)


# -- loading --------------------------------------------------------------------------------------


def test_reload_serves_the_new_functions(scripting: ScriptWorkshop) -> None:
    """Calls under way end in the old module; those to come run in the new one."""
    pool = scripting.open(FAMILY)
    _, slow = scripting.submit(request("sleep", seconds=0.4))
    scripting.wait_until(lambda: pool.busy == 1)
    scripting.write("export const fresh = () => 'new';")

    scripting.run(pool.reload())

    assert scripting.output("fresh") == "new"
    assert isinstance(scripting.run(slow), ToolResult)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("export const = 1;", "tools.mjs:1"),
        ("throw new TypeError('not today');", "cannot be imported: TypeError: not today"),
        ("import 'no-such-package';", "no-such-package"),
        ("process.exit(4);", "tools.mjs ended with exit code 4 while it was imported"),
    ],
)
def test_a_module_that_cannot_be_imported_says_why(
    scripting: ScriptWorkshop, source: str, words: str
) -> None:
    """The pool says it, a call is refused, and a reload leaves the processes that work in place."""
    pool = scripting.open(source)
    assert words in (pool.problem or "")
    failure = scripting.failure("pid")
    assert ("TOOL_UNAVAILABLE", True) == (failure.code, failure.retryable)

    working = scripting.open(FAMILY)
    pid = scripting.output("pid")
    scripting.write(source)
    with pytest.raises(InvalidInput, match="The tools were not loaded again"):
        scripting.run(working.reload())

    assert pid == scripting.output("pid")


# -- programs -------------------------------------------------------------------------------------


def fake(directory: Path, name: str, version: str) -> None:
    program = directory / name
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("version", "file", "words"),
    [
        ("v18.20.4", "tools.js", "is version 18.20; install Node.js 20 or newer"),
        ("v20.0.0", "tools.js", ""),
        (
            "v20.20.2",
            "tools.ts",
            "is version 20.20 and cannot run .ts files; install Node.js 22.18",
        ),
        ("v22.17.0", "tools.ts", "cannot run .ts files"),
        ("v23.5.0", "tools.mts", "cannot run .mts files"),
        ("v22.18.0", "tools.ts", ""),
        ("v23.6.0", "tools.ts", ""),
        ("v24.1.0", "tools.ts", ""),
        ("of Theseus", "tools.js", "does not say its version"),
        ("v24.1.0", "tools.py", "'tools.py' must end in one of .js, .mjs, .cjs, .ts, .mts"),
    ],
)
def test_a_program_that_cannot_run_the_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, file: str, words: str
) -> None:
    """One sentence says what is there, what is missing and what to do."""
    fake(tmp_path, "node", version)
    monkeypatch.setenv("PATH", str(tmp_path))

    told = scripts.problem("node", Path(file))

    assert words in told
    assert bool(words) == bool(told)


def test_a_pool_without_its_program_says_so(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server goes on without tools, and has them as soon as the program is there."""
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", "/nowhere")
    workshop.entrypoint = workshop.entrypoint.with_name("tools.mjs")

    pool = workshop.open_at(workshop.write("export const one = () => 1;"), language="node")

    words = "the runtime needs node, which is not on the PATH; install it (https://nodejs.org)"
    assert words == pool.problem
    failure = workshop.failure("one")
    assert f"No tool can be called: {words}." == failure.message
    assert ("TOOL_UNAVAILABLE", True) == (failure.code, failure.retryable)
    monkeypatch.setenv("PATH", f"{PROGRAMS['node']}/bin:{path}")
    workshop.run(asyncio.sleep(0.15))  # it is tried again after 0.1 s
    assert workshop.output("one") == 1


def test_a_program_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other program is offered where it is installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    words = "the runtime needs bun, which is not on the PATH; install it (https://bun.sh)"
    assert scripts.installed("bun") is None
    assert words == scripts.problem("bun", Path("tools.ts"))
    fake(tmp_path, "node", "v24.0.0")

    with pytest.raises(InvalidInput) as refused:
        scripts.command("bun", Path("tools.ts"), 0)

    instead = f", or write 'type: node' to use {tmp_path / 'node'}"
    assert words + instead == refused.value.message
