"""The wavefunction of the PySCF harness, in QCSchema's conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qcelemental.models.v2 import Molecule

from tests.worker.programs.inputs import HI, METHYLENE, WATER_BESIDE_GHOST, compute, succeed

# In the yz plane, so that overlaps with hydrogens tell the p functions apart.
FLAT_WATER = Molecule(symbols=["O", "H", "H"], geometry=[0, 0, 0.2, 0, 1.43, -0.9, 0, -1.43, -0.9], fix_com=True,
                      fix_orientation=True)  # fmt: skip


def overlap(wavefunction: Any) -> Any:
    """S from C Cᵀ = S⁻¹, which holds where there are as many orbitals as functions."""
    return np.linalg.inv(wavefunction.scf_orbitals_a @ wavefunction.scf_orbitals_a.T)


@pytest.mark.parametrize(
    ("protocol", "kept"),
    [
        ("orbitals_and_eigenvalues", {"orbitals", "eigenvalues"}),
        ("occupations_and_eigenvalues", {"occupations", "eigenvalues"}),
        ("return_results", {"orbitals", "eigenvalues", "occupations", "density", "fock"}),
        ("all", {"orbitals", "eigenvalues", "occupations", "density", "fock"}),
    ],
)
def test_the_protocol_chooses_what_is_kept(protocol: str, kept: set[str]) -> None:
    wavefunction = succeed("pyscf", FLAT_WATER, "hf", "sto-3g", protocols={"wavefunction": protocol}).wavefunction
    have = {name for name in ("orbitals", "eigenvalues", "occupations", "density", "fock")
            if getattr(wavefunction, f"{name}_a")}  # fmt: skip
    assert have == kept
    assert (wavefunction.h_core_a is not None) == (protocol == "all")
    assert wavefunction.restricted
    assert wavefunction.orbitals_b is None


def test_no_wavefunction_is_kept_unless_asked_for() -> None:
    assert succeed("pyscf", FLAT_WATER, "hf", "sto-3g").wavefunction is None


def test_p_functions_are_ordered_by_m() -> None:
    wavefunction = succeed("pyscf", FLAT_WATER, "hf", "sto-3g", protocols={"wavefunction": "all"}).wavefunction
    s = overlap(wavefunction)
    left, right = s[2:5, 5], s[2:5, 6]
    assert left[0] == pytest.approx(-right[0])
    assert left[0] > 0.1
    assert left[1] == pytest.approx(right[1])
    assert left[1] < -0.1
    assert left[2] == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(("cartesian", "diagonal"), [(False, [1, 1, 1, 1, 1]), (True, [1, 1 / 3, 1 / 3, 1, 1 / 3, 1])])
def test_d_functions_have_the_norm_of_the_common_component_architecture(cartesian: bool, diagonal: list[float]) -> None:
    neon = Molecule(symbols=["Ne"], geometry=[0, 0, 0])
    protocols = {"wavefunction": "all"}
    wavefunction = succeed("pyscf", neon, "hf", "cc-pvdz", protocols=protocols, cartesian=cartesian).wavefunction
    assert np.diag(overlap(wavefunction))[-len(diagonal) :] == pytest.approx(diagonal)
    shell = wavefunction.basis.center_data["Ne"].electron_shells[-1]
    assert (shell.angular_momentum, shell.harmonic_type) == ([2], "cartesian" if cartesian else "spherical")


@pytest.mark.parametrize(
    ("molecule", "method", "basis", "keywords"),
    [
        (FLAT_WATER, "hf", "6-31g*", {}),
        (METHYLENE, "pbe", "6-31g", {}),
        (METHYLENE, "hf", "6-31g", {"reference": "rohf"}),
        (HI, "hf", "def2-svp", {}),
        (WATER_BESIDE_GHOST, "hf", "sto-3g", {}),
    ],
)
def test_matrices_fit_each_other(molecule: Any, method: str, basis: str, keywords: dict[str, Any]) -> None:
    result = succeed("pyscf", molecule, method, basis, protocols={"wavefunction": "all"}, **keywords)
    wavefunction, facts = result.wavefunction, result.properties
    assert wavefunction.basis.nbf == facts.calcinfo_nbasis
    assert len(wavefunction.basis.atom_map) == facts.calcinfo_natom
    s = overlap(wavefunction)
    core = 0.0
    for spin, electrons in (("a", facts.calcinfo_nalpha), ("b", facts.calcinfo_nbeta)):
        found = "a" if wavefunction.restricted else spin
        density, orbitals = (
            getattr(wavefunction, f"scf_density_{found}"),
            getattr(wavefunction, f"scf_orbitals_{found}"),
        )
        occupations = getattr(wavefunction, f"scf_occupations_{found}")
        assert float((density * s).sum()) == pytest.approx(electrons)
        assert density == pytest.approx((orbitals * occupations) @ orbitals.T)
        core += float((density * getattr(wavefunction, f"h_core_{found}")).sum())
        if keywords.get("reference") != "rohf":
            energies = orbitals.T @ getattr(wavefunction, f"scf_fock_{found}") @ orbitals
            assert np.diag(energies) == pytest.approx(getattr(wavefunction, f"scf_eigenvalues_{found}"), abs=1e-6)
    assert core == pytest.approx(facts.scf_one_electron_energy, abs=1e-8)


def test_core_potentials_are_part_of_the_basis() -> None:
    wavefunction = succeed("pyscf", HI, "hf", "def2-svp", protocols={"wavefunction": "all"}).wavefunction
    iodine = wavefunction.basis.center_data["I"]
    assert iodine.ecp_electrons == 28
    assert sorted(p.angular_momentum[0] for p in iodine.ecp_potentials) == [0, 1, 2, 3]


def test_a_wavefunction_survives_the_way_through_version_1() -> None:
    result = compute("pyscf", FLAT_WATER, "hf", "sto-3g", protocols={"wavefunction": "all"})
    assert result.convert_v(1).wavefunction.scf_orbitals_a.shape == (7, 7)
