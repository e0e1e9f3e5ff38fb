"""Records that compute managers run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qchive.client.records import BaseRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from qcelemental.models import AtomicResult, Molecule, OptimizationResult, WavefunctionProperties


class SinglepointRecord(BaseRecord):
    """One molecule, one program, one method."""

    molecule_id: int
    molecule: Molecule
    wavefunction: WavefunctionProperties | None

    @property
    def return_result(self) -> Any:
        """What the driver asks for: energy (Hartree), gradient (Hartree/Bohr), Hessian (Hartree/Bohr²) or properties,
        arrays as flat lists; None until the record is complete."""
        return (self.properties or {}).get("return_result")

    def to_qcschema_result(self) -> AtomicResult:
        """The record as QCSchema has it.

        Raises:
            RuntimeError: it is not complete.
        """
        from qchive.client.qcschema import atomic_result

        return atomic_result(self)


class OptimizationRecord(BaseRecord):
    """A geometry optimization."""

    initial_molecule_id: int
    initial_molecule: Molecule
    final_molecule_id: int | None
    final_molecule: Molecule | None
    energies: list[float] | None
    """One for each step, in Hartree."""
    trajectory: list[SinglepointRecord]

    def _facts(self) -> list[tuple[str, str]]:
        steps = self.energies or []
        return super()._facts() + ([("steps", str(len(steps))), ("energy", f"{steps[-1]:.10f} Eh")] if steps else [])

    def trajectory_element(self, index: int) -> SinglepointRecord:
        """One step of the path; negative numbers count from its end. The others are not fetched."""
        if "trajectory" in self.__dict__:
            return self.trajectory[index]
        child = self._kind.children[0]
        step: SinglepointRecord = self._online("trajectory").get(child.kind, self._child_ids(child)[index])
        return step

    def to_qcschema_result(self) -> OptimizationResult:
        """The record as QCSchema has it, with its trajectory.

        Raises:
            RuntimeError: it is not complete.
        """
        from qchive.client.qcschema import optimization_result

        return optimization_result(self)

    def _draw(self, ax: Axes, axes: Sequence[int] | int | None) -> None:
        from qchive.client.plots import convergence

        convergence(ax, self)
