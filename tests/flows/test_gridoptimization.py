"""Grid optimizations, planned without a server: with a toy, and with real programs against the libraries run
directly."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qcportal.gridoptimization import (
    GridoptimizationAddBody,
    GridoptimizationKeywords,
    GridoptimizationSpecification,
    ScanDimension,
)
from tests.flows.chains import GFN2, OPT, chain, held, measure
from tests.flows.computing import really
from tests.flows.directly import optimized_directly
from tests.flows.driving import Driven, drive

from qchive.kinds.constrained import apart, wrapped
from qchive.kinds.flow import FlowFailed, Link, Request, Seen
from qchive.kinds.gridoptimization import GridoptimizationSpecification as OurSpecification
from qchive.kinds.gridoptimization import gridoptimization
from qchive.kinds.kind import InputRefused, Molecule, Part

BOND: dict[str, Any] = {"type": "distance", "indices": [1, 2], "steps": [2.6, 2.7, 2.8], "step_type": "absolute"}
BEND: dict[str, Any] = {"type": "angle", "indices": [0, 1, 2], "steps": [95.0, 105.0, 115.0], "step_type": "absolute"}
TURN: dict[str, Any] = {"type": "dihedral", "indices": [0, 1, 2, 3], "steps": [60, 120, 180], "step_type": "absolute"}


def relative(scan: dict[str, Any], *steps: float) -> dict[str, Any]:
    return {**scan, "steps": list(steps), "step_type": "relative"}


def spec_of(*scans: dict[str, Any], preoptimization: bool = False, optimization: Any = OPT) -> dict[str, Any]:
    return {
        "optimization_specification": optimization,
        "keywords": {"scans": list(scans), "preoptimization": preoptimization},
    }


NAMES = {"distance": "bond", "angle": "angle", "dihedral": "turn"}


def toy(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
    """What is held changes, the rest stays; without constraints the molecule relaxes."""
    return toy_optimized(molecules[0], held(request))


def toy_optimized(molecule: Molecule, constraints: Sequence[dict[str, Any]]) -> dict[str, Any]:
    at = {NAMES[s["type"]]: measure(molecule, s["indices"]) for s in (BOND, BEND, TURN)}
    at |= {NAMES[c["type"]]: c["value"] for c in constraints} if constraints else {"bond": 2.68, "turn": 171.0}
    energy = (at["bond"] - 2.7) ** 2 + 1e-3 * (at["angle"] - 104) ** 2 + math.cos(math.radians(at["turn"]))
    return {"energy": energy, "molecule": chain(at["turn"], bond=at["bond"], angle=at["angle"])}


Optimize = Callable[[Molecule, list[dict[str, Any]]], tuple[float, Molecule]]


def dry_run(scans: Sequence[dict[str, Any]], molecule: Molecule, optimize: Optimize, preopt: bool) -> Any:
    """The plain way through a grid, as the protocol describes it: energy and origin of each point."""
    found: dict[str, tuple[float, str]] = {}
    if preopt:
        energy, molecule = optimize(molecule, [])
        found["preoptimization"] = (energy, "")
    start = [measure(molecule, scan["indices"]) for scan in scans]
    first = []
    for scan, value in zip(scans, start, strict=True):
        zero = value if scan["step_type"] == "absolute" else 0.0
        turn = 360 if scan["type"] == "dihedral" and scan["step_type"] == "absolute" else 1e9
        off = [abs(math.remainder(step - zero, turn)) for step in scan["steps"]]
        first.append(off.index(min(off)))
    planned: set[tuple[int, ...]] = set()
    todo: dict[tuple[int, ...], tuple[Molecule, str]] = {tuple(first): (molecule, "")}
    while todo:
        planned |= todo.keys()
        finished, todo = todo, {}
        for point, (begin, origin) in finished.items():
            values = [
                scan["steps"][i] + (value if scan["step_type"] == "relative" else 0.0)
                for scan, i, value in zip(scans, point, start, strict=True)
            ]
            energy, end = optimize(
                begin,
                [
                    {"type": s["type"], "indices": s["indices"], "value": v if s["type"] != "dihedral" else wrapped(v)}
                    for s, v in zip(scans, values, strict=True)
                ],
            )
            found[json.dumps(point).replace("(", "[")] = (energy, origin)
            for axis, step in itertools.product(range(len(scans)), (-1, 1)):
                to = (*point[:axis], point[axis] + step, *point[axis + 1 :])
                if 0 <= to[axis] < len(scans[axis]["steps"]) and to not in planned:
                    todo[to] = (end, json.dumps(point))
    return found, first


def pairs(driven: Driven) -> list[tuple[Request, Any]]:
    return [pair for b, e in zip(driven.batches, driven.ended, strict=True) for pair in zip(b.requests, e, strict=True)]


def origins(driven: Driven) -> dict[str, set[str]]:
    """Points, and those that ended with the molecule they began with."""
    ends: dict[Any, set[str]] = {}
    for request, ended in pairs(driven):
        ends.setdefault(ended.molecule_id, set()).add(request.key)
    return {request.key: ends.get(request.parts[0].molecule, set()) for request, _ in pairs(driven)}


steps = st.lists(st.integers(1, 12), min_size=1, max_size=6, unique=True)


@st.composite
def scan(draw: st.DrawFn, like: dict[str, Any]) -> dict[str, Any]:
    numbers = sorted(draw(steps), reverse=draw(st.booleans()))
    if draw(st.booleans()):
        unit = {"distance": 0.02, "angle": 1.0, "dihedral": 30.0}[like["type"]]
        return relative(like, *(unit * (n - 6) for n in numbers))
    low, unit = {"distance": (2.5, 0.03), "angle": (90, 2.5), "dihedral": (-180, 29)}[like["type"]]
    return {**like, "steps": [low + unit * n for n in numbers]}


@settings(max_examples=30, deadline=None)
@given(st.data(), st.lists(st.sampled_from([BOND, BEND, TURN]), min_size=1, max_size=3, unique_by=id), st.booleans())
def test_every_grid_point_is_reached_once_from_the_last_neighbour(
    data: st.DataObject, like: list[dict[str, Any]], preopt: bool
) -> None:
    scans = [data.draw(scan(one)) for one in like]
    molecule = chain(data.draw(st.floats(-179, 179)), bond=2.72, angle=103.0)
    driven = drive(gridoptimization, spec_of(*scans, preoptimization=preopt), molecule, toy)

    def optimize(begin: Molecule, constraints: list[dict[str, Any]]) -> tuple[float, Molecule]:
        found = toy_optimized(begin, constraints)
        return found["energy"], found["molecule"]

    expected, first = dry_run(scans, molecule, optimize, preopt)
    keys = [request.key for request, _ in pairs(driven)]
    assert len(keys) == len(set(keys)) == math.prod(len(s["steps"]) for s in scans) + preopt
    assert keys == list(expected)
    assert {r.key: e.energy for r, e in pairs(driven)} == pytest.approx({k: e for k, (e, _) in expected.items()})
    begun = origins(driven)
    assert all(origin in begun[key] for key, (_, origin) in expected.items() if origin)
    assert driven.done.fields == {"starting_grid": first}
    assert driven.batches[-1].fields == {"starting_grid": first}
    progress = driven.done.progress
    assert progress is not None
    assert progress.done == progress.total == len(keys) - preopt
    assert progress.minimum == min(e.energy for r, e in pairs(driven) if r.key != "preoptimization")


def test_children_are_as_the_wire_has_them() -> None:
    spec = spec_of(BOND, relative(TURN, 0, 30), preoptimization=True)
    driven = drive(gridoptimization, spec, chain(10.0, bond=2.6), toy)
    first, second = driven.batches[0].requests[0], driven.batches[1].requests[0]
    assert (first.key, first.info, held(first)) == ("preoptimization", {"key": "preoptimization"}, [])
    assert (second.key, second.info) == ("[1, 0]", {"key": "[1, 0]"})
    assert [(c["type"], c["indices"]) for c in held(second)] == [("distance", [1, 2]), ("dihedral", [0, 1, 2, 3])]
    assert [c["value"] for c in held(second)] == pytest.approx([2.7, 171.0])
    beyond = next(r for r, _ in pairs(driven) if r.key == "[1, 1]")
    assert held(beyond)[1]["value"] == pytest.approx(-159.0)  # 201 degrees
    assert {r.role for r, _ in pairs(driven)} == {"optimizations"}


def test_fields_and_starting_molecule_are_told_when_they_are_known() -> None:
    driven = drive(gridoptimization, spec_of(BOND, preoptimization=True), chain(10.0, bond=2.6), toy)
    before, *after = driven.batches
    assert (before.fields, before.molecules) == ({}, ())
    for batch in after:
        assert batch.fields == {"starting_grid": [1]}
        assert batch.molecules == (Part("starting_molecule", driven.ended[0][0].molecule_id),)
    log = "".join(batch.log for batch in driven.batches) + driven.done.log
    assert "preoptimization: " in log
    assert "distance [1, 2] of molecule 2: 2.680000 Bohr" in log
    assert log.splitlines()[-1].startswith("[2]: ")


def test_without_preoptimization_the_scan_starts_from_the_molecule_given() -> None:
    driven = drive(gridoptimization, spec_of(BOND), chain(10.0, bond=2.79), toy)
    assert driven.batches[0].molecules == (Part("starting_molecule", 1),)
    assert driven.batches[0].requests[0].parts == (Part("initial_molecule", 1),)
    assert driven.done.fields == {"starting_grid": [2]}


def test_the_closest_dihedral_may_be_the_other_way_round() -> None:
    scan = {**TURN, "steps": [0, 90, 180, 270, 340]}
    driven = drive(gridoptimization, spec_of(scan), chain(-15.0), toy)
    assert driven.done.fields == {"starting_grid": [4]}
    assert [held(r)[0]["value"] for r, _ in pairs(driven)] == [-20.0, -90.0, 180.0, 90.0, 0.0]


@given(st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_dihedral_angles_go_round(a: float, b: float) -> None:
    assert -180 <= wrapped(a) <= 180
    assert math.cos(math.radians(wrapped(a))) == pytest.approx(math.cos(math.radians(a)), abs=1e-9)
    assert math.sin(math.radians(wrapped(a))) == pytest.approx(math.sin(math.radians(a)), abs=1e-9)
    assert 0 <= apart(a, b) <= 180
    assert math.cos(math.radians(apart(a, b))) == pytest.approx(math.cos(math.radians(a - b)), abs=1e-9)


@pytest.mark.parametrize(
    ("scans", "why"),
    [
        ([], "at least one scan"),
        ([{**BOND, "steps": []}], "has no steps"),
        ([{**BOND, "indices": [1, 4]}], r"distance \[1, 4\] is outside of the molecule, whose atoms are 0 to 3"),
        ([{**BOND, "indices": [1, -1]}], "outside of the molecule"),
        ([{**BOND, "indices": [1, 1]}], "names an atom twice"),
        ([{**TURN, "indices": [0, 1, 0, 3]}], "names an atom twice"),
        ([BOND, {**BOND, "indices": [2, 1]}], "is there twice"),
        ([{**BOND, "steps": [-1.0, 1.0]}], r"the distance \[1, 2\] cannot be -1 Bohr"),
        ([{**BOND, "steps": [0.0, 1.0]}], "cannot be 0 Bohr"),
        ([{**BEND, "steps": [170, 190]}], r"the angle \[0, 1, 2\] cannot be 190 degrees"),
        ([{**BEND, "steps": [-10, 10]}], "cannot be -10 degrees"),
        ([{**TURN, "steps": [0, 400]}], "400 degrees is more than a whole turn"),
        ([relative(BOND, -3.0, 0.0)], "cannot be -0.25 Bohr"),
        ([relative(BEND, 0, 80.0)], "cannot be 185 degrees"),
    ],
)
def test_what_can_only_fail_is_refused(scans: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(InputRefused, match=why):
        drive(gridoptimization, spec_of(*scans), chain(60.0), toy)


@pytest.mark.parametrize(
    ("scan", "why"),
    [
        ({**BOND, "steps": [1, 3, 2]}, "neither strictly increasing nor strictly decreasing"),
        ({**BOND, "steps": [1, 1]}, "neither strictly"),
        ({**BOND, "indices": [0, 1, 2]}, "a distance is over 2 atoms, not 3"),
        ({**BEND, "indices": [0, 1]}, "an? angle is over 3 atoms, not 2"),
        ({**TURN, "indices": [0, 1]}, "a dihedral is over 4 atoms, not 2"),
        ({**TURN, "type": "improper"}, "Invalid enum value"),
    ],
)
def test_scans_that_the_client_refuses_are_refused(scan: dict[str, Any], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert(spec_of(scan), OurSpecification)
    with pytest.raises(ValueError, match=r"."):
        ScanDimension(**scan)


def test_steps_that_the_optimized_molecule_cannot_take_are_found_out() -> None:
    with pytest.raises(FlowFailed, match=r"In molecule 2, where the scan starts, the distance \[1, 2\] cannot be"):
        drive(gridoptimization, spec_of(relative(BOND, -3.0, 0.0), preoptimization=True), chain(60.0), toy)


def test_constraints_of_another_form_are_refused() -> None:
    optimization = {**OPT, "keywords": {"constraints": "none"}}
    with pytest.raises(InputRefused, match="'constraints' is an object"):
        drive(gridoptimization, spec_of(BOND, optimization=optimization), chain(60.0), toy)


def test_another_program_is_no_gridoptimization() -> None:
    with pytest.raises(msgspec.ValidationError, match="the program of a gridoptimization is"):
        msgspec.convert({**spec_of(BOND), "program": "crest"}, OurSpecification)


# --- views and wire -----------------------------------------------------------------------------------------------


def test_views() -> None:
    (view,) = gridoptimization.views
    links = [
        Link(i, "optimization", "complete", "optimizations", key, 0, i, {}, energy, None)
        for i, key, energy in [(60, "preoptimization", -1.1), (61, "[1, 0]", None)]
    ]
    seen = Seen(parts=[], links=links, document=lambda i: None)
    assert msgspec.to_builtins(view.make(seen)) == [
        {"optimization_id": 60, "key": "preoptimization", "energy": -1.1},
        {"optimization_id": 61, "key": "[1, 0]", "energy": None},
    ]
    assert view.path == "optimizations"


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"scans": [BOND, {**BEND, "type": "Angle", "step_type": "RELATIVE"}, TURN], "preoptimization": False},
        {"scans": [relative(BOND, -0.0, 0.12345678901234, 1)]},
    ],
)
def test_the_client_and_the_server_mean_the_same(keywords: dict[str, Any]) -> None:
    plain = {**keywords, "scans": [{**s, "type": s["type"].lower()} for s in keywords.get("scans", [])]}
    plain["scans"] = [{**s, "step_type": s["step_type"].lower()} for s in plain["scans"]]
    theirs = GridoptimizationSpecification(
        optimization_specification=deepcopy({**OPT, "keywords": {"maxiter": 5}}),
        keywords=GridoptimizationKeywords(**deepcopy(plain)),
    )
    body = GridoptimizationAddBody(
        specification=theirs, initial_molecules=[1, 2], compute_tag="*", compute_priority=1, find_existing=True
    )
    sent = json.loads(body.model_dump_json())
    ours = msgspec.convert(sent["specification"], OurSpecification)
    canonical = gridoptimization.body(ours)
    assert GridoptimizationSpecification.model_validate_json(canonical) == theirs
    assert gridoptimization.body(msgspec.json.decode(canonical, type=OurSpecification)) == canonical
    short = {"optimization_specification": sent["specification"]["optimization_specification"], "keywords": keywords}
    assert gridoptimization.body(msgspec.convert(short, OurSpecification)) == canonical


def test_facets_name_the_optimizer_and_the_program_behind_it() -> None:
    facets = gridoptimization.facets(msgspec.convert(spec_of(BOND), OurSpecification))
    assert (facets.program, facets.optimizer, facets.qc_program) == ("gridoptimization", "geometric", "toy")
    assert set(gridoptimization.filters.values()) <= {*facets.__struct_fields__}


def test_the_example_can_be_added() -> None:
    spec = msgspec.convert(gridoptimization.example["specification"], OurSpecification)
    (molecule,) = gridoptimization.example["initial_molecules"]
    parts = [Part("initial_molecule", 1)]
    assert gridoptimization.settle(spec, parts, {1: molecule}) == parts
    assert gridoptimization.flow is not None
    assert gridoptimization.flow.provenance()["creator"] == "qchive"


# --- real programs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scans", "preopt"),
    [
        ([{**BOND, "steps": [2.6, 2.7]}, {**BEND, "steps": [100.0, 105.0]}, {**TURN, "steps": [100, 120]}], False),
        ([relative(BOND, -0.1, 0.0, 0.1)], True),
        ([relative(BEND, 5.0, 0.0, -5.0)], True),
        ([relative(TURN, -20, 0, 60, 90)], True),
        ([relative(TURN, 0, 40), {**BOND, "steps": [2.8, 2.7]}], True),
    ],
    ids=["all", "distance", "angle", "dihedral", "two"],
)
def test_real_scans_are_what_the_libraries_find(scans: list[dict[str, Any]], preopt: bool) -> None:
    molecule = chain(115.0)

    def optimize(begin: Molecule, constraints: list[dict[str, Any]]) -> tuple[float, Molecule]:
        energy, geometry = optimized_directly(begin, constraints)
        return energy, {**begin, "geometry": geometry}

    driven = drive(gridoptimization, spec_of(*scans, preoptimization=preopt, optimization=GFN2), molecule, really)
    expected, first = dry_run(scans, molecule, optimize, preopt)
    assert {r.key: e.energy for r, e in pairs(driven)} == pytest.approx(
        {k: energy for k, (energy, _) in expected.items()}, abs=1e-6
    )
    assert driven.done.fields == {"starting_grid": first}
    for request, ended in pairs(driven):
        for c in held(request):
            off = measure(driven.molecules[ended.molecule_id], c["indices"]) - c["value"]
            assert abs(math.remainder(off, 360)) < (1e-3 if c["type"] == "distance" else 0.1)
