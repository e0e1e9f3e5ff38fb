"""The peer's client, unmodified, manages records on our server: all that the user's guide shows, and every action on
records in every status."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from qcportal import PortalClient, PortalRequestError
from qcportal.metadata_models import DeleteMetadata, UpdateMetadata
from qcportal.molecules import Molecule
from qcportal.record_models import PriorityEnum, RecordModifyBody, RecordStatusEnum
from qcportal.singlepoint import QCSpecification

from qchive.client.connection import Connection
from tests import guide
from tests.accounts import PASSWORD
from tests.archive import prepared, running
from tests.interop.manager import Manager, failed, finished
from tests.interop.peers import portal

ENCODINGS = ["application/json", "application/msgpack"]
HF = ("psi4", "energy", "hf", "sto-3g")
OPT = QCSpecification(program="psi4", driver="deferred", method="hf", basis="sto-3g")
ABSENT = 10**9

STATUSES = ("running", "error", "complete", "invalid", "waiting", "cancelled", "deleted")
NOT_DELETED = set(STATUSES) - {"deleted"}
ACTIONS: dict[str, tuple[set[str], dict[str, str]]] = {
    "reset_records": ({"error"}, {"error": "waiting"}),
    "cancel_records": ({"waiting", "running", "error"}, dict.fromkeys(STATUSES, "cancelled")),
    "uncancel_records": ({"cancelled"}, {"cancelled": "waiting"}),
    "invalidate_records": ({"complete"}, {"complete": "invalid"}),
    "uninvalidate_records": ({"invalid"}, {"invalid": "complete"}),
    "delete_records": (NOT_DELETED, dict.fromkeys(STATUSES, "deleted")),
    "undelete_records": ({"deleted"}, {"deleted": "waiting"}),
}
"""Where each call starts, and what becomes of which status."""


@pytest.fixture(scope="module")
def address(databases: Any) -> Iterator[str]:
    with prepared(databases) as conninfo, running(conninfo) as server:
        yield server.address


@pytest.fixture(params=ENCODINGS)
def client(address: str, request: pytest.FixtureRequest) -> PortalClient:
    return portal(address, request.param)


@pytest.fixture
def manager(address: str, tag: str) -> Iterator[Manager]:
    with Connection(address) as connection:
        yield Manager(connection, (tag,))


def hydrogen() -> Molecule:
    """A hydrogen molecule that no other test has."""
    return Molecule(symbols=["H", "H"], geometry=[0, 0, 0, 0, 0, 1.4 + uuid.uuid4().int % 10**8 / 10**8])


def add(client: PortalClient, tag: str, n: int = 1) -> list[int]:
    _, ids = client.add_singlepoints([hydrogen() for _ in range(n)], *HF, compute_tag=tag)
    return ids  # type: ignore[no-any-return]


def one_of_each(client: PortalClient, tag: str, manager: Manager) -> dict[str, int]:
    """A record in each status, unrelated to each other."""
    claimed = dict(zip(STATUSES, add(client, tag, 4), strict=False))
    tasks = {task.record_id: task for task in manager.claim()}
    results = {tasks[claimed[status]].id: finished(tasks[claimed[status]]) for status in ("complete", "invalid")}
    assert manager.give_back(results | {tasks[claimed["error"]].id: failed()}).n_accepted == 3
    ids = claimed | dict(zip(STATUSES[4:], add(client, tag, 3), strict=True))
    assert client.invalidate_records(ids["invalid"]).success
    assert client.cancel_records(ids["cancelled"]).success
    assert client.delete_records(ids["deleted"]).success
    assert statuses(client, ids.values()) == list(STATUSES)
    return ids


def family(client: PortalClient, tag: str, manager: Manager) -> list[int]:
    """An optimization that is complete, and its two steps."""
    _, (parent,) = client.add_optimizations(hydrogen(), "geometric", OPT, compute_tag=tag)
    manager.run_all()
    return [parent, *(step.id for step in client.get_optimizations(parent).trajectory)]


def statuses(client: PortalClient, ids: Any) -> list[str | None]:
    """How records stand now; None for those that are not there."""
    return [record and record.status.value for record in client.get_records(list(ids), missing_ok=True)]


def positions(meta: UpdateMetadata | DeleteMetadata) -> list[int]:
    """Which of the records given changed."""
    return meta.deleted_idx if isinstance(meta, DeleteMetadata) else meta.updated_idx  # type: ignore[no-any-return]


def relatives(meta: UpdateMetadata | DeleteMetadata) -> int:
    """How many changed along with them."""
    return meta.n_children_deleted if isinstance(meta, DeleteMetadata) else meta.n_children_updated  # type: ignore[no-any-return]


# --- as the guide prints it --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lists", [False, True], ids=["ids", "lists"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_guide_runs_as_it_is_printed(
    databases: Any, encoding: str, lists: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """But for the form of `print(meta)`: today's `qcportal` leaves out the name, which is still in the `repr`."""
    with guide.archive(databases) as server:
        names = guide.told(portal(server.address, encoding), lists=lists, shown="print(repr(meta))")
        comments = names["r"].comments
    assert guide.comments().fullmatch(str(comments)), comments
    assert comments[0].timestamp.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - comments[0].timestamp) < timedelta(minutes=5)
    warned = {word for record in caplog.records for word in record.getMessage().split() if word.startswith("'")}
    assert {"'tag'", "'priority'", "'new_tag'", "'new_priority'"} <= warned


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_ben_tells_the_guide_and_comments_under_his_name(databases: Any, encoding: str) -> None:
    with guide.archive_of_ben(databases) as server:
        names = guide.told(portal(server.address, encoding, guide.BEN, PASSWORD), shown="print(repr(meta))")
        comments = names["r"].comments
    assert guide.comments(guide.BEN).fullmatch(str(comments)), comments


# --- every action on every status --------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_on_records_in_all_statuses_is_answered_for_each(
    client: PortalClient, tag: str, manager: Manager, action: str
) -> None:
    ids = one_of_each(client, tag, manager)
    sources, becomes = ACTIONS[action]
    meta = getattr(client, action)([*ids.values(), ABSENT])
    fit = [n for n, status in enumerate(STATUSES) if status in sources]
    assert positions(meta) == fit
    assert meta.error_idx == [n for n in range(8) if n not in fit]
    assert (meta.success, meta.n_errors, relatives(meta)) == (False, 8 - len(fit), 0)
    assert meta.error_description is None
    assert f"Index 7: Record {ABSENT} does not exist" in meta.error_string
    assert statuses(client, ids.values()) == [becomes[s] if s in sources else s for s in STATUSES]


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_on_a_single_record_answers_for_its_only_position(
    client: PortalClient, tag: str, manager: Manager, action: str
) -> None:
    sources, becomes = ACTIONS[action]
    for status, record_id in one_of_each(client, tag, manager).items():
        meta = getattr(client, action)(record_id)
        fits = status in sources
        assert (positions(meta), meta.error_idx) == (([0], []) if fits else ([], [0]))
        assert meta.success is fits
        assert statuses(client, [record_id]) == [becomes[status] if fits else status]


def test_what_was_stopped_or_deleted_on_the_way_goes_back_step_by_step(
    client: PortalClient, tag: str, manager: Manager
) -> None:
    ids = list(one_of_each(client, tag, manager).values())
    steps: list[tuple[Callable[[list[int]], Any], int, Sequence[str]]] = [
        (client.cancel_records, 3, ["cancelled", "cancelled", "complete", "invalid", *["cancelled"] * 2, "deleted"]),
        (client.invalidate_records, 1, ["cancelled"] * 2 + ["invalid"] * 2 + ["cancelled"] * 2 + ["deleted"]),
        (client.delete_records, 6, ["deleted"] * 7),
        (client.undelete_records, 7, ["cancelled"] * 2 + ["invalid"] * 2 + ["cancelled"] * 2 + ["waiting"]),
        (client.uncancel_records, 4, ["waiting", "error", "invalid", "invalid", "waiting", "waiting", "waiting"]),
        (client.uninvalidate_records, 2, ["waiting", "error", "complete", "complete", *["waiting"] * 3]),
        (client.reset_records, 1, ["waiting", "waiting", "complete", "complete", *["waiting"] * 3]),
    ]
    for step, changed, after in steps:
        assert len(positions(step(ids))) == changed
        assert statuses(client, ids) == after
    assert sorted(task.record_id for task in manager.claim()) == sorted([*ids[:2], *ids[4:]])


def test_ids_come_in_any_collection_and_none_ask_for_nothing(client: PortalClient, tag: str) -> None:
    ids = add(client, tag, 2)
    assert client.cancel_records(tuple(ids)).updated_idx == [0, 1]
    assert client.uncancel_records(set(ids)).n_updated == 2
    assert client.cancel_records([ids[0], ids[0], ABSENT]).updated_idx == [0, 1]
    for action in ACTIONS:
        assert positions(getattr(client, action)([])) == []


# --- deleting ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("soft", "children", "after", "n_children"),
    [
        (True, True, ["deleted", "deleted", "deleted"], 2),
        (True, False, ["deleted", "complete", "complete"], 0),
        (False, True, [None, None, None], 2),
        (False, False, [None, "complete", "complete"], 0),
    ],
)
def test_an_optimization_is_deleted_in_four_ways(
    client: PortalClient, tag: str, manager: Manager, soft: bool, children: bool, after: list[str], n_children: int
) -> None:
    ids = family(client, tag, manager)
    meta = client.delete_records(ids[0], soft_delete=soft, delete_children=children)
    assert repr(meta) == (
        f"DeleteMetadata(error_description=None, errors=[], deleted_idx=[0], n_children_deleted={n_children})"
    )
    assert statuses(client, ids) == after
    back = client.undelete_records(ids[0])
    assert (back.success, back.n_children_updated) == (soft, n_children if soft else 0)
    assert statuses(client, ids) == (["complete"] * 3 if soft else after)


def test_a_step_of_an_optimization_that_stays_cannot_be_removed(
    client: PortalClient, tag: str, manager: Manager
) -> None:
    ids = family(client, tag, manager)
    meta = client.delete_records([ids[1], ABSENT], soft_delete=False)
    assert (meta.deleted_idx, meta.error_idx) == ([1], [0])
    assert "may still be referenced" in meta.error_string
    assert statuses(client, ids) == ["complete"] * 3


def test_records_in_all_statuses_can_be_removed(client: PortalClient, tag: str, manager: Manager) -> None:
    ids = one_of_each(client, tag, manager)
    meta = client.delete_records([*ids.values(), ABSENT], soft_delete=False)
    assert (meta.deleted_idx, meta.n_deleted, meta.success) == (list(range(8)), 8, True)
    assert statuses(client, ids.values()) == [None] * 7
    with pytest.raises(PortalRequestError, match="Could not find all requested"):
        client.get_records(ids["waiting"])


def test_an_optimization_is_not_trusted_if_its_step_is_not(client: PortalClient, tag: str, manager: Manager) -> None:
    ids = family(client, tag, manager)
    meta = client.invalidate_records(ids[1])
    assert (meta.updated_idx, meta.n_children_updated) == ([0], 1)
    assert statuses(client, ids) == ["invalid", "invalid", "complete"]
    meta = client.uninvalidate_records(ids[0])
    assert (meta.updated_idx, meta.n_children_updated) == ([0], 1)
    assert statuses(client, ids) == ["complete"] * 3


# --- tags, priorities, comments, and all at once -----------------------------------------------------------------


@pytest.mark.parametrize("older", [False, True], ids=["newer names", "older names"])
def test_tag_and_priority_of_what_is_not_finished_change(
    client: PortalClient, tag: str, manager: Manager, older: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ids = one_of_each(client, tag, manager)
    before = client.get_records(ids["waiting"])
    names = ("new_tag", "new_priority") if older else ("new_compute_tag", "new_compute_priority")
    given = dict(zip(names, ("A_New_Tag", PriorityEnum.low), strict=True))
    meta = client.modify_records([*ids.values(), ABSENT], **given)
    changed = [n for n, status in enumerate(STATUSES) if status not in ("complete", "invalid")]
    assert (meta.updated_idx, meta.n_children_updated) == (changed, 0)
    assert meta.error_idx == [n for n in range(8) if n not in changed]
    warned = [record.getMessage() for record in caplog.records if record.name.startswith("PortalClient")]
    assert [text.split()[0] for text in warned] == [f"'{name}'" for name in names if older]
    after = client.get_records(ids["waiting"])
    assert (after.task.compute_tag, after.task.compute_priority) == ("a_new_tag", PriorityEnum.low)
    assert (after.created_on, after.modified_on) == (before.created_on, before.modified_on)
    assert client.modify_records(ids["waiting"], new_compute_priority="high").n_updated == 1
    task = client.get_records(ids["waiting"]).task
    assert (task.compute_tag, task.compute_priority) == ("a_new_tag", PriorityEnum.high)
    assert client.modify_records(ids["waiting"]) == UpdateMetadata()


def test_comments_are_kept_in_order_on_records_in_all_statuses(
    client: PortalClient, tag: str, manager: Manager
) -> None:
    ids = list(one_of_each(client, tag, manager).values())
    meta = client.add_comment([*ids, ABSENT], "first")
    assert (meta.updated_idx, meta.error_idx, meta.n_children_updated) == (list(range(7)), [7], 0)
    assert "does not exist" in meta.error_string
    assert client.add_comment(ids[0], "second ✓").n_updated == 1
    comments = client.get_records(ids[0]).comments
    assert [(c.record_id, c.username, c.comment) for c in comments] == [
        (ids[0], None, "first"),
        (ids[0], None, "second ✓"),
    ]
    assert comments[0].timestamp <= comments[1].timestamp
    assert [len(r.comments) for r in client.get_records(ids[1:], include=["comments"])] == [1] * 6
    assert statuses(client, ids) == list(STATUSES)


def test_status_tag_and_comment_in_one_request_apply_together_or_not_at_all(
    client: PortalClient, tag: str, manager: Manager
) -> None:
    ids = one_of_each(client, tag, manager)
    asked = [ids["error"], ids["complete"], ids["waiting"], ABSENT]
    body = RecordModifyBody(
        record_ids=asked,
        status=RecordStatusEnum.waiting,
        compute_tag="Other",
        compute_priority=PriorityEnum.high,
        comment="once more",
    )
    meta = client.make_request("patch", "api/v1/records", UpdateMetadata, body=body)
    assert (meta.updated_idx, meta.error_idx) == ([0], [1, 2, 3])
    again, complete, waiting = client.get_records(asked[:3])
    assert (again.status, again.task.compute_tag, again.task.compute_priority) == (
        RecordStatusEnum.waiting,
        "other",
        PriorityEnum.high,
    )
    assert [len(r.comments) for r in (again, complete, waiting)] == [1, 0, 0]
    assert waiting.task.compute_tag == tag
    with pytest.raises(PortalRequestError, match="Nothing to change"):
        client.make_request("patch", "api/v1/records", UpdateMetadata, body=RecordModifyBody(record_ids=asked))


def test_a_record_in_hand_stays_as_it_was_fetched(client: PortalClient, tag: str, manager: Manager) -> None:
    (record_id,) = add(client, tag)
    seen = client.get_records(record_id)
    bare = client.get_records(record_id)
    assert (seen.task.compute_tag, seen.comments) == (tag, [])
    assert client.modify_records(record_id, new_compute_tag="later").n_updated == 1
    assert client.add_comment(record_id, "later").n_updated == 1
    assert (seen.task.compute_tag, seen.comments) == (tag, []), "what was looked at is kept"
    assert bare.task.compute_tag == "later", "what was not is fetched now"
    assert [c.comment for c in bare.comments] == ["later"]
    assert client.cancel_records(record_id).n_updated == 1
    assert (bare.status, bare.task.compute_tag) == (RecordStatusEnum.waiting, "later")
    anew = client.get_records(record_id, include=["task", "comments"])
    assert (anew.status, anew.task, len(anew.comments)) == (RecordStatusEnum.cancelled, None, 1)
    assert client.uncancel_records(record_id).n_updated == 1
    assert (anew.status, anew.task) == (RecordStatusEnum.cancelled, None)
    assert client.get_records(record_id).task.compute_tag == "later"
