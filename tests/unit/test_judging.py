"""Whether a returned result is taken: the design's table, and what must hold whatever the situation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qchive.server.judging import ANOTHER, NO_TASK, NOT_RUNNING, Standing, Verdict, judge
from qchive.status import Status

ME, OTHER = 1, 2
STORE, REPEAT = Verdict.store, Verdict.repeat
S = Status

# What is it | status, latest attempt, its worker | how mine ended, whose it was | my attempt | success, failure
TABLE = [
    ("the attempt I run", S.running, 3, ME, None, None, 3, STORE, STORE),
    ("said again", S.complete, 3, ME, "complete", ME, 3, REPEAT, REPEAT),
    ("a failure said again", S.error, 3, ME, "error", ME, 3, REPEAT, REPEAT),
    ("said again, though it was reset since", S.waiting, 3, None, "error", ME, 3, REPEAT, REPEAT),
    ("said again, though it runs elsewhere since", S.running, 4, OTHER, "error", ME, 3, REPEAT, REPEAT),
    ("said again, though it is cancelled since", S.cancelled, 3, ME, "error", ME, 3, REPEAT, REPEAT),
    ("lost, and the record still waits", S.waiting, 3, None, "lost", ME, 3, STORE, STORE),
    ("handed back, and the record still waits", S.waiting, 3, None, "stopped", ME, 3, STORE, STORE),
    ("lost before somebody else lost it, it waits", S.waiting, 4, None, "lost", ME, 3, STORE, NOT_RUNNING),
    ("lost, and somebody else runs it", S.running, 4, OTHER, "lost", ME, 3, STORE, ANOTHER),
    ("lost, and I run it again", S.running, 4, ME, "lost", ME, 3, STORE, ANOTHER),
    ("lost, and in quarantine", S.error, 4, None, "lost", ME, 3, STORE, NOT_RUNNING),
    ("lost, and failed elsewhere", S.error, 4, OTHER, "lost", ME, 3, STORE, NOT_RUNNING),
    ("lost, and done elsewhere", S.complete, 4, OTHER, "lost", ME, 3, NO_TASK, NO_TASK),
    ("superseded", S.complete, 4, OTHER, "superseded", ME, 4, NO_TASK, NO_TASK),
    ("stopped by cancelling", S.cancelled, 3, None, "stopped", ME, 3, NO_TASK, NO_TASK),
    ("deleted", S.deleted, 3, None, "stopped", ME, 3, NO_TASK, NO_TASK),
    ("invalid", S.invalid, 4, OTHER, "lost", ME, 3, NO_TASK, NO_TASK),
    ("somebody else's, running", S.running, 3, OTHER, None, None, 3, ANOTHER, ANOTHER),
    ("somebody else's, lost", S.waiting, 3, None, "lost", OTHER, 3, ANOTHER, ANOTHER),
    ("somebody else's, done", S.complete, 3, OTHER, "complete", OTHER, 3, NO_TASK, NO_TASK),
    ("a step of a trajectory", S.complete, 0, None, "complete", None, 0, NO_TASK, NO_TASK),
    ("never claimed", S.waiting, 0, None, None, None, 1, NO_TASK, NO_TASK),
    ("not yet claimed so often", S.running, 3, ME, None, None, 4, NO_TASK, NO_TASK),
]


@pytest.mark.parametrize(
    ("status", "latest", "worker", "ended", "ended_by", "attempt", "success", "failure"),
    [pytest.param(*row[1:], id=row[0]) for row in TABLE],
)
def test_a_result_is_judged_by_its_attempt(
    status: Status,
    latest: int,
    worker: int | None,
    ended: str | None,
    ended_by: int | None,
    attempt: int,
    success: Verdict | str,
    failure: Verdict | str,
) -> None:
    at = Standing(status, latest, worker, ended, ended_by)
    assert judge(at, attempt, ME, success=True) == success
    assert judge(at, attempt, ME, success=False) == failure


def test_a_record_that_does_not_exist_takes_nothing() -> None:
    assert judge(None, 1, ME, success=True) == NO_TASK


STANDINGS = st.builds(
    Standing,
    status=st.sampled_from(Status),
    attempt_no=st.integers(0, 4),
    worker_id=st.sampled_from([None, ME, OTHER]),
    ended=st.sampled_from([None, "complete", "error", "lost", "stopped", "superseded"]),
    ended_by=st.sampled_from([None, ME, OTHER]),
)


@given(STANDINGS, st.integers(-1, 5), st.booleans())
def test_nobody_gets_anything_stored_for_somebody_elses_attempt(at: Standing, attempt: int, success: bool) -> None:
    mine = at.ended_by == ME if at.ended else at.worker_id == ME
    verdict = judge(at, attempt, ME, success=success)
    assert isinstance(verdict, str) or mine


@given(STANDINGS, st.integers(-1, 5))
def test_a_success_is_never_refused_where_a_failure_is_taken(at: Standing, attempt: int) -> None:
    failure = judge(at, attempt, ME, success=False)
    if failure is STORE:
        assert judge(at, attempt, ME, success=True) is STORE


@given(STANDINGS, st.integers(-1, 5), st.booleans())
def test_nothing_is_stored_on_a_record_that_is_finished_or_put_away(at: Standing, attempt: int, success: bool) -> None:
    if judge(at, attempt, ME, success=success) is STORE:
        assert at.status in (S.waiting, S.running, S.error)
        assert 0 < attempt <= at.attempt_no
        assert at.ended not in ("complete", "error")


@given(STANDINGS, st.integers(-1, 5), st.booleans())
def test_what_was_stored_is_a_repeat_from_then_on(at: Standing, attempt: int, success: bool) -> None:
    if judge(at, attempt, ME, success=success) is STORE:
        after = Standing(S.complete if success else S.error, at.attempt_no, ME, "complete" if success else "error", ME)
        assert judge(after, attempt, ME, success=success) is REPEAT
        assert judge(after, attempt, ME, success=not success) is REPEAT
