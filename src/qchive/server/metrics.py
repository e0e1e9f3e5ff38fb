"""Figures for Prometheus: what this process has counted, and what the database says when it is asked.

Whatever is read here costs the same however many records and jobs of the past there are. Counts of records come from
the last count of upkeep, whose age is a figure too.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from itertools import accumulate
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from qchive.db import statements
from qchive.db.pool import Connection, Database
from qchive.errors import Unavailable
from qchive.server.tally import BOUNDS
from qchive.server.upkeep.jobs.functions import PERIODIC
from qchive.server.watch import Watch

PATIENCE = 5.0
"""Seconds that the database has to answer; then the figures of this process come alone."""
FORMAT = CONTENT_TYPE_PLAIN_0_0_4


class FromDatabase(msgspec.Struct):
    """What the database says."""

    counts: dict[str, Any]
    workers: tuple[float, ...]
    jobs: list[tuple[Any, ...]]
    upkeep: list[tuple[Any, ...]]


def allowed(address: str | None, passed_on: bool, networks: list[str]) -> bool:
    """Whether this address may look. What a proxy on this machine passed on does not come from this machine."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    return (found.is_loopback and not passed_on) or any(found in ip_network(network) for network in networks)


async def figures(db: Database, watch: Watch) -> bytes:
    """All of them, as text."""
    try:
        async with asyncio.timeout(PATIENCE):
            said = await db.read(_read)
    except (TimeoutError, Unavailable):
        said = None
    registry = CollectorRegistry()
    registry.register(_Figures(db, watch, said))
    return generate_latest(registry)


async def _read(conn: Connection) -> FromDatabase:
    counts = statements.later(conn, "settings/get", key="counts")
    workers = statements.later(conn, "figures/workers")
    jobs = statements.later(conn, "figures/jobs")
    upkeep = await statements.tuples(conn, "figures/upkeep", jobs=[job.name for job in PERIODIC])
    found = counts.column()
    return FromDatabase(
        counts=msgspec.json.decode(found[0]) if found else {},
        workers=tuple(map(float, workers.tuples()[0])),
        jobs=jobs.tuples(),
        upkeep=upkeep,
    )


class _Figures(Collector):
    """The figures of one moment."""

    def __init__(self, db: Database, watch: Watch, said: FromDatabase | None) -> None:
        self._db, self._watch, self._said = db, watch, said

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        yield self._requests()
        yield from self._process()
        yield _gauge("qchive_database_up", "Whether the database answers.", self._said is not None)
        if self._said is not None:
            yield from _counts(self._said.counts)
            yield from _workers(self._said.workers)
            yield from _upkeep(self._said)

    def _requests(self) -> Metric:
        labels = ("process", "endpoint", "method", "status")
        family = HistogramMetricFamily(
            "qchive_request_duration_seconds", "Requests, by how long they took.", labels=labels
        )
        for (address, method, status), durations in list(self._watch.tally.requests.items()):
            bounds = [*map(str, BOUNDS), "+Inf"]
            buckets = list(zip(bounds, map(float, accumulate(durations.counts)), strict=True))
            family.add_metric((_PROCESS, address, method, str(status)), buckets, durations.total)
        return family

    def _process(self) -> Iterator[Metric]:
        tally, accesses = self._watch.tally, self._watch.accesses
        yield _counter("qchive_claims", "Claims of compute managers.", tally.claims)
        yield _counter("qchive_claimed_tasks", "Tasks handed out.", tally.claimed)
        results = CounterMetricFamily("qchive_results", "Results returned.", labels=("process", "verdict"))
        results.add_metric((_PROCESS, "accepted"), tally.accepted)
        results.add_metric((_PROCESS, "rejected"), tally.rejected)
        yield results
        lost = self._watch.errors.lost + (accesses.lost if accesses else 0)
        yield _counter("qchive_log_entries_lost", "Notes of accesses and errors that were given up.", lost)
        pool = GaugeMetricFamily(
            "qchive_pool_connections",
            "Connections to the database, and requests that wait for one.",
            labels=("process", "state"),
        )
        for state, number in self._db.figures().items():
            pool.add_metric((_PROCESS, state), number)
        yield pool


_PROCESS = str(os.getpid())


def _counter(name: str, doc: str, value: float) -> Metric:
    family = CounterMetricFamily(name, doc, labels=("process",))
    family.add_metric((_PROCESS,), value)
    return family


def _gauge(name: str, doc: str, value: float) -> Metric:
    return GaugeMetricFamily(name, doc, value=float(value))


def _counts(counts: dict[str, Any]) -> Iterator[Metric]:
    if not counts:
        return
    yield _gauge("qchive_counts_age_seconds", "Since records and queues were counted.", time.time() - counts["time"])
    records = GaugeMetricFamily("qchive_records", "Records, when last counted.", labels=("kind", "status"))
    for kind, status, n in counts["records"]:
        records.add_metric((kind, status), n)
    yield records
    queue = GaugeMetricFamily("qchive_queue", "Tasks that wait, when last counted.", labels=("tag", "programs"))
    for tag, programs, n in counts["queue"]:
        queue.add_metric((tag, ",".join(programs)), n)
    yield queue


def _workers(workers: tuple[float, ...]) -> Iterator[Metric]:
    names = ("qchive_workers", "qchive_worker_tasks", "qchive_worker_cores", "qchive_worker_memory_gibibytes")
    docs = ("Active compute managers.", "Tasks they run.", "Cores they use.", "Memory they use.")
    yield from map(_gauge, names, docs, workers)


def _upkeep(said: FromDatabase) -> Iterator[Metric]:
    waiting = GaugeMetricFamily("qchive_internal_jobs", "Internal jobs that are not over.", labels=("state",))
    for state, n in said.jobs:
        waiting.add_metric((state,), n)
    yield waiting
    last = GaugeMetricFamily(
        "qchive_upkeep_last_success_timestamp_seconds", "When a part of upkeep last succeeded.", labels=("sort", "name")
    )
    took = GaugeMetricFamily("qchive_upkeep_duration_seconds", "How long that took.", labels=("sort", "name"))
    for sort, name, when, seconds in said.upkeep:
        last.add_metric((sort, name), when)
        took.add_metric((sort, name), seconds)
    yield last
    yield took
