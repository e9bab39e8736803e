"""The description of the API as one page: made here, without scripts and without the internet."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from html import escape
from importlib.resources import files
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from appliance.errors import ApplianceError
from appliance.server import openapi
from appliance.server.problem import EDGE_CODES

Json = dict[str, Any]

_STYLE = files("appliance.server").joinpath("docs.css").read_text("utf-8")


def digest(style: str) -> str:
    """Return the word by which a content security policy knows *style*."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


HEADERS: dict[str, str] = {
    "content-security-policy": f"default-src 'none'; style-src {digest(_STYLE)}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-cache",
}

_START = """key=$(cat data/admin.key)
curl -H "Authorization: Bearer $key" http://127.0.0.1:5001/api/v0/workflows
curl -H "Authorization: Bearer $key" -H "Content-Type: application/json" \\
  -d '{"input": {"name": "Ada"}}' http://127.0.0.1:5001/api/v0/workflows/hello/executions/sync"""


class Description:
    """The description of all routes: as JSON and as a page, each made when first asked for."""

    def __init__(self, handlers: Sequence[HTTPRouteHandler]) -> None:
        self._handlers = handlers

    @cached_property
    def api(self) -> Json:
        """OpenAPI as a value."""
        return openapi.describe(self._handlers)

    @cached_property
    def json(self) -> bytes:
        """OpenAPI as text."""
        return msgspec.json.encode(self.api)

    @cached_property
    def page(self) -> bytes:
        """OpenAPI to look at."""
        return render(self.api)


def render(api: Json) -> bytes:
    """Return the page that shows the OpenAPI description *api*."""
    by_tag = _by_tag(api)
    title = escape(api["info"]["title"])
    body = "".join(
        [
            f'<div class="frame"><nav>{_navigation(by_tag)}</nav><main>',
            f"<h1>{title}</h1>",
            f'<p class="dim">Version {escape(api["info"]["version"])} · ',
            '<a href="/openapi.json">OpenAPI 3.1</a></p>',
            f"<p>{_text(api['info']['description'])}</p>",
            f"<pre><code>{escape(_START)}</code></pre>",
            *(_group(tag, operations) for tag, operations in by_tag.items()),
            _schemas(api["components"]["schemas"]),
            _errors(),
            "</main></div>",
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}: HTTP API</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    ).encode()


def _by_tag(api: Json) -> dict[str, list[Json]]:
    groups: dict[str, list[Json]] = {tag["name"]: [] for tag in api["tags"]}
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].append({**operation, "path": path, "method": method})
    return groups


def _navigation(by_tag: dict[str, list[Json]]) -> str:
    links = []
    for tag, operations in by_tag.items():
        items = "".join(
            f'<li><a href="#{escape(one["operationId"])}">{escape(one["summary"])}</a></li>'
            for one in operations
        )
        links.append(f"<h2>{escape(tag)}</h2><ul>{items}</ul>")
    more = '<li><a href="#schemas">Schemas</a></li><li><a href="#errors">Errors</a></li>'
    return "".join([*links, f"<h2>reference</h2><ul>{more}</ul>"])


def _group(tag: str, operations: list[Json]) -> str:
    return f'<h2 id="tag-{escape(tag)}">{escape(tag)}</h2>' + "".join(map(_operation, operations))


def _operation(operation: Json) -> str:
    method = escape(operation["method"])
    return "".join(
        [
            f'<section class="operation" id="{escape(operation["operationId"])}">',
            f'<h3><span class="method {method}">{method.upper()}</span>',
            f"{escape(operation['path'])}{_access(operation)}</h3>",
            f"<p>{_text(operation['summary'])} {_text(operation.get('description', ''))}</p>",
            _table("Parameters", map(_parameter, operation.get("parameters", []))),
            _table("Body", _content(operation.get("requestBody", {}))),
            _table("Answers", _answers(operation["responses"])),
            "</section>",
        ]
    )


def _access(operation: Json) -> str:
    security = operation.get("security")
    if security is not None:
        words = "key not needed on this machine" if security else "for everybody"
    else:
        words = "for admins" if "403" in operation["responses"] else ""
    return f'<span class="access">{words}</span>' if words else ""


def _parameter(parameter: Json) -> tuple[str, str]:
    name = f"<code>{escape(parameter['name'])}</code>"
    place = f'<span class="dim">{escape(parameter["in"])}</span>'
    return (
        f"{name} {place}",
        f"{_kind(parameter['schema'])} {_text(parameter.get('description', ''))}",
    )


def _content(described: Json) -> Iterator[tuple[str, str]]:
    for media_type, content in described.get("content", {}).items():
        yield f"<code>{escape(media_type)}</code>", _kind(content.get("schema", {}))


def _answers(responses: Json) -> Iterator[tuple[str, str]]:
    for status, response in responses.items():
        kinds = " ".join(
            _kind(c["schema"]) for c in response.get("content", {}).values() if "schema" in c
        )
        yield f"<code>{escape(status)}</code>", f"{_text(response['description'])} {kinds}"


def _schemas(schemas: Json) -> str:
    sections = []
    for name, schema in sorted(schemas.items()):
        rows = (
            _property(schema, name, kind) for name, kind in schema.get("properties", {}).items()
        )
        sections.append(
            f'<section class="operation" id="schema-{escape(name)}">'
            f"<h3>{escape(schema.get('title', name))}</h3>"
            f"<p>{_text(schema.get('description', ''))}</p>{_table('', rows)}</section>"
        )
    return '<h2 id="schemas">Schemas</h2>' + "".join(sections)


def _property(schema: Json, name: str, kind: Json) -> tuple[str, str]:
    optional = "" if name in schema.get("required", []) else ' <span class="dim">optional</span>'
    return f"<code>{escape(name)}</code>", _kind(kind) + optional


def _kind(schema: Json) -> str:
    """Name a schema in a few words, with links to those that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{escape(name)}">{escape(_plain(name))}</a>'
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(word))}</code>" for word in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(map(_kind, schema["anyOf"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    words = [str(schema.get("format") or schema.get("type") or "anything"), *_limits(schema)]
    return f'<span class="dim">{escape(", ".join(words))}</span>'


def _plain(name: str) -> str:
    head, _, inner = name.rstrip("_").partition("_")
    return f"{head}[{inner}]" if inner else head


def _limits(schema: Json) -> Iterator[str]:
    words = {
        "minimum": "from {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "up to {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
    }
    for key, text in words.items():
        if key in schema:
            yield text.format(schema[key])
    if schema.get("default") not in (None, "", {}, []):
        yield f"default {schema['default']}"


def _errors() -> str:
    codes = {error.code: (error.status, error.__doc__ or "") for error in _kinds(ApplianceError)}
    items = "".join(
        f'<dt id="{escape(code)}"><code>{escape(code)}</code> · {status}</dt><dd>{_text(text)}</dd>'
        for code, (status, text) in sorted((EDGE_CODES | codes).items())
    )
    return f'<h2 id="errors">Errors</h2><dl>{items}</dl>'


def _kinds(error: type[ApplianceError]) -> Iterator[type[ApplianceError]]:
    yield error
    for kind in error.__subclasses__():
        yield from _kinds(kind)


def _table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><td>{name}</td><td>{text}</td></tr>" for name, text in rows)
    head = f"<h4>{title}</h4>" if title else ""
    return f"{head}<table>{cells}</table>" if cells else ""


def _text(text: str) -> str:
    """Escape *text*; what stands between backticks is code."""
    parts = escape(" ".join(text.split())).split("`")
    return "".join(f"<code>{part}</code>" if odd % 2 else part for odd, part in enumerate(parts))
