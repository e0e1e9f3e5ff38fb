"""What may befall a flow: it fails, it changes, it meets others, it is stopped while it is planned."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.acting import do
from tests.archive import Archive, prepared, running
from tests.factories import (
    SPEC,
    Http,
    Manager,
    claim_and_return,
    http,
    make_molecule,
    make_result,
    silence,
    sql,
    unpacked,
    until,
)
from tests.ticking import tick
from tests.upkeep_process import upkeep

from qchive.db.pool import Database
from qchive.kinds import KINDS
from qchive.kinds.flow import Batch, Done, Flow, FlowFailed, Given, Progress, Request, Steps
from qchive.kinds.kind import Facets, Kind, Part, one_molecule
from qchive.kinds.singlepoint import QCSpecification
from qchive.server.flows.advancing import advance


class StairsSpecification(msgspec.Struct):
    """So many single points, one after the other."""

    steps: int
    program: str = "stairs"


def stairs(change: Callable[[int], dict[str, Any]] = lambda n: {}, *, checkpoints: bool = False) -> Kind:
    """A kind that computes its molecule a few times in a row, each time with other keywords."""

    def run(given: Given) -> Steps:
        (molecule,) = given.molecules["initial_molecule"]
        first = given.checkpoint["n"] if given.checkpoint else 0
        total = given.checkpoint["total"] if given.checkpoint else 0.0
        for n in range(first, given.specification.steps):
            spec = msgspec.convert({**SPEC, "keywords": {"step": n, **change(n)}}, QCSpecification)
            request = Request(
                role="step", kind="singlepoint", specification=spec, parts=(Part("molecule", molecule.id),), position=n
            )
            (ended,) = yield Batch(
                requests=[request],
                progress=Progress(stage="climbing", done=n, total=given.specification.steps),
                checkpoint={"n": n, "total": total} if checkpoints else None,
            )
            total += ended.energy or 0.0
        return Done(properties={"total": total})

    return Kind(
        name="stairs",
        specification=StairsSpecification,
        inputs=one_molecule("initial_molecules", "initial_molecule"),
        facets=lambda spec: Facets("stairs"),
        filters={"program": "program"},
        molecules=("initial_molecule",),
        flow=Flow(run=run, provenance=lambda: {"creator": "stairs", "version": "1", "routine": "climb"}),
    )


def failing(problem: Callable[[], BaseException]) -> Kind:
    """A kind whose flow fails at once."""

    def run(_: Given) -> Steps:
        raise problem()
        yield

    return replace(stairs(), flow=Flow(run=run, provenance=lambda: {"creator": "stairs"}))


def together(kind: Kind) -> dict[str, Kind]:
    return {**KINDS, kind.name: kind}


@pytest.fixture
def archive(databases: Any) -> Iterator[Archive]:
    with prepared(databases) as conninfo, running(conninfo, kinds=together(stairs())) as server:
        yield server


def climb(api: Http, steps: int = 3, **more: Any) -> int:
    body = {
        "specification": {"steps": steps},
        "initial_molecules": [more.pop("molecule", None) or make_molecule()],
        "compute_tag": "*",
        "compute_priority": 1,
        **more,
    }
    _, (record_id,) = api.post("records/stairs/bulkCreate", body)
    return int(record_id)


def error_of(api: Http, record_id: int) -> dict[str, Any]:
    entry = api.record(record_id, "compute_history", "outputs")["compute_history"][-1]
    return unpacked(entry["outputs"]["error"]["data"])  # type: ignore[no-any-return]


@pytest.mark.parametrize("checkpoints", [False, True])
def test_step_by_step(archive: Archive, api: Http, checkpoints: bool) -> None:
    kinds = together(stairs(checkpoints=checkpoints))
    record_id, manager = climb(api), Manager(api)
    for _ in range(3):
        tick(archive.conninfo, kinds)
        assert len(claim_and_return(manager)) == 1
    tick(archive.conninfo, kinds)
    assert api.record(record_id)["properties"] == {"total": -7.5}


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (lambda: FlowFailed("the grid has holes"), "the grid has holes"),
        (lambda: ModuleNotFoundError("No module named 'torsiondrive'"), "qchive[services]"),
        (lambda: ZeroDivisionError("secret"), "ZeroDivisionError; internal error"),
    ],
)
def test_a_flow_that_fails_at_once_can_be_reset(
    archive: Archive, api: Http, problem: Callable[[], BaseException], words: str
) -> None:
    record_id = climb(api)
    tick(archive.conninfo, together(failing(problem)))
    assert api.record(record_id)["status"] == "error"
    error = error_of(api, record_id)
    assert error["error_type"] == "service_initialization_error"
    assert words in error["error_message"]
    assert "secret" not in error["error_message"]
    do(api, "reset", record_id)
    tick(archive.conninfo, together(failing(problem)))
    assert api.record(record_id)["status"] == "error"
    do(api, "reset", record_id)
    tick(archive.conninfo, together(stairs()))
    assert api.record(record_id)["status"] == "running"


@pytest.mark.parametrize("checkpoints", [False, True])
def test_a_flow_that_changed_says_so_and_is_planned_anew_by_a_reset(
    archive: Archive, api: Http, checkpoints: bool
) -> None:
    record_id, manager = climb(api), Manager(api)
    for _ in range(2):
        tick(archive.conninfo, together(stairs(checkpoints=checkpoints)))
        claim_and_return(manager)
    changed = together(stairs(lambda n: {"new": True} if n > 0 else {}, checkpoints=checkpoints))
    tick(archive.conninfo, changed)
    assert "has changed since it was started" in error_of(api, record_id)["error_message"]
    do(api, "reset", record_id)
    tick(archive.conninfo, changed)
    assert api.record(record_id)["status"] == "running"
    for _ in range(2):  # the first step is the same, and is used again
        assert len(claim_and_return(manager)) == 1
        tick(archive.conninfo, changed)
    assert api.record(record_id)["status"] == "complete"
    assert api.get(f"records/stairs/{record_id}/children_status") == {"complete": 3}


def test_a_change_that_asks_for_the_same_is_none(archive: Archive, api: Http) -> None:
    record_id, manager = climb(api, 2), Manager(api)
    tick(archive.conninfo, together(stairs()))
    claim_and_return(manager)
    tick(archive.conninfo, together(stairs(checkpoints=True)))
    claim_and_return(manager)
    tick(archive.conninfo, together(stairs()))
    assert api.record(record_id)["status"] == "complete"


def test_stopped_while_it_is_planned(archive: Archive, api: Http) -> None:
    """Nothing that was planned for a record is stored once somebody has stopped it."""
    record_id, manager = climb(api), Manager(api)
    tick(archive.conninfo, together(stairs()))
    claim_and_return(manager)
    planning, go_on = threading.Event(), threading.Event()

    def slowly(n: int) -> dict[str, Any]:
        if n == 1:
            planning.set()
            assert go_on.wait(30)
        return {}

    ticking = threading.Thread(target=tick, args=(archive.conninfo, together(stairs(slowly))))
    ticking.start()
    assert planning.wait(30)
    do(api, "cancel", record_id)  # does not wait for the planning
    go_on.set()
    ticking.join(30)
    assert api.record(record_id)["status"] == "cancelled"
    assert manager.claim() == []
    do(api, "uncancel", record_id)
    tick(archive.conninfo, together(stairs()))
    assert len(claim_and_return(manager)) == 1


def test_two_who_advance_do_it_once(archive: Archive, api: Http) -> None:
    ids = [climb(api, 1) for _ in range(10)]

    async def both() -> list[bool]:
        databases = [Database(archive.conninfo, size=2) for _ in range(2)]
        for db in databases:
            await db.open()
        kinds = together(stairs())
        try:
            return list(await asyncio.gather(*(advance(db, kinds, i) for i in ids for db in databases)))
        finally:
            for db in databases:
                await db.close()

    asyncio.run(both())
    assert sql(archive.conninfo, "SELECT count(*) FROM record WHERE kind = 'singlepoint'") == [(10,)]
    assert len(claim_and_return(Manager(api))) == 10
    tick(archive.conninfo, together(stairs()))
    assert api.statuses(ids) == ["complete"] * 10


def test_one_child_wakes_all_that_wait_for_it(archive: Archive, api: Http) -> None:
    molecule = make_molecule()
    ids = [climb(api, n, molecule=molecule) for n in (1, 2, 3)]
    kinds, manager = together(stairs()), Manager(api)
    for left in (3, 2, 1):
        tick(archive.conninfo, kinds)
        assert len(claim_and_return(manager)) == 1, left
    tick(archive.conninfo, kinds)
    assert api.statuses(ids) == ["complete"] * 3


def test_dead_computations_are_not_used(archive: Archive, api: Http) -> None:
    molecule = make_molecule()
    first, manager = climb(api, 1, molecule=molecule), Manager(api)
    tick(archive.conninfo, together(stairs()))
    claim_and_return(manager)
    tick(archive.conninfo, together(stairs()))
    do(api, "invalidate", first + 1)
    assert api.statuses([first, first + 1]) == ["invalid", "invalid"]
    second = climb(api, 2, molecule=molecule)
    tick(archive.conninfo, together(stairs()))
    assert len(claim_and_return(manager)) == 1
    assert api.statuses([second]) == ["running"]


def test_children_of_older_records_run_first(archive: Archive, api: Http) -> None:
    old = climb(api, 2)
    young = climb(api, 1)
    kinds, manager = together(stairs()), Manager(api)
    tick(archive.conninfo, kinds)
    first = manager.claim(1)
    assert api.get(f"records/stairs/{old}/service")["dependencies"][0]["record_id"] == first[0]["record_id"]
    manager.give_one(first[0]["id"], make_result(first[0]))
    tick(archive.conninfo, kinds)  # its second child is younger than that of the other one
    second = manager.claim(1)
    assert api.get(f"records/stairs/{old}/service")["dependencies"][0]["record_id"] == second[0]["record_id"]
    assert api.statuses([young]) == ["running"]


def test_a_child_that_is_lost_too_often_fails_its_record(archive: Archive, api: Http) -> None:
    record_id = climb(api, 1)
    kinds = together(stairs())
    tick(archive.conninfo, kinds)
    for _ in range(5):
        manager = Manager(api)
        assert len(manager.claim()) == 1
        silence(archive.conninfo, manager)
    tick(archive.conninfo, kinds)
    assert api.statuses([record_id]) == ["error"]


def test_upkeep_takes_records_on_as_soon_as_it_can(databases: Any) -> None:
    with prepared(databases) as conninfo, running(conninfo) as server, http(server.address) as api:
        molecules = [make_molecule() for _ in range(2)]
        optimization = {"program": "geometric", "qc_specification": SPEC}
        body = {
            "specification": {"singlepoint_specification": SPEC, "optimization_specification": optimization},
            "stoichiometries": [[[1.0, m] for m in molecules]],
            "compute_tag": "*",
            "compute_priority": 1,
        }
        with upkeep(conninfo), upkeep(conninfo):
            _, (record_id,) = api.post("records/reaction/bulkCreate", body)
            manager = Manager(api)
            for _ in range(2):
                until(lambda: len(claim_and_return(manager)) == 2)
            until(lambda: api.statuses([record_id]) == ["complete"])
