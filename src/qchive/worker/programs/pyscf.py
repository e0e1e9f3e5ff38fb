"""The PySCF harness for QCEngine: Hartree-Fock, density functionals, MP2, CCSD and CCSD(T)."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from qcelemental.models.v2 import AtomicResult
from qcelemental.util import safe_version, which_import
from qcengine.exceptions import InputError, ResourceError
from qcengine.programs.model import ProgramHarness

from qchive.worker.programs import pyscf_gradients, pyscf_keywords, pyscf_method, pyscf_molecule, pyscf_properties
from qchive.worker.programs.program_log import ProgramLog
from qchive.worker.programs.pyscf_molecule import System
from qchive.worker.programs.pyscf_script import script
from qchive.worker.programs.pyscf_solution import Level, Solution, frozen_orbitals, solve
from qchive.worker.programs.pyscf_wavefunction import wavefunction


class PySCFHarness(ProgramHarness):  # type: ignore[misc]  # QCEngine has no types
    """Runs QCSchema inputs with PySCF in this process."""

    _defaults: ClassVar[dict[str, Any]] = {
        "name": "pyscf",
        "scratch": True,
        "thread_safe": False,
        "thread_parallel": True,
        "node_parallel": False,
        "managed_memory": True,
    }

    @staticmethod
    def found(raise_error: bool = False) -> bool:
        """Whether PySCF and the Basis Set Exchange can be imported."""
        return all(
            which_import(module, return_bool=True, raise_error=raise_error, raise_msg="pip install 'qchive[chem]'")
            for module in ("pyscf", "basis_set_exchange")
        )

    def get_version(self) -> str:
        """PySCF's version."""
        self.found(raise_error=True)
        import pyscf

        return str(safe_version(pyscf.__version__))

    def compute(self, input_data: Any, config: Any) -> AtomicResult:
        """Energy, gradient, Hessian or properties of one molecule.

        Raises InputError for what cannot be computed, ConvergenceError where an iteration fails, ResourceError where
        memory runs out.
        """
        self.found(raise_error=True)
        spec = input_data.specification
        keywords = pyscf_keywords.parse(spec.keywords)
        method = pyscf_method.parse(spec.model.method)
        log, complaints = ProgramLog(), ProgramLog(sys.stderr)
        with _resources(config), contextlib.redirect_stdout(log), contextlib.redirect_stderr(complaints):
            try:
                system = pyscf_molecule.build(input_data.molecule, spec.model.basis, keywords, config.memory, log)
                level = Level(method, keywords, keywords.unrestricted_name(system.mole.spin))
                solution = solve(system, level)
                fields = _results(spec, system, solution)
            except MemoryError as error:
                raise ResourceError(f"PySCF ran out of memory ({config.memory} GiB): {error}") from error
        return AtomicResult(
            input_data=input_data,
            molecule=input_data.molecule,
            stdout=log.getvalue() or None,
            stderr=complaints.getvalue() or None,
            native_files={"input": script(spec, system, solution)},
            **fields,
        )


@contextlib.contextmanager
def _resources(config: Any) -> Iterator[None]:
    """Threads and scratch folder of the task, for as long as it runs."""
    from pyscf import lib

    before = lib.param.TMPDIR
    lib.param.TMPDIR = config.scratch_directory or before
    try:
        with lib.with_omp_threads(config.ncores):
            yield
    finally:
        lib.param.TMPDIR = before


def _results(spec: Any, system: System, solution: Solution) -> dict[str, Any]:
    """All fields of the AtomicResult that depend on driver and protocols."""
    driver = str(getattr(spec.driver, "value", spec.driver))
    values = pyscf_properties.properties(system, solution)
    origin: dict[str, str] = {}
    answer: Any
    if driver == "energy":
        answer = solution.energy
    elif driver == "properties":
        answer = pyscf_properties.report(solution)
    elif driver in ("gradient", "hessian"):
        derivative = getattr(pyscf_gradients, driver)(system, solution)
        answer, origin = derivative.values, {driver: derivative.origin}
        values[f"return_{driver}"] = derivative.values
        if solution.level.method.correlation is None:
            values[f"scf_total_{driver}"] = derivative.values
    else:
        raise InputError(f"PySCF has no driver {driver}")
    if not np.isfinite(solution.energy):
        raise InputError("the energy is not a finite number")
    protocol = getattr(spec.protocols.wavefunction, "value", spec.protocols.wavefunction)
    return {
        "return_result": answer,
        "properties": values,
        "provenance": _provenance(system, solution) | origin,
        "wavefunction": None if protocol == "none" else wavefunction(system, solution),
        "extras": {"spin_squared": pyscf_properties.spin_squared(solution), **origin},
    }


def _provenance(system: System, solution: Solution) -> dict[str, Any]:
    """Program and version, and every choice that the input leaves open or that programs understand differently."""
    import pyscf

    level = solution.level
    kind = "Cartesian" if system.mole.cart else "spherical"
    details = {
        "creator": "PySCF",
        "version": pyscf.__version__,
        "routine": "qchive.worker.programs.pyscf",
        "reference": level.reference.upper(),
        "basis": f"{system.basis.name}, {kind} functions ({system.basis.source})",
    }
    replaced = {s: int(p[0]) for s, p in sorted(system.basis.potentials.items())}
    if replaced:
        details["effective_core_potentials"] = ", ".join(f"{s} {n} electrons" for s, n in replaced.items())
    if level.method.functional:
        details["functional"] = level.method.description
    if level.method.dispersion:
        details["dispersion"] = level.method.dispersion.describe()
    if level.method.correlation:
        details["frozen_orbitals"] = str(frozen_orbitals(system.mole, level.keywords))
    if level.keywords.density_fit:
        details["density_fitting"] = level.keywords.aux_basis or system.basis.auxiliary
    return details
