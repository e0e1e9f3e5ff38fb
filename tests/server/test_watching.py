"""Seeing a server run: health, figures, statistics, the message of the day, the ids of requests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.archive import prepared, running
from tests.factories import Http, Manager, add, claim_and_return, failure, http, make_result, sql, until
from tests.runners import do, running_jobs
from tests.sql.statements_used import text
from tests.upkeep_process import upkeep

from qchive.db.migrate import VERSION
from qchive.server import metrics
from qchive.server.settings import Settings
from qchive.server.upkeep.counting import count
from qchive.server.upkeep.jobs.functions import FUNCTIONS, add_periodic
from qchive.server.upkeep.run import loops

# --- health -------------------------------------------------------------------------------------------------------


def test_a_server_that_works_is_alive_and_ready(archive: Any, api: Http) -> None:
    assert api.ask("GET", "/health") == {"alive": True}
    assert api.ask("GET", "/ready") == {"ready": True, "schema": VERSION}


def test_a_server_for_another_schema_is_not_ready(archive: Any, api: Http) -> None:
    sql(archive.conninfo, "UPDATE setting SET value = '99' WHERE key = 'schema'")
    refusal = api.refused("GET", "/ready")
    assert (refusal.status, refusal.reply["ready"]) == (503, False)
    assert "schema 99" in refusal.reply["why"]
    assert api.ask("GET", "/health") == {"alive": True}


def test_a_server_without_its_database_lives_but_is_not_ready(own_postgres: Any) -> None:
    settings = Settings(database_patience=0.5)
    with running(own_postgres.dsn, settings) as server, http(server.address) as api:
        assert api.ask("GET", "/ready")["ready"] is True
        own_postgres.stop()
        assert api.ask("GET", "/health") == {"alive": True}
        assert api.refused("GET", "/ready").status == 503
        assert value(api, "qchive_database_up") == 0


# --- figures ------------------------------------------------------------------------------------------------------


def figures(api: Http) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = api.raw.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, metrics.FORMAT)
    return {
        (sample.name, frozenset((k, v) for k, v in sample.labels.items() if k != "process")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(api: Http, metric: str, /, **labels: str) -> float:
    return figures(api)[metric, frozenset(labels.items())]


def test_requests_are_counted_by_address_method_and_status(archive: Any, api: Http) -> None:
    for _ in range(3):
        api.get("ping")
    api.raw.get("/api/v1/records/99")
    for path in ("/nothing", "/nothing/else"):
        api.raw.get(path)
    found = figures(api)
    name = "qchive_request_duration_seconds"

    def served(endpoint: str, method: str, status: int) -> tuple[float, float]:
        labels = {("endpoint", endpoint), ("method", method), ("status", str(status))}
        total = found[f"{name}_sum", frozenset(labels)]
        assert (
            found[f"{name}_bucket", frozenset(labels | {("le", "+Inf")})] == found[f"{name}_count", frozenset(labels)]
        )
        return found[f"{name}_count", frozenset(labels)], total

    pings, seconds = served("/api/v1/ping", "GET", 200)
    assert pings == 3
    assert 0 < seconds < 30
    assert served("/api/v1/records/{record_id:int}", "GET", 400)[0] == 1
    assert served("other", "other", 404)[0] == 2


def test_claims_and_results_are_counted(archive: Any, api: Http) -> None:
    add(api, 3)
    manager = Manager(api)
    first, second = manager.claim(2)
    assert manager.give_one(first["id"], make_result(first)) is None
    assert manager.give_one(first["id"] + 5000, make_result(first)) is not None
    assert manager.give_one(second["id"], failure()) is None
    assert value(api, "qchive_claims_total") == 1
    assert value(api, "qchive_claimed_tasks_total") == 2
    assert value(api, "qchive_results_total", verdict="accepted") == 2
    assert value(api, "qchive_results_total", verdict="rejected") == 1
    manager.beat(active_tasks=2)
    assert value(api, "qchive_workers") == 1
    assert value(api, "qchive_worker_tasks") == 2
    assert value(api, "qchive_pool_connections", state="open") >= 1


def test_records_and_queues_are_those_of_the_last_count(archive: Any, api: Http) -> None:
    assert "qchive_records" not in {name for name, _ in figures(api)}
    add(api, 2, compute_tag="a")
    add(api, 1, compute_tag="b")
    claim_and_return(Manager(api, tags=["b"]))
    assert do(archive.conninfo, lambda db: count(db, Settings())) == 1
    assert value(api, "qchive_records", kind="singlepoint", status="waiting") == 2
    assert value(api, "qchive_records", kind="singlepoint", status="complete") == 1
    assert value(api, "qchive_queue", tag="a", programs="psi4,qcengine") == 2
    assert 0 <= value(api, "qchive_counts_age_seconds") < 60
    sql(archive.conninfo, "UPDATE setting SET value = jsonb_set(value, '{took}', '9') WHERE key = 'counts'")
    assert do(archive.conninfo, lambda db: count(db, Settings())) == 0, "what took long is not done again soon"


def test_upkeep_says_when_it_last_succeeded(archive: Any, api: Http) -> None:
    with upkeep(archive.conninfo):
        names = {name for name, *_ in loops(Settings())}
        until(lambda: {row[0] for row in sql(archive.conninfo, "SELECT name FROM upkeep_loop")} == names)
        until(lambda: api.get("server_stats"))
        until(lambda: api.post("internal_jobs/query", {"name": ["fill_statistics"], "status": ["complete"]}))
    now = datetime.now(UTC).timestamp()
    for labels in ({"sort": "loop", "name": "rescue"}, {"sort": "job", "name": "fill_statistics"}):
        assert now - 60 < value(api, "qchive_upkeep_last_success_timestamp_seconds", **labels) <= now
        assert 0 <= value(api, "qchive_upkeep_duration_seconds", **labels) < 60
    assert value(api, "qchive_internal_jobs", state="waiting") == 1


def test_figures_are_for_this_machine_unless_the_settings_name_more(archive: Any, api: Http) -> None:
    refusal = api.raw.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"})
    assert (refusal.status_code, refusal.json()["code"]) == (403, "forbidden")
    networks = ["10.1.0.0/16", "fd00::/8"]
    assert metrics.allowed("10.1.2.3", True, networks)
    assert metrics.allowed("fd00::7", False, networks)
    assert metrics.allowed("::1", False, [])
    for address in ("10.2.0.1", "203.0.113.9", "", None, "nonsense"):
        assert not metrics.allowed(address, False, networks)


# --- what is read, costs the same however much there is -----------------------------------------------------------


@pytest.fixture(scope="module")
def long_past(databases: Any) -> Iterator[Any]:
    """Many managers and jobs of the past."""
    with prepared(databases) as conninfo:
        sql(
            conninfo,
            "INSERT INTO worker (name, cluster, hostname, version, tags, programs, active)"
            " SELECT n::text, '', '', '', '{}', '{}', n > 19990 FROM generate_series(1, 20000) AS t (n)",
        )
        sql(
            conninfo,
            "INSERT INTO job (name, function, kwargs, repeat_delay, status, started_date, last_updated, ended_date)"
            " SELECT 'fill_statistics', 'f', '', 1, 'complete', now(), now(), now() FROM generate_series(1, 20000)",
        )
        sql(conninfo, "VACUUM ANALYZE")
        yield conninfo


@pytest.mark.parametrize("name", ["figures/workers", "figures/jobs", "figures/upkeep", "settings/get"])
def test_figures_cost_the_same_however_long_the_past_is(long_past: Any, name: str) -> None:
    given = {"jobs": ["fill_statistics", "delete_old_access_log"], "key": "counts"}
    with psycopg.connect(long_past) as conn:
        conn.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text(name)}".encode()
        (found,) = conn.execute(explain, given, prepare=True).fetchone()  # type: ignore[misc]
    top = found[0]["Plan"]
    assert top["Shared Hit Blocks"] + top["Shared Read Blocks"] < 60


# --- statistics ---------------------------------------------------------------------------------------------------


def test_statistics_say_what_was_computed_on_each_day(archive: Any, api: Http) -> None:
    assert api.get("server_stats") == []
    add(api, 4)
    manager = Manager(api)
    wall = [{"wall_time": 3600, "nthreads": 4}, {"wall_time": 1800}, {"wall_time": "long", "nthreads": None}]
    tasks = manager.claim(3)
    for task, said in zip(tasks, wall, strict=True):
        result = make_result(task)
        result["provenance"] = {"creator": "psi4", "version": "1", "routine": "\0", **said}
        assert manager.give_one(task["id"], result) is None
    sql(archive.conninfo, "UPDATE attempt SET ended_on = now() - interval '1 day' WHERE record_id = 2")
    sql(archive.conninfo, "INSERT INTO server_stats VALUES (current_date - 1, 0, 0, 7, '{\"old\": {}}')")
    assert do(archive.conninfo, lambda db: add_periodic(db, Settings())) == 1
    with running_jobs(archive.conninfo, FUNCTIONS):
        until(lambda: len(api.get("server_stats")) == 3)
    before, yesterday, today = api.get("server_stats")
    ((date,),) = sql(archive.conninfo, "SELECT (now() AT TIME ZONE 'UTC')::date::text")
    assert today["date"] == date
    assert (before["record_count"], before["record_count_details"]) == (0, {})
    assert (yesterday["record_count"], yesterday["cpu_hours"]) == (1, 0.5)
    assert (yesterday["database_size"], yesterday["record_count_details"]) == (7, {"old": {}})
    assert (today["record_count"], today["cpu_hours"]) == (2, 4.0)
    assert today["record_count_details"] == {"singlepoint": {"complete": 3, "waiting": 1}}
    assert today["database_size"] > 1_000_000
    assert today["timestamp"].endswith("Z")


# --- message of the day, ids of requests --------------------------------------------------------------------------


def test_a_message_of_the_day_is_seen_by_all_processes(databases: Any) -> None:
    settings = Settings(motd="from the settings")
    with (
        prepared(databases) as conninfo,
        running(conninfo, settings) as one,
        running(conninfo, settings) as other,
        http(one.address) as api,
        http(other.address) as elsewhere,
    ):
        assert elsewhere.get("motd") == "from the settings"
        for message in ('Down on Friday: \u00e9 " \\ \n', ""):
            assert api.ask("PUT", "/api/v1/motd", message) is None
            assert elsewhere.get("motd") == elsewhere.get("information")["motd"] == message
        assert api.refused("PUT", "/api/v1/motd", None).status == 400
        assert api.refused("PUT", "/api/v1/motd", "\0").status == 400


def test_every_answer_has_an_id_which_the_client_may_choose(archive: Any, api: Http) -> None:
    ids = {api.raw.get("/api/v1/ping").headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5
    for path in ("/api/v1/ping", "/nothing", "/", "/health", "/" + "x" * 3000):
        assert api.raw.get(path, headers={"X-Request-ID": "a.b:c_d-1"}).headers["x-request-id"] == "a.b:c_d-1"
    for nonsense in ("", "a b", "x" * 101, "<script>"):
        assert api.raw.get("/api/v1/ping", headers={"X-Request-ID": nonsense}).headers["x-request-id"] != nonsense
