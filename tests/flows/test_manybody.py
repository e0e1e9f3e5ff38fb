"""Many-body expansions, planned without a server: with a potential whose contributions are known, and with a real
program against QCManyBody driven without QCHive."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import pytest
from qcportal.manybody import ManybodyAddBody, ManybodyClusterMeta, ManybodyDatasetSpecification
from qcportal.manybody import ManybodySpecification as Theirs
from tests.flows.computing import really
from tests.flows.driving import Driven, drive

from qchive.kinds.flow import FlowFailed, Link, Request, Seen
from qchive.kinds.kind import InputRefused, Molecule, Part
from qchive.kinds.manybody import ManybodySpecification, manybody
from qchive.molecule import stored

HIGH = {"program": "toy", "driver": "energy", "method": "high", "basis": None}
LOW = {**HIGH, "method": "low"}
ALL = ["nocp", "cp", "vmfc"]


def spec(levels: Mapping[str, Any], *corrections: str, total: bool = False) -> dict[str, Any]:
    keywords = {"return_total_data": total}
    return {"levels": levels, "bsse_correction": list(corrections or ALL), "keywords": keywords}


def cluster(n: int) -> dict[str, Any]:
    """Helium atoms along a line, no two distances alike."""
    places = [0.0, 4.0, 9.0, 15.5][:n]
    return {
        "symbols": ["He"] * n,
        "geometry": [x for z in places for x in (0.0, 0.0, z)],
        "molecular_charge": 0.0,
        "molecular_multiplicity": 1.0,
        "fragments": [[i] for i in range(n)],
        "fragment_charges": [0.0] * n,
        "fragment_multiplicities": [1.0] * n,
    }


# --- a potential of one-, two- and three-body terms ----------------------------------------------------------------

GHOST = 1e-3
"""What the functions of a ghost lower the energy by: all of the superposition error there is."""
SCALE = {"high": 1.0, "low": 0.9}


def term(places: Sequence[float], method: str) -> float:
    """The contribution of these bodies together, and of no fewer."""
    pairs = [abs(a - b) for a, b in itertools.combinations(places, 2)]
    return SCALE[method] * {1: -2.0, 2: 0.1, 3: 0.05}.get(len(places), 0.0) / math.prod(pairs)


def terms(n: int, bodies: int, method: str = "high") -> float:
    places = cluster(n)["geometry"][2::3]
    return sum(term(some, method) for some in itertools.combinations(places, bodies))


def compute(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
    (molecule,) = molecules
    real = molecule.get("real") or [True] * len(molecule["symbols"])
    places = [z for z, here in zip(molecule["geometry"][2::3], real, strict=True) if here]
    method = request.specification.method
    some = (c for k in range(1, 4) for c in itertools.combinations(places, k))
    return {"energy": sum(term(c, method) for c in some) - GHOST * real.count(False)}


def results(driven: Driven) -> Any:
    assert driven.done.properties is not None
    return driven.done.properties["results"]


def labels(driven: Driven) -> set[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    links = [request.info for request in driven.batches[0].requests]
    found = {(i["_mc_level"], tuple(i["_fragments"]), tuple(i["_basis"])) for i in links}
    assert len(found) == len(links)
    return found


def test_each_correction_gives_the_contributions_it_is_known_to_give() -> None:
    driven = drive(manybody, spec({"1": HIGH, "2": HIGH, "3": HIGH}, total=True), cluster(3), compute)
    one, two, three = (terms(3, n) for n in (1, 2, 3))
    expected = {
        # in the basis of three a pair takes 2 ghosts from each of its bodies and gains 1; in its own, 1 from each
        "nocp": (two, three),
        "cp": (two + 9 * GHOST, three - 3 * GHOST),
        "vmfc": (two + 6 * GHOST, three - 3 * GHOST),
    }
    for correction, (second, third) in expected.items():
        of = {key.removeprefix(f"{correction}_corrected_"): value for key, value in results(driven).items()}
        assert of["total_energy_through_1_body"] == pytest.approx(one, abs=1e-12)
        assert of["2_body_contribution_to_energy"] == pytest.approx(second, abs=1e-12)
        assert of["3_body_contribution_to_energy"] == pytest.approx(third, abs=1e-12)
        assert of["interaction_energy_through_2_body"] == pytest.approx(second, abs=1e-12)
    assert results(driven)["nocp_corrected_total_energy"] == pytest.approx(one + two + three, abs=1e-12)
    assert len(driven.batches) == 1
    assert len(labels(driven)) == 7 + 3 + 3 + 3 * 2  # alone; bodies and pairs in the basis of all; bodies in a pair's


def test_each_level_computes_its_own_contribution() -> None:
    driven = drive(manybody, spec({"1": HIGH, "2": LOW}, "nocp", total=True), cluster(3), compute)
    assert results(driven)["nocp_corrected_total_energy"] == pytest.approx(terms(3, 1) + terms(3, 2, "low"))
    assert labels(driven) == {
        *(("toy/high/", (i,), (i,)) for i in (1, 2, 3)),
        *(("toy/low/", (i,), (i,)) for i in (1, 2, 3)),
        *(("toy/low/", pair, pair) for pair in itertools.combinations((1, 2, 3), 2)),
    }


@pytest.mark.parametrize("correction", ALL)
def test_the_supersystem_adds_what_lies_above_the_levels(correction: str) -> None:
    levels = {"supersystem": LOW, "1": HIGH, "2": HIGH}
    driven = drive(manybody, spec(levels, correction, total=True), cluster(4), compute)
    ghosts = {"nocp": 0.0, "cp": 4.0, "vmfc": 2.0}[correction] * 6 * GHOST
    total = terms(4, 1) + terms(4, 2) + ghosts + terms(4, 3, "low")
    assert results(driven)[f"{correction}_corrected_total_energy"] == pytest.approx(total, abs=1e-12)
    assert ("toy/low/", (1, 2, 3, 4), (1, 2, 3, 4)) in labels(driven)


def test_computations_that_differ_in_keywords_alone_have_names_of_their_own() -> None:
    levels = {"1": HIGH, "2": {**HIGH, "keywords": {"a": 1}}, "supersystem": {**HIGH, "keywords": {"a": 2}}}
    driven = drive(manybody, spec(levels, "nocp"), cluster(3), compute)
    assert {name for name, _, _ in labels(driven)} == {"toy/high/", "toy/high/_1", "toy/high/_2"}


def test_a_method_may_have_an_at_sign_in_its_name() -> None:
    SCALE["g0w0@hf"] = 1.0
    levels = {n: {**HIGH, "method": "G0W0@HF"} for n in "12"}
    driven = drive(manybody, spec(levels, "nocp"), cluster(2), compute)
    assert results(driven)["nocp_corrected_interaction_energy"] == pytest.approx(terms(2, 2))
    assert {name for name, _, _ in labels(driven)} == {"toy/g0w0(at)hf/"}


def test_interaction_of_single_bodies_needs_no_computation() -> None:
    driven = drive(manybody, spec({"1": HIGH}, "cp"), cluster(2), compute)
    assert driven.batches == []
    assert results(driven)["cp_corrected_interaction_energy"] == 0.0


def test_equal_clusters_have_places_of_their_own() -> None:
    molecule = cluster(3) | {"geometry": [0.0] * 9}
    driven = drive(manybody, spec({"1": HIGH}, "nocp"), molecule, compute)
    assert len({request.key for request in driven.batches[0].requests}) == 3


def test_properties_are_plain_and_the_log_tells_of_plan_and_energies() -> None:
    driven = drive(manybody, spec({"1": HIGH, "2": LOW, "supersystem": {**LOW, "basis": "b"}}), cluster(3), compute)
    properties = driven.done.properties
    assert properties is not None
    assert set(properties) == {"results", "mc_results", "ret_energy", "energy_body_dict", "component_properties"}
    assert msgspec.json.decode(msgspec.json.encode(properties)) == properties
    assert 'Model chemistry "toy/low/b"' in driven.batches[0].log
    assert "N-Body: Counterpoise Corrected (CP) energies" in driven.done.log
    assert driven.batches[0].progress.total == len(driven.batches[0].requests)


def test_a_cluster_without_an_energy_fails_it_by_name() -> None:
    def without(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
        return {} if request.info["_fragments"] == [2] else compute(request, molecules)

    with pytest.raises(FlowFailed, match=r"Record 1001 \(cluster .*\[2\], \[2\].*no return_energy"):
        drive(manybody, spec({"1": HIGH, "2": HIGH}, "nocp"), cluster(2), without)


def test_clusters_are_shown_as_clients_read_them() -> None:
    driven = drive(manybody, spec({"1": HIGH, "2": HIGH}, "cp", total=True), cluster(2), compute)
    links = [
        Link(one.record_id, r.kind, "complete", r.role, r.key, r.position, 0, r.info, one.energy, one.molecule_id)
        for r, one in zip(driven.batches[0].requests, driven.ended[0], strict=True)
    ]
    (view,) = manybody.views
    seen = Seen([Part("initial_molecule", 1)], links[::-1], driven.molecules.__getitem__)
    shown = msgspec.to_builtins(view.make(seen))
    assert [(c["fragments"], c["basis"]) for c in shown] == [
        ([1], [1]),
        ([1], [1, 2]),
        ([2], [2]),
        ([2], [1, 2]),
        ([1, 2], [1, 2]),
    ]
    assert {c["molecule_id"] for c in shown} == set(view.molecules(seen))
    read = [ManybodyClusterMeta(**c) for c in shown]
    assert [c.singlepoint_id for c in read] == [link.record_id for link in links]
    ghosts = read[1].molecule
    assert ghosts is not None
    assert ghosts.real.tolist() == [True, False]


def test_before_it_has_started_it_shows_no_clusters() -> None:
    assert manybody.views[0].make(Seen([Part("initial_molecule", 1)], [], lambda _: {})) == []


# --- what can only fail is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ({}, "from 1 without gaps"),
        ({"2": HIGH}, "from 1 without gaps.* not 2"),
        ({"1": HIGH, "3": LOW}, "from 1 without gaps.* not 1, 3"),
        ({"supersystem": HIGH}, "beside them, not supersystem"),
        ({"2": HIGH, "supersystem": LOW}, "not 2, supersystem"),
        ({"1": HIGH, "supersystem": HIGH}, "level supersystem is computed like level 1"),
        ({"1": HIGH, "2": LOW, "supersystem": LOW}, "level supersystem is computed like level 2"),
        ({"1": HIGH, "2": LOW, "3": {**HIGH, "basis": ""}}, "level 3 is computed like level 1"),
        ({str(n): {**HIGH, "basis": f"b{n}"} for n in range(1, 28)}, "at most 26"),
        ({"0": HIGH}, "regex"),
        ({"-1": HIGH}, "regex"),
        ({"super": HIGH}, "regex"),
    ],
)
def test_levels_that_can_only_fail_are_refused(levels: Any, reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert(spec(levels), ManybodySpecification)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bsse_correction": []}, "is empty"),
        ({"bsse_correction": ["ssfc"]}, "Invalid enum value"),
        ({"program": "other"}, "is 'qcmanybody'"),
        ({"keywords": {"embedding": True}}, "unknown field"),
    ],
)
def test_so_is_whatever_else_makes_no_sense(change: Any, reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        msgspec.convert({**spec({"1": HIGH}), **change}, ManybodySpecification)


@pytest.mark.parametrize(
    ("levels", "change", "reason"),
    [
        ({"1": HIGH}, {"fragments": None}, "at least two fragments"),
        ({"1": HIGH}, {"fragments": [[0, 1, 2]]}, "at least two fragments"),
        ({"1": HIGH}, {"fragments": [[0, 2], [1]]}, "fragment by fragment"),
        ({"1": HIGH}, {"real": [True, True, False]}, "ghost atoms itself"),
        ({"1": HIGH}, {"fragment_charges": None}, "lacks `fragment_charges`"),
        ({"1": HIGH}, {"fragment_multiplicities": [1]}, "lacks `fragment_multiplicities`"),
        ({n: HIGH for n in "1234"}, {}, "level 4 is more than the 3 fragments"),
        ({**{n: HIGH for n in "123"}, "supersystem": LOW}, {}, "leaves nothing"),
    ],
)
def test_molecules_that_can_only_fail_are_refused(levels: Any, change: Any, reason: str) -> None:
    molecule = {key: value for key, value in (cluster(3) | change).items() if value is not None}
    with pytest.raises(InputRefused, match=reason):
        drive(manybody, spec(levels), molecule, compute)


def many(n: int) -> dict[str, Any]:
    return cluster(1) | {
        "symbols": ["He"] * n,
        "geometry": [x for i in range(n) for x in (0.0, 0.0, 4.0 * i)],
        "fragments": [[i] for i in range(n)],
        "fragment_charges": [0.0] * n,
        "fragment_multiplicities": [1.0] * n,
    }


@pytest.mark.parametrize(
    ("n", "top", "correction", "counted"),
    [(400, 3, "nocp", 10_667_000), (64, 4, "cp", 679_120), (64, 4, "vmfc", 9_828_400), (90, 90, "nocp", 2**90 - 1)],
)
def test_more_clusters_than_can_be_planned_are_refused(n: int, top: int, correction: str, counted: int) -> None:
    made = msgspec.convert(spec({str(i + 1): HIGH for i in range(top)}, correction), ManybodySpecification)
    parts = [Part("initial_molecule", 1)]
    if counted < 1_000_000:
        assert manybody.settle(made, parts, {1: many(n)}) == parts
    else:
        with pytest.raises(InputRefused, match=f"^{counted} clusters of the molecule's {n} fragments"):
            manybody.settle(made, parts, {1: many(n)})


def test_they_are_counted_as_they_are_planned() -> None:
    for correction, counted in (("nocp", 25), ("vmfc", 5 + 10 * 3 + 10 * 7)):
        driven = drive(manybody, spec({n: HIGH for n in "123"}, correction), many(5), compute)
        alone = [one for one in labels(driven) if correction == "vmfc" or one[1] == one[2]]
        assert len(alone) == counted


def _choices() -> list[tuple[int, dict[str, Any]]]:
    found = []
    for n, top in [(2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3), (3, 4)]:
        for methods in itertools.product(("high", "low"), repeat=top):
            levels = {str(i + 1): {**HIGH, "method": method} for i, method in enumerate(methods)}
            found += [(n, levels), (n, {**levels, "supersystem": LOW})]
            found.append((n, {**levels, "supersystem": {**LOW, "basis": "b"}}))
    return found


def test_what_is_accepted_can_be_computed_and_what_is_refused_cannot() -> None:
    accepted = refused = 0
    for (n, levels), corrections in itertools.product(_choices(), [["nocp"], ["cp"], ["vmfc", "cp"]]):
        try:
            driven = drive(manybody, spec(levels, *corrections, total=True), cluster(n), compute)
        except (msgspec.ValidationError, InputRefused):
            refused += 1
            with pytest.raises((ValueError, TypeError, RuntimeError, AssertionError)):
                _fails_alone(n, levels, corrections)
            continue
        accepted += 1
        assert driven.done.properties is not None
        said = results(driven)[f"{corrections[-1]}_corrected_total_energy"]
        assert driven.done.properties["ret_energy"] == pytest.approx(said, abs=1e-12)
    assert accepted > 50
    assert refused > 50


def _fails_alone(n: int, levels: Mapping[str, Any], corrections: Sequence[str]) -> None:
    """QCManyBody alone: fails, or contradicts itself."""
    from qcmanybody import ManyBodyCore

    names = {k if k == "supersystem" else int(k): qc["method"] + (qc["basis"] or "") for k, qc in levels.items()}
    core = ManyBodyCore(
        cluster(n),
        corrections,
        names,
        return_total_data=True,
        supersystem_ie_only=False,
        embedding_charges={},
    )
    energies = {}
    for name, label, molecule in core.iterate_molecules():
        request = Request(role="", kind="", specification=_Method("high" if name == "high" else "low"), parts=())
        document = {"symbols": list(molecule.symbols), "geometry": molecule.geometry.ravel().tolist()}
        energies[label] = compute(request, [document | {"real": molecule.real.tolist()}])
    found = core.analyze(energies)
    said = found["results"][f"{core.return_bsse_type.value}_corrected_total_energy"]
    assert found["ret_energy"] == pytest.approx(said, abs=1e-12)


class _Method(msgspec.Struct):
    method: str


# --- the wire -------------------------------------------------------------------------------------------------------


def body(specification: Any) -> bytes:
    return manybody.body(msgspec.convert(specification, ManybodySpecification))


def test_a_short_specification_is_filled_in() -> None:
    short = {"levels": {"1": {**HIGH, "program": "TOY"}}, "bsse_correction": ["cp", "nocp", "cp"]}
    assert msgspec.json.decode(body(short)) == {
        "program": "qcmanybody",
        "levels": {"1": {**HIGH, "keywords": {}, "protocols": {}}},
        "bsse_correction": ["nocp", "cp"],
        "keywords": {"return_total_data": False},
        "protocols": {},
    }


@pytest.mark.parametrize("levels", [{1: HIGH}, {1: HIGH, 2: LOW, 3: LOW}, {"supersystem": LOW, 2: HIGH, 1: HIGH}])
@pytest.mark.parametrize("corrections", [["nocp"], ["vmfc", "cp"]])
def test_specifications_go_to_the_unmodified_client_and_back(levels: Any, corrections: list[str]) -> None:
    theirs = Theirs(levels=levels, bsse_correction=corrections, keywords={"return_total_data": True})
    sent = ManybodyAddBody(specification=theirs, initial_molecules=[1], compute_tag="*", compute_priority=1)
    ours = body(msgspec.json.decode(sent.model_dump_json())["specification"])
    read = Theirs(**msgspec.json.decode(ours))
    assert body(msgspec.json.decode(read.model_dump_json())) == ours
    assert read.levels == theirs.levels
    assert set(read.bsse_correction) == set(theirs.bsse_correction)
    assert read.keywords == theirs.keywords
    assert ManybodyDatasetSpecification(name="n", specification=read).specification == read


def test_which_level_is_which_counts_and_the_order_of_corrections_does_not() -> None:
    assert body(spec({"1": HIGH, "2": LOW})) != body(spec({"1": LOW, "2": HIGH}))
    assert body(spec({"1": HIGH, "2": LOW}, "cp", "vmfc")) == body(spec({"2": LOW, "1": HIGH}, "vmfc", "cp"))


def test_people_find_it_by_every_level() -> None:
    levels = {"1": HIGH, "2": LOW, "3": {**LOW, "keywords": {"a": 1}}, "supersystem": {**LOW, "basis": "b"}}
    facets = manybody.facets(msgspec.convert(spec(levels), ManybodySpecification))
    assert (facets.program, facets.qc_program, facets.method, facets.basis) == ("qcmanybody", "toy", "high", None)
    assert facets.others == (("toy", "low", None), ("toy", "low", "b"))
    assert set(manybody.filters.values()) <= set(facets.__struct_fields__)


def test_the_example_is_one() -> None:
    molecule = msgspec.json.decode(stored(manybody.example["initial_molecules"][0]).document)
    made = msgspec.convert(manybody.example["specification"], ManybodySpecification)
    assert manybody.settle(made, [Part("initial_molecule", 1)], {1: molecule})


# --- a real program against QCManyBody alone ------------------------------------------------------------------------


def qc(basis: str, method: str = "hf") -> dict[str, Any]:
    return {"program": "pyscf", "driver": "energy", "method": method, "basis": basis, "keywords": {}}


def water(*places: Sequence[float]) -> dict[str, Any]:
    n = len(places)
    atoms = [(0.0, 0.0, 0.12), (0.0, 1.43, -0.98), (0.0, -1.43, -0.98)]
    return {
        "symbols": ["O", "H", "H"] * n,
        "geometry": [a + b for place in places for atom in atoms for a, b in zip(atom, place, strict=True)],
        "molecular_charge": 0.0,
        "molecular_multiplicity": 1.0,
        "fragments": [[3 * i, 3 * i + 1, 3 * i + 2] for i in range(n)],
        "fragment_charges": [0.0] * n,
        "fragment_multiplicities": [1.0] * n,
    }


WATERS = water((0.0, 0.0, 0.0), (5.4, 0.3, 0.2), (2.4, 4.9, 1.1))


@cache
def _alone(atoms: tuple[tuple[str, tuple[float, ...]], ...], basis: str) -> float:
    from basis_set_exchange import get_basis
    from pyscf import gto, scf

    functions = {}
    for label, _ in atoms:
        text = get_basis(basis, elements=label.removeprefix("ghost-"), fmt="nwchem", header=False)
        functions[label] = gto.basis.parse(text)
    solved = scf.RHF(gto.M(atom=[*atoms], basis=functions, unit="Bohr", verbose=0))
    solved.conv_tol = 1e-11
    return float(solved.kernel())


def without_qchive(molecule: Mapping[str, Any], levels: Mapping[int | str, str], corrections: Sequence[str]) -> Any:
    """QCManyBody and PySCF alone; levels are basis sets."""
    from qcmanybody import ManyBodyCore

    core = ManyBodyCore(
        dict(molecule), corrections, levels, return_total_data=True, supersystem_ie_only=False, embedding_charges={}
    )
    energies = {}
    for basis, label, part in core.iterate_molecules():
        names = [s if real else f"ghost-{s}" for s, real in zip(part.symbols, part.real, strict=True)]
        atoms = tuple((name, tuple(xyz)) for name, xyz in zip(names, part.geometry.tolist(), strict=True))
        energies[label] = {"energy": _alone(atoms, basis)}
    return core.analyze(energies)


@pytest.mark.parametrize(
    ("molecule", "levels", "corrections"),
    [
        pytest.param(WATERS, {1: "sto-3g", 2: "sto-3g", 3: "sto-3g"}, ["nocp"], id="nocp"),
        pytest.param(WATERS, {1: "sto-3g", 2: "sto-3g"}, ["cp"], id="cp"),
        pytest.param(WATERS, {1: "sto-3g", 2: "sto-3g"}, ["vmfc"], id="vmfc"),
        pytest.param(cluster(3), {1: "sto-3g", 2: "sto-3g", 3: "sto-3g"}, ALL, id="all three"),
        pytest.param(cluster(3), {1: "6-31g", 2: "sto-3g"}, ALL, id="two levels"),
        pytest.param(cluster(4), {1: "6-31g", 2: "6-31g", "supersystem": "sto-3g"}, ALL, id="supersystem"),
    ],
)
def test_energies_are_those_of_qcmanybody_without_qchive(molecule: Any, levels: Any, corrections: list[str]) -> None:
    ours = {str(level): qc(basis) for level, basis in levels.items()}
    driven = drive(manybody, spec(ours, *corrections, total=True), molecule, really)
    alone = without_qchive(molecule, levels, corrections)
    assert results(driven) == pytest.approx(alone["results"], abs=1e-8)
    assert driven.done.properties is not None
    assert driven.done.properties["ret_energy"] == pytest.approx(alone["ret_energy"], abs=1e-8)
    assert driven.done.properties["energy_body_dict"] == pytest.approx(alone["energy_body_dict"], abs=1e-8)
