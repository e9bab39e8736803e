"""Builds the nodes of a template from its tokens, and resolves its variables to slots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple, NoReturn, cast

from appliance.language import suggestions
from appliance.language.template import literals
from appliance.language.template.errors import Fault
from appliance.language.template.lexer import Token, tokens
from appliance.language.template.limits import NESTING
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

MAIN = ""
_WORDS = {"true": True, "false": False, "nil": None}


class Parsed(NamedTuple):
    """The templates by name (`MAIN` is the text itself) and the paths read from the root."""

    definitions: dict[str, Definition]
    references: frozenset[tuple[str, ...]]


def parse(source: str) -> Parsed:
    """Parse *source*; raises Fault with the offset of what is wrong."""
    parser = _Parser(source)
    parser.define(MAIN, 0, ends=())
    return Parsed(parser.definitions, frozenset(parser.references))


class _Parser:
    """Recursive descent over the tokens. `rooted` tells whether dot is surely the root here."""

    def __init__(self, source: str) -> None:
        self.tokens = list(tokens(source))
        self.position = 0
        self.definitions: dict[str, Definition] = {}
        self.references: set[tuple[str, ...]] = set()
        self.scopes: list[dict[str, int]] = []
        self.slots = self.loops = self.depth = self.count = 0
        self.main = self.rooted = True

    # tokens

    def peek(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def next(self) -> Token:
        token = self.peek()
        self.position += 1
        return token

    def expect(self, kind: str, wanted: str) -> Token:
        token = self.next()
        if token.kind != kind:
            self.unexpected(token, wanted)
        return token

    @staticmethod
    def unexpected(token: Token, wanted: str) -> NoReturn:
        shown = token.value.strip() or "end of the template"
        raise Fault(f"unexpected {shown[:40]}; expected {wanted}", token.offset)

    # structure

    def define(self, name: str, offset: int, ends: tuple[str, ...] = ("end",)) -> None:
        """Parse a named template up to its end, in a world of its own."""
        if name in self.definitions:
            raise Fault(f'the template "{name}" is defined twice', offset)
        outer = self.scopes, self.slots, self.loops, self.main, self.rooted
        self.scopes, self.slots, self.loops = [{"$": 0}], 1, 0
        self.main = self.rooted = name == MAIN
        body, _ = self.body(offset, ends)
        self.definitions[name] = Definition(body, self.slots)
        self.scopes, self.slots, self.loops, self.main, self.rooted = outer

    def body(self, opened: int, ends: tuple[str, ...]) -> tuple[tuple[Node, ...], str]:
        """Parse nodes up to an action that begins with one of *ends*; return that word too."""
        nodes: list[Node] = []
        while (token := self.next()).kind != "end":
            if token.kind == "literal":
                nodes.append(Text(token.value))
                continue
            word = self.peek().value if self.peek().kind == "word" else ""
            if word in ("end", "else"):
                if word not in ends:
                    raise Fault(f"{{{{{word}}}}} has nothing to belong to", token.offset)
                self.position += 1
                if word == "end":
                    self.expect("close", "}}")
                return tuple(nodes), word
            node = self.statement(word)
            if node is not None:
                nodes.append(node)
        if ends:
            raise Fault("this block has no {{end}}", opened)
        return tuple(nodes), ""

    def statement(self, word: str) -> Node | None:
        token = self.peek()
        if word in ("if", "with", "range"):
            self.position += 1
            with self.nested(token), self.scope():
                return self.block(cast("Literal['if', 'with', 'range']", word), token)
        if word in ("break", "continue"):
            self.position += 1
            self.expect("close", "}}")
            if not self.loops:
                raise Fault(f"{word} outside of range", token.offset)
            return Jump(cast("Literal['break', 'continue']", word))
        if word in ("template", "block", "define"):
            self.position += 1
            return self.named(word, token)
        return Action(self.pipe("}}"))

    def block(self, kind: Literal["if", "with", "range"], token: Token) -> Block:
        pipe = self.pipe("}}", ranging=kind == "range")
        rooted, loops = self.rooted, self.loops
        self.rooted, self.loops = rooted and kind == "if", loops + (kind == "range")
        with self.scope():
            body, stop = self.body(token.offset, ("end", "else"))
        self.rooted, self.loops = rooted, loops
        otherwise: tuple[Node, ...] = ()
        if stop == "else":
            otherwise = self.otherwise(kind, token)
        return Block(kind, pipe, body, otherwise)

    def otherwise(self, kind: str, token: Token) -> tuple[Node, ...]:
        """Parse what follows `{{else`: the rest of the block, or `else if` and `else with`."""
        again = self.peek()
        if again.kind == "word" and again.value == kind and kind != "range":
            node = self.statement(kind)
            return (node,) if node else ()
        self.expect("close", "}}")
        with self.scope():
            return self.body(token.offset, ("end",))[0]

    def named(self, word: str, token: Token) -> Node | None:
        name = literals.unquote(self.expect("text", 'the name of a template in "quotes"'))
        pipe = None
        if word == "define" or self.peek().kind == "close":
            self.expect("close", "}}")
        else:
            pipe = self.pipe("}}")
        if word == "define" and (self.depth or not self.main):
            raise Fault("define cannot stand inside another block", token.offset)
        if word != "template":
            with self.nested(token):
                self.define(name, token.offset)
        return None if word == "define" else Invoke(name, pipe, token.offset)

    @contextmanager
    def nested(self, token: Token) -> Iterator[None]:
        self.depth += 1
        if self.depth > NESTING:
            raise Fault(f"more than {NESTING} blocks or parentheses in each other", token.offset)
        yield
        self.depth -= 1

    # variables

    @contextmanager
    def scope(self) -> Iterator[None]:
        self.scopes.append({})
        yield
        self.scopes.pop()

    def lookup(self, token: Token) -> int:
        for scope in reversed(self.scopes):
            if token.value in scope:
                return scope[token.value]
        known = [name for scope in self.scopes for name in scope if name != "$"]
        hint = suggestions.hint(token.value, known) or "; declare it with :="
        raise Fault(f"the variable {token.value} is not known{hint}", token.offset)

    def declare(self, token: Token) -> int:
        if token.value == "$":
            self.unexpected(token, "the name of a variable")
        self.scopes[-1][token.value] = self.slots
        self.slots += 1
        return self.slots - 1

    # pipelines

    def pipe(self, closer: str, *, ranging: bool = False) -> Pipe:
        """Parse a pipeline and the *closer* after it."""
        offset, count = self.peek().offset, self.count
        variables, declares = self.targets(ranging)
        commands = [self.command()]
        while (token := self.next()).value == "|":
            commands.append(self.command())
        if token.value != closer and (closer == ")" or token.kind != "close"):
            self.unexpected(token, closer)
        resolve = self.declare if declares else self.lookup
        slots = tuple(resolve(variable) for variable in variables)
        return Pipe(tuple(commands), slots, self.count - count, offset)

    def targets(self, ranging: bool) -> tuple[list[Token], bool]:
        """Parse `$x :=`, `$x =` and, for range, `$i, $x :=`; tell whether it declares."""
        follows = self.peek(1).value
        if self.peek().kind != "variable" or follows not in (":=", "=", ","):
            return [], False
        variables = [self.next()]
        if ranging and follows == ",":
            self.position += 1
            variables.append(self.expect("variable", "a second variable"))
        sign = self.expect("mark", ":=")
        if sign.value not in (":=", "="):
            self.unexpected(sign, ":=")
        return variables, sign.value == ":="

    def command(self) -> tuple[Operand, ...]:
        operands = [self.operand()]
        while (token := self.peek()).kind != "close" and token.value not in ("|", ")"):
            if not token.spaced:
                self.unexpected(token, "a blank before it")
            operands.append(self.operand())
        return tuple(operands)

    def operand(self) -> Operand:
        token = self.next()
        self.count += 1
        start = self.term(token)
        names = []
        while self.peek().kind == "field" and not self.peek().spaced:
            names.append(self.next().value[1:])
        if names and (isinstance(start, Constant) or token.value == "."):
            raise Fault(f"{token.value} has no keys", token.offset)
        if isinstance(start, Path):
            path = start._replace(names=(*start.names, *names))
            self.refer(path)
            return path
        shown = start.name if isinstance(start, Word) else "(...)"
        return Path(start, tuple(names), token.offset, shown) if names else start

    def term(self, token: Token) -> Operand:
        if token.kind in ("text", "raw", "char", "number"):
            return Constant(literals.constant(token), token.offset)
        if token.kind == "word":
            if token.value in _WORDS:
                return Constant(_WORDS[token.value], token.offset)
            return Word(token.value, token.offset)
        if token.kind == "field":
            return Path(None, (token.value[1:],), token.offset)
        if token.kind == "variable":
            return Path(self.lookup(token), (), token.offset, token.value)
        if token.value == ".":
            return Path(None, (), token.offset)
        if token.value == "(":
            with self.nested(token):
                return self.pipe(")")
        return self.unexpected(token, "a value")

    def refer(self, path: Path) -> None:
        """Remember *path* when it surely starts at the root."""
        if (path.start is None and self.rooted) or (path.start == 0 and self.main):
            self.references.add(path.names)
