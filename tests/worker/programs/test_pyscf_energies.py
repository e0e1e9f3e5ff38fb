"""Energies of the PySCF harness against values of other programs."""

from __future__ import annotations

from typing import Any

import pytest
from qcelemental.models.v2 import Molecule
from qcengine.programs.tests.standard_suite_ref import answer_hash, std_suite

from tests.worker.programs.inputs import HF, HI, METHYLENE, SUITE, WATER, WATER_BESIDE_GHOST, atom, succeed

SILVER_HYDRIDE = Molecule(symbols=["Ag", "H"], geometry=[0, 0, 0, 0, 0, 1.617 / 0.52917721092])


def reference(system: str, kind: str, fcae: str) -> dict[str, Any]:
    """QCEngine's collection of values that CFOUR, GAMESS, NWChem and Psi4 agree on; semicanonical orbitals for ROHF."""
    meta = {"system": system, "basis": "aug-cc-pvdz", "scf_type": "pk", "reference": kind, "fcae": fcae}
    return dict(std_suite[answer_hash(**meta, corl_type="conv", sdsc="sc" if kind == "rohf" else "sd")])


@pytest.mark.parametrize("fcae", ["ae", "fc"])
@pytest.mark.parametrize(("system", "kind"), [("h2o", "rhf"), ("nh2", "uhf"), ("nh2", "rohf")])
def test_all_wavefunction_methods_give_the_energies_of_other_programs(system: str, kind: str, fcae: str) -> None:
    known = reference(system, kind, fcae)
    core = {"reference": kind, "freeze_core": fcae == "fc"}
    perturbation = succeed("pyscf", SUITE[system], "mp2", "aug-cc-pvdz", **core).properties
    cluster = succeed("pyscf", SUITE[system], "ccsd(t)", "aug-cc-pvdz", **core).properties
    assert perturbation.scf_total_energy == pytest.approx(known["HF TOTAL ENERGY"], abs=1e-8)
    assert perturbation.mp2_correlation_energy == pytest.approx(known["MP2 CORRELATION ENERGY"], abs=1e-8)
    assert perturbation.mp2_singles_energy == pytest.approx(known["MP2 SINGLES ENERGY"], abs=1e-8)
    assert perturbation.mp2_same_spin_correlation_energy == pytest.approx(
        known["MP2 SAME-SPIN CORRELATION ENERGY"], abs=1e-8
    )
    assert cluster.ccsd_correlation_energy == pytest.approx(known["CCSD CORRELATION ENERGY"], abs=1e-7)
    assert cluster.ccsd_prt_pr_correlation_energy == pytest.approx(known["CCSD(T) CORRELATION ENERGY"], abs=1e-7)
    assert cluster.return_energy == cluster.ccsd_prt_pr_total_energy


@pytest.mark.parametrize(
    ("molecule", "electrons", "energy"),
    [(atom("I", molecular_charge=-1), 26, -296.724697328), (SILVER_HYDRIDE, 20, -146.624308216)],
)
def test_a_basis_with_a_core_potential_applies_it_by_itself(molecule: Any, electrons: int, energy: float) -> None:
    result = succeed("pyscf", molecule, "hf", "def2-svp")
    assert result.return_result == pytest.approx(energy, abs=1e-8)
    assert result.properties.calcinfo_nalpha + result.properties.calcinfo_nbeta == electrons
    assert "electrons" in result.provenance.effective_core_potentials


def test_b3lyp_is_that_of_gaussian_and_provenance_says_which() -> None:
    gaussian = succeed("pyscf", WATER, "b3lyp", "sto-3g")
    vwn5 = succeed("pyscf", WATER, "B3LYP5", "sto-3g")
    assert "as in Gaussian" in gaussian.provenance.functional
    assert "VWN5" in vwn5.provenance.functional
    assert vwn5.return_result - gaussian.return_result == pytest.approx(0.037, abs=2e-3)


def test_functions_are_cartesian_or_spherical_as_the_exchange_states() -> None:
    stated = succeed("pyscf", WATER, "hf", "6-31g*")
    spherical = succeed("pyscf", WATER, "hf", "6-31g*", cartesian=False)
    assert (stated.properties.calcinfo_nbasis, spherical.properties.calcinfo_nbasis) == (19, 18)
    assert "Cartesian" in stated.provenance.basis
    assert "spherical" in spherical.provenance.basis
    assert succeed("pyscf", WATER, "hf", "cc-pvdz").properties.calcinfo_nbasis == 24


def test_ghost_atoms_lower_the_energy_and_bring_no_electrons() -> None:
    alone = succeed("pyscf", WATER, "hf", "6-31g")
    beside = succeed("pyscf", WATER_BESIDE_GHOST, "hf", "6-31g")
    assert -0.01 < beside.return_result - alone.return_result < 0
    assert beside.properties.calcinfo_nalpha == 5
    assert beside.properties.nuclear_repulsion_energy == pytest.approx(alone.properties.nuclear_repulsion_energy)


def test_a_ghost_of_a_heavy_atom_has_no_core_potential() -> None:
    beside = Molecule(symbols=["H", "F", "I"], geometry=[0, 0, 0, 0, 0, 1.7, 0, 0, 7], real=[True, True, False])
    result = succeed("pyscf", beside, "hf", "def2-svp")
    assert result.properties.calcinfo_nalpha == 5
    plain = succeed("pyscf", Molecule(symbols=["H", "F"], geometry=[0, 0, 0, 0, 0, 1.7]), "hf", "def2-svp")
    assert result.return_result == pytest.approx(plain.return_result, abs=5e-3)


@pytest.mark.parametrize("method", ["hf", "b3lyp", "mp2", "ccsd"])
def test_density_fitting_changes_the_energy_by_less_than_a_tenth_of_a_millihartree(method: str) -> None:
    exact = succeed("pyscf", WATER, method, "6-31g").return_result
    fitted = succeed("pyscf", WATER, method, "6-31g", density_fit=True)
    assert 1e-7 < abs(fitted.return_result - exact) < 1e-4
    assert fitted.provenance.density_fitting == "def2-universal-jkfit"


def test_grids_can_be_chosen_by_level_or_by_points() -> None:
    energies = [
        succeed("pyscf", HF, "pbe", "sto-3g", **grid).return_result
        for grid in ({"grid_level": 0}, {"grid_level": 5}, {"grid": [99, 590]})
    ]
    assert abs(energies[0] - energies[1]) > abs(energies[2] - energies[1])
    assert energies[2] == pytest.approx(energies[1], abs=1e-5)


def test_one_electron_and_no_empty_orbital_have_no_correlation() -> None:
    hydrogen = succeed("pyscf", atom("H"), "ccsd(t)", "sto-3g")
    helium = succeed("pyscf", atom("He"), "mp2", "sto-3g")
    assert hydrogen.properties.ccsd_prt_pr_correlation_energy == 0
    assert helium.properties.mp2_correlation_energy == 0
    assert hydrogen.return_result == pytest.approx(succeed("pyscf", atom("H"), "hf", "sto-3g").return_result)


def test_dispersion_is_added_and_reported() -> None:
    plain = succeed("pyscf", HI, "b3lyp", "def2-svp")
    for method in ("b3lyp-d3bj", "B3LYP-D3(BJ)", "b3lyp-d4"):
        corrected = succeed("pyscf", HI, method, "def2-svp")
        correction = corrected.properties.scf_dispersion_correction_energy
        assert -1e-2 < correction < -1e-4
        assert corrected.return_result == pytest.approx(plain.return_result + correction, abs=1e-8)
        assert corrected.return_result == corrected.properties.scf_total_energy
        assert "parameters of b3lyp" in corrected.provenance.dispersion


def test_properties_of_the_density_are_offered() -> None:
    result = succeed("pyscf", METHYLENE, "hf", "sto-3g", driver="properties")
    assert sum(result.return_result["mulliken_charges"]) == pytest.approx(0, abs=1e-8)
    assert result.return_result["dipole"] == pytest.approx(result.properties.scf_dipole_moment.tolist())
    assert result.return_result["spin_squared"] == pytest.approx(2.0, abs=0.05)


def test_the_log_is_kept_if_asked_for_and_nothing_reaches_the_console(capfd: pytest.CaptureFixture[str]) -> None:
    assert "converged SCF energy" in succeed("pyscf", HF, "hf", "sto-3g").stdout
    assert succeed("pyscf", HF, "hf", "sto-3g", protocols={"stdout": False}).stdout is None
    assert capfd.readouterr() == ("", "")


def test_the_native_input_is_a_script_that_gives_the_same_energy() -> None:
    result = succeed("pyscf", HI, "mp2", "def2-svp", protocols={"native_files": "input"}, freeze_core=True, verbose=0)
    names: dict[str, Any] = {}
    exec(result.native_files["input"].replace("mol.build()", "mol.build(verbose=0)"), names)
    assert names["mf"].e_tot == pytest.approx(result.properties.scf_total_energy, abs=1e-8)
