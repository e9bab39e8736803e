"""What a monitoring system may read, in the text format of Prometheus, on a registry of our own.

Nothing names a workflow, a run or a user, so the number of series stays small.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from appliance import __version__, clock
from appliance.engine.status import TERMINAL
from appliance.engine.ticks import OUTCOMES
from appliance.store import queries

if TYPE_CHECKING:
    from appliance.operations.appliance import Appliance

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

disable_created_metrics()  # type: ignore[no-untyped-call]  # the birth of a series helps nobody here

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_HTTP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_QUERY_BUCKETS = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)
_OPERATION = re.compile(r"\b(select|insert|update|delete)\b", re.IGNORECASE)
_SIZES = {
    "wal_bytes": ("database_sqlite_wal_size_bytes", "Size of the write-ahead log."),
    "pages": ("database_sqlite_page_count", "Pages of the database."),
    "file_bytes": ("database_sqlite_file_size_bytes", "Size of the database file."),
}


class Metrics:
    """The counters of one application. `render` reads the rest from the appliance when asked."""

    def __init__(self, appliance: Appliance) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._driver = appliance.db.driver
        self._queries = _Queries(self.registry, self._driver)
        self._requests = Counter(
            "compozy_http_requests",
            "HTTP requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._durations = Histogram(
            "compozy_http_request_duration_seconds",
            "Time from the header of a request to the end of its answer.",
            ("route",),
            buckets=_HTTP_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = 0
        Gauge(
            "compozy_http_requests_in_flight",
            "HTTP requests being answered.",
            registry=self.registry,
        ).set_function(lambda: self.in_flight)
        self._attempts = Counter(
            "compozy_auth_attempts",
            "Credentials shown, by kind and result.",
            ("kind", "result"),
            registry=self.registry,
        )
        # Finding a series by its labels takes longer than counting in it.
        self._answered = cache(self._requests.labels)
        self._timed = cache(self._durations.labels)
        self._attempted = cache(self._attempts.labels)
        ProcessCollector(registry=self.registry)
        self.registry.register(_Appliance(appliance))
        appliance.db.observe = self._queries

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer; *status* 0 is a client that left before there was one."""
        known = method if method in _METHODS else "OTHER"
        self._answered(known, route, status or 499).inc()
        self._timed(route).observe(seconds)

    def refused(self, status: int) -> None:
        """Count an answer that was given before the application was asked."""
        self._answered("OTHER", "refused", status).inc()

    def authentication(self, kind: str, *, ok: bool) -> None:
        """Count a credential of *kind* (`bearer`, `password`) that was shown."""
        self._attempted(kind, "success" if ok else "failure").inc()

    def render(self) -> bytes:
        """Return every series as text."""
        return generate_latest(self.registry)


class _Queries:
    """Called by the database after each query, so it remembers the series of each name."""

    def __init__(self, registry: CollectorRegistry, driver: str) -> None:
        self._driver = driver
        self._durations = Histogram(
            "database_query_duration_seconds",
            "Time of one query, without the wait for its turn.",
            ("driver", "operation"),
            buckets=_QUERY_BUCKETS,
            registry=registry,
        )
        self._totals = Counter(
            "database_query",
            "Queries executed.",
            ("driver", "operation", "status"),
            registry=registry,
        )
        self._series: dict[str, tuple[Any, Any, Any]] = {}

    def __call__(self, name: str, seconds: float, ok: bool) -> None:
        duration, succeeded, failed = self._series.get(name) or self._remember(name)
        duration.observe(seconds)
        (succeeded if ok else failed).inc()

    def _remember(self, name: str) -> tuple[Any, Any, Any]:
        verb = _OPERATION.search(queries.load(self._driver).get(name, ""))
        operation = verb[1].lower() if verb else "other"
        series = (
            self._durations.labels(self._driver, operation),
            self._totals.labels(self._driver, operation, "success"),
            self._totals.labels(self._driver, operation, "error"),
        )
        self._series[name] = series
        return series


class _Appliance:
    """Read when somebody asks: database, engine, build and backups."""

    def __init__(self, appliance: Appliance) -> None:
        self._appliance = appliance
        self._since = clock.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Yield the series of this moment."""
        yield from self._database()
        yield from self._engine()
        yield from self._schedules()
        yield from self._process()

    def _database(self) -> Iterator[Metric]:
        database = self._appliance.db
        figures = database.statistics()
        active = GaugeMetricFamily(
            "database_connection_pool_active", "Open database connections.", labels=("driver",)
        )
        active.add_metric((database.driver,), figures["connections_open"])
        yield active
        yield GaugeMetricFamily(
            "compozy_database_writes_waiting",
            "Writes that wait for their turn.",
            value=figures["writes_waiting"],
        )
        for name in _SIZES.keys() & figures.keys():
            yield GaugeMetricFamily(*_SIZES[name], value=figures[name])

    def _engine(self) -> Iterable[Metric]:
        engine = self._appliance.engine
        yield CounterMetricFamily(
            "compozy_runs_started", "Runs begun.", value=engine.counts["STARTED"]
        )
        finished = CounterMetricFamily("compozy_runs_finished", "Runs ended.", labels=("status",))
        for status in sorted(TERMINAL):
            finished.add_metric((status,), engine.counts[status])
        yield finished
        yield GaugeMetricFamily("compozy_nodes", "Servers on the database.", value=engine.node.size)
        yield GaugeMetricFamily("compozy_runs_active", "Runs not ended.", value=engine.active)
        yield GaugeMetricFamily(
            "compozy_tool_calls_in_flight", "Tool calls running or queued.", value=engine.calls
        )

    def _schedules(self) -> Iterable[Metric]:
        scheduler = self._appliance.scheduler
        yield GaugeMetricFamily(
            "compozy_schedules", "Schedules in force.", value=len(scheduler.plans)
        )
        ticks = CounterMetricFamily(
            "compozy_schedule_ticks", "Ticks of schedules dealt with.", labels=("outcome",)
        )
        for outcome in OUTCOMES:
            ticks.add_metric((outcome,), scheduler.ticks.counts[outcome])
        yield ticks

    def _process(self) -> Iterable[Metric]:
        build = GaugeMetricFamily("compozy_build_info", "Version.", labels=("version",))
        build.add_metric((__version__,), 1)
        yield build
        uptime = clock.monotonic() - self._since
        yield GaugeMetricFamily("compozy_uptime_seconds", "Time since start.", value=uptime)
        newest = max(map(_made_at, self._appliance.data.backups_path.glob("*.zip")), default=0.0)
        yield GaugeMetricFamily(
            "compozy_backup_last_timestamp_seconds",
            "When the newest backup was made, 0 when there is none.",
            value=newest,
        )


def _made_at(backup: Path) -> float:
    try:
        return backup.stat().st_mtime
    except FileNotFoundError:  # deleted in the meantime
        return 0.0
