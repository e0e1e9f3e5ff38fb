"""Nudged elastic bands: planned without a server, and beside geomeTRIC driven directly."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from qcportal.neb import NEBSpecification as PeersSpecification
from qcportal.neb.record_models import NEBOptimization, NEBSinglepoint
from tests.flows.bands import (
    BARRIER,
    Potential,
    across_the_well,
    double_well,
    gfn2,
    hartree_fock,
    hartree_fock_hessian,
    hydrogen_cyanide,
    optimized_directly,
    relaxed_directly,
)
from tests.flows.computing import really
from tests.flows.driving import Driven, drive

from qchive.kinds import KINDS
from qchive.kinds.flow import FlowFailed, Link, NotYet, Request, Seen
from qchive.kinds.kind import InputRefused, Molecule, Part
from qchive.kinds.neb import neb
from qchive.kinds.servicesubtask import NEXT_CHAIN, servicesubtask

TOY = {"program": "toy", "driver": "energy", "method": "m", "basis": None}
GFN2 = {"program": "tblite", "driver": "gradient", "method": "gfn2-xtb", "basis": None}
HARTREE_FOCK = {"program": "pyscf", "method": "hf", "basis": "sto-3g"}
LOOSE = {"images": 6, "maximum_force": 0.15, "average_force": 0.1}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (neb, servicesubtask):
        monkeypatch.setitem(KINDS, kind.name, kind)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs write where they are started."""
    monkeypatch.chdir(tmp_path)


def spec(qc: dict[str, Any] = TOY, *, keywords: dict[str, Any] = LOOSE, **more: Any) -> dict[str, Any]:
    return {"singlepoint_specification": qc, "keywords": keywords, **more}


def all_keywords(given: dict[str, Any]) -> dict[str, Any]:
    return msgspec.to_builtins(msgspec.convert(given, neb.specification))["keywords"]  # type: ignore[no-any-return]


def in_the_well(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
    """Children in the double well; the next chain is geomeTRIC's."""
    if request.kind == "servicesubtask":
        return really(request, molecules)
    molecule = molecules[0]
    if request.kind == "optimization":
        energy, geometry = optimized_directly(molecule["symbols"], molecule["geometry"], double_well)
        return {"energy": energy, "molecule": {**molecule, "geometry": geometry}}
    energy, gradient = double_well(molecule["symbols"], molecule["geometry"])
    return {"energy": energy, "properties": {"return_result": gradient}}


drive_neb = partial(drive, neb)


def last_geometries(driven: Driven) -> list[Any]:
    chain = driven.batches[-2 if driven.batches[-1].requests[0].role == "subtasks" else -4]
    assert all(r.role == "singlepoints" for r in chain.requests)
    return [np.reshape(r.parts[0].molecule["geometry"], (-1, 3)) for r in chain.requests]  # type: ignore[index,call-overload]


def assert_same(driven: Driven, frames: Any, potential: Potential, keywords: dict[str, Any], exact: float) -> None:
    """The flow ended with the chain that geomeTRIC makes of these frames by itself."""
    energies, geometries, computed = relaxed_directly(frames, potential, keywords)
    assert driven.done.properties is not None
    assert driven.done.properties["energies"] == pytest.approx(energies, abs=exact)
    assert driven.done.properties["cycles"] == computed - 1
    np.testing.assert_allclose(last_geometries(driven), geometries, atol=100 * exact)


@pytest.fixture(scope="module")
def relaxed() -> Driven:
    """A chain of six images in the double well, to its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(KINDS, "servicesubtask", servicesubtask)
        return drive_neb(spec(), across_the_well(6), in_the_well)


# --- the chain --------------------------------------------------------------------------------------------------


def test_a_chain_is_relaxed_as_geometric_does_it(relaxed: Driven) -> None:
    assert_same(relaxed, across_the_well(6), double_well, all_keywords(spec()), 1e-12)
    found = relaxed.done.properties
    assert found is not None
    assert found["converged"] is True
    assert found["maximum_force"] < 0.15
    assert found["average_force"] < 0.1
    assert found["forward_barrier"] == found["energies"][found["highest_image"]] - found["energies"][0]
    assert found["forward_barrier"] == pytest.approx(BARRIER, rel=0.3)


def test_places_and_facts_of_the_children(relaxed: Driven) -> None:
    chains, steps = relaxed.batches[::2], relaxed.batches[1::2]
    for n, batch in enumerate(chains):
        assert [(r.role, r.key, r.position, r.info) for r in batch.requests] == [
            ("singlepoints", str(n), i, {"position": i}) for i in range(6)
        ]
        assert {r.specification.driver.value for r in batch.requests} == {"gradient"}
        assert batch.checkpoint is not None
    for n, batch in enumerate(steps):
        (step,) = batch.requests
        assert (step.role, step.key, step.position, step.info, step.parts) == ("subtasks", str(n), 0, {}, ())
        info = step.specification.function_kwargs["info_dict"]
        assert info["params"] == {**all_keywords(spec()), "iteration": n + 1}
        assert batch.checkpoint is None


def test_what_geometric_says_is_in_the_log_without_colours(relaxed: Driven) -> None:
    log = "".join(batch.log for batch in relaxed.batches) + relaxed.done.log
    assert "Aligning images" in log
    assert "Chain optimization cycle 1 #" in log
    assert "Optimization Converged" in log
    assert "Converged after" in log
    assert "\x1b" not in log


def test_a_chain_that_ran_out_of_cycles_does_not_look_converged() -> None:
    keywords = {**LOOSE, "maximum_cycle": 2}
    driven = drive_neb(spec(keywords=keywords), across_the_well(6), in_the_well)
    assert driven.done.properties is not None
    assert driven.done.properties["converged"] is False
    assert driven.done.properties["cycles"] == 2
    assert driven.done.properties["maximum_force"] > 0.15
    assert "NOT converged" in driven.done.log
    assert driven.done.progress is not None
    assert driven.done.progress.stage == "done, not converged"


def test_a_step_that_printed_nothing_is_no_error() -> None:
    def silent(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
        found = in_the_well(request, molecules)
        if request.kind == "servicesubtask":
            found["fields"] = {"results": found["fields"]["results"]}
        return found

    driven = drive_neb(spec(keywords={**LOOSE, "maximum_cycle": 2}), across_the_well(6), silent)
    assert driven.done.properties is not None
    assert driven.done.properties["converged"] is False


@pytest.mark.parametrize(
    ("kind", "changed", "message"),
    [
        ("singlepoint", {"properties": {}}, "record 1000 is complete, but has no gradient"),
        ("singlepoint", {"properties": {"return_result": [0.0] * 8}}, "8 numbers instead of 9"),
        ("singlepoint", {"energy": None}, "record 1000 is complete, but has no energy"),
        ("servicesubtask", {"fields": {"results": None}}, "record 2000 is complete, but its results are no chain"),
    ],
)
def test_children_without_what_they_were_to_give_end_the_flow(kind: str, changed: Any, message: str) -> None:
    def compute(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
        return {**in_the_well(request, molecules), **(changed if request.kind == kind else {})}

    with pytest.raises(FlowFailed, match=message):
        drive_neb(spec(), across_the_well(6), compute)


def test_ends_are_optimized_first_if_wanted() -> None:
    keywords = {**LOOSE, "optimize_endpoints": True}
    frames = across_the_well(8, off=0.05)
    driven = drive_neb(spec(keywords=keywords), frames, in_the_well)
    ends = driven.batches[0].requests
    assert [(r.role, r.key, r.position) for r in ends] == [
        ("optimizations", "initial", 0),
        ("optimizations", "final", 1),
    ]
    for request in ends:
        assert request.specification.program == "geometric"
        assert request.specification.keywords == {"coordsys": "tric"}
        assert request.specification.qc_specification.program == "toy"
    assert driven.batches[0].checkpoint is None
    assert driven.done.properties is not None
    assert driven.done.properties["energies"][0] < 1e-5 < double_well("CCC", frames[0]["geometry"])[0]


def test_a_transition_state_is_optimized_as_the_images_are_if_nothing_else_is_said() -> None:
    second_derivatives = np.arange(81.0).reshape(9, 9)

    def compute(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
        if request.key == "transition":
            return {"energy": -7.0, "molecule": molecules[0]}
        found = in_the_well(request, molecules)
        if request.kind == "singlepoint" and request.specification.driver == "hessian":
            found["properties"] = {"return_result": second_derivatives.ravel().tolist()}
        return found

    keywords = {**LOOSE, "maximum_cycle": 2, "optimize_ts": True}
    driven = drive_neb(spec(keywords=keywords), across_the_well(6), compute)
    (asked,), (optimized,) = (batch.requests for batch in driven.batches[-2:])
    assert asked.specification.program == "toy"
    assert optimized.specification.program == "geometric"
    assert optimized.specification.qc_specification.program == "toy"
    assert optimized.specification.keywords == {
        "coordsys": "tric",
        "transition": True,
        "hess_data": second_derivatives.tolist(),
    }
    assert driven.done.properties is not None
    assert driven.done.properties["transition_state_energy"] == -7.0
    assert driven.done.properties["converged"] is False
    assert "NOT converged" in driven.batches[-2].log


# --- with real programs -----------------------------------------------------------------------------------------


def test_the_example_converges() -> None:
    given, (frames,) = neb.example["specification"], neb.example["initial_chains"]
    driven = drive_neb(given, frames, really)
    assert_same(driven, frames, gfn2, all_keywords(given), 1e-6)
    assert driven.done.properties is not None
    assert driven.done.properties["converged"] is True
    assert driven.done.properties["highest_image"] == 3


def test_hydrogen_cyanide_by_gfn2() -> None:
    given = spec(GFN2)
    driven = drive_neb(given, hydrogen_cyanide(6), really)
    assert_same(driven, hydrogen_cyanide(6), gfn2, all_keywords(given), 1e-6)


def test_ends_optimized_chain_by_gfn2_and_transition_state_by_hartree_fock() -> None:
    keywords = {**LOOSE, "optimize_endpoints": True, "optimize_ts": True}
    given = spec(
        GFN2,
        keywords=keywords,
        optimization_specification={"program": "geometric", "qc_specification": HARTREE_FOCK},
    )
    frames = hydrogen_cyanide(6)
    driven = drive_neb(given, frames, really)
    for n in (0, -1):
        _, geometry = optimized_directly(frames[n]["symbols"], frames[n]["geometry"], gfn2)
        frames[n] = {**frames[n], "geometry": geometry}
    assert_same(driven, frames, gfn2, all_keywords(given), 1e-5)

    found = driven.done.properties
    assert found is not None
    guess = last_geometries(driven)[found["highest_image"]]
    hessian = hartree_fock_hessian(["H", "C", "N"], guess)
    energy, _ = optimized_directly(["H", "C", "N"], guess, hartree_fock, hessian)
    assert found["transition_state_energy"] == pytest.approx(energy, abs=1e-6)

    (asked,), (optimized,) = (batch.requests for batch in driven.batches[-2:])
    chains = [int(r.key) for b in driven.batches[:-2] for r in b.requests if r.role == "singlepoints"]
    assert (asked.role, asked.key) == ("singlepoints", str(max(chains) + 1))
    assert asked.specification.driver == "hessian"
    assert asked.specification.program == "pyscf"
    assert (optimized.role, optimized.key, optimized.position) == ("optimizations", "transition", 0)
    sent = optimized.specification.keywords
    assert sent["transition"] is True
    assert "coordsys" in sent
    np.testing.assert_allclose(sent["hess_data"], hessian, atol=1e-4)
    assert asked.parts[0].molecule == optimized.parts[0].molecule


# --- what is taken ----------------------------------------------------------------------------------------------


def settled(count: int, images: int, change: Callable[[int], dict[str, Any]] = lambda _: {}) -> list[int | Molecule]:
    molecules = {n: {"symbols": ["H", "C", "N"], "geometry": [0.0] * 9, **change(n)} for n in range(count)}
    given = msgspec.convert(spec(keywords={"images": images}), neb.specification)
    parts = neb.settle(given, neb.inputs.parts(list(range(count))), molecules)
    assert [(p.role, p.position) for p in parts] == [("initial_chain", n) for n in range(images)]
    return [p.molecule for p in parts]


@pytest.mark.parametrize("count", [*range(6, 40), 101, 257])
@pytest.mark.parametrize("images", [6, 7, 11, 20])
def test_long_chains_are_thinned_evenly(count: int, images: int) -> None:
    if count >= images:
        assert settled(count, images) == np.round(np.linspace(0, count - 1, images)).astype(int).tolist()


@pytest.mark.parametrize(
    ("count", "change", "message"),
    [
        (6, lambda _: {}, "a chain of 7 images cannot be made of 6 molecules"),
        (0, lambda _: {}, "a chain of 7 images cannot be made of 0 molecules"),
        (7, lambda n: {"symbols": ["C", "H", "N"]} if n == 3 else {}, "image 3 .* atoms: C H N, not H C N"),
        (7, lambda n: {"molecular_charge": 1.0} if n == 6 else {}, "image 6 .* charge"),
        (7, lambda n: {"molecular_multiplicity": 3} if n == 1 else {}, "image 1 .* multiplicity: 3, not 1"),
    ],
)
def test_chains_that_can_only_fail_are_refused(count: int, change: Any, message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        settled(count, 7, change)


def test_a_chain_of_one_molecule_only_is_refused() -> None:
    given = msgspec.convert(spec(), neb.specification)
    with pytest.raises(InputRefused, match="same molecule"):
        neb.settle(given, neb.inputs.parts([4] * 6), {4: {"symbols": ["H"], "geometry": [0.0] * 3}})


@pytest.mark.parametrize(
    "wrong",
    [
        {"program": "other"},
        {"keywords": {"images": 5}},
        {"keywords": {"image": 7}},
        {"keywords": {"epsilon": float("nan")}},
        {"keywords": {"align": "maybe"}},
        {"singlepoint_specification": None},
    ],
)
def test_specifications_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**spec(), **wrong}, neb.specification)


# --- the wire ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        spec(keywords={}),
        spec(keywords={"images": 7, "spring_constant": 2, "epsilon": 1e-5, "optimize_ts": True, "spring_type": 1}),
        spec(
            optimization_specification={
                "program": "geometric",
                "qc_specification": {**HARTREE_FOCK, "driver": "energy"},
            }
        ),
        spec(program="geomeTRIC", keywords={"maximum_force": 0.123456789012}),
    ],
)
def test_the_peers_client_sends_and_reads_the_same_specification(given: dict[str, Any]) -> None:
    peers = PeersSpecification(**copy.deepcopy(given))
    sent = json.loads(peers.model_dump_json())
    ours = neb.body(msgspec.convert(sent | {"program": sent["program"].lower()}, neb.specification))
    assert ours == neb.body(msgspec.convert(given, neb.specification))
    read = PeersSpecification(**json.loads(ours))
    assert read.keywords == peers.keywords
    assert neb.body(msgspec.convert(json.loads(read.model_dump_json()), neb.specification)) == ours


def link(role: str, key: str, position: int, energy: float | None = None, molecule: int | None = None) -> Link:
    number = 100 + 10 * (int(key) if key.isdigit() else 5) + position
    return Link(number, "", "complete", role, key, position, 0, {"position": position}, energy, molecule)


def seen(*links: Link) -> Seen:
    parts = [Part("initial_chain", molecule, n) for n, molecule in enumerate((7, 5, 6))]
    return Seen(parts, links, lambda molecule_id: {"id": molecule_id})


VIEWS = {view.name: view for view in neb.views}


def test_what_is_shown_of_a_band() -> None:
    links = [link("optimizations", key, n) for key, n in (("initial", 0), ("final", 1), ("transition", 0))]
    links += [link("singlepoints", key, n) for key in ("10", "9") for n in (1, 0)]
    shown = seen(*links, link("subtasks", "0", 0))
    assert VIEWS["initial_chain_molecule_ids"].make(shown) == [7, 5, 6]
    assert VIEWS["initial_chain"].make(shown) == [{"id": 7}, {"id": 5}, {"id": 6}]
    points = msgspec.to_builtins(VIEWS["singlepoints"].make(shown))
    assert [(p["chain_iteration"], p["position"]) for p in points] == [(9, 0), (9, 1), (10, 0), (10, 1)]
    optimizations = msgspec.to_builtins(VIEWS["optimizations"].make(shown))
    assert {key: one["ts"] for key, one in optimizations.items()} == {
        "initial": False,
        "final": False,
        "transition": True,
    }
    for point in points:
        NEBSinglepoint(**point)
    for one in optimizations.values():
        NEBOptimization(**one)


@pytest.mark.parametrize(
    ("energies", "molecule"),
    [
        ({0: [1.0, 3.0, 2.0], 1: [1.0, None, 9.0]}, 1),
        ({9: [1.0, 3.0, 2.0], 10: [1.0, 2.0, 2.5]}, 102),
        ({0: [1.0, 3.0, 3.0]}, 1),
        ({0: [1.0, 3.0, 2.0], 1: [-7.0]}, 10),
        ({0: [1.0, None, 2.0]}, None),
        ({}, None),
    ],
)
def test_the_result_is_the_highest_image_of_the_last_chain_that_is_known(energies: Any, molecule: int | None) -> None:
    links = [
        link("singlepoints", str(iteration), n, energy, 10 * iteration + n)
        for iteration, chain in energies.items()
        for n, energy in enumerate(chain)
    ]
    view = VIEWS["neb_result"]
    assert list(view.molecules(seen(*links))) == ([] if molecule is None else [molecule])
    if molecule is None:
        with pytest.raises(NotYet, match="The final guessed transition state can't be found"):
            view.make(seen(*links))
    else:
        assert view.make(seen(*links)) == {"id": molecule}


# --- steps that managers return -----------------------------------------------------------------------------------


def test_a_step_as_the_peers_manager_returns_it() -> None:
    from qchive.wire import compress

    outputs = {"stdout": {"compression_type": "zstd", "compression_level": 16, "data": compress("cycle 1\n")}}
    returned = {
        "schema_name": "qca_generic_task_result",
        "id": 71,
        "success": True,
        "stdout": None,
        "stderr": None,
        "results": [None, {}],
        "extras": {"_qcfractal_compressed_outputs": outputs},
        "provenance": {"creator": NEXT_CHAIN, "version": "1.1.1", "walltime": 0.03},
    }
    outcome = servicesubtask.outcome(msgspec.msgpack.encode(returned))
    assert outcome.fields == {"results": [None, {}], "stdout": "cycle 1\n"}
    assert outcome.extras == {}
    assert set(outcome.outputs) == {"stdout"}
    assert outcome.provenance["creator"] == NEXT_CHAIN
    assert servicesubtask.outcome(msgspec.msgpack.encode({**returned, "extras": {}})).fields["stdout"] == ""
