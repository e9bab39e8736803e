"""What a monitoring system reads."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from appliance.operations.appliance import Appliance
from appliance.server.app import Application
from appliance.server.metrics import Metrics

from .conftest import Client

pytestmark = pytest.mark.anyio

API = "/api/v0"
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(client: httpx.AsyncClient) -> Series:
    response = await client.get("/metrics")
    assert 200 == response.status_code
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float:
    return series[name, tuple(sorted(labels.items()))]


async def test_the_names_that_were_asked_for(
    appliance: Appliance, admin: httpx.AsyncClient
) -> None:
    """Queries by driver and operation, the pool, and on SQLite log, pages and file."""
    driver = appliance.db.driver
    await admin.post(f"{API}/users", json={"email": "ada@example.com"})
    await admin.get(f"{API}/users")
    series = await scrape(admin)

    assert value(series, "database_connection_pool_active", driver=driver) >= 1
    for operation in ("select", "insert"):
        labels = {"driver": driver, "operation": operation}
        assert value(series, "database_query_duration_seconds_count", **labels) >= 1
        assert value(series, "database_query_total", **labels, status="success") >= 1
        assert 0 == value(series, "database_query_total", **labels, status="error")
    sizes = ("wal_size_bytes", "page_count", "file_size_bytes")
    found = [(f"database_sqlite_{size}", ()) in series for size in sizes]
    assert [driver == "sqlite"] * 3 == found
    if driver == "sqlite":
        assert value(series, "database_sqlite_wal_size_bytes") > 0


async def test_requests_runs_and_credentials_are_counted(
    connect: Client, admin: httpx.AsyncClient
) -> None:
    """By the template of the route, never by what stands in it."""
    for name in ("Ada", "Grace"):
        run = f"{API}/workflows/greet/executions/sync"
        assert 200 == (await admin.post(run, json={"input": {"name": name}})).status_code
    await connect("cpzy_wrong").get(f"{API}/users/somebody")
    await connect().get("/no/such/path")
    series = await scrape(admin)

    route = f"{API}/workflows/{{workflow_id}}/executions/sync"
    requests = "compozy_http_requests_total"
    assert 2 == value(series, requests, method="POST", route=route, status="200")
    user = f"{API}/users/{{user_id}}"
    assert 1 == value(series, requests, method="GET", route=user, status="401")
    assert 1 == value(series, requests, method="GET", route="unmatched", status="404")
    assert 2 == value(series, "compozy_http_request_duration_seconds_count", route=route)
    assert 1 == value(series, "compozy_http_requests_in_flight")
    assert 2 == value(series, "compozy_runs_started_total")
    assert 2 == value(series, "compozy_runs_finished_total", status="SUCCESS")
    assert 0 == value(series, "compozy_runs_finished_total", status="FAILED")
    assert 0 == value(series, "compozy_runs_active")
    assert 0 == value(series, "compozy_tool_calls_in_flight")
    failures = {"kind": "bearer", "result": "failure"}
    assert 1 == value(series, "compozy_auth_attempts_total", **failures)
    assert 0 == value(series, "compozy_backup_last_timestamp_seconds")
    assert value(series, "compozy_uptime_seconds") > 0


async def test_methods_and_paths_make_no_new_series(
    sqlite_app: tuple[Application, Client],
) -> None:
    """Whatever a stranger asks for, the number of series stays small."""
    _, connect = sqlite_app
    here = connect(address="127.0.0.1")
    here.headers["host"] = "localhost"
    await here.request("BREW", "/coffee")
    await scrape(here)
    before = await scrape(here)
    for number in range(20):
        await here.request(f"BREW{number}", f"/coffee/{number}")
    assert before.keys() == (await scrape(here)).keys()


async def test_a_failed_query_is_an_error(appliance: Appliance) -> None:
    """The series of a query is found by what its statement does, not by its name."""
    metrics = Metrics(appliance)
    assert appliance.db.observe is not None
    appliance.db.observe("insert_user", 0.001, False)
    appliance.db.observe("no_such_query", 0.001, True)
    text = metrics.render().decode()
    driver = appliance.db.driver
    assert f'total{{driver="{driver}",operation="insert",status="error"}} 1.0' in text
    assert f'total{{driver="{driver}",operation="other",status="success"}} 1.0' in text


async def test_the_manual_names_every_series(
    sqlite_app: tuple[Application, Client],
) -> None:
    """docs/api.md has each series, whether or not it was counted yet."""
    text = sqlite_app[0].state.metrics.render().decode()
    names = set(re.findall(r"^# TYPE (?!process_)(\S+)", text, re.MULTILINE))
    manual = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    assert set() == {name for name in names if f"`{name}`" not in manual}
