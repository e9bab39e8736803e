"""Turns nodes into closures. A closure takes the run and dot; what it needs is bound already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from appliance.language import suggestions
from appliance.language.template import functions
from appliance.language.template.errors import Fault
from appliance.language.template.functions.dates import MEMBERS, METHODS
from appliance.language.template.functions.signature import Converter, Function
from appliance.language.template.limits import DEPTH, LENGTH, STEP, VALUE, Run
from appliance.language.template.nodes import (
    Action,
    Block,
    Constant,
    Definition,
    Invoke,
    Jump,
    Node,
    Operand,
    Path,
    Pipe,
    Text,
    Word,
)
from appliance.language.template.parser import MAIN
from appliance.language.template.values import NO_VALUE, is_list, is_map, kind, show

Expression = Callable[..., Any]
"""(run, dot, *piped) -> value"""
Step = Callable[[Run, Any], str | None]
"""(run, dot) -> None, or which jump to make"""
_SHOWN_KEYS = 8


class Program(NamedTuple):
    """The closures of one text. `single` is the pipeline of a text that is one action only.

    `path` is what that action follows from the root, when it does nothing else; what it finds there
    is the caller's own value.
    """

    main: Step
    slots: int
    single: Expression | None
    path: tuple[str, ...] | None


def compile_program(definitions: Mapping[str, Definition]) -> Program:
    """Compile all templates of one text; raises Fault with the offset of what is wrong."""
    compiler = _Compiler(definitions)
    main = definitions[MAIN]
    nodes = [node for node in main.body if not (isinstance(node, Text) and node.text.isspace())]
    if len(nodes) != 1 or not isinstance(nodes[0], Action) or nodes[0].pipe.slots:
        return Program(compiler.steps[MAIN], main.slots, None, None)
    pipe = nodes[0].pipe
    return Program(compiler.steps[MAIN], main.slots, compiler.paid(pipe), _lone_path(pipe))


def _lone_path(pipe: Pipe) -> tuple[str, ...] | None:
    first = pipe.commands[0][0]
    alone = len(pipe.commands) == len(pipe.commands[0]) == 1
    return first.names if alone and isinstance(first, Path) and first.start in (None, 0) else None


class _Compiler:
    def __init__(self, definitions: Mapping[str, Definition]) -> None:
        self.definitions = definitions
        self.steps = {name: self.sequence(each.body) for name, each in definitions.items()}

    # statements

    def sequence(self, nodes: Iterable[Node]) -> Step:
        steps = [self.step(node) for node in nodes]
        if len(steps) == 1:
            return steps[0]

        def sequence(run: Run, dot: Any) -> str | None:
            for step in steps:
                jump = step(run, dot)
                if jump:
                    return jump
            return None

        return sequence

    def step(self, node: Node) -> Step:
        if isinstance(node, Text):
            return lambda run, _dot: run.write(node.text)
        if isinstance(node, Action):
            return self.action(node)
        if isinstance(node, Jump):
            return lambda _run, _dot: node.kind
        if isinstance(node, Invoke):
            return self.invoke(node)
        return self.loop(node) if node.kind == "range" else self.choice(node)

    def action(self, node: Action) -> Step:
        pipe = self.paid(node.pipe)
        if node.pipe.slots:

            def assign(run: Run, dot: Any) -> None:
                pipe(run, dot)

            return assign

        def write(run: Run, dot: Any) -> None:
            value = pipe(run, dot)
            run.write(value if type(value) is str else show(value, run, NO_VALUE))

        return write

    def choice(self, node: Block) -> Step:
        pipe, keeps_dot = self.paid(node.pipe), node.kind == "if"
        body, otherwise = self.sequence(node.body), self.sequence(node.otherwise)

        def choose(run: Run, dot: Any) -> str | None:
            value = pipe(run, dot)
            if value:
                return body(run, dot if keeps_dot else value)
            return otherwise(run, dot)

        return choose

    def loop(self, node: Block) -> Step:
        pipe = self.paid(node.pipe._replace(slots=()))
        slots, offset = node.pipe.slots, node.pipe.offset
        body, otherwise = self.sequence(node.body), self.sequence(node.otherwise)

        def repeat(run: Run, dot: Any) -> str | None:
            value = pipe(run, dot)
            empty = True
            for key, item in _pairs(run, value, len(slots), offset):
                run.spend(STEP)
                empty = False
                for slot, part in zip(reversed(slots), (item, key), strict=False):
                    run.slots[slot] = part
                if body(run, item) == "break":
                    break
            return otherwise(run, dot) if empty else None

        return repeat

    def invoke(self, node: Invoke) -> Step:
        if node.name not in self.definitions:
            hint = suggestions.hint(node.name, filter(None, self.definitions))
            raise Fault(f"there is no template {node.name!r}{hint}", node.offset)
        pipe = self.paid(node.pipe) if node.pipe else None
        slots = self.definitions[node.name].slots

        def call(run: Run, dot: Any) -> None:
            value = pipe(run, dot) if pipe else None
            if run.depth >= DEPTH:
                raise Fault(f"more than {DEPTH} templates call each other", node.offset)
            outer, run.slots = run.slots, [value] + [None] * (slots - 1)
            run.depth += 1
            run.spend(STEP)
            self.steps[node.name](run, value)
            run.depth -= 1
            run.slots = outer

        return call

    # expressions

    def paid(self, pipe: Pipe) -> Expression:
        """Compile a statement's pipeline; it pays for all operands in it at once."""
        evaluate, cost, offset = self.pipe(pipe), pipe.cost * STEP, pipe.offset

        def pay(run: Run, dot: Any) -> Any:
            run.left -= cost
            try:
                if run.left < 0:
                    run.spend(0)
                return evaluate(run, dot)
            except Fault as fault:
                if fault.offset < 0:
                    fault.offset = offset
                raise

        return pay

    def pipe(self, pipe: Pipe) -> Expression:
        first, *rest = [
            self.command(command, 1 if place else 0) for place, command in enumerate(pipe.commands)
        ]
        if not rest and not pipe.slots:
            return first
        slot = pipe.slots[0] if pipe.slots else None

        def flow(run: Run, dot: Any) -> Any:
            value = first(run, dot)
            for stage in rest:
                value = stage(run, dot, value)
            if slot is not None:
                run.slots[slot] = value
            return value

        return flow

    def command(self, operands: tuple[Operand, ...], piped: int) -> Expression:
        """Compile one stage; *piped* is 1 when it gets the result of the stage before."""
        first, arguments = operands[0], [self.operand(each) for each in operands[1:]]
        if isinstance(first, Word):
            return self.call(first, arguments, piped)
        if not arguments and not piped:
            return self.operand(first)
        if isinstance(first, Path) and first.names:
            return self.method(first, arguments, piped)
        raise Fault("only a function takes arguments", first.offset)

    def operand(self, operand: Operand) -> Expression:
        if isinstance(operand, Constant):
            return lambda _run, _dot: operand.value
        if isinstance(operand, Word):
            return self.call(operand, [], 0)
        if isinstance(operand, Pipe):
            return self.pipe(operand)
        return self.path(operand)

    def path(self, path: Path) -> Expression:
        start = self.start(path)
        names = path.names
        if not names:
            return start

        def follow(run: Run, dot: Any) -> Any:
            value = base = start(run, dot)
            try:
                for name in names:
                    value = value[name]
            except (KeyError, TypeError):
                return _explain(base, path)
            return value

        return follow

    def start(self, path: Path) -> Expression:
        start = path.start
        if start is None:
            return lambda _run, dot: dot
        if isinstance(start, int):
            return lambda run, _dot: run.slots[start]
        return self.operand(start)

    def call(self, word: Word, arguments: list[Expression], piped: int) -> Expression:
        count = len(arguments) + piped
        if word.name in functions.SHORT_CIRCUIT:
            if not count:
                raise Fault(f"{word.name}: takes at least 1 arguments, not 0", word.offset)
            return _shortcut(word.name == "or", arguments)
        try:
            function = functions.find(word.name)
        except Fault as fault:
            fault.offset = word.offset
            raise
        return _call(word, function, arguments, piped)

    def method(self, path: Path, arguments: list[Expression], piped: int) -> Expression:
        """Compile `now.Format "..."`: only moments have methods."""
        name = path.names[-1]
        if name not in METHODS:
            raise Fault(f".{name} takes no arguments; only a function does", path.offset)
        base = self.path(path._replace(names=path.names[:-1]))
        return _call(Word(name, path.offset), METHODS[name], [base, *arguments], piped)


def _shortcut(wanted: bool, arguments: list[Expression]) -> Expression:
    """Compile `or` (stops at the first non-empty argument) and `and` (at the first empty one)."""

    def choose(run: Run, dot: Any, *piped: Any) -> Any:
        value = None
        for argument in arguments:
            value = argument(run, dot)
            if bool(value) is wanted:
                return value
        return piped[0] if piped else value

    return choose


def _call(word: Word, function: Function, arguments: list[Expression], piped: int) -> Expression:
    try:
        converters: tuple[Converter, ...] = function.converters(len(arguments) + piped)
    except Fault as fault:
        raise Fault(f"{word.name}: {fault.message}", word.offset) from None
    target, takes_run = function.call, function.run

    def call(run: Run, dot: Any, *piped: Any) -> Any:
        given = [argument(run, dot) for argument in arguments]
        try:
            values = [c(run, v) for c, v in zip(converters, (*given, *piped), strict=True)]
            result = target(run, *values) if takes_run else target(*values)
        except Fault as fault:
            problem = fault.message
        except (ValueError, ArithmeticError):
            problem = "these values do not go together"
        else:
            if type(result) is not str or len(result) <= LENGTH:
                return result
            problem = f"the text would be longer than {LENGTH} characters"
        raise Fault(f"{word.name}: {problem}", word.offset)

    return call


def _pairs(run: Run, value: Any, names: int, offset: int) -> Iterable[tuple[Any, Any]]:
    """Return what range goes over: (index or key, value) pairs."""
    if value is None:
        return ()
    if isinstance(value, int) and not isinstance(value, bool) and names < 2:
        return ((number, number) for number in range(value))
    if is_list(value):
        return enumerate(value)
    if is_map(value):
        run.spend(VALUE * len(value))
        return ((key, value[key]) for key in sorted(value))
    raise Fault(f"range goes over a list, a map or a whole number, not {kind(value)}", offset)


def _explain(value: Any, path: Path) -> Any:
    """Walk *path* again, slowly: ask moments by name, and say which key is missing where."""
    spelled = path.spelled
    for name in path.names:
        owner, spelled = spelled, f"{spelled}.{name}"
        if is_map(value):
            try:
                value = value[name]
            except KeyError:
                raise Fault(_missing(value, name, owner, spelled), path.offset) from None
        elif isinstance(value, datetime) and name in MEMBERS:
            value = MEMBERS[name](value)
        else:
            raise Fault(
                f"{spelled} does not exist: {owner or '.'} is {kind(value)}, not a map", path.offset
            )
    return value


def _missing(value: Mapping[str, Any], name: str, owner: str, spelled: str) -> str:
    keys = sorted(map(str, value))
    close = suggestions.nearest(name, keys)
    if close:
        return f"{spelled} does not exist; did you mean {owner}.{close}?"
    if not keys:
        return f"{spelled} does not exist: {owner or '.'} is empty"
    shown = [key[:40] for key in keys[:_SHOWN_KEYS]] + ["..."] * (len(keys) > _SHOWN_KEYS)
    return f"{spelled} does not exist; {owner or '.'} has {', '.join(shown)}"
