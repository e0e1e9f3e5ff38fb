"""The composite kind that the documentation shows as an example, planned without a server: it does what the page says,
and the page says what stands in the file."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem
from tests.docs import pages
from tests.flows.computing import really
from tests.flows.driving import Driven, drive

from qchive.kinds.flow import FlowFailed, Link, Request, Seen
from qchive.kinds.kind import InputRefused, Kind, Molecule, Part

EXAMPLE = pages.DOCS / "examples" / "conformers.py"
PAGE = pages.DOCS / "howto" / "a-composite-kind.md"
ANGSTROM = 1.8897261258369282
"""In Bohr."""

TOY = {"program": "toy", "driver": "energy", "method": "m", "basis": None}
XTB = {"program": "tblite", "driver": "energy", "method": "gfn2-xtb", "basis": None}


@pytest.fixture(scope="module")
def conformers() -> Iterator[Kind]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLE.parent))
        kind: Kind = importlib.import_module(EXAMPLE.stem).conformers
        yield kind


def spec(inner: dict[str, Any] = TOY, **keywords: Any) -> dict[str, Any]:
    return {
        "optimization_specification": {"program": "geometric", "qc_specification": inner},
        "singlepoint_specification": inner,
        "keywords": keywords or None,
    }


def from_smiles(smiles: str) -> dict[str, Any]:
    made = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(made, randomSeed=7)
    return {
        "symbols": [atom.GetSymbol() for atom in made.GetAtoms()],
        "geometry": [x * ANGSTROM for xyz in made.GetConformer().GetPositions().tolist() for x in xyz],
        "molecular_charge": float(Chem.GetFormalCharge(made)),
        "molecular_multiplicity": 1.0,
    }


BUTANE = from_smiles("CCCC")


def dihedral(molecule: Molecule) -> float:
    """Of the four carbons, in degrees."""
    made = Chem.Conformer(4)
    for n in range(4):
        made.SetAtomPosition(n, molecule["geometry"][3 * n : 3 * n + 3])
    return float(Chem.rdMolTransforms.GetDihedralDeg(made, 0, 1, 2, 3))


def compute(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
    """Gauche lies 1 mEh above anti; single points are at another level."""
    (molecule,) = molecules
    energy = -100.0 + (0.001 if abs(dihedral(molecule)) < 120 else 0.0)
    if request.kind == "optimization":
        return {"energy": energy, "molecule": molecule}
    return {"energy": energy - 1.0}


def positions(driven: Driven) -> list[Molecule]:
    return [driven.molecules[one.molecule_id or 0] for one in driven.ended[0]]


def test_each_conformer_is_optimized_and_the_lowest_is_computed(conformers: Kind) -> None:
    driven = drive(conformers, spec(), BUTANE, compute)
    angles = sorted(round(dihedral(m) / 60) * 60 for m in positions(driven))
    assert angles in ([-180, -60, 60], [-60, 60, 180]), "one anti, and both gauche ones, which are mirror images"
    first, second = driven.batches
    (last,) = second.requests
    assert (last.kind, last.role) == ("singlepoint", "singlepoint")
    assert abs(dihedral(driven.molecules[last.parts[0].molecule])) > 120  # type: ignore[index]
    assert second.molecules == (Part("lowest_molecule", last.parts[0].molecule),)
    assert driven.done.fields["lowest_energy"] == -101.0
    assert first.progress.total == 3


def test_weights_are_those_of_boltzmann(conformers: Kind) -> None:
    driven = drive(conformers, spec(temperature=300.0), BUTANE, compute)
    factor = math.exp(-0.001 / (3.166811563e-6 * 300.0))
    expected = [(factor if abs(dihedral(m)) < 120 else 1.0) / (1 + 2 * factor) for m in positions(driven)]
    assert driven.done.fields["boltzmann_weights"] == pytest.approx(expected)


def test_conformers_that_end_in_one_place_count_once(conformers: Kind) -> None:
    def together(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
        return compute(request, [{**molecules[0], "geometry": BUTANE["geometry"]}])

    driven = drive(conformers, spec(), BUTANE, together)
    assert len(driven.batches[0].requests) == 3
    assert sorted(driven.done.fields["boltzmann_weights"]) == [0.0, 0.0, 1.0]


def test_the_same_molecule_has_the_same_conformers(conformers: Kind) -> None:
    one, two = (drive(conformers, spec(), BUTANE, compute) for _ in range(2))
    assert [r.parts for r in one.batches[0].requests] == [r.parts for r in two.batches[0].requests]


@pytest.mark.parametrize(
    "smiles", ["C[C@H](O)C(F)Cl", "C[C@@H](O)C(F)Cl", "C/C=C/CO", "C/C=C\\CO", "C[NH2+]CC([O-])=O"]
)
def test_it_stays_the_same_molecule(conformers: Kind, smiles: str) -> None:
    seen = []

    def looking(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
        seen.append(written(molecules[0]))
        return compute(request, molecules)

    given = from_smiles(smiles)
    drive(conformers, spec(count=8), given, looking)
    assert len(seen) > 2
    assert set(seen) == {written(given)}


def written(molecule: Molecule) -> str:
    """SMILES by the geometry."""
    lines = [str(len(molecule["symbols"])), ""]
    for n, symbol in enumerate(molecule["symbols"]):
        lines.append(" ".join([symbol, *(f"{x / ANGSTROM:.6f}" for x in molecule["geometry"][3 * n : 3 * n + 3])]))
    made = Chem.MolFromXYZBlock("\n".join(lines))
    Chem.rdDetermineBonds.DetermineBonds(made, charge=round(molecule["molecular_charge"]))
    Chem.AssignStereochemistryFrom3D(made)
    return str(Chem.MolToSmiles(Chem.RemoveHs(made)))


def test_bonds_that_are_given_are_taken(conformers: Kind) -> None:
    stretched = {**BUTANE, "geometry": [2.0 * x for x in BUTANE["geometry"]]}
    bonds = [[0, 1, 1.0], [1, 2, 1.0], [2, 3, 1.0]]
    bonds += [[c, h, 1.0] for c, hs in enumerate([(4, 5, 6), (7, 8), (9, 10), (11, 12, 13)]) for h in hs]
    driven = drive(conformers, spec(), {**stretched, "connectivity": bonds}, compute)
    assert len(driven.batches[0].requests) == 3


def test_a_molecule_without_bonds_that_fit_fails_with_a_reason(conformers: Kind) -> None:
    wrong = {**BUTANE, "connectivity": [[0, 1, 1.0]], "molecular_charge": 9.0}
    with pytest.raises(FlowFailed, match="RDKit finds no"):
        drive(conformers, spec(), wrong, compute)


def test_a_lowest_conformer_without_an_energy_fails(conformers: Kind) -> None:
    def without(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
        return compute(request, molecules) if request.kind == "optimization" else {}

    with pytest.raises(FlowFailed, match="Record 2000 has no energy"):
        drive(conformers, spec(), BUTANE, without)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fragments": [list(range(13)), [13]]}, "several fragments"),
        ({"real": [True] * 13 + [False]}, "ghost atoms"),
    ],
)
def test_what_can_only_fail_is_refused(conformers: Kind, change: Any, reason: str) -> None:
    with pytest.raises(InputRefused, match=reason):
        drive(conformers, spec(), {**BUTANE, **change}, compute)


@pytest.mark.parametrize(
    "change", [{"program": "x"}, {"keywords": {"count": 0}}, {"keywords": {"temperature": 0.0}}, {"keywords": {"a": 1}}]
)
def test_so_is_a_specification_that_makes_no_sense(conformers: Kind, change: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**spec(), **change}, conformers.specification)


def test_it_shows_its_conformers(conformers: Kind) -> None:
    driven = drive(conformers, spec(), BUTANE, compute)
    links = [
        Link(one.record_id, r.kind, "complete", r.role, r.key, r.position, 0, {}, one.energy, one.molecule_id)
        for requests, ended in zip(driven.batches, driven.ended, strict=True)
        for r, one in zip(requests.requests, ended, strict=True)
    ]
    shown = conformers.views[0].make(Seen([], links[::-1], lambda _: None))
    assert [each.optimization_id for each in shown] == [one.record_id for one in driven.ended[0]]
    facets = conformers.facets(msgspec.convert(spec(), conformers.specification))
    assert set(conformers.filters.values()) <= set(facets.__struct_fields__)


def test_butane_with_a_real_program(conformers: Kind) -> None:
    real = spec(XTB)
    real["optimization_specification"]["keywords"] = {"convergence_set": "GAU_LOOSE"}
    driven = drive(conformers, real, BUTANE, really)
    energies = [one.energy or 0.0 for one in driven.ended[0]]
    anti = [abs(dihedral(m)) > 120 for m in positions(driven)]
    assert sorted(anti) == [False, False, True]
    gap = [(e - min(energies)) * 627.5 for e, is_anti in zip(energies, anti, strict=True) if not is_anti]
    assert gap == pytest.approx([0.6, 0.6], abs=0.3), "kcal/mol between gauche and anti"
    weights = driven.done.fields["boltzmann_weights"]
    assert sum(weights) == pytest.approx(1.0)
    assert weights[anti.index(True)] == max(weights)
    assert driven.done.fields["lowest_energy"] == pytest.approx(min(energies), abs=1e-7)


def test_the_page_shows_what_stands_in_the_file() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (EXAMPLE, Path(__file__)))
    shown = [block.code for block in pages.blocks(PAGE, "py")]
    assert len(shown) >= 3
    for code in shown:
        for part in code.split("    ...\n"):
            assert part.strip("\n") in text
