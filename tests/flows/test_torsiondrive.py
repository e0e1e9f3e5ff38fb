"""Torsion drives, planned without a server: with toy potentials, and with real programs against the libraries run
directly."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qcportal.torsiondrive import TorsiondriveAddBody, TorsiondriveKeywords, TorsiondriveSpecification
from tests.flows.chains import GFN2, OPT, chain, dihedrals_of, held, turned
from tests.flows.computing import really
from tests.flows.directly import optimized_directly
from tests.flows.driving import Driven, drive
from torsiondrive import td_api
from torsiondrive.dihedral_scanner import DihedralScanner
from torsiondrive.qm_engine import EngineBlank

from qchive.kinds.flow import FlowFailed, Link, Request, Seen
from qchive.kinds.kind import InputRefused, Molecule, Part
from qchive.kinds.torsiondrive import TorsiondriveKeywords as Ours
from qchive.kinds.torsiondrive import TorsiondriveSpecification as OurSpecification
from qchive.kinds.torsiondrive import grid_size, torsiondrive

ONE: dict[str, Any] = {"dihedrals": [[0, 1, 2, 3]], "grid_spacing": [60]}
TWO: dict[str, Any] = {"dihedrals": [[0, 1, 2, 3], [1, 2, 3, 4]], "grid_spacing": [90, 90]}

Energy = Callable[[Sequence[float], float], tuple[float, float]]


def spec_of(keywords: dict[str, Any], optimization: dict[str, Any] = OPT) -> dict[str, Any]:
    return {"optimization_specification": optimization, "keywords": keywords}


def smooth(angles: Sequence[float], bond: float) -> tuple[float, float]:
    """One energy for each grid point."""
    return sum(math.cos(math.radians(a - 100 * n)) for n, a in enumerate(angles)), 2.75


def two_basins(angles: Sequence[float], bond: float) -> tuple[float, float]:
    """Long bonds stay long, and have a higher energy, until a chain comes to 120 degrees, where they get short."""
    short = bond < 2.7 or any(a == 120 for a in angles)
    return smooth(angles, bond)[0] - 0.5 * short, 2.65 if short else 2.75


def dry_run(
    keywords: dict[str, Any], initial: Sequence[Molecule], compute: Callable[[str, Molecule], tuple[Any, float]]
) -> tuple[dict[str, float], Counter[str]]:
    """The library's own loop: lowest energies, and how many optimizations each grid point took."""
    state = td_api.create_initial_state(
        elements=initial[0]["symbols"], init_coords=[m["geometry"] for m in initial], **keywords
    )
    asked: Counter[str] = Counter()
    while jobs := td_api.next_jobs_from_state(state):
        results: dict[str, list[Any]] = defaultdict(list)
        for key, starts in jobs.items():
            for start in starts:
                final, energy = compute(key, {**initial[0], "geometry": start})
                results[key].append((start, final, energy))
            asked[f"[{key.replace(',', ', ')}]"] += len(starts)
        td_api.update_state(state, results)
    lowest = {json.dumps([int(g) for g in k]): float(e) for k, e in td_api.collect_lowest_energies(state).items()}
    return lowest, asked


def toy_run(keywords: dict[str, Any], initial: Sequence[Molecule], energy: Energy) -> Any:
    def compute(key: str, molecule: Molecule) -> tuple[Any, float]:
        angles = [int(a) for a in key.split(",")]
        bond = math.dist(molecule["geometry"][3:6], molecule["geometry"][6:9])
        value, bond = energy(angles, bond)
        return chain(*angles, bond=bond)["geometry"], value

    return dry_run(keywords, initial, compute)


def lowest(driven: Driven) -> dict[str, float]:
    found: dict[str, float] = {}
    for request, ended in pairs(driven):
        assert ended.energy is not None
        found[request.key] = min(ended.energy, found.get(request.key, math.inf))
    return found


def pairs(driven: Driven) -> list[tuple[Request, Any]]:
    return [pair for b, e in zip(driven.batches, driven.ended, strict=True) for pair in zip(b.requests, e, strict=True)]


def asked(driven: Driven) -> Counter[str]:
    return Counter(request.key for request, _ in pairs(driven))


@pytest.mark.parametrize("energy", [smooth, two_basins])
@pytest.mark.parametrize(
    ("keywords", "initial"),
    [
        (ONE, [chain(110.0)]),
        (ONE, [chain(-170.0), chain(55.0), chain(58.0)]),
        ({**ONE, "dihedral_ranges": [[-60, 60]]}, [chain(10.0)]),
        ({**ONE, "dihedral_ranges": [[120, 240]]}, [chain(179.0)]),
        ({**ONE, "energy_upper_limit": 0.6}, [chain(179.0)]),
        ({**ONE, "energy_decrease_thresh": 0.7}, [chain(10.0)]),
        (TWO, [chain(110.0, 20.0)]),
        (TWO, [chain(110.0, 20.0), chain(-80.0, 170.0)]),
        ({**TWO, "grid_spacing": [60, 90], "dihedral_ranges": [[-60, 120], [-180, 0]]}, [chain(50.0, -80.0)]),
        ({**TWO, "energy_upper_limit": 0.8}, [chain(170.0, -80.0)]),
    ],
)
def test_a_scan_is_what_the_library_makes_of_it(
    keywords: dict[str, Any], initial: list[Molecule], energy: Energy
) -> None:
    driven = drive(torsiondrive, spec_of(keywords), initial, turned(energy))
    energies, counts = toy_run(keywords, initial, energy)
    assert lowest(driven) == energies
    assert asked(driven) == counts


def test_places_of_children_are_as_the_wire_has_them() -> None:
    driven = drive(torsiondrive, spec_of(TWO), [chain(110.0, 20.0), chain(80.0, 10.0)], turned(smooth))
    requests = [request for request, _ in pairs(driven)]
    assert [r.position for r in requests] == list(range(len(requests)))
    assert [(r.key, r.info) for r in driven.batches[0].requests] == [
        ("[90, 0]", {"td_api_key": "90,0", "position": 0}),
        ("[90, 0]", {"td_api_key": "90,0", "position": 1}),
    ]
    for batch in driven.batches:  # a key's jobs are counted anew in each batch
        for key, jobs in itertools.groupby(batch.requests, lambda r: r.key):
            infos = [r.info for r in jobs]
            assert infos == [{"td_api_key": key[1:-1].replace(" ", ""), "position": n} for n in range(len(infos))]
    assert held(requests[0]) == [
        {"type": "dihedral", "indices": [0, 1, 2, 3], "value": 90},
        {"type": "dihedral", "indices": [1, 2, 3, 4], "value": 0},
    ]


def test_constraints_of_the_optimization_stay() -> None:
    mine = {"freeze": [{"type": "xyz", "indices": [0]}], "set": [{"type": "distance", "indices": [0, 1], "value": 1.8}]}
    optimization = {**OPT, "keywords": {"maxiter": 99, "constraints": mine}}
    spec = msgspec.convert(spec_of(ONE, optimization), OurSpecification)
    driven = drive(torsiondrive, spec_of(ONE, optimization), [chain(60.0)], lambda r, m: turned(smooth)(without(r), m))
    for request, _ in pairs(driven):
        keywords = request.specification.keywords
        assert keywords["maxiter"] == 99
        assert keywords["constraints"]["freeze"] == mine["freeze"]
        assert [c["type"] for c in keywords["constraints"]["set"]] == ["distance", "dihedral"]
    assert spec.optimization_specification.keywords == optimization["keywords"]


def without(request: Request) -> Request:
    dihedrals = [c for c in held(request) if c["type"] == "dihedral"]
    spec = msgspec.structs.replace(request.specification, keywords={"constraints": {"set": dihedrals}})
    return msgspec.structs.replace(request, specification=spec)


angles = st.floats(-179.9, 180.0)
ranges = st.tuples(st.integers(-180, 180), st.integers(-180, 360)).filter(lambda both: both[0] < both[1])


@settings(max_examples=12, deadline=None)
@given(st.data(), st.integers(1, 2), st.sampled_from([smooth, two_basins]))
def test_every_grid_point_is_reached_from_its_neighbours(data: st.DataObject, n: int, energy: Energy) -> None:
    spacing = data.draw(st.lists(st.sampled_from([180, 90] if n == 2 else [180, 60, 30]), min_size=n, max_size=n))
    initial = data.draw(st.lists(st.lists(angles, min_size=n, max_size=n), min_size=1, max_size=3))
    keywords = {"dihedrals": [[i, i + 1, i + 2, i + 3] for i in range(n)], "grid_spacing": spacing}
    driven = drive(torsiondrive, spec_of(keywords), [chain(*one) for one in initial], turned(energy))
    grid = {json.dumps(list(p)) for p in itertools.product(*(range(s - 180, 181, s) for s in spacing))}
    assert set(asked(driven)) == grid
    assert driven.done.progress is not None
    assert (driven.done.progress.done, driven.done.progress.total) == (len(grid), len(grid))
    assert driven.done.progress.minimum == min(lowest(driven).values())
    ends = defaultdict(set)
    for request, ended in pairs(driven):
        ends[ended.molecule_id].add(request.key)
    for request, _ in pairs(driven)[len(driven.batches[0].requests) :]:
        (part,) = request.parts
        assert any(neighbours(json.loads(request.key), json.loads(k), spacing) for k in ends[part.molecule])  # type: ignore[index]


def neighbours(a: list[int], b: list[int], spacing: list[int]) -> bool:
    off = [(i - j) % 360 for i, j in zip(a, b, strict=True)]
    return sum(o != 0 for o in off) == 1 and all(o in (0, s, 360 - s) for o, s in zip(off, spacing, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([15, 20, 36, 60, 90, 180]), ranges)
def test_grid_points_are_counted_as_the_library_counts_them(spacing: int, within: tuple[int, int]) -> None:
    library = DihedralScanner(EngineBlank(), [[0, 1, 2, 3]], [spacing], [], dihedral_ranges=[within])
    assert grid_size(Ours([(0, 1, 2, 3)], [spacing], [within])) == len(library.dihedral_mask[0])


def test_the_log_is_what_the_library_says_and_says_it_once(capfd: pytest.CaptureFixture[str]) -> None:
    driven = drive(torsiondrive, spec_of(ONE), [chain(0.0)], turned(two_basins))
    log = "".join(batch.log for batch in driven.batches) + driven.done.log
    assert log.count("First energy for grid_id") == 6
    assert log.count("initial tasks pushed to opt_queue") == 1
    assert " decreased from " in log
    assert "All optimizations converged at lowest energy. Job Finished!" in log
    assert log.endswith(f"[180]: {lowest(driven)['[180]']:.10f} Eh\n")
    assert capfd.readouterr() == ("", "")


def test_warnings_of_the_library_are_in_the_log() -> None:
    far = {**ONE, "dihedrals": [[0, 2, 1, 3]]}
    seen = []

    def compute(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
        seen.append(request)
        raise StopAsking

    with pytest.raises(StopAsking):
        drive(torsiondrive, spec_of(far), [chain(110.0)], compute)
    steps = torsiondrive.flow.run(given_of(far, chain(110.0)))  # type: ignore[union-attr]
    assert "not bonded" in next(steps).log


class StopAsking(Exception):
    """The test has seen enough."""


def given_of(keywords: dict[str, Any], molecule: Molecule) -> Any:
    from qchive.kinds.flow import Given, GivenMolecule

    spec = msgspec.convert(spec_of(keywords), OurSpecification)
    return Given(specification=spec, molecules={"initial_molecule": [GivenMolecule(1, molecule)]})


def test_scans_in_several_threads_do_not_hear_each_other(capfd: pytest.CaptureFixture[str]) -> None:
    def run(n: int) -> tuple[str, str]:
        keywords = {**ONE, "dihedral_ranges": [[-60, 60 * n]]}
        driven = drive(torsiondrive, spec_of(keywords), [chain(10.0)], turned(smooth))
        return f"initialized with range limit [(-60, {60 * n})]", "".join(
            b.log for b in driven.batches
        ) + driven.done.log

    with ThreadPoolExecutor(3) as threads:
        logs = list(threads.map(run, [1, 2, 3] * 2))
    for mine, log in logs:
        assert log.count("initialized with range limit") == log.count(mine) == 1
    assert capfd.readouterr() == ("", "")


def test_an_optimizer_that_ignores_constraints_is_found_out() -> None:
    def compute(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
        return {"energy": -1.0, "molecule": molecules[0]}

    with pytest.raises(FlowFailed, match="was to hold its dihedral angles at \\[0\\], but ended elsewhere"):
        drive(torsiondrive, spec_of(ONE), [chain(59.9)], compute)


def test_a_scan_of_which_no_point_is_reached_has_failed() -> None:
    with pytest.raises(FlowFailed, match="No optimization held its dihedral angles"):
        drive(torsiondrive, spec_of(ONE), [chain(50.0)], lambda r, m: {"energy": -1.0, "molecule": m[0]})


def test_a_grid_point_that_is_not_reached_is_named() -> None:
    def compute(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
        angle = held(request)[0]["value"]
        return {"energy": float(angle), "molecule": chain(angle + 2.0 * (angle == 60))}

    driven = drive(torsiondrive, spec_of(ONE), [chain(10.0)], compute)
    marked = [line for line in driven.done.log.splitlines() if line.endswith("but not at this grid point")]
    assert marked == ["[60]: 60.0000000000 Eh, but not at this grid point"]


def test_an_optimization_without_energy_is_no_result() -> None:
    with pytest.raises(FlowFailed, match="without energy"):
        drive(torsiondrive, spec_of(ONE), [chain(59.9)], lambda r, m: {"molecule": m[0]})


def test_initial_molecules_outside_of_the_ranges_are_found_out() -> None:
    with pytest.raises(FlowFailed, match="outside of dihedral_ranges"):
        drive(torsiondrive, spec_of({**ONE, "dihedral_ranges": [[0, 60]]}), [chain(170.0)], turned(smooth))


@pytest.mark.parametrize(
    ("keywords", "why"),
    [
        ({"dihedrals": [], "grid_spacing": []}, "at least one dihedral"),
        ({"grid_spacing": []}, "as many numbers in grid_spacing, not 0"),
        ({"grid_spacing": [60, 60]}, "as many numbers in grid_spacing, not 2"),
        ({"grid_spacing": [120]}, "120 does not divide 180"),
        ({"grid_spacing": [7]}, "7 does not divide 180"),
        ({"grid_spacing": [0]}, "0 does not divide 180"),
        ({"grid_spacing": [-60]}, "-60 does not divide 180"),
        ({"grid_spacing": [360]}, "360 does not divide 180"),
        ({"dihedral_ranges": [[0, 60], [0, 60]]}, "as many dihedral_ranges, not 2"),
        ({"dihedral_ranges": [[60, 0]]}, "low < high"),
        ({"dihedral_ranges": [[-190, 0]]}, "low < high"),
        ({"dihedral_ranges": [[0, 370]]}, "low < high"),
        ({"dihedral_ranges": [[190, 300]]}, r"\[-170, -60\] instead of \[190, 300\]"),
        ({"dihedral_ranges": [[10, 20]]}, "no grid point lies within"),
        ({"dihedrals": [[0, 1, 2, 4]]}, r"\[0, 1, 2, 4\] is outside of the molecule, whose atoms are 0 to 3"),
        ({"dihedrals": [[-1, 1, 2, 3]]}, "outside of the molecule"),
        ({"dihedrals": [[0, 1, 2, 1]]}, "names an atom twice"),
        ({"dihedrals": [[0, 1, 2, 3], [3, 2, 1, 0]], "grid_spacing": [60, 60]}, "is there twice"),
        ({"energy_decrease_thresh": -1e-3}, "energy_decrease_thresh cannot be below 0"),
        ({"energy_upper_limit": -1e-3}, "energy_upper_limit cannot be below 0"),
    ],
)
def test_what_can_only_fail_is_refused(keywords: dict[str, Any], why: str) -> None:
    with pytest.raises(InputRefused, match=why):
        drive(torsiondrive, spec_of({**ONE, **keywords}), [chain(60.0)], turned(smooth))


@pytest.mark.parametrize(
    ("initial", "why"),
    [
        ([], "at least one initial molecule"),
        ([chain(60.0), chain(60.0, 60.0)], "differ in their atoms"),
        ([chain(60.0), {**chain(50.0), "symbols": ["H", "O", "S", "H"]}], "differ in their atoms"),
        ([chain(60.0), {**chain(50.0), "molecular_charge": 1.0}], "differ in their atoms, charge"),
    ],
)
def test_initial_molecules_that_do_not_fit_are_refused(initial: list[Molecule], why: str) -> None:
    with pytest.raises(InputRefused, match=why):
        drive(torsiondrive, spec_of(ONE), initial, turned(smooth))


def test_constraints_of_another_form_are_refused() -> None:
    for wrong in (["dihedral"], {"set": {"type": "dihedral"}}):
        optimization = {**OPT, "keywords": {"constraints": wrong}}
        with pytest.raises(InputRefused, match="'constraints' is an object"):
            drive(torsiondrive, spec_of(ONE, optimization), [chain(60.0)], turned(smooth))


def test_another_program_is_no_torsiondrive() -> None:
    with pytest.raises(msgspec.ValidationError, match="the program of a torsiondrive is"):
        msgspec.convert({**spec_of(ONE), "program": "crest"}, OurSpecification)


def test_initial_molecules_are_a_set() -> None:
    molecules = {i: chain(10.0 * i) for i in (3, 5, 8)}
    spec = msgspec.convert(spec_of(ONE), OurSpecification)
    parts = [Part("initial_molecule", i, n) for n, i in enumerate([8, 3, 8, 5])]
    settled = torsiondrive.settle(spec, parts, molecules)
    assert settled == [Part("initial_molecule", i, n) for n, i in enumerate([3, 5, 8])]


# --- views and wire -----------------------------------------------------------------------------------------------


def seen_of(*links: tuple[int, str, float | None]) -> Seen:
    return Seen(
        parts=[Part("initial_molecule", i, n) for n, i in enumerate([4, 9])],
        links=[
            Link(i, "optimization", "complete", "optimizations", key, n, n, {}, energy, 70 + n)
            for n, (i, key, energy) in enumerate(links)
        ],
        document=lambda i: {"id": i},
    )


def test_views() -> None:
    views = {view.name: view for view in torsiondrive.views}
    seen = seen_of((51, "[90]", -1.0), (50, "[90]", -1.0), (49, "[90]", None), (48, "[0]", None), (47, "[0]", None))
    assert views["initial_molecules_ids"].make(seen) == [4, 9]
    assert views["initial_molecules"].make(seen) == [{"id": 4}, {"id": 9}]
    assert list(views["initial_molecules"].molecules(seen)) == [4, 9]
    assert views["minimum_optimizations"].make(seen) == {"[90]": 50, "[0]": 47}
    assert msgspec.to_builtins(views["optimizations"].make(seen))[0] == {
        "optimization_id": 51,
        "key": "[90]",
        "position": 0,
        "energy": -1.0,
    }
    for name in ("initial_molecules_ids", "optimizations", "minimum_optimizations"):
        assert views[name].path is not None


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        ONE,
        {**TWO, "dihedral_ranges": [(-90, 90), (0, 240)]},
        {**ONE, "energy_decrease_thresh": 1e-6, "energy_upper_limit": 0.123456789012},
        {**ONE, "energy_decrease_thresh": -0.0},
    ],
)
def test_the_client_and_the_server_mean_the_same(keywords: dict[str, Any]) -> None:
    theirs = TorsiondriveSpecification(
        optimization_specification=deepcopy({**OPT, "program": "geomeTRIC", "keywords": {"maxiter": 5}}),
        keywords=TorsiondriveKeywords(**keywords),
    )
    body = TorsiondriveAddBody(
        specification=theirs,
        initial_molecules=[[1, 2], [3]],
        as_service=True,
        compute_tag="*",
        compute_priority=1,
        find_existing=True,
    )
    sent = json.loads(body.model_dump_json())
    ours = msgspec.convert(sent["specification"], OurSpecification)
    assert msgspec.convert(sent["initial_molecules"], list[torsiondrive.inputs.element]) == [[1, 2], [3]]  # type: ignore[name-defined]
    read = TorsiondriveSpecification.model_validate_json(torsiondrive.body(ours))
    assert read == theirs
    assert torsiondrive.body(msgspec.json.decode(torsiondrive.body(ours), type=OurSpecification)) == torsiondrive.body(
        ours
    )


def test_facets_name_the_optimizer_and_the_program_behind_it() -> None:
    facets = torsiondrive.facets(msgspec.convert(spec_of(ONE), OurSpecification))
    assert (facets.program, facets.optimizer, facets.qc_program) == ("torsiondrive", "geometric", "toy")
    assert set(torsiondrive.filters.values()) <= {*facets.__struct_fields__}


def test_the_example_can_be_added() -> None:
    spec = msgspec.convert(torsiondrive.example["specification"], OurSpecification)
    (element,) = torsiondrive.example["initial_molecules"]
    parts = [Part("initial_molecule", n + 1, n) for n, _ in enumerate(element)]
    assert torsiondrive.settle(spec, parts, {n + 1: m for n, m in enumerate(element)}) == parts
    assert torsiondrive.flow is not None
    assert torsiondrive.flow.provenance()["creator"] == "torsiondrive"


# --- real programs ------------------------------------------------------------------------------------------------


def really_run(keywords: dict[str, Any], initial: Sequence[Molecule]) -> Any:
    """The library's loop around optimizations that geomeTRIC runs directly."""

    def compute(key: str, molecule: Molecule) -> tuple[Any, float]:
        wanted = zip(keywords["dihedrals"], key.split(","), strict=True)
        energy, geometry = optimized_directly(
            molecule, [{"type": "dihedral", "indices": d, "value": int(v)} for d, v in wanted]
        )
        return geometry, energy

    return dry_run(keywords, initial, compute)


@pytest.mark.parametrize(
    ("keywords", "initial"),
    [
        ({**ONE, "grid_spacing": [90]}, [chain(95.0), chain(-150.0)]),
        ({**TWO, "dihedral_ranges": [[0, 90], [-90, 90]]}, [chain(85.0, -80.0), chain(80.0, 75.0)]),
    ],
    ids=["H2O2", "H2O3"],
)
def test_real_scans_are_what_the_libraries_find(keywords: dict[str, Any], initial: list[Molecule]) -> None:
    driven = drive(torsiondrive, spec_of(keywords, GFN2), initial, really)
    energies, _ = really_run(keywords, initial)
    assert lowest(driven) == pytest.approx(energies, abs=1e-6)
    for request, ended in pairs(driven):
        for value, angle in zip(
            json.loads(request.key), dihedrals_of(driven.molecules[ended.molecule_id]), strict=True
        ):
            assert abs(math.remainder(value - angle, 360)) < 0.1
