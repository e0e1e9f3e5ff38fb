"""Composite records between those who work on them at once: nothing is missed, nothing stale is stored, nobody waits in
a circle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
import pytest
from msgspec.structs import replace
from tests.acting import do, last_operation, new_tag, undo
from tests.archive import prepared, running
from tests.factories import SPEC, Http, Manager, claim_and_return, failure, make_molecule, make_result, sql, until
from tests.ticking import tick
from tests.toys import TOYS, build, children, climb, error_of, stairs

from qchive.kinds import Kind
from qchive.kinds.flow import Batch, Done, Flow, Given, Progress, Request, Steps
from qchive.kinds.kind import Part
from qchive.kinds.singlepoint import QCSpecification
from qchive.server.upkeep import flows as upkeep


@pytest.fixture(scope="module")
def shared(databases: Any) -> Iterator[Any]:
    """A server that knows the toys."""
    with prepared(databases) as conninfo, running(conninfo, kinds=TOYS) as server:
        yield server


class Scene:
    """A server, a manager for what is added here, and upkeep that works when it is told to."""

    def __init__(self, api: Http, conninfo: str) -> None:
        self.api, self.conninfo, self.tag = api, conninfo, new_tag()
        self.manager = Manager(api, tags=[self.tag])

    def climb(self, steps: int = 3, **more: Any) -> int:
        return climb(self.api, steps, compute_tag=self.tag, **more)

    def tick(self, *more: Kind) -> int:
        return tick(self.conninfo, {**TOYS, **{kind.name: kind for kind in more}})

    def compute(self) -> list[int]:
        return claim_and_return(self.manager)

    def children(self, record_id: int) -> list[int]:
        return children(self.api, record_id)

    def statuses(self, *ids: int) -> list[str | None]:
        return self.api.statuses(ids)

    def settle(self) -> None:
        """Compute all there is, and take on all that is ready."""
        while self.tick() or self.compute():
            pass


@pytest.fixture
def scene(shared: Any, shared_api: Http) -> Scene:
    return Scene(shared_api, shared.conninfo)


# --- nothing is missed --------------------------------------------------------------------------------------------


def test_undoing_the_reset_of_a_child_is_noticed_by_its_parent(scene: Scene) -> None:
    """The last child that was open fails again by undoing: its parent has nothing to wait for."""
    molecules = [make_molecule(), make_molecule()]
    body = {
        "specification": {"singlepoint_specification": SPEC},
        "stoichiometries": [[[1.0, m] for m in molecules]],
        "compute_tag": scene.tag,
        "compute_priority": 1,
    }
    _, (record_id,) = scene.api.post("records/reaction/bulkCreate", body)
    scene.tick()
    one, other = scene.manager.claim()
    scene.manager.give({one["id"]: failure()})
    do(scene.api, "reset", one["record_id"])
    reset = last_operation(scene.api, one["record_id"])
    scene.manager.give({other["id"]: make_result(other)})
    scene.tick()
    assert scene.statuses(record_id) == ["running"]
    undo(scene.api, reset)
    assert scene.statuses(one["record_id"]) == ["error"]
    scene.tick()
    assert scene.statuses(record_id) == ["error"]


def test_what_fails_to_be_taken_on_is_tried_again_however_busy_upkeep_is(scene: Scene, monkeypatch: Any) -> None:
    """A notification comes before upkeep ever sleeps long: what failed long ago has its turn again nevertheless."""
    advancer = upkeep.Advancer(None, TOYS)  # type: ignore[arg-type]
    now = 1000.0
    monkeypatch.setattr(upkeep.time, "monotonic", lambda: now)
    advancer.failed(7)
    assert advancer.resting() == {7}
    now += upkeep.AGAIN / 2
    assert advancer.resting() == {7}
    now += upkeep.AGAIN
    assert advancer.resting() == set()


# --- nothing hangs ------------------------------------------------------------------------------------------------


def _twice(given: Given) -> Steps:
    (molecule,) = given.molecules["initial_molecule"]
    yield Batch(requests=[_step(molecule.id), _step(molecule.id)], progress=Progress(stage="twice in one place"))
    return Done()


def _nowhere(_: Given) -> Steps:
    yield Batch(requests=[_step(10**12)], progress=Progress(stage="a molecule that does not exist"))
    return Done()


def _nothing(_: Given) -> Steps:
    return None  # type: ignore[return-value]
    yield


def _endless(_: Given) -> Steps:
    return Done(properties={"total": object()})
    yield


def _step(molecule: int) -> Request:
    spec = msgspec.convert(SPEC, QCSpecification)
    return Request(role="step", kind="singlepoint", specification=spec, parts=(Part("molecule", molecule),))


@pytest.mark.parametrize("run", [_twice, _nowhere, _nothing, _endless])
def test_what_cannot_be_stored_fails_its_record(scene: Scene, run: Callable[[Given], Steps]) -> None:
    record_id = scene.climb()
    scene.tick(replace(stairs(), flow=Flow(run=run, provenance=lambda: {"creator": "stairs"})))
    assert scene.statuses(record_id) == ["error"]
    assert "internal error" in error_of(scene.api, record_id)["error_message"]
    do(scene.api, "reset", record_id)
    scene.settle()
    assert scene.statuses(record_id) == ["complete"]


def test_an_invalid_child_is_computed_anew_when_its_record_starts_again(scene: Scene) -> None:
    record_id = scene.climb(1)
    scene.tick()
    (child,) = scene.children(record_id)
    scene.compute()
    do(scene.api, "invalidate", child)
    assert scene.statuses(record_id, child) == ["cancelled", "invalid"]
    do(scene.api, "uncancel", record_id)
    scene.settle()
    assert scene.statuses(record_id, child) == ["complete", "invalid"]
    links = sql(scene.conninfo, "SELECT child_id FROM record_child WHERE parent_id = %s", record_id)
    assert len(links) == 1
    assert links != [(child,)]


@pytest.mark.parametrize("checkpoints", [False, True])
def test_an_invalid_child_of_an_earlier_batch_is_not_built_on(scene: Scene, checkpoints: bool) -> None:
    record_id, kind = scene.climb(3), stairs(checkpoints=checkpoints)
    scene.tick(kind)
    (first,) = scene.children(record_id)
    scene.compute()
    scene.tick(kind)
    do(scene.api, "invalidate", first)
    do(scene.api, "uncancel", record_id)
    for expected in ("error", "complete"):
        while scene.tick(kind) or scene.compute():
            pass
        assert scene.statuses(record_id, first) == [expected, "invalid"]
        do(scene.api, "reset", record_id)
    assert scene.api.get(f"records/stairs/{record_id}/children_status") == {"complete": 3}


def test_a_child_that_died_without_its_parent_is_named_and_a_reset_helps(scene: Scene) -> None:
    record_id = scene.climb(1)
    scene.tick()
    (child,) = scene.children(record_id)
    do(scene.api, "cancel", child)
    do(scene.api, "uncancel", child)
    revived = last_operation(scene.api, child)
    do(scene.api, "uncancel", record_id)
    scene.tick()
    undo(scene.api, revived)
    assert scene.statuses(record_id, child) == ["running", "cancelled"]
    scene.tick()
    assert scene.statuses(record_id) == ["error"]
    assert f"record {child} (cancelled)" in error_of(scene.api, record_id)["error_message"]
    do(scene.api, "reset", record_id)
    scene.settle()
    assert scene.statuses(record_id, child) == ["complete", "cancelled"]


# --- nothing stale is stored --------------------------------------------------------------------------------------


def test_a_new_tag_given_while_it_is_planned_reaches_what_is_planned(scene: Scene) -> None:
    record_id, later = scene.climb(2), new_tag()
    scene.tick()
    scene.compute()
    planning, go_on = threading.Event(), threading.Event()

    def slowly(n: int) -> dict[str, Any]:
        if n == 1:
            planning.set()
            assert go_on.wait(30)
        return {}

    ticking = threading.Thread(target=scene.tick, args=(stairs(slowly),))
    ticking.start()
    assert planning.wait(30)
    do(scene.api, "modify", record_id, compute_tag=later)
    go_on.set()
    ticking.join(30)
    (child,) = scene.children(record_id)
    assert scene.api.record(child, "task")["task"]["tag"] == later


# --- nobody waits in a circle -------------------------------------------------------------------------------------


class Other:
    """Somebody else's transaction, and what waits for it."""

    def __init__(self, conninfo: str, pool: ThreadPoolExecutor) -> None:
        self.conninfo, self._pool = conninfo, pool
        self.conn = psycopg.connect(conninfo)

    def hold(self, table: str, record_id: int) -> None:
        column = "id" if table == "record" else "record_id"
        self.conn.execute(f"SELECT FROM {table} WHERE {column} = %s FOR UPDATE NOWAIT".encode(), (record_id,))

    def beside(self, work: Callable[..., Any], *args: Any, waiting: int = 1) -> Future[Any]:
        """What has begun, and waits for us."""
        future = self._pool.submit(work, *args)
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND state = 'active'"
        )
        until(lambda: future.done() or sql(self.conninfo, query) == [(waiting,)], 20)
        assert not future.done(), "it did not wait"
        return future


@pytest.fixture
def other(shared: Any) -> Iterator[Other]:
    with ThreadPoolExecutor(1) as pool:
        made = Other(shared.conninfo, pool)
        try:
            yield made
        finally:
            made.conn.close()


def test_a_child_older_than_its_new_parent_is_held_first(scene: Scene, other: Other) -> None:
    """People's actions lock by id. Whoever takes on a record must not hold it while he waits for an older one."""
    molecule = make_molecule()
    first = scene.climb(1, molecule=molecule)
    scene.tick()
    (child,) = scene.children(first)
    second = scene.climb(2, molecule=molecule)
    other.hold("record", child)
    ticking = other.beside(scene.tick)
    other.hold("record", second)
    other.conn.commit()
    ticking.result(30)
    assert scene.children(second) == [child]


@pytest.fixture
def storeys(scene: Scene) -> tuple[int, int, int]:
    """A tower, its first stairs, and the step of these that is open."""
    top = build(scene.api, compute_tag=scene.tag)
    scene.tick()
    middle = min(scene.children(top))
    (step,) = scene.children(middle)
    return top, middle, step


@pytest.mark.parametrize("ending", ["complete", "error"])
def test_flows_are_held_in_the_order_of_their_records(
    scene: Scene, other: Other, storeys: tuple[int, int, int], ending: str
) -> None:
    """A batch of results may end children of both: it holds the flow of the tower first."""
    top, middle, _ = storeys
    if ending == "complete":
        scene.compute()
        scene.tick()
        scene.compute()
    else:
        scene.manager.give({t["id"]: failure() for t in scene.manager.claim()})
    other.hold("flow", top)
    ticking = other.beside(scene.tick, waiting=2)  # the other wing's end does, too
    other.hold("flow", middle)
    other.conn.commit()
    ticking.result(30)
    assert scene.statuses(middle) == [ending]


@pytest.mark.parametrize("action", ["cancel", "delete", "remove"])
def test_actions_hold_flows_in_the_order_of_their_records(
    scene: Scene, other: Other, storeys: tuple[int, int, int], action: str
) -> None:
    top, middle, _ = storeys
    other.hold("flow", top)
    acting = other.beside(do, scene.api, action, top)
    other.hold("flow", middle)
    other.conn.commit()
    acting.result(30)
