"""The project as a whole: `/project`, its definitions as one text, and reading it again."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, delete, get, post, put
from litestar.handlers import HTTPRouteHandler

from appliance.errors import InvalidProject
from appliance.language.kinds import NOUNS
from appliance.operations import projects
from appliance.server.authentication import ADMIN
from appliance.server.contract import raises
from appliance.server.envelope import Envelope, show
from appliance.server.problem import MEDIA_TYPE, Problem, problem
from appliance.server.request import ApiRequest
from appliance.server.routes.resources import (
    IMPORTING,
    YAML,
    Choice,
    ImportView,
    answer_export,
    answer_import,
)


class ProjectView(msgspec.Struct, frozen=True):
    """What the server runs. `counts` says how many definitions there are of each kind."""

    name: str
    version: str
    description: str
    source_of_truth: str
    counts: dict[str, int]
    warnings: list[str]


class ReloadView(msgspec.Struct, frozen=True):
    """What is different since the project was read again, in sentences."""

    changes: list[str]


@get("/project", tags=["project"])
async def get_project(request: ApiRequest) -> Envelope[ProjectView]:
    """Show what the server runs."""
    return Envelope(data=show(ProjectView, _shown(request)))


@post("/project/export", status_code=200, opt=ADMIN, media_type=YAML, tags=["project"])
async def export_project(request: ApiRequest) -> Response[bytes]:
    """Give every definition as YAML, as it was written."""
    return answer_export(request, None)


@post("/project/import", status_code=200, opt=IMPORTING, tags=["project"])
async def import_project(
    request: ApiRequest, strategy: Choice = "seed_only"
) -> Envelope[ImportView]:
    """Take up definitions of all kinds from an export, all or none."""
    return await answer_import(request, None, strategy)


@post("/admin/reload", status_code=200, opt=ADMIN | raises(InvalidProject), tags=["project"])
async def reload_project(request: ApiRequest) -> Envelope[ReloadView]:
    """Read the project again. New runs use it when this answers; where it is wrong nothing changes."""
    changes = await projects.reload_project(request.appliance, request.actor)
    return Envelope(data=ReloadView(changes), message="Project reloaded")


def _fixed(name: str, method: Any) -> HTTPRouteHandler:
    async def handler(request: ApiRequest) -> Response[Problem]:
        why = "The project itself is compozy.yaml; change the file, then POST /api/v0/admin/reload."
        told = problem(405, "method_not_allowed", why, request.scope["path"])
        return Response(told, headers={"allow": "HEAD, GET"})

    handler.__name__ = handler.__qualname__ = f"{name}_project"
    handler.__doc__ = "Say that the project itself is changed in its file."
    made: HTTPRouteHandler = method(
        "/project", status_code=405, media_type=MEDIA_TYPE, opt=ADMIN, tags=["project"]
    )(handler)
    return made


def _shown(request: ApiRequest) -> dict[str, Any]:
    project = request.appliance.project
    counts = {noun: len(project.declared.get(kind, {})) for kind, noun in NOUNS.items()}
    plain = ("name", "version", "description", "source_of_truth")
    fields = {name: getattr(project, name) for name in plain}
    return {**fields, "counts": counts, "warnings": list(project.warnings)}


HANDLERS = [
    get_project,
    export_project,
    import_project,
    reload_project,
    _fixed("put", put),
    _fixed("delete", delete),
]
