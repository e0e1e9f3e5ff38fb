"""Operations on more records than one request changes: in batches by a job, which may be killed or stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.archive import Archive, prepared, running
from tests.factories import Http, add, http, sql, until
from tests.runners import do
from tests.upkeep_process import upkeep

from qchive.server.running import BATCH, run_batch
from qchive.server.settings import Settings

N = 2 * BATCH + 500
_COPIES = """
INSERT INTO record (kind, spec_id, requirement_id)
SELECT kind, spec_id, requirement_id
FROM record, generate_series(2, %s) AS g WHERE id = %s
"""


@pytest.fixture
def archive(databases: Any) -> Iterator[Archive]:
    """A server that does little at once."""
    settings = Settings(operation_at_once=10)
    with prepared(databases) as conninfo, running(conninfo, settings) as server:
        yield server


@pytest.fixture
def api(archive: Archive) -> Iterator[Http]:
    with http(archive.address) as made:
        yield made


@pytest.fixture
def ids(archive: Archive, api: Http) -> list[int]:
    """Many waiting records."""
    (first,) = add(api)
    sql(archive.conninfo, _COPIES, N, first)
    return [i for (i,) in sql(archive.conninfo, "SELECT id FROM record ORDER BY id")]


def begin(api: Http, action: str = "cancel", **more: Any) -> dict[str, Any]:
    """Look at an action on all waiting records, and do it."""
    seen = api.post("operations/preview", {"action": action, "filter": {"status": ["waiting"]}, **more})
    assert (seen["count"], seen["background"]) == (N, True)
    return api.post("operations", {"token": seen["token"]})  # type: ignore[no-any-return]


def one_batch(archive: Archive, operation_id: int) -> None:
    do(archive.conninfo, lambda db: db.run(lambda conn: run_batch(conn, operation_id)))


def now(api: Http, operation: dict[str, Any]) -> dict[str, Any]:
    return api.get(f"operations/{operation['id']}")  # type: ignore[no-any-return]


def statuses(archive: Archive) -> dict[str, int]:
    return dict(sql(archive.conninfo, "SELECT status::text, count(*) FROM record GROUP BY status"))


def test_a_job_does_it_and_says_how_far_it_is(archive: Archive, api: Http, ids: list[int]) -> None:
    operation = begin(api)
    assert (operation["state"], operation["changed"], operation["expected"]) == ("running", 0, N)
    assert api.get(f"internal_jobs/{operation['job_id']}")["status"] == "waiting"
    assert statuses(archive) == {"waiting": N}
    with upkeep(archive.conninfo):
        until(lambda: now(api, operation)["state"] == "complete")
        until(lambda: api.get(f"internal_jobs/{operation['job_id']}")["status"] == "complete")
    assert api.get(f"internal_jobs/{operation['job_id']}")["result"] == {"changed": N}
    assert (now(api, operation)["changed"], now(api, operation)["refused"]) == (N, 0)
    assert statuses(archive) == {"cancelled": N}


def test_a_killed_process_loses_and_repeats_nothing(archive: Archive, api: Http, ids: list[int]) -> None:
    with psycopg.connect(archive.conninfo) as other:
        other.execute("SELECT id FROM record WHERE id = %s FOR UPDATE", (ids[BATCH + 5],))
        operation = begin(api)
        with upkeep(archive.conninfo) as process:
            until(lambda: now(api, operation)["changed"] == BATCH)
            until(lambda: sql(archive.conninfo, "SELECT 1 FROM pg_locks WHERE NOT granted") != [])
            process.kill()
            process.wait(30)
    assert statuses(archive) == {"cancelled": BATCH, "waiting": N - BATCH}
    with upkeep(archive.conninfo):
        until(lambda: now(api, operation)["state"] == "complete")
    assert statuses(archive) == {"cancelled": N}
    moves = "SELECT count(*), count(DISTINCT record_id) FROM move WHERE operation_id = %s"
    assert sql(archive.conninfo, moves, operation["id"]) == [(N, N)]


def test_what_is_stopped_half_way_can_be_taken_back(archive: Archive, api: Http, ids: list[int]) -> None:
    operation = begin(api, "modify", compute_tag="elsewhere", compute_priority="high")
    one_batch(archive, operation["id"])
    assert api.post(f"operations/{operation['id']}/stop", None)["state"] == "stopped"
    one_batch(archive, operation["id"])
    changed = "SELECT count(*) FROM record WHERE tag = 'elsewhere' AND priority = 2"
    assert sql(archive.conninfo, changed) == [(BATCH,)]
    undoing = api.post(f"operations/{operation['id']}/undo", {"reason": "the wrong queue"})
    assert (undoing["state"], undoing["expected"], undoing["undoes"]) == ("running", BATCH, operation["id"])
    with upkeep(archive.conninfo):
        until(lambda: now(api, undoing)["state"] == "complete")
    assert now(api, undoing)["changed"] == BATCH
    assert sql(archive.conninfo, "SELECT DISTINCT tag, priority FROM record") == [("*", 1)]


def test_undoing_what_still_runs_stops_it_first(archive: Archive, api: Http, ids: list[int]) -> None:
    operation = begin(api)
    one_batch(archive, operation["id"])
    undoing = api.post(f"operations/{operation['id']}/undo", {})
    with upkeep(archive.conninfo):
        until(lambda: now(api, undoing)["state"] == "complete")
    assert now(api, operation)["state"] == "stopped"
    assert (now(api, undoing)["changed"], statuses(archive)) == (BATCH, {"waiting": N})


def test_cancelling_its_job_stops_an_operation(archive: Archive, api: Http, ids: list[int]) -> None:
    operation = begin(api)
    api.ask("PUT", f"/api/v1/internal_jobs/{operation['job_id']}/status", "cancelled")
    assert now(api, operation)["state"] == "stopped"
    with upkeep(archive.conninfo):
        later = begin(api)
        until(lambda: now(api, later)["state"] == "complete")
    assert (now(api, operation)["changed"], now(api, later)["changed"]) == (0, N)
