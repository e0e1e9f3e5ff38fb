"""The life of internal jobs: added, picked in order, run, repeated, cancelled, removed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace
from tests.factories import Http, sql, until
from tests.runners import BRISK, Gate, add_job, ended, running_jobs

from qchive.db.pool import Connection
from qchive.errors import InvalidSpecification
from qchive.server.upkeep.jobs.run import Run


async def echo(run: Run) -> Any:
    return {"kwargs": run.kwargs, "username": run.username, "id": run.job_id}


async def fail(run: Run) -> None:
    raise FileNotFoundError("/srv/secret/place")


async def refuse(run: Run) -> None:
    raise InvalidSpecification("no such thing")


async def unsendable(run: Run) -> Any:
    return object()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A function that waits; nothing is left waiting behind it."""
    made = Gate()
    yield made
    made.open.set()


@pytest.fixture
def functions(gate: Gate) -> dict[str, Any]:
    return {"echo": echo, "fail": fail, "refuse": refuse, "unsendable": unsendable, "gate": gate, "other gate": Gate()}


def status(api: Http, job_id: int) -> str:
    return api.get(f"internal_jobs/{job_id}")["status"]  # type: ignore[no-any-return]


def cancel(api: Http, job_id: int) -> None:
    assert api.ask("PUT", f"/api/v1/internal_jobs/{job_id}/status", "cancelled") is None


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


LATER = datetime(2999, 1, 1, tzinfo=UTC)


# --- from adding to the end ---------------------------------------------------------------------------------------


def test_a_waiting_job_is_shown_as_the_protocol_has_it(archive: Any, api: Http) -> None:
    job_id = add_job(archive.conninfo, "f.g", "a name", kwargs={"n": [1, None]}, username="ann", scheduled=LATER)
    shown = api.get(f"internal_jobs/{job_id}")
    assert shown.pop("added_date").endswith("Z")
    nothing = ("started_date", "last_updated", "ended_date", "runner_hostname", "runner_uuid", "repeat_delay")
    nothing += ("serial_group", "progress_description", "after_function", "after_function_kwargs", "result")
    assert shown == {
        "id": job_id,
        "name": "a name",
        "status": "waiting",
        "scheduled_date": "2999-01-01T00:00:00Z",
        "progress": 0,
        "function": "f.g",
        "kwargs": {"n": [1, None]},
        "user": "ann",
        **dict.fromkeys(nothing),
    }


def test_a_job_runs_as_soon_as_it_is_added_and_keeps_its_result(
    archive: Any, api: Http, functions: dict[str, Any]
) -> None:
    with running_jobs(archive.conninfo, functions) as runner:
        job_id = add_job(archive.conninfo, kwargs={"x": 1.5}, username="ann")
        shown = ended(api, job_id)
    assert (shown["status"], shown["progress"], shown["progress_description"]) == ("complete", 100, "Complete")
    assert shown["result"] == {"kwargs": {"x": 1.5}, "username": "ann", "id": job_id}
    assert (shown["runner_uuid"], shown["ended_date"]) == (runner.uuid, shown["last_updated"])
    assert shown["scheduled_date"] <= shown["started_date"] <= shown["ended_date"]
    assert len(api.post("internal_jobs/query", {})) == 1, "nothing repeats"


def test_a_running_job_shows_how_far_it_is(archive: Any, api: Http, functions: dict[str, Any], gate: Gate) -> None:
    with running_jobs(archive.conninfo, functions):
        job_id = add_job(archive.conninfo, "gate")
        until(lambda: api.get(f"internal_jobs/{job_id}")["progress"] == 42)
        shown = api.get(f"internal_jobs/{job_id}")
        assert (shown["status"], shown["progress_description"], shown["result"]) == ("running", "at the gate", None)
        until(lambda: api.get(f"internal_jobs/{job_id}")["last_updated"] > shown["last_updated"])
        gate.open.set()
        assert ended(api, job_id)["result"] == "through"


def test_jobs_start_in_the_order_of_their_schedule(archive: Any, api: Http, functions: dict[str, Any]) -> None:
    """Not of their ids; those without a schedule are due at once, those of the future wait."""
    times = [soon(3), soon(-5), soon(-9), None, LATER]
    ids = [add_job(archive.conninfo, scheduled=t) for t in times]
    with running_jobs(archive.conninfo, functions):
        done = [ended(api, i) for i in ids[:4]]
    assert [j["id"] for j in sorted(done, key=lambda j: j["started_date"])] == [ids[2], ids[1], ids[3], ids[0]]
    assert done[0]["started_date"] >= done[0]["scheduled_date"]
    assert status(api, ids[4]) == "waiting"


def test_jobs_that_nobody_here_knows_wait_for_somebody_who_does(
    archive: Any, api: Http, functions: dict[str, Any]
) -> None:
    unknown, known = add_job(archive.conninfo, "of a newer release"), add_job(archive.conninfo)
    with running_jobs(archive.conninfo, functions):
        assert ended(api, known)["status"] == "complete"
    assert status(api, unknown) == "waiting"


@pytest.mark.parametrize(
    ("function", "said"), [("fail", "FileNotFoundError"), ("refuse", "no such thing"), ("unsendable", "cannot be sto")]
)
def test_a_job_that_fails_says_so_in_short(
    archive: Any, api: Http, functions: dict[str, Any], function: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running_jobs(archive.conninfo, functions):
        shown = ended(api, add_job(archive.conninfo, function))
    assert shown["status"] == "error"
    assert shown["result"].startswith(said)
    assert "/" not in shown["result"], "no paths"
    (error_id,) = [word for word in shown["result"].split() if word in caplog.text and word.isdigit()]
    assert f"error {error_id}: 'internal job {shown['id']}'" in caplog.text
    (kept,) = api.post("server_errors/query", {"error_id": [int(error_id)]})
    assert said in kept["error_text"]


# --- groups, names, repetition ------------------------------------------------------------------------------------


def test_one_job_of_a_serial_group_runs_at_a_time_over_all_runners(archive: Any, api: Http) -> None:
    pair = [Gate(), Gate()]
    ids = [add_job(archive.conninfo, "gate", serial_group=group) for group in ("a", "a", "a", "b")]
    with running_jobs(archive.conninfo, {"gate": pair[0]}), running_jobs(archive.conninfo, {"gate": pair[1]}):
        until(lambda: sum(len(g.entered) for g in pair) == 2)
        assert [status(api, i) for i in ids] == ["running", "waiting", "waiting", "running"]
        for gate in pair:
            gate.open.set()
        done = [ended(api, i) for i in ids]
    spans = sorted((j["started_date"], j["ended_date"]) for j in done[:3])
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    assert [g.most for g in pair] == [1, 1]


def test_several_runners_share_many_jobs_and_run_each_once(archive: Any, api: Http) -> None:
    ran: list[int] = []

    async def note(run: Run) -> None:
        ran.append(run.job_id)

    with (
        running_jobs(archive.conninfo, {"note": note}),
        running_jobs(archive.conninfo, {"note": note}),
        running_jobs(archive.conninfo, {"note": note}),
    ):
        ids = [add_job(archive.conninfo, "note", serial_group="ab"[n % 2] if n % 3 else None) for n in range(30)]
        until(lambda: all(j["status"] == "complete" for j in api.post("internal_jobs/query", {})))
    assert sorted(ran) == ids


def test_a_unique_name_is_held_until_its_job_ends(
    archive: Any, api: Http, functions: dict[str, Any], gate: Gate
) -> None:
    def add() -> int:
        return add_job(archive.conninfo, "gate", "one", unique=True)

    first = add()
    assert add() == first
    assert add_job(archive.conninfo, "echo", "one") != first, "others may have the same name"
    with running_jobs(archive.conninfo, functions):
        until(lambda: gate.entered)
        assert add() == first
        gate.open.set()
        ended(api, first)
        second = add()
        assert second > first
        assert ended(api, second)["status"] == "complete"


def test_cancelling_releases_the_unique_name(archive: Any, api: Http) -> None:
    first = add_job(archive.conninfo, name="one", unique=True)
    cancel(api, first)
    second = add_job(archive.conninfo, name="one", unique=True)
    assert second != first
    api.ask("DELETE", f"/api/v1/internal_jobs/{second}")
    assert add_job(archive.conninfo, name="one", unique=True) not in (first, second)


def test_a_shorter_delay_takes_effect_at_once(archive: Any, api: Http) -> None:
    def add(delay: int, **more: Any) -> dict[str, Any]:
        job_id = add_job(archive.conninfo, name="one", unique=True, repeat_delay=delay, **more)
        return api.get(f"internal_jobs/{job_id}")  # type: ignore[no-any-return]

    first = add(86400, scheduled=soon(80000))
    assert add(86400)["scheduled_date"] == first["scheduled_date"]
    shorter = add(60)
    assert (shorter["id"], shorter["repeat_delay"]) == (first["id"], 60)
    assert shorter["scheduled_date"] < soon(61).isoformat()
    longer = add(3600)
    assert (longer["repeat_delay"], longer["scheduled_date"]) == (3600, shorter["scheduled_date"])


def test_a_job_with_a_delay_comes_again_and_leaves_its_history(
    archive: Any, api: Http, functions: dict[str, Any]
) -> None:
    with running_jobs(archive.conninfo, functions):
        add_job(archive.conninfo, name="again", unique=True, repeat_delay=0, kwargs={"n": 1}, username="ann")
        until(lambda: len(api.post("internal_jobs/query", {"status": ["complete"]})) >= 3)
    jobs = api.post("internal_jobs/query", {})
    assert [j["status"] for j in jobs] == ["waiting", *["complete"] * (len(jobs) - 1)]
    for job in jobs:
        assert (job["name"], job["kwargs"], job["user"], job["repeat_delay"]) == ("again", {"n": 1}, "ann", 0)
    assert add_job(archive.conninfo, name="again", unique=True) == jobs[0]["id"], "the name goes on with it"


def test_after_errors_a_job_comes_again_ever_later(archive: Any, api: Http, functions: dict[str, Any]) -> None:
    broken = [True]

    async def maybe(run: Run) -> None:
        if broken[0]:
            raise ValueError

    with running_jobs(archive.conninfo, {"maybe": maybe}):
        add_job(archive.conninfo, "maybe", repeat_delay=0)
        until(lambda: len(api.post("internal_jobs/query", {"status": ["error"]})) == 4)
        broken[0] = False
        until(lambda: api.post("internal_jobs/query", {"status": ["complete"]}))
    delays = sql(
        archive.conninfo,
        "SELECT extract(epoch FROM b.scheduled_date - a.ended_date)::float, b.failures"
        " FROM job a JOIN job b ON b.id = a.id + 1 ORDER BY a.id LIMIT 5",
    )
    assert delays == [(0.5, 1), (1.0, 2), (1.5, 3), (1.5, 4), (0.0, 0)]


def test_maintenance_does_not_wait_for_what_people_asked_for(
    archive: Any, api: Http, functions: dict[str, Any], gate: Gate
) -> None:
    with running_jobs(archive.conninfo, functions):
        add_job(archive.conninfo, "gate")
        until(lambda: gate.entered)
        assert ended(api, add_job(archive.conninfo, repeat_delay=3600))["status"] == "complete"


# --- cancelling and removing --------------------------------------------------------------------------------------


def test_a_waiting_job_is_cancelled_at_once(archive: Any, api: Http, functions: dict[str, Any]) -> None:
    job_id = add_job(archive.conninfo, repeat_delay=1)
    cancel(api, job_id)
    shown = api.get(f"internal_jobs/{job_id}")
    assert (shown["status"], shown["started_date"]) == ("cancelled", None)
    assert shown["ended_date"] is not None
    with running_jobs(archive.conninfo, functions):
        ended(api, add_job(archive.conninfo))
    assert api.get(f"internal_jobs/{job_id}") == shown


def test_a_running_job_is_cancelled_at_its_next_check_point(
    archive: Any, api: Http, functions: dict[str, Any], gate: Gate
) -> None:
    with running_jobs(archive.conninfo, functions, replace(BRISK, heartbeat=60.0)):
        job_id = add_job(archive.conninfo, "gate", repeat_delay=0)
        until(lambda: gate.entered)
        cancel(api, job_id)
        shown = ended(api, job_id)
        assert (shown["status"], shown["result"], gate.left) == ("cancelled", None, [job_id])
        assert ended(api, add_job(archive.conninfo))["status"] == "complete", "the runner goes on"
    assert [j["status"] for j in api.post("internal_jobs/query", {})] == ["complete", "cancelled"], "nothing repeats"


def test_the_work_of_a_cancelled_job_is_rolled_back(archive: Any, api: Http) -> None:
    entered: list[int] = []

    async def busy(run: Run) -> None:
        async def work(conn: Connection) -> None:
            await conn.execute("INSERT INTO setting VALUES ('busy', 'true')")
            entered.append(run.job_id)
            await conn.execute("SELECT pg_sleep(3600)")

        await run.db.run(work)

    with running_jobs(archive.conninfo, {"busy": busy, "echo": echo}):
        job_id = add_job(archive.conninfo, "busy")
        until(lambda: entered)
        cancel(api, job_id)
        assert ended(api, job_id)["status"] == "cancelled"
        assert ended(api, add_job(archive.conninfo))["status"] == "complete"
    assert sql(archive.conninfo, "SELECT count(*) FROM setting WHERE key = 'busy'") == [(0,)]


def test_a_job_that_ended_stays_as_it_is(archive: Any, api: Http, functions: dict[str, Any]) -> None:
    with running_jobs(archive.conninfo, functions):
        shown = ended(api, add_job(archive.conninfo))
    cancel(api, shown["id"])
    assert api.get(f"internal_jobs/{shown['id']}") == shown


def test_a_job_removed_while_it_runs_is_stopped_and_does_not_come_again(
    archive: Any, api: Http, functions: dict[str, Any], gate: Gate
) -> None:
    with running_jobs(archive.conninfo, functions):
        job_id = add_job(archive.conninfo, "gate", repeat_delay=0, serial_group="g")
        until(lambda: gate.entered)
        assert api.ask("DELETE", f"/api/v1/internal_jobs/{job_id}") is None
        until(lambda: gate.left)
        assert ended(api, add_job(archive.conninfo, serial_group="g"))["status"] == "complete"
    assert len(api.post("internal_jobs/query", {})) == 1
