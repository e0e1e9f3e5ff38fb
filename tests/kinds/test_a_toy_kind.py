"""One declaration makes a record type: a toy kind, declared here alone, is found everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate
from tests.archive import prepared, running
from tests.factories import SPEC, Http, Manager, http, make_molecule, singlepoint, unpacked

from qchive.api import endpoints
from qchive.kinds import KINDS, Kind
from qchive.kinds import result as returned
from qchive.kinds.kind import Child, ChildRole, Facets, Id, Inputs, Outcome, Part, Task, TaskInput
from qchive.kinds.singlepoint import QCSpecification, singlepoint_outcome

# --- the toy: the energy of joining two molecules, all that a new record type needs ---------------------------------


class JoiningSpecification(msgspec.Struct, forbid_unknown_fields=True):
    """How two molecules are joined."""

    program: str
    glue: str
    qc_specification: QCSpecification

    def __post_init__(self) -> None:
        self.program = self.program.lower()


def _parts(pair: list[Any]) -> tuple[Part, ...]:
    return tuple(Part("half", molecule, position, 1.0 - 2.0 * position) for position, molecule in enumerate(pair))


def _facets(spec: JoiningSpecification) -> Facets:
    return Facets(
        spec.program, None, spec.qc_specification.method, None, spec.qc_specification.program, {"glue": spec.glue}
    )


def _task(given: TaskInput) -> Task:
    return Task("toy.join", {"halves": list(given.molecules["half"]), "glue": given.specification["glue"]})


class _Joined(msgspec.Struct):
    success: bool
    provenance: dict[str, Any]
    strength: float
    joined: dict[str, Any]
    halves: list[returned.AtomicResult]


def _outcome(data: bytes) -> Outcome:
    result = returned.success(data, _Joined, "toy_joined")
    spec = msgspec.convert(SPEC, QCSpecification)
    children = tuple(
        Child("halves", n, "singlepoint", spec, (Part("molecule", half.molecule),), singlepoint_outcome(half))
        for n, half in enumerate(result.halves)
    )
    return Outcome(
        properties={"strength": result.strength},
        extras={},
        provenance=result.provenance,
        outputs={},
        fields={"strength": result.strength},
        molecules=(Part("joined", result.joined),),
        children=children,
    )


joining = Kind(
    name="joining",
    specification=JoiningSpecification,
    inputs=Inputs("pairs", list[Id | dict[str, Any]], _parts),
    facets=_facets,
    filters={"program": "program", "qc_method": "method"},
    programs=lambda spec: (spec.program, spec.qc_specification.program),
    task=_task,
    outcome=_outcome,
    molecules=("half", "joined"),
    fields={"strength": None},
    children=(ChildRole("halves", "half_ids", "singlepoint"),),
)

# --- it is found everywhere ---------------------------------------------------------------------------------------

TOGETHER = {**KINDS, "joining": joining}
JOINING = {"program": "Gluer", "glue": "UHU", "qc_specification": SPEC}


@pytest.fixture(scope="module")
def toys(databases: Any) -> Iterator[Http]:
    """A server that offers the toy kind beside the real ones."""
    with prepared(databases) as conninfo, running(conninfo, kinds=TOGETHER) as server, http(server.address) as api:
        yield api


def test_it_has_the_addresses_that_every_kind_has(toys: Http) -> None:
    listed = set(toys.get("all_routes"))
    for kind in (kind.name for kind in KINDS.values() if not kind.is_service):
        common = {path for path in listed if f"/records/{kind}/" in path and not re.search("traj|wavefunction", path)}
        assert len(common) > 15
        assert {path.replace(f"/{kind}/", "/joining/") for path in common} <= listed
    assert "/api/v1/records/joining/{record_id:int}/halves" in listed
    assert {row.path for row in endpoints(TOGETHER)} == listed


def test_it_is_described(toys: Http) -> None:
    described = toys.get("openapi_spec")
    validate(described)
    schemas = described["components"]["schemas"]
    assert {"specification", "pairs"} <= set(schemas["JoiningAdd"]["required"])
    assert {"program", "qc_method", "half_id", "joined_id"} <= set(schemas["JoiningQuery"]["properties"])
    assert {"strength", "half_ids", "joined"} <= set(schemas["JoiningRecord"]["properties"])


def test_its_records_live_as_all_records_do(toys: Http) -> None:
    one, two = make_molecule(), make_molecule()
    body = {"specification": JOINING, "pairs": [[one, two], [two, one], [one, two]], "compute_tag": "*"}
    meta, ids = toys.post("records/joining/bulkCreate", body)
    assert (meta["inserted_idx"], meta["existing_idx"]) == ([0, 1], [2])
    assert ids[0] == ids[2] != ids[1], "the order of the halves matters"
    record = toys.record(ids[0])
    assert (record["record_type"], record["status"], record["strength"]) == ("joining", "waiting", None)
    assert record["specification"]["program"] == "gluer"

    (waiting,) = toys.post("records/joining/bulkGet", {"ids": [ids[0]], "include": ["**"]})
    assert waiting["task"]["required_programs"] == ["gluer", "psi4"]
    assert waiting["half_ids"] == []
    assert waiting["joined"] is None
    assert toys.post("records/joining/query", {"program": ["GLUER"], "qc_method": ["hf"]}) == [ids[1], ids[0]]
    assert toys.post("records/joining/query", {"keywords": [{"glue": "UHU"}], "status": ["complete"]}) == []
    assert toys.post("records/query", {"record_type": ["joining"]}) == [ids[1], ids[0]]

    assert Manager(toys).claim() == []
    manager = Manager(toys, programs={"gluer": ["1"], "psi4": ["1"]})
    task, other = manager.claim()
    kwargs = unpacked(task["function_kwargs_compressed"])
    assert task["function"] == "toy.join"
    assert [m["geometry"] for m in kwargs["halves"]] == [one["geometry"], two["geometry"]]

    common = {"driver": "energy", "model": {"method": "hf", "basis": None}, "keywords": {}}
    halves = [singlepoint({**common, "molecule": m}) for m in (one, two)]
    result = {
        "schema_name": "toy_joined",
        "success": True,
        "provenance": {"creator": "gluer"},
        "strength": 7.5,
        "joined": make_molecule(symbols=("He",) * 4),
        "halves": halves,
    }
    wrong = {**halves[0], "id": None}
    answer = manager.give({task["id"]: result, other["id"]: wrong})
    assert answer["accepted_ids"] == [task["id"]]
    assert answer["rejected_info"] == [
        [other["id"], "The result is a qcschema_output, but this record needs a toy_joined"]
    ]

    done = toys.get(f"records/joining/{ids[0]}", include=["**"])
    assert (done["status"], done["strength"], done["properties"]) == ("complete", 7.5, {"strength": 7.5})
    assert done["joined"]["id"] == done["joined_id"]
    children = toys.get(f"records/joining/{ids[0]}/halves")
    assert done["half_ids"] == children
    assert [r["status"] for r in toys.post("records/singlepoint/bulkGet", {"ids": children})] == ["complete"] * 2
    assert toys.post("records/joining/query", {"joined_id": [done["joined_id"]]}) == [ids[0]]
    assert toys.post("records/query", {"parent_id": [ids[0]]}) == sorted(children, reverse=True)
    assert toys.post("records/query", {"child_id": children}) == [ids[0]]

    toys.patch("records", {"record_ids": [children[1]], "status": "invalid"})
    assert toys.statuses([ids[0], *children]) == ["invalid", "complete", "invalid"]


def test_its_coefficients_and_places_are_part_of_what_it_is() -> None:
    body = joining.body(JoiningSpecification("a", "b", msgspec.convert(SPEC, QCSpecification)))
    spec = joining.specification_hash(body)
    plain = joining.identity(spec, [Part("half", 1, 0, 1.0), Part("half", 2, 1, -1.0)], {})
    others = [
        joining.identity(spec, [Part("half", 2, 0, 1.0), Part("half", 1, 1, -1.0)], {}),
        joining.identity(spec, [Part("half", 1, 0, 1.0), Part("half", 2, 1, -2.0)], {}),
        joining.identity(spec, [Part("half", 1, 0, 1.0)], {}),
        joining.identity(spec, [Part("half", 1, 0, 1.0), Part("half", 2, 1, -1.0)], {"psi4": ">=1"}),
        KINDS["singlepoint"].identity(spec, [Part("half", 1, 0, 1.0), Part("half", 2, 1, -1.0)], {}),
    ]
    assert len({plain, *others}) == 6


def test_a_server_that_does_not_offer_it_says_so(shared_api: Http) -> None:
    refusal = shared_api.refused("POST", "/api/v1/records/joining/bulkCreate", {"specification": JOINING, "pairs": []})
    assert (refusal.status, refusal.reply["code"]) == (400, "unknown_kind")
