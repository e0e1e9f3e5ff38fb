"""The RDKit harness for QCEngine: the force fields UFF, MMFF94 and MMFF94s.

QCEngine has one of its own, which this one replaces. It takes RDKit's kcal/mol for kJ/mol and divides gradients by the
Bohr radius where it has to multiply (seen with 0.52), runs MMFF94 when asked for mmff94s, and knows no formal charges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from qcelemental import constants
from qcelemental.models.v2 import AtomicResult
from qcelemental.util import safe_version, which_import
from qcengine.exceptions import InputError
from qcengine.programs.model import ProgramHarness

from qchive.worker.programs import finite_differences, formal_charges
from qchive.worker.programs.molecule_checks import check_electrons, check_geometry

Array = NDArray[np.float64]

_METHODS = {"uff": "UFF", "mmff94": "MMFF94", "mmff94s": "MMFF94s"}
_NOBLE_GASES = (2, 10, 18, 36, 54, 86)
_BONDS_WANTED = (
    "force fields need the bonds of the molecule, with their orders, in its `connectivity`; "
    "`qchive submit` derives them from the geometry"
)


class RDKitHarness(ProgramHarness):  # type: ignore[misc]  # QCEngine has no types
    """Runs QCSchema inputs with RDKit's force fields in this process."""

    _defaults: ClassVar[dict[str, Any]] = {
        "name": "rdkit",
        "scratch": False,
        "thread_safe": True,
        "thread_parallel": False,
        "node_parallel": False,
        "managed_memory": False,
    }

    @staticmethod
    def found(raise_error: bool = False) -> bool:
        """Whether RDKit can be imported."""
        return bool(
            which_import("rdkit", return_bool=True, raise_error=raise_error, raise_msg="pip install 'qchive[chem]'")
        )

    def get_version(self) -> str:
        """RDKit's version."""
        self.found(raise_error=True)
        import rdkit

        return str(safe_version(rdkit.__version__))

    def compute(self, input_data: Any, config: Any) -> AtomicResult:
        """Energy, gradient or Hessian (central differences of gradients) of one molecule.

        Raises InputError for what cannot be computed, lacking bonds and lacking parameters included.
        """
        self.found(raise_error=True)
        spec, molecule = input_data.specification, input_data.molecule
        method = _METHODS.get(spec.model.method.lower())
        if method is None:
            raise InputError(f"RDKit has no method {spec.model.method}; it has {', '.join(_METHODS.values())}")
        if spec.model.basis:
            raise InputError("force fields take no basis set")
        if spec.keywords:
            raise InputError(f"RDKit's force fields have no keywords, but there is {', '.join(spec.keywords)}")
        field = _ForceField.of(build(molecule), method)
        geometry = np.asarray(molecule.geometry, dtype=float).reshape(-1, 3)
        fields = _results(field, str(getattr(spec.driver, "value", spec.driver)), geometry)
        provenance = {
            "creator": "rdkit",
            "version": self.get_version(),
            "routine": "qchive.worker.programs.rdkit",
            "forcefield": f"{method}, molecules beside each other interact",
            "units": "Hartree and Bohr, from kcal/mol and Angstrom of RDKit",
        }
        return AtomicResult(
            input_data=input_data, molecule=molecule, provenance=provenance | fields["extras"], **fields
        )


@dataclass(frozen=True, slots=True)
class _ForceField:
    """RDKit's object, in atomic units."""

    molecule: Any
    inner: Any
    """It looks at the positions in the molecule, which must live as long."""

    @classmethod
    def of(cls, molecule: Any, method: str) -> _ForceField:
        """The force field of an RDKit molecule; InputError if it has no parameters for it."""
        from rdkit.Chem import rdForceFieldHelpers as fields

        together = {"ignoreInterfragInteractions": False}
        properties = None if method == "UFF" else fields.MMFFGetMoleculeProperties(molecule, mmffVariant=method)
        if method == "UFF" and fields.UFFHasAllMoleculeParams(molecule):
            inner = fields.UFFGetMoleculeForceField(molecule, **together)
        elif properties is not None:
            inner = fields.MMFFGetMoleculeForceField(molecule, properties, **together)
        else:
            raise InputError(f"{method} has no parameters for an atom of this molecule, bound as it is")
        return cls(molecule, inner)

    def energy(self, geometry: Array) -> float:
        """Hartree, at (natom, 3) in Bohr."""
        self._move(geometry)
        return float(self.inner.CalcEnergy()) / float(constants.hartree2kcalmol)

    def gradient(self, geometry: Array) -> Array:
        """(natom, 3) in Hartree/Bohr, at (natom, 3) in Bohr."""
        self._move(geometry)
        kcal_mol_angstrom: Array = np.asarray(self.inner.CalcGrad()).reshape(-1, 3)
        return kcal_mol_angstrom * float(constants.bohr2angstroms / constants.hartree2kcalmol)

    def _move(self, geometry: Array) -> None:
        place(self.molecule, geometry)
        # Gradients, also those of CalcGrad(positions), are made with the distances of the last time that they were
        # reset; only this resets them (seen with 2026.09).
        self.inner.Initialize()


def place(molecule: Any, geometry: Array) -> None:
    """Put the atoms of an RDKit molecule at (natom, 3) in Bohr."""
    from rdkit.Geometry import Point3D

    conformer = molecule.GetConformer()
    for i, xyz in enumerate((geometry * constants.bohr2angstroms).tolist()):
        conformer.SetAtomPosition(i, Point3D(*xyz))


def build(molecule: Any) -> Any:
    """The RDKit molecule, formal charges assigned; InputError for molecules that make no sense or lack bonds."""
    from rdkit import Chem

    check_geometry(molecule)
    if not all(molecule.real):
        raise InputError("force fields have no ghost atoms: RDKit would take them for real ones")
    charge, unpaired = check_electrons(molecule)
    if not molecule.connectivity and len(molecule.symbols) > 1:
        raise InputError(_BONDS_WANTED)
    made = _bonded(molecule)
    made.AddConformer(Chem.Conformer(len(molecule.symbols)))
    place(made, np.asarray(molecule.geometry, dtype=float).reshape(-1, 3))
    try:
        Chem.Cleanup(made)  # nitro groups with two double bonds and the like
        formal_charges.assign(made, charge, unpaired)
        Chem.SanitizeMol(made)
    except Chem.MolSanitizeException as error:
        raise InputError(f"RDKit finds the bonds impossible: {error}") from error
    for atom in made.GetAtoms():
        if atom.GetAtomicNum() in _NOBLE_GASES and not atom.GetDegree():
            # What UFF calls Ar4+4 is found by this alone; of itself RDKit looks for Ar3+4, which does not exist.
            atom.SetHybridization(Chem.HybridizationType.SP2D)
    return made


def _bonded(molecule: Any) -> Any:
    """Atoms and bonds; no hydrogens are to be added to them."""
    from rdkit import Chem

    kinds = {1.0: Chem.BondType.SINGLE, 1.5: Chem.BondType.AROMATIC, 2.0: Chem.BondType.DOUBLE,
             3.0: Chem.BondType.TRIPLE}  # fmt: skip
    made = Chem.RWMol()
    for symbol in molecule.symbols:
        atom = Chem.Atom(str(symbol).title())
        atom.SetNoImplicit(True)
        made.AddAtom(atom)
    for first, second, order in molecule.connectivity or ():
        if order not in kinds:
            raise InputError(f"RDKit takes bonds of order 1, 1.5 (aromatic), 2 and 3, not {order:g}")
        if made.GetBondBetweenAtoms(int(first), int(second)) is not None:
            raise InputError(f"the bond of atoms {first} and {second} is there twice")
        made.AddBond(int(first), int(second), kinds[order])
        if order == 1.5:
            made.GetBondBetweenAtoms(int(first), int(second)).SetIsAromatic(True)
            for atom in (first, second):
                made.GetAtomWithIdx(int(atom)).SetIsAromatic(True)
    made.UpdatePropertyCache(strict=False)
    return made


def _results(field: _ForceField, driver: str, geometry: Array) -> dict[str, Any]:
    """The fields of the AtomicResult that depend on the driver."""
    energy = field.energy(geometry)
    values: dict[str, Any] = {"calcinfo_natom": len(geometry), "return_energy": energy}
    extras: dict[str, str] = {}
    if driver == "energy":
        return {"return_result": energy, "properties": values, "extras": extras}
    if driver not in ("gradient", "hessian"):
        raise InputError(f"RDKit has no driver {driver}")
    answer = values["return_gradient"] = field.gradient(geometry)
    if driver == "hessian":
        answer = values["return_hessian"] = finite_differences.hessian(field.gradient, geometry)
        extras["hessian"] = "numerical (central differences of analytic gradients)"
    return {"return_result": answer, "properties": values, "extras": extras}
