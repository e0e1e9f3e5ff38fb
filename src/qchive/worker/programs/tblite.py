"""The tblite harness for QCEngine: GFN1-xTB, GFN2-xTB and IPEA1-xTB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from qcelemental.models.v2 import AtomicResult
from qcelemental.util import safe_version, which_import
from qcengine.exceptions import ConvergenceError, InputError, UnknownError
from qcengine.programs.model import ProgramHarness

from qchive.worker.programs import finite_differences
from qchive.worker.programs.molecule_checks import check_electrons, check_geometry
from qchive.worker.programs.program_log import ProgramLog

Array = NDArray[np.float64]

_METHODS = {"gfn1-xtb": "GFN1-xTB", "gfn2-xtb": "GFN2-xTB", "ipea1-xtb": "IPEA1-xTB"}
_HEAVIEST = 86
_ABOUT_THE_INPUT = ("not compatible", "No support for", "not found among", "Unknown", "Invalid")
# Names of keywords are compared without regard to case, because archives store them in lower case.
_SETTINGS = {name: name for name in ("accuracy", "guess", "max-iter", "mixer", "mixer-damping", "mixer-memory",
                                     "temperature", "annealing", "verbosity")}  # fmt: skip
_INTERACTIONS = {name.lower(): name for name in ("electric-field", "spin-polarization", "alpb-solvation",
                                                 "gbsa-solvation", "gbe-solvation", "gb-solvation",
                                                 "ddX-solvation")}  # fmt: skip


class TBLiteHarness(ProgramHarness):  # type: ignore[misc]  # QCEngine has no types
    """Runs QCSchema inputs with tblite in this process."""

    _defaults: ClassVar[dict[str, Any]] = {
        "name": "tblite",
        "scratch": False,
        "thread_safe": True,
        "thread_parallel": True,
        "node_parallel": False,
        "managed_memory": False,
    }

    @staticmethod
    def found(raise_error: bool = False) -> bool:
        """Whether tblite can be imported."""
        return bool(
            which_import("tblite", return_bool=True, raise_error=raise_error, raise_msg="pip install 'qchive[chem]'")
        )

    def get_version(self) -> str:
        """The version of the tblite library."""
        self.found(raise_error=True)
        from tblite.library import get_version

        return str(safe_version(".".join(str(part) for part in get_version())))

    def compute(self, input_data: Any, config: Any) -> AtomicResult:
        """Energy, gradient, Hessian (central differences of gradients) or properties of one molecule.

        Raises InputError for what cannot be computed and ConvergenceError where the charges do not converge.
        """
        self.found(raise_error=True)
        spec, molecule = input_data.specification, input_data.molecule
        _check(molecule)
        method = _METHODS.get(spec.model.method.lower())
        if method is None:
            raise InputError(f"tblite has no method {spec.model.method}; it has {', '.join(_METHODS.values())}")
        if spec.model.basis:
            raise InputError("tblite takes no basis set: it is part of the method")
        geometry = np.asarray(molecule.geometry, dtype=float).reshape(-1, 3)
        log = ProgramLog()
        result = _run(method, molecule, geometry, spec.keywords, log.line)
        fields = _results(method, spec, molecule, geometry, result)
        return AtomicResult(
            input_data=input_data,
            molecule=molecule,
            stdout=log.getvalue() or None,
            provenance={"creator": "tblite", "version": self.get_version(), "routine": "qchive.worker.programs.tblite"}
            | fields["extras"],
            **fields,
        )


def _check(molecule: Any) -> None:
    """InputError for what tblite would compute, or fail at, without saying what is wrong."""
    check_geometry(molecule)
    if not all(molecule.real):
        raise InputError("tblite has no ghost atoms: it would take them for real ones")
    heaviest = max(int(z) for z in molecule.atomic_numbers)
    if heaviest > _HEAVIEST:
        raise InputError(f"xTB has parameters up to Z = {_HEAVIEST}, the molecule has an atom with Z = {heaviest}")
    check_electrons(molecule)


def _run(
    method: str, molecule: Any, geometry: Array, keywords: dict[str, Any], log: Callable[[str], None]
) -> dict[str, Any]:
    """One single point; each line that tblite says goes to `log`."""
    from tblite.exceptions import TBLiteRuntimeError, TBLiteTypeError, TBLiteValueError
    from tblite.interface import Calculator

    try:
        calculator = Calculator(
            method=method,
            numbers=np.asarray(molecule.atomic_numbers),
            positions=geometry,
            charge=float(molecule.molecular_charge),
            uhf=round(molecule.molecular_multiplicity) - 1,
            color=False,
            logger=log,
        )
        _configure(calculator, keywords)
        result = dict(calculator.singlepoint().dict())
    except (TBLiteTypeError, TBLiteValueError, TypeError, ValueError, KeyError) as error:
        raise InputError(f"tblite: {error}") from error
    except TBLiteRuntimeError as error:  # one class for everything: only the message tells
        if "not converge" in str(error):
            raise ConvergenceError(f"tblite: {error}; try max-iter, temperature or mixer-damping") from error
        if any(phrase in str(error) for phrase in _ABOUT_THE_INPUT):
            raise InputError(f"tblite: {error}") from error
        raise UnknownError(f"tblite: {error}") from error
    _check_shells(molecule, result)
    return result


def _unheard(line: str) -> None:
    """What tblite says of displaced geometries is not kept."""


def _check_shells(molecule: Any, result: dict[str, Any]) -> None:
    """InputError where tblite has left out electrons or spins that its valence functions cannot hold."""
    electrons, functions = float(np.sum(result["orbital-occupations"])), int(result["norbitals"])
    unpaired = round(molecule.molecular_multiplicity) - 1
    missing = abs(float(np.sum(result["charges"])) - float(molecule.molecular_charge)) > 1e-2
    if missing or electrons < 0.5 or unpaired > min(electrons, 2 * functions - electrons) + 0.5:
        state = f"charge {molecule.molecular_charge:+g} and multiplicity {unpaired + 1}"
        raise InputError(f"{state} do not fit the valence shells of xTB")


def _configure(calculator: Any, keywords: dict[str, Any]) -> None:
    for key, value in keywords.items():
        if (name := _SETTINGS.get(key.lower())) is not None:
            calculator.set(name, value)
        elif (name := _INTERACTIONS.get(key.lower())) is not None:
            calculator.add(name, *_arguments(name, value))
        else:
            known = ", ".join([*_SETTINGS, *_INTERACTIONS.values()])
            raise InputError(f"tblite has no keyword {key}; it has {known}")


def _arguments(name: str, value: Any) -> list[Any]:
    """What an interaction is made from: a list means several things, but a field is one vector."""
    if name != "electric-field":
        return list(value) if isinstance(value, list | tuple) else [value]
    field = np.asarray(value, dtype=float).ravel()
    if field.size != 3:  # tblite would read on behind the end
        raise InputError("tblite: electric-field takes three components, in atomic units")
    return [field.tolist()]


def _results(method: str, spec: Any, molecule: Any, geometry: Array, result: dict[str, Any]) -> dict[str, Any]:
    """The fields of the AtomicResult that depend on the driver."""
    driver = str(getattr(spec.driver, "value", spec.driver))
    values = _properties(result)
    extras: dict[str, Any] = {}
    answer: Any
    if driver == "energy":
        answer = values["return_energy"]
    elif driver == "gradient":
        answer = result["gradient"]
    elif driver == "hessian":
        answer = finite_differences.hessian(
            lambda moved: np.asarray(_run(method, molecule, moved, spec.keywords, _unheard)["gradient"]), geometry
        )
        values["return_hessian"] = answer
        extras["hessian"] = "numerical (central differences of analytic gradients)"
    elif driver == "properties":
        answer = {
            "dipole": result["dipole"].tolist(),
            "mulliken_charges": result["charges"].tolist(),
            "mayer_indices": result["bond-orders"].tolist(),
        }
    else:
        raise InputError(f"tblite has no driver {driver}")
    return {"return_result": answer, "properties": values, "extras": extras}


def _properties(result: dict[str, Any]) -> dict[str, Any]:
    """QCSchema's AtomicProperties; tblite's quadrupole comes as xx, xy, yy, xz, yz, zz."""
    energy = float(result["energy"])
    return {
        "calcinfo_natom": int(result["natoms"]),
        "calcinfo_nbasis": int(result["norbitals"]),
        "calcinfo_nmo": int(result["norbitals"]),
        "return_energy": energy,
        "return_gradient": result["gradient"],
        "scf_total_energy": energy,
        "scf_total_gradient": result["gradient"],
        "scf_dipole_moment": result["dipole"],
        "scf_quadrupole_moment": np.asarray(result["quadrupole"])[[0, 1, 3, 1, 2, 4, 3, 4, 5]],
    }
