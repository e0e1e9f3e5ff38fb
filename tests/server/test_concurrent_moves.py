"""Many at once: no request fails for it, and what they leave behind is a life that could have been lived in some order.

The seed of the storm is printed; `QCHIVE_STORM=seed` lets the same people want the same things again.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.acting import changed, children, do, link
from tests.archive import running
from tests.conftest import FORGETFUL
from tests.factories import Http, add, make_result, sql, started, until
from tests.life.gale import gale
from tests.life.storm import Storm, twice

from qchive.db.embedded import EmbeddedPostgres
from qchive.db.migrate import migrate


@pytest.fixture
def postgres_with_times(open_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that remembers when each transaction was committed: the order in which a record changed."""
    with EmbeddedPostgres(open_folder, settings=FORGETFUL | {"track_commit_timestamp": "on"}) as server:
        migrate(server.dsn)
        yield server


def test_a_storm_leaves_nothing_behind_that_could_not_be(postgres_with_times: EmbeddedPostgres) -> None:
    seed = int(os.environ.get("QCHIVE_STORM", random.randrange(10**6)))
    print(f"QCHIVE_STORM={seed}")
    conninfo = postgres_with_times.dsn
    with running(conninfo) as server:
        storm = Storm(server.address, conninfo, seed)
        storm.rage(people=5, actions=120, managers=3)
        assert storm.troubles == []
        assert storm.forbidden() == {}
        assert storm.broken_chains() == []
        assert twice(storm.handed_out) == [], "an attempt is given out once"
        assert storm.unkept_promises() == []
        assert len(storm.handed_out) > 30, "there was something to do"
    # Who locks in order never waits in a circle. A deadlock would not reach the user, but it costs a second.
    assert re.findall(r"deadlock detected(?:.*\n){40}", postgres_with_times.log.read_text()) == []


EXPECTED = ("violates foreign key constraint",)
"""Errors in PostgreSQL's log that say that somebody was quicker: the loser looks again."""


def test_a_gale_of_composite_records_leaves_none_behind_that_hangs(own_postgres: EmbeddedPostgres) -> None:
    seed = int(os.environ.get("QCHIVE_STORM", random.randrange(10**6)))
    print(f"QCHIVE_STORM={seed}")
    with gale(own_postgres.dsn, seed) as storm:
        storm.blow(people=3, actions=80, managers=2)
        assert storm.troubles == []
        storm.settle(60)
        assert storm.forbidden() == {}
        assert storm.computed > 20, "there was something to do"
        assert storm.killed > 0
        log = own_postgres.log.read_text()
    errors = re.findall(r"(?:ERROR|PANIC): .*(?:\n.*){8}", log)
    assert [e for e in errors if not any(text in e.split("\n")[0] for text in EXPECTED)] == []


# --- interleavings, one by one --------------------------------------------------------------------------------------


class Beside:
    """A request that waits, and what others do meanwhile."""

    def __init__(self, api: Http, conninfo: str, pool: ThreadPoolExecutor) -> None:
        self.api, self.conninfo, self._pool = api, conninfo, pool

    def does(self, work: Callable[..., Any], *args: Any, waiting: int = 1, **more: Any) -> Future[Any]:
        """Something that has begun and waits for a lock, as `waiting` of all that happens do by then."""
        future = self._pool.submit(work, *args, **more)
        self._wait(waiting, future)
        return future

    def asks(self, action: str, *ids: int, **more: Any) -> Future[Any]:
        """A request for an action that waits for a lock."""
        return self.does(do, self.api, action, *ids, **more)

    def _wait(self, waiting: int, future: Future[Any]) -> None:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND state = 'active'"
        )
        until(lambda: future.done() or sql(self.conninfo, query) == [(waiting,)], 20)
        assert not future.done(), f"it did not wait: {future.result()}"

    def free(self, ids: list[int]) -> list[int]:
        """Those of the records that nobody has locked."""
        query = "SELECT id FROM record WHERE id = ANY(%s) FOR UPDATE SKIP LOCKED"
        return sorted(i for (i,) in sql(self.conninfo, query, ids))


@pytest.fixture
def beside(shared: Any, shared_api: Http) -> Iterator[Beside]:
    with ThreadPoolExecutor(3) as pool:
        yield Beside(shared_api, shared.conninfo, pool)


@pytest.fixture
def service(shared: Any) -> Iterator[psycopg.Connection[Any]]:
    """What the server does for a composite record, in a transaction of its own."""
    with psycopg.connect(shared.conninfo) as conn:
        yield conn
        conn.rollback()


LINK = "INSERT INTO record_child (parent_id, role, key, child_id) VALUES (%s, 'late', %s, %s)"


@pytest.mark.parametrize(
    ("action", "parent", "child"),
    [("cancel", "cancelled", "cancelled"), ("delete", "deleted", "deleted"), ("delete_alone", "deleted", "waiting")],
)
def test_a_child_made_while_its_parent_is_being_stopped_stops_too(
    beside: Beside, service: psycopg.Connection[Any], action: str, parent: str, child: str
) -> None:
    """The service holds its record and adds a child; the action has read the family without it, and waits."""
    (top,) = add(beside.api)
    service.execute("SELECT FROM record WHERE id = %s FOR UPDATE", (top,))
    asked = beside.asks(action, top)
    copy = "INSERT INTO record (kind, spec_id) SELECT kind, spec_id FROM record WHERE id = %s"
    ((new,),) = service.execute(copy.encode() + b" RETURNING id", (top,)).fetchall()
    service.execute(LINK, (top, "new", new))
    service.commit()
    answer = asked.result(20)
    assert (changed(answer), children(answer)) == ([0], int(child != "waiting"))
    assert beside.api.statuses([top, new]) == [parent, child]


def test_a_chain_that_grows_while_it_is_looked_at_is_followed_to_its_end(
    beside: Beside, service: psycopg.Connection[Any]
) -> None:
    top, middle, end = add(beside.api, 3)
    link(beside.conninfo, middle, end)
    service.execute("SELECT FROM record WHERE id = %s FOR UPDATE", (top,))
    asked = beside.asks("cancel", top)
    service.execute("SELECT FROM record WHERE id = %s FOR NO KEY UPDATE", (middle,))
    service.execute(LINK, (top, "new", middle))
    service.commit()
    assert children(asked.result(20)) == 2
    assert beside.api.statuses([top, middle, end]) == ["cancelled"] * 3


@pytest.mark.parametrize(("action", "now"), [("cancel", "cancelled"), ("delete", "deleted")])
def test_a_parent_that_links_a_record_which_is_being_stopped_stops_with_it(
    beside: Beside, service: psycopg.Connection[Any], action: str, now: str
) -> None:
    """The service was first: it holds the child and links it, the action waits for the child and finds a parent."""
    top, sibling, child = add(beside.api, 3)
    link(beside.conninfo, top, sibling)
    service.execute("SELECT FROM record WHERE id = %s FOR UPDATE", (top,))
    service.execute("SELECT FROM record WHERE id = %s FOR NO KEY UPDATE", (child,))
    asked = beside.asks(action, child)
    service.execute(LINK, (top, "found", child))
    service.commit()
    assert children(asked.result(20)) == 2
    assert beside.api.statuses([top, sibling, child]) == [now] * 3


def test_who_links_a_record_that_has_just_been_stopped_sees_that_it_was(
    beside: Beside, service: psycopg.Connection[Any]
) -> None:
    """The action was first: it holds the child while it waits for another, and the service waits for the child."""
    top, child, grandchild = add(beside.api, 3)
    link(beside.conninfo, child, grandchild)
    with psycopg.connect(beside.conninfo) as other:
        other.execute("SELECT FROM record WHERE id = %s FOR UPDATE", (grandchild,))
        asked = beside.asks("cancel", child)
        service.execute("SELECT FROM record WHERE id = %s FOR UPDATE", (top,))
        look = "SELECT status::text FROM record WHERE id = %s FOR NO KEY UPDATE"
        looking = beside.does(lambda: service.execute(look, (child,)).fetchone(), waiting=2)
        other.commit()
    assert children(asked.result(20)) == 1
    assert looking.result(20) == ("cancelled",), "so it is not linked"


@pytest.mark.parametrize("action", ["remove", "remove_alone"])
def test_what_is_linked_while_it_is_being_removed_stays(
    beside: Beside, service: psycopg.Connection[Any], action: str
) -> None:
    top, child = add(beside.api, 2)
    service.execute("SELECT FROM record WHERE id = %s FOR NO KEY UPDATE", (child,))
    asked = beside.asks(action, child)
    service.execute(LINK, (top, "found", child))
    service.commit()
    assert asked.result(20)["errors"] == [[0, "Integrity Error - may still be referenced"]]
    assert beside.api.statuses([top, child]) == ["waiting"] * 2


def test_another_parent_that_begins_to_need_a_child_spares_it(beside: Beside, service: psycopg.Connection[Any]) -> None:
    first, second, child = add(beside.api, 3)
    link(beside.conninfo, first, child)
    service.execute("SELECT FROM record WHERE id = %s FOR UPDATE", (second,))
    service.execute("SELECT FROM record WHERE id = %s FOR NO KEY UPDATE", (child,))
    asked = beside.asks("cancel", first)
    service.execute(LINK, (second, "found", child))
    service.commit()
    assert children(asked.result(20)) == 0
    assert beside.api.statuses([first, second, child]) == ["cancelled", "waiting", "waiting"]


@pytest.mark.parametrize("action", ["cancel", "delete", "modify", "remove"])
def test_records_are_locked_in_the_order_of_their_ids(beside: Beside, action: str) -> None:
    """Whatever order they are named in: who waits for the third has the two before it, and not those behind."""
    ids = add(beside.api, 5)
    for n in (3, 1, 0):  # what was written last does not lie where its id says
        do(beside.api, "modify", ids[n], compute_tag="moved")
    with psycopg.connect(beside.conninfo) as other:
        other.execute("SELECT FROM record WHERE id = %s FOR UPDATE", (ids[2],))
        more = {"compute_priority": 2} if action == "modify" else {}
        asked = beside.asks(action, *(ids[n] for n in (3, 0, 4, 2, 1)), **more)
        assert beside.free(ids) == ids[3:]
        other.commit()
    assert len(changed(asked.result(20))) == 5


def test_a_result_that_comes_while_its_record_is_being_cancelled_comes_too_late(beside: Beside) -> None:
    manager, task = started(beside.api)
    record_id, (later,) = task["record_id"], add(beside.api)
    link(beside.conninfo, record_id, later)
    with psycopg.connect(beside.conninfo) as other:
        other.execute("SELECT FROM record WHERE id = %s FOR UPDATE", (later,))
        asked = beside.asks("cancel", record_id)
        returned = beside.does(manager.give_one, task["id"], make_result(task), waiting=2)
        other.commit()
    assert children(asked.result(20)) == 1
    assert returned.result(20) == "Task does not exist in the task queue"
    assert beside.api.statuses([record_id]) == ["cancelled"]
    assert sql(beside.conninfo, "SELECT count(*) FROM result WHERE record_id = %s", record_id) == [(0,)]
