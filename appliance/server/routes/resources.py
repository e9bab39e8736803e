"""Definitions as resources: `/tools`, `/tasks`, `/schemas` and the others, all with the same routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from appliance.errors import Conflict, InvalidProject, NotFound, PreconditionFailed
from appliance.language.kinds import KINDS
from appliance.operations import resources
from appliance.operations.resources import STRATEGIES
from appliance.server.authentication import ADMIN
from appliance.server.contract import answers, raises, reads
from appliance.server.definition_body import DEFINITION, text_of
from appliance.server.envelope import Cursor, Envelope, Limit, PageInfo, listing
from appliance.server.preconditions import IfMatch, IfNoneMatch, condition, known, tagged
from appliance.server.request import ApiRequest

YAML = "application/yaml"
UNCHANGED = answers(304, "The definition is still the one that `If-None-Match` names")
CREATED = answers(201, "It is new; `Location` says where it is", dict[str, Any])

Definition = dict[str, Any]
"""A definition as it was written, with `id`, `etag` and `defined_in`: a file, or `api`."""

Prefix = Annotated[str, QueryParameter(max_length=256, description="How the id begins.")]
OfWorkflow = Annotated[
    str | None, QueryParameter(max_length=256, description="Only what this workflow names.")
]
Choice = Annotated[
    str,
    QueryParameter(
        enum=STRATEGIES,
        description="What becomes of a definition that is there already: it stays, or is replaced.",
    ),
]


class ImportView(msgspec.Struct, frozen=True):
    """What an import did, each definition as `noun/id`."""

    created: list[str]
    replaced: list[str]
    skipped: list[str]


def handlers(noun: str) -> list[HTTPRouteHandler]:
    """Return the routes of one kind of definitions; workflows are listed and shown elsewhere."""
    made = [_exporting(noun), _importing(noun)]
    if noun == "workflows":
        return made
    return [_listing(noun), _showing(noun), _putting(noun), _deleting(noun), *made]


async def answer_get(
    request: ApiRequest, noun: str, name: str, if_none_match: str | None
) -> Response[Any]:
    """Show a definition, or say that it is still the one that is known."""
    found = resources.get_resource(request.appliance, request.actor, noun, name)
    headers = tagged(found["etag"])
    if known(found["etag"], if_none_match):
        return Response(None, status_code=304, headers=headers)
    return Response(Envelope(data=found), headers=headers)


async def answer_put(
    request: ApiRequest, noun: str, name: str, if_match: str | None, if_none_match: str | None
) -> Response[Any]:
    """Create or replace the definition that the body holds."""
    stored, created = await resources.put_resource(
        request.appliance,
        request.actor,
        noun,
        name,
        await text_of(request),
        condition=condition(if_match, if_none_match),
    )
    headers = tagged(stored["etag"])
    if not created:
        return Response(Envelope(data=stored, message="Definition replaced"), headers=headers)
    headers["location"] = request.scope["path"]
    view = Envelope(data=stored, message="Definition created", status=201)
    return Response(view, status_code=201, headers=headers)


async def answer_delete(request: ApiRequest, noun: str, name: str, if_match: str | None) -> None:
    """Remove a definition."""
    await resources.delete_resource(
        request.appliance, request.actor, noun, name, condition(if_match)
    )


def answer_export(request: ApiRequest, noun: str | None) -> Response[bytes]:
    """Give definitions as YAML."""
    text = resources.export_resources(request.appliance, request.actor, noun)
    name = f'attachment; filename="{noun or "project"}.yaml"'
    return Response(text.encode(), headers={"content-disposition": name})


async def answer_import(
    request: ApiRequest, noun: str | None, strategy: str
) -> Envelope[ImportView]:
    """Take up the definitions that the body holds."""
    text = await text_of(request)
    done = await resources.import_resources(request.appliance, request.actor, text, strategy, noun)
    return Envelope(data=ImportView(*done), message="Definitions imported")


def _listing(noun: str) -> HTTPRouteHandler:
    kind = KINDS[noun]
    fields = [(noun, list[Definition]), ("page", PageInfo)]
    page_type = msgspec.defstruct(
        f"{kind.capitalize()}List",
        fields,
        frozen=True,
        namespace={"__doc__": f"A page of {noun}, by id."},
    )

    async def handler(
        request: ApiRequest,
        q: Prefix = "",
        workflow_id: OfWorkflow = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Any:
        page = resources.list_resources(
            request.appliance,
            request.actor,
            noun,
            q=q,
            workflow_id=workflow_id,
            limit=limit,
            cursor=cursor,
        )
        return listing(request, page_type, page, limit)

    handler.__annotations__["return"] = Response[Envelope[page_type]]  # type: ignore[valid-type]
    _say(
        handler,
        f"list_{kind}_definitions",
        f"List the {noun} that files and the API define, by id.",
    )
    return get(f"/{noun}", opt=raises(NotFound), tags=[noun])(handler)


def _showing(noun: str) -> HTTPRouteHandler:
    async def handler(
        request: ApiRequest, resource_id: FromPath[str], if_none_match: IfNoneMatch = None
    ) -> Response[Envelope[Definition] | None]:
        return await answer_get(request, noun, resource_id, if_none_match)

    _say(
        handler, f"get_{KINDS[noun]}_definition", "Show a definition; secrets are for admins only."
    )
    opt = raises(NotFound) | UNCHANGED
    return get(f"/{noun}/{{resource_id:str}}", opt=opt, tags=[noun])(handler)


def _putting(noun: str) -> HTTPRouteHandler:
    async def handler(
        request: ApiRequest,
        resource_id: FromPath[str],
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response[Envelope[Definition]]:
        return await answer_put(request, noun, resource_id, if_match, if_none_match)

    _say(
        handler,
        f"put_{KINDS[noun]}_definition",
        "Create or replace a definition. New runs use it when this answers.",
    )
    return put(f"/{noun}/{{resource_id:str}}", opt=PUTTING, tags=[noun])(handler)


def _deleting(noun: str) -> HTTPRouteHandler:
    async def handler(
        request: ApiRequest, resource_id: FromPath[str], if_match: IfMatch = None
    ) -> None:
        await answer_delete(request, noun, resource_id, if_match)

    _say(
        handler,
        f"delete_{KINDS[noun]}_definition",
        "Remove a definition that came through the API and that nothing else names.",
    )
    return delete(f"/{noun}/{{resource_id:str}}", opt=DELETING, tags=[noun])(handler)


def _exporting(noun: str) -> HTTPRouteHandler:
    async def handler(request: ApiRequest) -> Response[bytes]:
        return answer_export(request, noun)

    _say(handler, f"export_{noun}", f"Give the {noun} as YAML, as they were written.")
    path = f"/{noun}/export"
    return post(path, status_code=200, opt=ADMIN, media_type=YAML, tags=[noun])(handler)


def _importing(noun: str) -> HTTPRouteHandler:
    async def handler(request: ApiRequest, strategy: Choice = "seed_only") -> Envelope[ImportView]:
        return await answer_import(request, noun, strategy)

    _say(handler, f"import_{noun}", f"Take up {noun} from an export, all or none.")
    return post(f"/{noun}/import", status_code=200, opt=IMPORTING, tags=[noun])(handler)


def _say(handler: Callable[..., Any], name: str, summary: str) -> None:
    handler.__name__ = handler.__qualname__ = name
    handler.__doc__ = summary


_CHANGING = ADMIN | reads(*DEFINITION)
PUTTING = _CHANGING | CREATED | raises(Conflict, PreconditionFailed, InvalidProject)
DELETING = ADMIN | raises(NotFound, Conflict, PreconditionFailed, InvalidProject)
IMPORTING = _CHANGING | raises(Conflict, InvalidProject)

HANDLERS = [handler for noun in KINDS for handler in handlers(noun)]
