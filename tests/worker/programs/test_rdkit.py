"""The RDKit harness, which replaces QCEngine's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import qcengine
from qcelemental import constants
from qcelemental.models.v2 import Molecule
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from qchive.cli.bonds import with_bonds
from qchive.worker import programs
from tests.worker.programs.inputs import WATER, atom, compute, failure, succeed

ETHANOL, ACETATE, CHOLINE, NITROBENZENE = "CCO", "CC(=O)[O-]", "C[N+](C)(C)CCO", "O=[N+]([O-])c1ccccc1"
ANILINE, PYRROLE, NAPHTHALENE, PYRIDINIUM = "Nc1ccccc1", "[nH]1cccc1", "c1ccc2ccccc2c1", "[nH+]1ccccc1"
CYCLOPENTADIENYL, PYRROLIDE, IMIDAZOLIUM = "[cH-]1cccc1", "[n-]1cccc1", "c1c[nH+]c[nH]1"
GLYCINE, AZIDE, ISOCYANIDE = "[NH3+]CC(=O)[O-]", "CN=[N+]=[N-]", "C[N+]#[C-]"
SULFONATE, PHOSPHATE, METHYL = "CS(=O)(=O)[O-]", "OP(=O)([O-])OC", "[CH3]"
BOHR = constants.bohr2angstroms
HARTREE = constants.hartree2kcalmol


def embedded(smiles: str) -> Any:
    """RDKit's own molecule, with hydrogens and a reproducible geometry that is no minimum."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert rdDistGeom.EmbedMolecule(molecule, randomSeed=7) == 0
    return molecule


def schema(molecule: Any, *, kekulized: bool = False) -> Molecule:
    """The same as QCSchema: bonds and total charge, no formal charges."""
    drawn = Chem.Mol(molecule)
    if kekulized:
        Chem.Kekulize(drawn, clearAromaticFlags=True)
    return Molecule(
        symbols=[a.GetSymbol() for a in drawn.GetAtoms()],
        geometry=drawn.GetConformer().GetPositions() / BOHR,
        connectivity=[(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), b.GetBondTypeAsDouble()) for b in drawn.GetBonds()],
        molecular_charge=Chem.GetFormalCharge(drawn),
        molecular_multiplicity=1 + sum(a.GetNumRadicalElectrons() for a in drawn.GetAtoms()),
    )


def by_rdkit(molecule: Any, method: str) -> float:
    """The energy in Hartree."""
    if method == "UFF":
        field = rdForceFieldHelpers.UFFGetMoleculeForceField(molecule)
    else:
        properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule, mmffVariant=method)
        field = rdForceFieldHelpers.MMFFGetMoleculeForceField(molecule, properties)
    return float(field.CalcEnergy()) / HARTREE


@pytest.mark.parametrize("kekulized", [False, True])
@pytest.mark.parametrize(
    "smiles",
    [ETHANOL, ANILINE, PYRROLE, NAPHTHALENE, NITROBENZENE, ACETATE, CHOLINE, PYRIDINIUM, IMIDAZOLIUM, CYCLOPENTADIENYL,
     GLYCINE, AZIDE, ISOCYANIDE, SULFONATE, PHOSPHATE, PYRROLIDE],
)  # fmt: skip
def test_energies_are_those_of_rdkit_with_its_own_formal_charges(smiles: str, kekulized: bool) -> None:
    molecule = embedded(smiles)
    given = schema(molecule, kekulized=kekulized)
    for method in ("UFF", "MMFF94", "MMFF94s"):
        assert succeed("rdkit", given, method).return_result == pytest.approx(by_rdkit(molecule, method), rel=1e-6)


def test_lower_case_names_mean_the_same() -> None:
    given = schema(embedded(ANILINE))
    energies = {method: succeed("rdkit", given, method).return_result for method in ("uff", "mmff94", "mmff94s")}
    assert energies == {method.lower(): succeed("rdkit", given, method).return_result
                        for method in ("UFF", "MMFF94", "MMFF94s")}  # fmt: skip
    assert abs(energies["mmff94s"] - energies["mmff94"]) > 1e-4


@pytest.mark.parametrize("method", ["uff", "mmff94", "mmff94s"])
@pytest.mark.parametrize("smiles", [ETHANOL, NITROBENZENE, GLYCINE])
def test_gradients_agree_with_finite_differences(method: str, smiles: str) -> None:
    given = schema(embedded(smiles))
    result = succeed("rdkit", given, method, driver="gradient")
    gradient = result.return_result
    assert np.array_equal(gradient, result.properties.return_gradient)
    step = 1e-3
    for n in np.random.default_rng(1).choice(gradient.size, 5, replace=False):
        moved = np.zeros(gradient.size)
        moved[n] = step
        plus, minus = (
            succeed("rdkit", given.model_copy(update={"geometry": given.geometry + s * moved.reshape(-1, 3)}),
                    method).return_result
            for s in (1, -1)
        )  # fmt: skip
        assert gradient.flat[n] == pytest.approx((plus - minus) / (2 * step), abs=2e-6)


def test_the_hessian_is_symmetric_and_blind_to_translations() -> None:
    result = succeed("rdkit", schema(embedded(ETHANOL)), "mmff94", driver="hessian")
    hessian = result.return_result
    assert hessian.shape == (27, 27)
    assert np.allclose(hessian, hessian.T)
    assert np.abs(hessian @ np.tile([0.0, 1.0, 0.0], 9)).max() < 1e-6
    assert result.provenance.hessian.startswith("numerical")
    assert 0.6 < np.linalg.eigvalsh(hessian)[-1] < 1.2  # the O-H bond stretches, Hartree/Bohr²
    moved = np.zeros((9, 3))
    moved[8, 2] = step = 5e-3
    given = schema(embedded(ETHANOL))
    plus, minus = (
        succeed("rdkit", given.model_copy(update={"geometry": given.geometry + s * moved}), "mmff94",
                driver="gradient").return_result
        for s in (1, -1)
    )  # fmt: skip
    assert hessian[26] == pytest.approx(((plus - minus) / (2 * step)).ravel(), abs=1e-5)


def test_molecules_beside_each_other_interact() -> None:
    near, far = (Chem.CombineMols(embedded("O"), embedded("O"), Chem.rdGeometry.Point3D(0, 0, z)) for z in (3, 90))
    for method in ("uff", "mmff94"):
        energies = [succeed("rdkit", schema(pair), method).return_result for pair in (near, far)]
        assert abs(energies[0] - energies[1]) > 1e-5


def test_provenance_names_field_and_units() -> None:
    provenance = succeed("rdkit", schema(embedded(ETHANOL)), "mmff94s").provenance
    assert (provenance.creator, provenance.routine) == ("rdkit", "qchive.worker.programs.rdkit")
    assert provenance.version == programs.installed()["rdkit"]
    assert provenance.forcefield.startswith("MMFF94s")
    assert "kcal/mol" in provenance.units


def test_qcengines_harness_is_replaced_once() -> None:
    programs.register()
    ours = qcengine.get_program("rdkit")
    assert type(ours).__module__ == "qchive.worker.programs.rdkit"
    programs.register()
    assert qcengine.get_program("rdkit") is ours


@pytest.mark.parametrize(("symbol", "charge"), [("Ar", 0), ("Na", 1)])
def test_a_single_atom_has_no_energy_in_a_force_field(symbol: str, charge: int) -> None:
    given = atom(symbol, molecular_charge=charge)
    assert succeed("rdkit", given, "uff").return_result == 0.0
    assert not succeed("rdkit", given, "uff", driver="gradient").return_result.any()


def test_radicals_are_taken() -> None:
    given = schema(embedded(METHYL))
    assert given.molecular_multiplicity == 2
    assert compute("rdkit", given, "uff").success


def test_bonds_from_the_geometry_are_enough() -> None:
    molecule = embedded(ACETATE)
    bare = schema(molecule).model_copy(update={"connectivity": None})
    plain = {"symbols": list(bare.symbols), "geometry": bare.geometry.ravel().tolist(), "molecular_charge": -1.0}
    bonds = with_bonds(plain, "acetate")["connectivity"]
    given = bare.model_copy(update={"connectivity": [tuple(bond) for bond in bonds]})
    assert succeed("rdkit", given, "mmff94").return_result == pytest.approx(by_rdkit(molecule, "MMFF94"), rel=1e-6)


def with_ghost(molecule: Molecule) -> Molecule:
    """Its last atom is a ghost."""
    real = [True] * (len(molecule.symbols) - 1) + [False]
    return Molecule(symbols=molecule.symbols, geometry=molecule.geometry, connectivity=molecule.connectivity, real=real)


BONDED = WATER.model_copy(update={"connectivity": [(0, 1, 1.0), (0, 2, 1.0)]})


@pytest.mark.parametrize(
    ("molecule", "method", "basis", "keywords", "message"),
    [
        (WATER, "uff", None, {}, "qchive submit"),
        (BONDED, "gaff", None, {}, "UFF, MMFF94, MMFF94s"),
        (BONDED, "uff", "sto-3g", {}, "basis set"),
        (BONDED, "uff", None, {"colour": 1}, "colour"),
        (with_ghost(BONDED), "uff", None, {}, "ghost"),
        (BONDED.model_copy(update={"molecular_charge": 0.5}), "uff", None, {}, "whole number"),
        (BONDED.model_copy(update={"molecular_charge": 2.0}), "uff", None, {}, "formal charges"),
        (BONDED.model_copy(update={"connectivity": [(0, 1, 1.0)]}), "uff", None, {}, "formal charges"),
        (BONDED.model_copy(update={"connectivity": [(0, 1, 1.0), (0, 2, 0.5)]}), "uff", None, {}, "0.5"),
        (BONDED.model_copy(update={"connectivity": [(0, 1, 1.5), (0, 2, 1.5)]}), "uff", None, {}, "aromatic"),
        (BONDED.model_copy(update={"connectivity": [(0, 1, 1.0), (1, 0, 1.0)]}), "uff", None, {}, "twice"),
        (atom("Ar"), "mmff94", None, {}, "no parameters"),
        (WATER.model_copy(update={"geometry": WATER.geometry * 0.01}), "uff", None, {}, "overlap"),
    ],
)
def test_what_makes_no_sense_is_an_input_error(
    molecule: Any, method: str, basis: str | None, keywords: dict[str, Any], message: str
) -> None:
    kind, said = failure("rdkit", molecule, method, basis, **keywords)
    assert (kind, message in said) == ("input_error", True), said


def test_there_are_no_properties() -> None:
    kind, said = failure("rdkit", BONDED, "uff", driver="properties")
    assert (kind, "properties" in said) == ("input_error", True)
