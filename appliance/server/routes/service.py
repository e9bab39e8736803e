"""The service itself: what it is, whether it works, how to use it."""

from __future__ import annotations

from litestar import Response, get

from appliance import __version__
from appliance.errors import Unavailable
from appliance.server import docs as docs_page
from appliance.server.authentication import LOCAL, PUBLIC
from appliance.server.contract import UNLIMITED, raises
from appliance.server.envelope import Envelope
from appliance.server.metrics import MEDIA_TYPE as METRICS_TYPE
from appliance.server.request import ApiRequest
from appliance.server.views import Check, HealthView, LiveView, ServiceView

OPENAPI_TYPE = "application/vnd.oai.openapi+json;version=3.1"


@get("/", opt=PUBLIC, tags=["service"], sync_to_thread=False)
def describe_service() -> Envelope[ServiceView]:
    """Say what answers here."""
    return Envelope(data=_service())


@get("/", opt=PUBLIC, tags=["service"], sync_to_thread=False)
def describe_api() -> Envelope[ServiceView]:
    """Say what answers here."""
    return Envelope(data=_service())


@get(["/health", "/healthz"], opt=PUBLIC | UNLIMITED, tags=["service"], sync_to_thread=False)
def live() -> Envelope[LiveView]:
    """Say that the process answers. Nothing else is looked at."""
    return Envelope(data=LiveView(status="healthy", version=__version__))


@get(["/ready", "/readyz"], opt=PUBLIC | UNLIMITED | raises(Unavailable), tags=["service"])
async def ready(request: ApiRequest) -> Envelope[HealthView]:
    """Say whether a write can be acknowledged. If not, `details.checks` says what is wrong."""
    return await _readiness(request)


@get("/health", opt=PUBLIC | UNLIMITED | raises(Unavailable), tags=["service"])
async def health(request: ApiRequest) -> Envelope[HealthView]:
    """Say whether a write can be acknowledged. If not, `details.checks` says what is wrong."""
    return await _readiness(request)


@get(
    "/metrics",
    opt=LOCAL | UNLIMITED,
    media_type=METRICS_TYPE,
    tags=["service"],
    sync_to_thread=False,
)
def metrics(request: ApiRequest) -> bytes:
    """Give figures for Prometheus. On this machine no key is needed."""
    rendered: bytes = request.app.state.metrics.render()
    return rendered


@get("/openapi.json", opt=PUBLIC, media_type=OPENAPI_TYPE, tags=["service"], sync_to_thread=False)
def openapi(request: ApiRequest) -> Response[bytes]:
    """Give this description of the API (OpenAPI 3.1)."""
    return Response(request.app.state.description.json, headers={"cache-control": "no-cache"})


@get("/docs", opt=PUBLIC, media_type="text/html", tags=["service"], sync_to_thread=False)
def docs(request: ApiRequest) -> Response[bytes]:
    """Show this description of the API as a page."""
    return Response(request.app.state.description.page, headers=docs_page.HEADERS)


def _service() -> ServiceView:
    return ServiceView(
        name="compozy",
        version=__version__,
        description="A durable workflow server.",
        api="/api/v0",
        documentation="/docs",
        openapi="/openapi.json",
    )


async def _readiness(request: ApiRequest) -> Envelope[HealthView]:
    readiness = await request.appliance.ready()
    if not readiness.ready:
        failed = [str(check["detail"]) for check in readiness.checks.values() if not check["ok"]]
        raise Unavailable("The server is not ready: " + "; ".join(failed), checks=readiness.checks)
    checks = {
        name: Check(ok=bool(check["ok"]), detail=str(check["detail"]))
        for name, check in readiness.checks.items()
    }
    return Envelope(
        data=HealthView(status="healthy", version=__version__, ready=True, checks=checks)
    )


API_HANDLERS = [describe_api, health]
HANDLERS = [describe_service, live, ready, metrics, openapi, docs]
