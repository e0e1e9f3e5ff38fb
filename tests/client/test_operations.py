"""Our client acts on many records, takes it back, and tells what happened."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from qchive import PortalClient, RecordStatusEnum, errors, wire
from qchive.client import progress
from qchive.client.tables import text
from qchive.server.settings import Settings
from tests.archive import prepared, running
from tests.factories import Http, Manager, add, claim_and_return, complete, failure, http, make_molecule
from tests.upkeep_process import upkeep


@pytest.fixture
def api(archive: Any) -> Iterator[Http]:
    with http(archive.address) as api:
        yield api


@pytest.fixture(params=[wire.JSON, wire.MSGPACK])
def client(archive: Any, request: pytest.FixtureRequest) -> Iterator[PortalClient]:
    with PortalClient(archive.address, encoding=request.param) as client:
        yield client


def fail(api: Http) -> int:
    """The id of a record that failed."""
    (record_id,) = add(api)
    manager = Manager(api)
    (task,) = manager.claim()
    manager.give_one(task["id"], failure())
    return record_id


def test_a_preview_says_what_would_change_and_changes_nothing(api: Http, client: PortalClient) -> None:
    done, (waiting,) = complete(api), add(api)
    preview = client.preview("cancel", record_type="singlepoint", created_after="2020-01-01")
    assert (preview.action, preview.count, preview.background) == ("cancel", 1, False)
    assert preview.by_status == {"singlepoint": {"waiting": 1}}
    assert preview.others == {"singlepoint": {"complete": 1}}
    assert [example.id for example in preview.examples] == [waiting]
    assert repr(preview).startswith("cancel: 1 would change, 1 would be left alone\n\nwould change  waiting\n")
    assert "<td>sto-3g</td>" in preview._repr_html_()
    assert api.statuses([done, waiting]) == ["complete", "waiting"]


def test_what_is_applied_can_be_read_and_taken_back(api: Http, client: PortalClient) -> None:
    ids = add(api, 3)
    operation = client.preview("cancel", status="waiting").apply("too many")
    assert (operation.action, operation.reason, operation.state) == ("cancel", "too many", "complete")
    assert (operation.changed, operation.expected, operation.undoes) == (3, 3, None)
    assert (operation.filter, operation.changes, operation.undoable) == ({"status": ["waiting"]}, {}, True)
    assert repr(operation) == f"<Operation id={operation.id} cancel complete: 3 changed, 0 relatives, 0 refused>"
    assert "<th>reason</th><td>too many</td>" in operation._repr_html_()
    assert "changed" in dir(operation)
    with pytest.raises(AttributeError, match="has no colour"):
        _ = operation.colour
    assert [(m.record_id, m.source.value) for m in operation.moves()] == [(i, "waiting") for i in ids]
    client.uncancel_records(ids[0])
    undoing = operation.undo("they were needed", progress=False)
    assert (undoing.undoes, undoing.changed, undoing.reason) == (operation.id, 2, "they were needed")
    assert [one.record_id for one in undoing.left()] == [ids[0]]
    assert api.statuses(ids) == ["waiting"] * 3
    with pytest.raises(errors.InvalidBody):
        list(operation.left())


def test_moves_come_page_by_page(api: Http, client: PortalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from qchive.api import operations

    ids = add(api, 5)
    operation = client.preview("cancel", record_id=ids).apply()

    class Small(operations.Slice, kw_only=True):
        limit: int = 2

    monkeypatch.setattr(operations, "Slice", Small)
    assert [move.record_id for move in operation.moves()] == ids


def test_an_operation_is_undone_by_its_id_and_found(api: Http, client: PortalClient) -> None:
    first, second = add(api, 2)
    mine = client.preview("cancel", record_id=first).apply()
    other = client.preview("cancel", record_id=second).apply()
    undone = client.undo(other.id, reason="no")
    assert [o.id for o in client.query_operations()] == [undone.id, other.id, mine.id]
    assert [o.id for o in client.query_operations(limit=2)] == [undone.id, other.id]
    assert [o.id for o in client.query_operations(action=["cancel", "reset"], record_id=first)] == [mine.id]
    assert [o.id for o in client.query_operations(before="2020-01-01")] == []
    assert [o.id for o in client.query_operations(after=datetime(2020, 1, 1, tzinfo=UTC))] != []
    assert client.get_operation(undone.id).undoes == other.id
    with pytest.raises(errors.NotFound):
        client.get_operation(10**6)
    with pytest.raises(TypeError, match="there is no filter actions"):
        client.query_operations(actions="cancel")


def test_tag_and_priority_and_comments_by_filter(api: Http, client: PortalClient) -> None:
    (record_id,) = add(api, compute_tag="small")
    operation = client.preview("modify", compute_tag="small", new_tag="Big", new_priority="high").apply()
    assert operation.changes == {"compute_tag": "big", "compute_priority": 2}
    task = client.get_records(record_id).task
    assert (task.tag, task.compute_tag, task.priority.name) == ("big", "big", "high")
    client.preview("modify", compute_tag="big", new_compute_tag="*", new_compute_priority=0).apply()
    assert client.get_records(record_id).task.priority.name == "low"
    comment = client.preview("comment", record_id=record_id, comment="odd").apply()
    assert [c.comment for c in client.get_records(record_id).comments] == ["odd"]
    assert comment.undoable is False
    with pytest.raises(errors.NotUndoable):
        comment.undo()


def test_what_makes_no_sense_is_refused(client: PortalClient) -> None:
    with pytest.raises(TypeError, match="there is no filter metod"):
        client.preview("cancel", metod="hf")
    with pytest.raises(errors.InvalidBody, match="There is no action 'explode'"):
        client.preview("explode")
    with pytest.raises(errors.InvalidBody, match="Nothing to change"):
        client.preview("modify", status="waiting")
    with pytest.raises(TypeError, match="there is no filter statuses"):
        client.count_records(statuses="error")
    with pytest.raises(ValueError, match="soon"):
        client.preview("modify", new_priority="soon")


def test_what_moved_since_the_preview_is_noticed(api: Http, client: PortalClient) -> None:
    ids = add(api, 4)
    preview = client.preview("cancel", status="waiting")
    add(api, 3)
    claim_and_return(Manager(api), limit=2)
    with pytest.raises(errors.CountMoved) as refused:
        preview.apply()
    assert (refused.value.fields["expected"], refused.value.fields["count"]) == (4, 2)
    assert preview.apply(tolerance=0.5).changed == 2
    assert api.statuses(ids).count("cancelled") == 2


def test_records_are_counted_and_found_by_all_that_is_known_of_them(api: Http, client: PortalClient) -> None:
    path, failed = complete(api, "optimization"), fail(api)
    counts = client.count_records()
    assert counts == {"optimization": {"complete": 1}, "singlepoint": {"complete": 2, "error": 1}}
    assert (counts.total, counts["singlepoint"]["error"], counts.by_status) == (4, 1, {"complete": 3, "error": 1})
    assert repr(counts) == (
        "              complete  error\noptimization         1      0\nsinglepoint          2      1"
    )
    assert "<caption>records: 4</caption>" in counts._repr_html_()
    assert repr(client.count_records(method="none")) == "no records"
    assert [r.id for r in client.query_records(program="psi4", error_text="CONVERGE")] == [failed]
    assert [r.id for r in client.query_records(driver="energy", basis="sto-3g", error_class="convergence")] == [failed]
    assert [r.id for r in client.query_records(method="hf", record_type="optimization")] == [path]
    assert list(client.query_records(fingerprint="none")) == []


def test_a_history_is_a_readable_list(api: Http, client: PortalClient) -> None:
    record_id = fail(api)
    client.preview("reset", status="error").apply("a full disk")
    client.add_comment(record_id, "once more")
    client.modify_records(record_id, new_tag="big", new_priority="high")
    history = client.get_records(record_id).history()
    assert [e.event for e in history] == ["created", "attempt", "move", "comment", "move"]
    lines = repr(history).splitlines()
    assert len(lines) == 5
    assert "attempt 1 on lab-node1-" in lines[1]
    assert lines[1].endswith("error (convergence_error): SCF did not converge")
    assert "reset: error → waiting (operation 1, because: a full disk)" in lines[2]
    assert lines[3].endswith("comment: once more")
    assert "modify: tag * → big and priority normal → high" in lines[4]
    assert "<td>created</td>" in history._repr_html_()
    client.delete_records(record_id, soft_delete=False)
    assert "remove: removed for good" in repr(client.get_history(record_id)[-1])
    with pytest.raises(errors.NotFound):
        client.get_history(10**6)


def test_molecules_that_nothing_refers_to_are_purged(api: Http, client: PortalClient) -> None:
    add(api)
    api.post("molecules/bulkCreate", [make_molecule(), make_molecule()])
    assert [client.purge_molecules(), client.purge_molecules(dry_run=False), client.purge_molecules()] == [2, 2, 0]


# --- in the background --------------------------------------------------------------------------------------------


@pytest.fixture
def small(databases: Any) -> Iterator[Any]:
    """An archive that does more than two records in the background, once there is upkeep."""
    with prepared(databases) as conninfo, running(conninfo, Settings(operation_at_once=2)) as server:
        yield server


def test_a_long_operation_is_waited_for_and_shown(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    with http(small.address) as api, PortalClient(small.address) as client:
        ids = add(api, 5)
        preview = client.preview("cancel", record_id=ids)
        assert preview.background
        operation = preview.apply(wait=False)
        assert (operation.state, operation.changed) == ("running", 0)
        monkeypatch.setattr(sys, "stderr", screen := Screen())
        with pytest.raises(TimeoutError, match="still runs"):
            operation.wait(timeout=0.3)
        assert "0/5" in screen.getvalue()
        with upkeep(small.conninfo, small.settings):
            operation.wait()
            assert (operation.state, operation.changed) == ("complete", 5)
            assert operation.undo().changed == 5
        assert {r.status for r in client.get_records(ids)} == {RecordStatusEnum.waiting}


def test_a_long_operation_can_be_stopped(small: Any) -> None:
    with http(small.address) as api, PortalClient(small.address) as client:
        add(api, 5)
        operation = client.preview("cancel", status="waiting").apply(wait=False)
        operation.stop()
        assert operation.state == "stopped"
        operation.wait(timeout=0)


def test_tables_put_numbers_to_the_right() -> None:
    assert text(["", "n"], [["a", 1], ["bcd", 10], [None, None]]) == "      n\na     1\nbcd  10\n"
