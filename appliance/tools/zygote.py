"""The zygote: a process that imports the entrypoint once and is forked into warm workers.

It is run by path, perhaps under another interpreter than the server (Python 3.9 or newer), so it
imports nothing but the standard library. Arguments: entrypoint, number of the control socket, bytes
of address space (0 = no bound).

Over the control socket (one JSON object per packet) the server asks `{"fork": true}` with a stream
socket attached, and `{"reap": pid}`. The zygote says `{"ready": true}` or `{"problem": text}` once,
then `{"forked": pid}` or `{"failed": text}` for each fork in order, and `{"died": pid, "status": n}`
(an exit code, or minus a signal). A dead worker stays a zombie until the server says reap: the
server may kill its process group until then, and the number cannot belong to anybody else.

Over its stream socket a worker serves one call at a time. A frame is four bytes of length, big
endian, and JSON: `{"tool", "arguments", "context", "env"}` one way, `{"output"}` or
`{"failure": {"code", "message", "details"}}` the other way. End of file ends the worker.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib.util
import inspect
import json
import os
import resource
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterator, NamedTuple  # noqa: UP035 - runs on 3.9

OUTPUT_LIMIT = 10 << 20
DEPTH_LIMIT = 100
MESSAGE_LIMIT = 2000
TRACEBACK_LIMIT = 4000
FRAME_LIMIT = 20
PR_SET_PDEATHSIG = 1

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Refusal(Exception):  # noqa: N818 - it is not an error of this program
    """A call that ends in a failure with a code of its own."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


# -- the functions of the entrypoint ----------------------------------------------------------------


class Function(NamedTuple):
    """A function that can be called by name, and whether it declares the parameter `context`."""

    call: Callable[..., Any]
    wants_context: bool


class Functions:
    """The functions of the entrypoint, found by name."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._found: dict[str, Function] = {}

    def find(self, tool: str) -> Function:
        """Return the function for the id *tool*; hyphens stand for underscores."""
        found = self._found.get(tool)
        if found is None:
            found = self._found[tool] = self._look_up(tool)
        return found

    def _look_up(self, tool: str) -> Function:
        name = tool.replace("-", "_")
        value = getattr(self._module, name, None) if self._is_public(name) else None
        if not callable(value) or isinstance(value, type):
            raise self._not_found(name)
        return Function(value, "context" in parameters_of(value))

    def _is_public(self, name: str) -> bool:
        listed = getattr(self._module, "__all__", None)
        return not name.startswith("_") and (listed is None or name in listed)

    def _not_found(self, name: str) -> Refusal:
        import difflib

        message = f"There is no function {name!r} in {self._module.__file__}"
        close = difflib.get_close_matches(name, filter(self._is_public, dir(self._module)), 1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        return Refusal("TOOL_NOT_FOUND", message + hint, function=name)

    def need_asyncio(self) -> bool:
        """Tell whether a function is `async def`: then asyncio is imported once, before forking."""
        values = list(vars(self._module).values())
        return any(inspect.iscoroutinefunction(value) for value in values)


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters that can be given by keyword; none where they cannot be known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {each.name: each for each in parameters if each.kind in by_keyword}


def load(entrypoint: Path) -> Functions:
    """Import the file *entrypoint* as Python imports a script: its directory is first in sys.path."""
    package = entrypoint.name == "__init__.py"
    home = entrypoint.parent.parent if package else entrypoint.parent
    name = entrypoint.parent.name if package else entrypoint.stem
    if sys.path[0] == str(Path(__file__).parent):
        del sys.path[0]
    sys.path.insert(0, str(home))
    sys.argv[:] = [str(entrypoint)]
    spec = importlib.util.spec_from_file_location(
        name, entrypoint, submodule_search_locations=[str(entrypoint.parent)] if package else None
    )
    if spec is None or spec.loader is None:
        msg = f"{entrypoint} is not a Python file"
        raise ImportError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(name, module)
    spec.loader.exec_module(module)
    return Functions(module)


# -- one call ---------------------------------------------------------------------------------------


def answer(functions: Functions, frame: bytes) -> bytes:
    """Carry out the call in *frame* and return the frame that answers it."""
    try:
        text = f'{{"output":{output_of(functions, read(frame))}}}'
        reply = text.encode()
        if len(reply) > OUTPUT_LIMIT:
            msg = f"The result has {len(reply)} bytes of JSON; the limit is {OUTPUT_LIMIT}."
            raise Refusal("TOOL_OUTPUT", msg)
    except UnicodeEncodeError:
        refusal = Refusal("TOOL_OUTPUT", "The result has text with half a surrogate pair in it.")
        reply = failure(refusal)
    except Refusal as refusal:
        reply = failure(refusal)
    return len(reply).to_bytes(4, "big") + reply


def read(frame: bytes) -> Any:
    """Return the call in *frame*."""
    try:
        return json.loads(frame)
    except (ValueError, RecursionError) as error:
        msg = f"The arguments cannot be read as JSON: {error}."
        raise Refusal("TOOL_ARGUMENTS", msg) from None


def output_of(functions: Functions, call: dict[str, Any]) -> str:
    """Call the function and return its result as JSON."""
    function = functions.find(call["tool"])
    arguments = call["arguments"]
    if not isinstance(arguments, dict):
        msg = f"The arguments of {call['tool']!r} must be an object."
        raise Refusal("TOOL_ARGUMENTS", msg)
    if function.wants_context:
        arguments.setdefault("context", call["context"])
    try:
        with environment(call["env"]):
            result = function.call(**arguments)
            if hasattr(result, "__await__"):
                result = finish(result)
    except BaseException as error:  # noqa: BLE001 - SystemExit ends the call, not the worker
        raise refusal_of(error, call["tool"], function.call, arguments) from None
    return "{}" if result is None else to_json(result)


def finish(awaitable: Any) -> Any:
    """Run an awaitable to its end in an event loop of its own."""
    import asyncio

    async def wait() -> Any:
        return await awaitable

    return asyncio.run(wait())


@contextlib.contextmanager
def environment(entries: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the time of a call."""
    before = {name: os.environ.get(name) for name in entries}
    try:
        os.environ.update(entries)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def to_json(result: Any) -> str:
    """Return *result* as JSON that every reader can take."""
    try:
        text = encode(result)
    except Exception as error:  # noqa: BLE001 - a mapping of the user may raise anything
        msg = f"The result, a {type(result).__name__}, is not JSON: {sentence_of(error)}."
        raise Refusal("TOOL_OUTPUT", msg[:MESSAGE_LIMIT]) from None
    # Few results have so many brackets: only those are walked.
    if text.count("[") + text.count("{") > DEPTH_LIMIT and is_deeper(result, DEPTH_LIMIT):
        msg = f"The result is nested more than {DEPTH_LIMIT} levels deep."
        raise Refusal("TOOL_OUTPUT", msg)
    return text


def is_deeper(value: Any, levels: int) -> bool:
    """Tell whether lists and mappings are nested more than *levels* deep."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return False
    return levels == 0 or any(is_deeper(item, levels - 1) for item in value)


# -- failures ---------------------------------------------------------------------------------------


def refusal_of(
    error: BaseException, tool: str, function: Callable[..., Any], arguments: dict[str, Any]
) -> Refusal:
    """Say what went wrong in a function, or that it could not be called with *arguments*."""
    if isinstance(error, TypeError):
        mismatch = mismatch_of(function, arguments)
        if mismatch:
            known = [
                name if each.default is each.empty else f"{name} (optional)"
                for name, each in parameters_of(function).items()
            ]
            msg = f"The function {tool!r} cannot be called: {mismatch}."
            msg += f" Its parameters: {', '.join(known) or 'none'}."
            return Refusal("TOOL_ARGUMENTS", msg[:MESSAGE_LIMIT], function=tool)
    if isinstance(error, MemoryError):
        traceback.clear_frames(error.__traceback__)  # make room to report it
    details = {"type": type(error).__name__, "traceback": traceback_of(error)}
    return Refusal("TOOL_ERROR", sentence_of(error), **details)


def mismatch_of(function: Callable[..., Any], arguments: dict[str, Any]) -> str:
    """Return why *arguments* do not fit the parameters; empty when they fit or nobody can know."""
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        return str(error)
    except ValueError:
        pass
    return ""


def sentence_of(error: BaseException) -> str:
    """Return `Type: message` with a bounded length."""
    if isinstance(error, MemoryError):
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        return f"MemoryError: the limit of {limit} bytes (runtime.memory_limit) was reached"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the class of the user's error may be broken as well
        text = "its message cannot be shown"
    name = type(error).__name__
    return f"{name}: {text}"[:MESSAGE_LIMIT] if text else name


def traceback_of(error: BaseException) -> str:
    """Return the innermost frames of user code, oldest first."""
    if isinstance(error, MemoryError):
        return ""
    machinery = (__file__, os.path.dirname(os.__file__) + "/asyncio/")  # noqa: PTH120
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(machinery)
    ]
    return "".join(traceback.format_list(frames[-FRAME_LIMIT:]))[-TRACEBACK_LIMIT:]


def failure(refusal: Refusal) -> bytes:
    """Return the JSON that reports *refusal*, whatever text it carries."""
    report = {"code": refusal.code, "message": str(refusal), "details": refusal.details}
    return encode({"failure": report}).encode("utf-8", "replace")


# -- the worker -------------------------------------------------------------------------------------


def serve(connection: socket.socket, functions: Functions) -> None:
    """Answer calls, one at a time, until the server closes the connection."""
    own_pid = os.getpid()
    while True:
        frame = receive(connection)
        if frame is None:
            return
        reply = answer(functions, frame)
        if os.getpid() != own_pid:
            os._exit(0)  # the function forked and both returned: only one may answer
        connection.sendall(reply)


def receive(connection: socket.socket) -> bytes | None:
    """Return the next frame, or None at the end of file."""
    data = connection.recv(65536)
    if not data:
        return None
    size = int.from_bytes(data[:4], "big") + 4
    if len(data) == size:
        return data[4:]
    parts, have = [data], len(data)
    while have < 4 or have < size:
        part = connection.recv(1 << 20)
        if not part:
            return None
        parts.append(part)
        have += len(part)
        if have - len(part) < 4:
            size = int.from_bytes(b"".join(parts)[:4], "big") + 4
    return b"".join(parts)[4:]


# -- the zygote -------------------------------------------------------------------------------------


class Zygote:
    """Forks workers when the server asks, reports their end, and reaps them when told."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._alive: set[int] = set()
        self._dead: set[int] = set()
        self._pid = os.getpid()
        self._wake, self._woken_by = os.pipe()
        for end in (self._wake, self._woken_by):
            os.set_blocking(end, False)
        self._former = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken_by, warn_on_full_buffer=False)

    def run(self) -> socket.socket | None:
        """Obey until the server is gone. Like fork, this returns in each worker as well.

        Returns the worker's connection, or None in the zygote when everything it forked is killed.
        """
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        try:
            tell(self._control, ready=True)
            while True:
                for descriptor, _ in poll.poll():
                    if descriptor == self._wake:
                        self._report_deaths()
                        continue
                    connection = self._obey()
                    if connection is not None:
                        return connection
        except ConnectionError:
            for pid in self._alive | self._dead:
                with contextlib.suppress(OSError):
                    os.killpg(pid, signal.SIGKILL)
            return None

    def _obey(self) -> socket.socket | None:
        packet, descriptors, _, _ = socket.recv_fds(self._control, 4096, 1)
        if not packet:
            raise ConnectionResetError
        order = json.loads(packet)
        if "reap" not in order:
            return self._fork(descriptors[0])
        self._dead.discard(order["reap"])
        os.waitpid(order["reap"], 0)
        return None

    def _fork(self, descriptor: int) -> socket.socket | None:
        try:
            pid = os.fork()
        except OSError as error:
            tell(self._control, failed=f"no process could be started: {error.strerror}")
        else:
            if pid == 0:
                return self._become_worker(descriptor)
            with contextlib.suppress(OSError):  # the worker does it as well: who is first wins
                os.setpgid(pid, pid)
            self._alive.add(pid)
            tell(self._control, forked=pid)
        os.close(descriptor)
        return None

    def _become_worker(self, descriptor: int) -> socket.socket:
        os.setpgid(0, 0)
        die_with_parent(signal.SIGKILL)
        if os.getppid() != self._pid:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, self._former or signal.SIG_DFL)
        self._control.close()
        os.close(self._wake)
        os.close(self._woken_by)
        return socket.socket(fileno=descriptor)

    def _report_deaths(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        for pid in list(self._alive):
            end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if end is not None:
                self._alive.discard(pid)
                self._dead.add(pid)
                exited = end.si_code == os.CLD_EXITED
                tell(self._control, died=pid, status=end.si_status if exited else -end.si_status)


def tell(control: socket.socket, **message: Any) -> None:
    """Send the server one packet."""
    control.send(json.dumps(message).encode())


def die_with_parent(number: int) -> None:
    """Let the kernel send this process the signal *number* when its parent ends; 0 = no more."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def limit_memory(size: int) -> None:
    """Bound the address space of this process and all that it forks, the imports included."""
    if size:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        size = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))


def problem_of(error: BaseException, entrypoint: Path) -> str:
    """Say in a sentence why the entrypoint could not be imported, and where."""
    places = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith("<frozen")
    ]
    where = f" ({places[-1].filename}:{places[-1].lineno})" if places else ""
    return f"{entrypoint} cannot be imported: {sentence_of(error)}{where}"


def main() -> None:
    """Import the entrypoint, then fork workers until the server is gone."""
    entrypoint, control = Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    control.set_inheritable(False)
    # Only while importing: afterwards the end of file tells, and the workers' groups are killed.
    die_with_parent(signal.SIGKILL)
    faulthandler.enable()
    try:
        limit_memory(int(sys.argv[3]))
        functions = load(entrypoint)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the server wants to know
        tell(control, problem=problem_of(error, entrypoint))
        os._exit(1)
    if functions.need_asyncio():
        import asyncio  # noqa: F401
    die_with_parent(0)
    gc.collect()
    gc.freeze()
    connection = Zygote(control).run()
    if connection is None:
        os._exit(0)
    with contextlib.suppress(ConnectionError):
        serve(connection, functions)


if __name__ == "__main__":
    main()
