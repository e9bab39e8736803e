"""The description of the API (OpenAPI 3.1), read from the routes themselves so that it cannot lie."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import BodyKwarg, ParameterKwarg
from litestar.response import Stream
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp

from appliance import __version__
from appliance.errors import (
    ApplianceError,
    Forbidden,
    InvalidInput,
    RateLimited,
    TooLarge,
    Unauthorized,
)
from appliance.server.authentication import access_of
from appliance.server.problem import MEDIA_TYPE, Problem
from appliance.server.request import ApiRequest

Json = dict[str, Any]

_CONSTRAINTS = {
    "ge": "minimum",
    "le": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
    "enum": "enum",
}
_DESCRIPTION = """A durable workflow server. Every answer is an envelope `{status, message, data}`;
every error is problem details (RFC 9457) with a stable `code`."""


class Operation(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    handler: HTTPRouteHandler

    @property
    def access(self) -> str:
        """Who may use it: `public`, `local`, `user` or `admin`."""
        return access_of(self.handler.opt)


def operations(handlers: Iterable[HTTPRouteHandler]) -> list[Operation]:
    """Return every operation of *handlers* by path and method, but for the generated OPTIONS."""
    app = Litestar(
        route_handlers=[*handlers],
        request_class=ApiRequest,
        openapi_config=None,
        logging_config=None,
    )
    found = [
        Operation(method, route.path_format, handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    ]
    return sorted(found, key=lambda operation: (operation.path, operation.method))


def describe(handlers: Iterable[HTTPRouteHandler]) -> Json:
    """Return the whole description."""
    found = operations(handlers)
    paths: dict[str, Json] = {}
    schemas = _Schemas()
    for operation in found:
        described = _operation(operation, schemas)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Compozy Appliance", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": tag} for tag in _tags(found)],
        "paths": paths,
        "components": {
            "schemas": schemas.components(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key (`cpzy_…`) or the token of a session.",
                }
            },
        },
    }


def _tags(found: Iterable[Operation]) -> list[str]:
    return sorted({tag for operation in found for tag in operation.handler.tags or ()})


class _Schemas:
    """Schemas of types. They are made together, so that each type is described once."""

    def __init__(self) -> None:
        self._wanted: list[tuple[Any, Json]] = []

    def of(self, kind: Any) -> Json:
        """Return the schema of *kind*; it is filled in by `components`."""
        schema: Json = {}
        self._wanted.append((kind, schema))
        return schema

    def components(self) -> Json:
        """Fill in every schema that was asked for and return those that they refer to."""
        made, components = msgspec.json.schema_components(
            [kind for kind, _ in self._wanted], ref_template="#/components/schemas/{name}"
        )
        for (_, schema), content in zip(self._wanted, made, strict=True):
            schema.update(content | schema)
        return dict(components)


def _operation(operation: Operation, schemas: _Schemas) -> Json:
    handler = operation.handler
    hints = get_type_hints(handler.fn, include_extras=True)
    defaults = inspect.signature(handler.fn).parameters
    returned = hints.pop("return")
    summary, _, more = inspect.cleandoc(handler.fn.__doc__ or "").partition("\n")
    described: Json = {
        "operationId": _identifier(operation),
        "tags": sorted(handler.tags or ()),
        "summary": summary,
        "description": " ".join(more.split()),
        "parameters": [],
        "responses": _responses(operation, returned, schemas),
    }
    if operation.access in {"public", "local"}:
        described["security"] = [] if operation.access == "public" else [{}, {"bearer": []}]
    if media_types := handler.opt.get("reads"):
        content = {kind: {"schema": {"type": "object"}} for kind in media_types}
        described["requestBody"] = {"required": True, "content": content}
    for name, hint in hints.items():
        kind, marker = _annotated(hint)
        default = defaults[name].default
        if isinstance(marker, BodyKwarg):
            described["requestBody"] = _body(kind, default, schemas)
        elif isinstance(marker, ParameterKwarg):
            described["parameters"].append(_parameter(name, kind, marker, default, schemas))
    return {key: value for key, value in described.items() if value or key == "security"}


def _identifier(operation: Operation) -> str:
    name = operation.handler.handler_name
    paths = sorted(operation.handler.paths)
    alias = len(paths) > 1 and not operation.path.endswith(paths[0])
    return f"{name}_alias" if alias else name


def _annotated(hint: Any) -> tuple[Any, Any]:
    if get_origin(hint) is not Annotated:
        return hint, None
    kind, *markers = get_args(hint)
    marker = next((m for m in markers if isinstance(m, (ParameterKwarg, BodyKwarg))), None)
    return kind, marker


def _parameter(
    name: str, kind: Any, marker: ParameterKwarg, default: Any, schemas: _Schemas
) -> Json:
    place = str(marker.param_type.value)
    schema = schemas.of(_without_none(kind))
    constraints = {word: getattr(marker, field) for field, word in _CONSTRAINTS.items()}
    schema.update({word: value for word, value in constraints.items() if value is not None})
    if default not in (inspect.Parameter.empty, None, ""):
        schema["default"] = default
    described = {
        "name": marker.name or name,
        "in": place,
        "required": place == "path" or default is inspect.Parameter.empty,
        "schema": schema,
    }
    if marker.description:
        described["description"] = marker.description
    return described


def _body(kind: Any, default: Any, schemas: _Schemas) -> Json:
    return {
        "required": default is inspect.Parameter.empty,
        "content": {"application/json": {"schema": schemas.of(_without_none(kind))}},
    }


def _without_none(kind: Any) -> Any:
    rest = tuple(arg for arg in get_args(kind) if arg is not type(None))
    if type(None) not in get_args(kind):
        return kind
    return rest[0] if len(rest) == 1 else kind


def _responses(operation: Operation, returned: Any, schemas: _Schemas) -> Json:
    handler = operation.handler
    kind = _without_none(get_args(returned)[0]) if get_origin(returned) is Response else returned
    responses = {
        str(handler.status_code): _answer(_phrase(handler.status_code), kind, handler, schemas)
    }
    for status, (description, body) in handler.opt.get("answers", {}).items():
        responses[str(status)] = _answer(description, _envelope(kind, body), handler, schemas)
    for error in _errors(operation):
        responses.setdefault(str(error.status), _problem(error.__doc__ or "", schemas))
    responses["default"] = _problem("Any other error, such as 503 or 507.", schemas)
    return responses


def _envelope(kind: Any, body: Any) -> Any:
    return None if body is None else get_origin(kind)[body]


def _answer(description: str, kind: Any, handler: HTTPRouteHandler, schemas: _Schemas) -> Json:
    if kind in (None, type(None)):
        return {"description": description}
    media_type = str(getattr(handler.media_type, "value", handler.media_type or "application/json"))
    media_type = media_type.partition(";")[0]
    if kind in (bytes, Stream, ASGIApp):
        return {"description": description, "content": {media_type: {}}}
    return {"description": description, "content": {media_type: {"schema": schemas.of(kind)}}}


def _problem(description: str, schemas: _Schemas) -> Json:
    summary = " ".join(description.split())
    return {"description": summary, "content": {MEDIA_TYPE: {"schema": schemas.of(Problem)}}}


def _errors(operation: Operation) -> Iterator[type[ApplianceError]]:
    yield from operation.handler.opt.get("errors", ())
    if operation.access != "public":
        yield Unauthorized
    if operation.access == "admin":
        yield Forbidden
    has_body = bool(operation.handler.parsed_data_field or operation.handler.opt.get("reads"))
    if has_body or operation.handler.parsed_fn_signature.parameters.keys() - {"request"}:
        yield InvalidInput
    if has_body:
        yield TooLarge
    if not operation.handler.opt.get("unlimited"):
        yield RateLimited


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
