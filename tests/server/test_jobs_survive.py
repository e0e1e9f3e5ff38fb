"""Internal jobs survive what happens to their runners and to PostgreSQL, and are not run twice because of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from msgspec.structs import replace
from tests.archive import Archive, running
from tests.factories import Http, http, sql, until
from tests.runners import BRISK, Gate, add_job, do, ended, running_jobs
from tests.serving import kill
from tests.upkeep_process import PAUSE, STEPS, upkeep

from qchive.db.embedded import EmbeddedPostgres
from qchive.server.settings import Settings
from qchive.server.upkeep.jobs.functions import add_periodic
from qchive.server.upkeep.jobs.run import Run, Stopped

UNSEEN = replace(BRISK, heartbeat=3600.0, idle=3600.0)
"""Neither signs of life nor looks: whatever happens is heard of by notification, or by nobody."""
IMPATIENT = replace(BRISK, dead=0.3)
"""For whom others are soon dead."""


async def echo(run: Run) -> int:
    return run.job_id


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A function that waits."""
    made = Gate()
    yield made
    made.open.set()


@pytest.fixture
def in_steps(archive: Archive) -> Archive:
    """An archive for jobs that work in steps."""
    sql(archive.conninfo, "CREATE TABLE step (job_id bigint, step int, PRIMARY KEY (job_id, step))")
    return archive


def steps_done(archive: Archive) -> list[int]:
    return [step for (step,) in sql(archive.conninfo, "SELECT step FROM step ORDER BY 1")]


def go_on(archive: Archive) -> None:
    sql(archive.conninfo, "INSERT INTO setting VALUES ('go', 'true')")


# --- runners ------------------------------------------------------------------------------------------------------


def test_a_job_of_a_killed_process_is_taken_over_and_goes_on_where_it_was(in_steps: Archive, api: Http) -> None:
    with upkeep(in_steps.conninfo) as victim:
        job_id = add_job(in_steps.conninfo, "steps")
        until(lambda: api.get(f"internal_jobs/{job_id}")["progress"] == 100 * PAUSE // STEPS)
        victim.kill()
        victim.wait(30)
    before = api.get(f"internal_jobs/{job_id}")
    assert (before["status"], before["progress_description"]) == ("running", f"step {PAUSE}")
    go_on(in_steps)
    with upkeep(in_steps.conninfo):
        after = ended(api, job_id)
    assert (after["status"], after["result"]) == ("complete", {"first": PAUSE + 1, "last": STEPS})
    assert after["runner_uuid"] != before["runner_uuid"]
    assert steps_done(in_steps) == list(range(1, STEPS + 1))


def test_a_process_that_ends_puts_its_jobs_back(in_steps: Archive, api: Http) -> None:
    with upkeep(in_steps.conninfo) as process:
        job_id = add_job(in_steps.conninfo, "steps")
        until(lambda: len(steps_done(in_steps)) == PAUSE)
        process.terminate()
        assert process.wait(30) == 0
    shown = api.get(f"internal_jobs/{job_id}")
    cleared = ("started_date", "last_updated", "runner_hostname", "runner_uuid", "progress_description", "result")
    assert (shown["status"], shown["progress"], [shown[name] for name in cleared]) == ("waiting", 0, [None] * 6)
    go_on(in_steps)
    with upkeep(in_steps.conninfo):
        assert ended(api, job_id)["result"]["first"] == PAUSE + 1


def test_a_process_that_inherited_a_blocked_sigterm_still_ends_on_it(archive: Archive, api: Http) -> None:
    with ExitStack() as stack:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            process = stack.enter_context(upkeep(archive.conninfo))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        stack.callback(process.kill)
        until(lambda: api.post("internal_jobs/query", {"status": ["complete"]}))
        process.terminate()
        assert process.wait(30) == 0


def test_a_runner_leaves_nothing_running_whenever_it_ends(archive: Archive, api: Http) -> None:
    add_job(archive.conninfo, repeat_delay=0)
    for n in range(10):
        with running_jobs(archive.conninfo, {"echo": echo}):
            until(lambda: len(api.post("internal_jobs/query", {"status": ["complete"]})) > 3 * n)  # noqa: B023
        assert api.post("internal_jobs/query", {"status": ["running"]}) == []


def test_what_a_late_runner_brings_is_discarded(archive: Archive, api: Http, gate: Gate) -> None:
    async def second(run: Run) -> str:
        return "of the second"

    with running_jobs(archive.conninfo, {"it": gate}, UNSEEN):
        job_id = add_job(archive.conninfo, "it", repeat_delay=3600)
        until(lambda: gate.entered)
        with running_jobs(archive.conninfo, {"it": second}, IMPATIENT):
            shown = ended(api, job_id)
        gate.open.set()
    assert gate.left == [job_id]
    assert shown["result"] == "of the second"
    assert api.get(f"internal_jobs/{job_id}") == shown
    assert len(api.post("internal_jobs/query", {})) == 2, "it repeats once"


def test_a_runner_that_lost_its_job_notices_and_stops_it(archive: Archive, api: Http, gate: Gate) -> None:
    with running_jobs(archive.conninfo, {"it": gate, "echo": echo}):
        job_id = add_job(archive.conninfo, "it")
        until(lambda: gate.entered)
        sql(archive.conninfo, "UPDATE job SET runner_uuid = 'another' WHERE id = %s", job_id)
        until(lambda: gate.left)
        ended(api, add_job(archive.conninfo))
    assert api.get(f"internal_jobs/{job_id}")["runner_uuid"] == "another"


def test_a_late_runner_cannot_do_another_batch(archive: Archive, api: Http) -> None:
    said: list[str] = []

    async def batch(run: Run) -> None:
        sql(archive.conninfo, "UPDATE job SET runner_uuid = 'another' WHERE id = %s", run.job_id)
        try:
            await run.db.run(run.hold)
        except Stopped:
            said.append("stopped")
            raise
        said.append("held")

    with running_jobs(archive.conninfo, {"batch": batch, "echo": echo}, UNSEEN):
        job_id = add_job(archive.conninfo, "batch")
        ended(api, add_job(archive.conninfo))
        until(lambda: said)
    assert said == ["stopped"]
    assert api.get(f"internal_jobs/{job_id}")["status"] == "running", "that is for the other to say"


def test_while_a_job_is_held_nobody_takes_it_over(archive: Archive, api: Http, gate: Gate) -> None:
    """A batch that takes long, of a runner that looks dead, is finished before another begins."""
    order: list[str] = []

    async def first(run: Run) -> None:
        async def work(conn: Any) -> None:
            await run.hold(conn)
            await gate(run)
            order.append("first")

        await run.db.run(work)

    async def second(run: Run) -> None:
        order.append("second")

    with running_jobs(archive.conninfo, {"it": first}, UNSEEN):
        job_id = add_job(archive.conninfo, "it")
        until(lambda: gate.entered)
        with running_jobs(archive.conninfo, {"it": second, "echo": echo}, IMPATIENT):
            until(lambda: _looks_dead(archive, job_id))
            assert ended(api, add_job(archive.conninfo))["status"] == "complete", "others pass it"
            assert order == []
            gate.open.set()
            assert ended(api, job_id)["status"] == "complete"
    assert order[0] == "first"


def _looks_dead(archive: Archive, job_id: int) -> bool:
    found = sql(archive.conninfo, "SELECT last_updated < now() - interval '0.5 s' FROM job WHERE id = %s", job_id)
    return bool(found[0][0])


def test_a_cancelled_job_whose_runner_died_ends_with_the_next_runner(archive: Archive, api: Http) -> None:
    job_id = add_job(archive.conninfo, serial_group="g")
    sql(
        archive.conninfo,
        "UPDATE job SET status = 'cancelled', started_date = now(), last_updated = now() - interval '1 h',"
        " runner_uuid = 'dead' WHERE id = %s",
        job_id,
    )
    with running_jobs(archive.conninfo, {"echo": echo}):
        shown = ended(api, job_id)
        assert (shown["status"], shown["result"]) == ("cancelled", None)
        assert ended(api, add_job(archive.conninfo, serial_group="g"))["status"] == "complete"


# --- PostgreSQL ---------------------------------------------------------------------------------------------------


def test_jobs_survive_a_power_cut_of_postgresql(own_postgres: EmbeddedPostgres, gate: Gate) -> None:
    with (
        running(own_postgres.dsn) as server,
        http(server.address) as api,
        running_jobs(own_postgres.dsn, {"gate": gate, "echo": echo}, UNSEEN),
    ):
        job_id = add_job(own_postgres.dsn, "gate")
        until(lambda: gate.entered)
        kill(own_postgres)
        gate.open.set()
        own_postgres.start()
        assert ended(api, job_id)["status"] == "complete"
        assert gate.entered == [job_id]
        assert ended(api, add_job(own_postgres.dsn))["status"] == "complete", "new jobs are heard of"
        gate.open.clear()
        job_id = add_job(own_postgres.dsn, "gate")
        until(lambda: len(gate.entered) == 2)
        api.ask("PUT", f"/api/v1/internal_jobs/{job_id}/status", "cancelled")
        assert ended(api, job_id)["status"] == "cancelled"


def test_a_job_that_found_postgresql_away_is_not_a_failure(own_postgres: EmbeddedPostgres) -> None:
    tries: list[int] = []

    async def look(run: Run) -> str:
        tries.append(run.job_id)
        if len(tries) == 1:
            kill(own_postgres)
        await run.db.run(run.hold)
        return "found it"

    settings = Settings(database_patience=0.2)
    with (
        running(own_postgres.dsn, settings) as server,
        http(server.address) as api,
        running_jobs(own_postgres.dsn, {"look": look}, settings=settings),
    ):
        job_id = add_job(own_postgres.dsn, "look")
        until(lambda: tries and own_postgres.pid is None)
        own_postgres.start()
        until(lambda: api.raw.post("/api/v1/internal_jobs/query", json={}).status_code == 200)
        assert ended(api, job_id)["result"] == "found it"
        assert len(tries) >= 1


# --- what is always to be there -----------------------------------------------------------------------------------

KEEP = Settings(internal_job_keep=3600)


def test_upkeep_removes_old_jobs(archive: Archive, api: Http) -> None:
    ids = [add_job(archive.conninfo) for _ in range(3)]
    ending = "UPDATE job SET status = 'complete', ended_date = now() - make_interval(mins => %s) WHERE id = %s"
    for job_id, minutes in zip(ids, (59, 61), strict=False):
        sql(archive.conninfo, ending, minutes, job_id)
    with upkeep(archive.conninfo, KEEP):
        until(lambda: len(api.post("internal_jobs/query", {"name": ["delete_old_internal_jobs"]})) == 2)
    again, done = api.post("internal_jobs/query", {"name": ["delete_old_internal_jobs"]})
    assert (done["status"], done["result"]) == ("complete", 1)
    assert (again["status"], again["repeat_delay"]) == ("waiting", 86400)
    assert [j["id"] for j in api.post("internal_jobs/query", {"job_id": ids})] == [ids[2], ids[0]]


def test_periodic_jobs_are_added_again_whatever_became_of_them(archive: Archive, api: Http) -> None:
    def look() -> list[tuple[int, str]]:
        do(archive.conninfo, lambda db: add_periodic(db, KEEP))
        return [(j["id"], j["status"]) for j in api.post("internal_jobs/query", {"name": ["delete_old_internal_jobs"]})]

    assert look() == look() == [(1, "waiting")]
    api.ask("PUT", "/api/v1/internal_jobs/1/status", "cancelled")
    ((new, status), cancelled) = look()
    assert (status, cancelled) == ("waiting", (1, "cancelled"))
    api.ask("DELETE", f"/api/v1/internal_jobs/{new}")
    assert [status for _, status in look()] == ["waiting", "cancelled"]


def test_nothing_is_removed_unless_it_is_asked_for(archive: Archive, api: Http) -> None:
    assert do(archive.conninfo, lambda db: add_periodic(db, Settings())) == 1
    assert [job["name"] for job in api.post("internal_jobs/query", {})] == ["fill_statistics"]
