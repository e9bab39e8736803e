"""Where settings come from: the environment, `.env` files and the sections of compozy.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from appliance.config import registry
from appliance.errors import InvalidConfiguration, Overloaded

Origin = Literal["default", "compozy.yaml", ".env", "environment", "flag"]

_MAX_FILE_BYTES = 10_485_760
_ENV_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_ENV_VALUE = re.compile(r"""'([^']*)'\s*(?:#.*)?|"((?:[^"\\]|\\.)*)"\s*(?:#.*)?|(.*?)(?:\s+#.*)?""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_REFERENCE = re.compile(r"\{\{-?\s*\.env\.([A-Za-z_][A-Za-z0-9_]*)\s*-?\}\}")


class Given(msgspec.Struct, frozen=True):
    """The text that a source gave for a setting, and the place to name when it is wrong."""

    text: str
    origin: Origin
    where: str


class FileSettings(msgspec.Struct, frozen=True):
    """What compozy.yaml says about the configuration. `unused` are names without effect here."""

    given: dict[str, Given] = {}
    vector_dbs: tuple[dict[str, Any], ...] = ()
    unused: tuple[str, ...] = ()


def from_variables(variables: Mapping[str, str], origin: Origin, place: str) -> dict[str, Given]:
    """Pick the settings out of environment variables. An empty variable counts as not set."""
    return {
        setting.path: Given(value, origin, f"{setting.env} in {place}")
        for setting in registry.SETTINGS
        if (value := variables.get(setting.env, ""))
    }


def read_env_file(path: Path) -> dict[str, str]:
    """Read `NAME=value` lines; quotes, `export` and comments are understood, `$` is plain text."""
    variables = {}
    for number, line in enumerate(_read(path).splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _ENV_LINE.fullmatch(stripped)
        if not match:
            raise InvalidConfiguration(f"{path}:{number}: this line is not NAME=value.")
        variables[match[1]] = _env_value(match[2], f"{path}:{number}")
    return variables


def _env_value(raw: str, where: str) -> str:
    match = _ENV_VALUE.fullmatch(raw)
    if not match or (match[3] or "").startswith(("'", '"')):
        raise InvalidConfiguration(f"{where}: the quote of this value is not closed.")
    single, double, plain = match.groups()
    if double is not None:
        return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), double)
    return single if single is not None else plain


def read_config_file(path: Path, variables: Mapping[str, str]) -> FileSettings:
    """Read the configuration sections of a compozy.yaml; what else stands there is the project's.

    Scalars stay text, so that a value means the same in every source. A value may refer to a
    variable as `{{ .env.NAME }}`.
    """
    found = _Sections(path, variables)
    for key, node in _top_level(path):
        if key.value in registry.SECTIONS:
            found.visit(key.value, key, node)
    return FileSettings(found.given, tuple(found.vector_dbs), tuple(sorted(found.unused)))


class _Sections:
    """Walks the YAML nodes of the configuration sections."""

    def __init__(self, path: Path, variables: Mapping[str, str]) -> None:
        self._name = path.name
        self._variables = variables
        self.given: dict[str, Given] = {}
        self.vector_dbs: list[dict[str, Any]] = []
        self.unused: list[str] = []

    def visit(self, path: str, key: Any, node: Any) -> None:
        """Take what stands at the dotted *path*; *key* is where an unknown name is reported."""
        if registry.is_inert(path):
            self.unused.append(path)
        elif path == "knowledge.vector_dbs":
            self.vector_dbs = [self._entry(item) for item in self._sequence(path, node)]
        elif setting := registry.BY_NAME.get(path):
            self._take(setting.path, node)
        elif path in registry.PROJECT_KEYS:
            pass
        elif not registry.is_group(path):
            hint = registry.suggestion(path)
            raise self._error(key, f'there is no setting "{path}".{hint}')
        elif not (path == "knowledge" and _is_list(node)) and not _is_empty(node):
            if node.id != "mapping":
                raise self._error(node, f'"{path}" must be a mapping.')
            for name, child in _pairs(self._name, node):
                self.visit(f"{path}.{name.value}", name, child)

    def _take(self, path: str, node: Any) -> None:
        text = ",".join(map(self._scalar, node.value)) if _is_list(node) else self._scalar(node)
        if path in self.given:
            raise self._error(node, f'"{path}" is given twice.')
        if text:
            self.given[path] = Given(text, "compozy.yaml", _at(self._name, node))

    def _sequence(self, path: str, node: Any) -> list[Any]:
        if _is_empty(node):
            return []
        if not _is_list(node):
            raise self._error(node, f'"{path}" must be a list.')
        return list(node.value)

    def _entry(self, node: Any) -> dict[str, Any]:
        """Return the texts of a vector database; deeper values are of no interest here."""
        if node.id != "mapping":
            raise self._error(node, "each of knowledge.vector_dbs must be a mapping.")
        pairs = _pairs(self._name, node)
        return {key.value: self._scalar(child) for key, child in pairs if child.id == "scalar"}

    def _scalar(self, node: Any) -> str:
        if node.id != "scalar":
            raise self._error(node, "a single value is expected here.")
        if _is_empty(node):
            return ""
        return _REFERENCE.sub(lambda match: self._variable(match[1], node), str(node.value))

    def _variable(self, name: str, node: Any) -> str:
        if name not in self._variables:
            raise self._error(node, f"the variable {name} is not set.")
        return self._variables[name]

    def _error(self, node: Any, message: str) -> InvalidConfiguration:
        return InvalidConfiguration(f"{_at(self._name, node)}: {message}")


def _top_level(path: Path) -> Iterator[tuple[Any, Any]]:
    root = _compose(path)
    if root is None:
        return iter(())
    if root.id != "mapping":
        raise InvalidConfiguration(f"{_at(path.name, root)}: the file must be a mapping.")
    return _pairs(path.name, root)


def _compose(path: Path) -> Any:
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return yaml.compose(_read(path), Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise InvalidConfiguration(f"{path.name}{place}: {error.problem}.") from None
    except yaml.YAMLError:
        raise InvalidConfiguration(f"{path.name}: this is not YAML text.") from None


def _pairs(file: str, node: Any) -> Iterator[tuple[Any, Any]]:
    seen: set[str] = set()
    for key, value in node.value:
        if key.id != "scalar":
            raise InvalidConfiguration(f"{_at(file, key)}: a key must be plain text.")
        if key.value in seen:
            raise InvalidConfiguration(f'{_at(file, key)}: "{key.value}" is given twice.')
        seen.add(key.value)
        yield key, value


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        if lack := Overloaded.by(error):
            raise lack from error
        raise InvalidConfiguration(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > _MAX_FILE_BYTES:
        raise InvalidConfiguration(f"{path} is larger than {_MAX_FILE_BYTES} bytes.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidConfiguration(f"{path} is not UTF-8 text.") from None


def _is_list(node: Any) -> bool:
    return bool(node.id == "sequence")


def _is_empty(node: Any) -> bool:
    return (
        node.id == "scalar" and not node.style and node.value in {"", "~", "null", "Null", "NULL"}
    )


def _at(file: str, node: Any) -> str:
    return f"{file}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
