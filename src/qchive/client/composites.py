"""Records that the server computes itself, from other records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from qchive.client.outputs import sent
from qchive.client.records import BaseRecord
from qchive.client.tasks import OptimizationRecord, SinglepointRecord
from qchive.client.views import Entry
from qchive.status import RecordStatusEnum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from qcelemental.models import Molecule

Point = tuple[Any, ...]
"""A grid point: degrees of a torsion drive, indices of the steps of a grid optimization."""


def _point(key: str) -> Any:
    """What a key says: a grid point, or the word that it is."""
    return tuple(json.loads(key)) if key.startswith("[") else key


class TorsiondriveRecord(BaseRecord):
    """A scan of dihedral angles. Grid points are tuples of whole degrees."""

    _ids_only: ClassVar[dict[str, str]] = {"minimum_optimizations": "optimization"}

    initial_molecules_ids: list[int]
    initial_molecules: list[Molecule]

    @cached_property
    def optimizations(self) -> dict[Point, list[OptimizationRecord]]:
        """All optimizations of each grid point, in the order they were asked for."""
        found: dict[Point, list[OptimizationRecord]] = {}
        for line in self._entries("optimizations"):
            found.setdefault(_point(line.key), []).append(line.optimization_record)
        return found

    @cached_property
    def minimum_optimizations(self) -> dict[Point, OptimizationRecord]:
        """The optimization with the lowest energy of each grid point; until there is an energy, one without."""
        view = next(v for v in self._kind.views if v.name == "minimum_optimizations")
        children: Any = self._related(self._links(view))
        return {_point(key): children[i] for key, i in self._view("minimum_optimizations").items()}

    @property
    def final_energies(self) -> dict[Point, float]:
        """The lowest energy of each grid point in Hartree; points without one are left out."""
        if "minimum_optimizations" in self.__dict__ or (self.offline and not self._has("optimizations")):
            return {point: r.energies[-1] for point, r in self.minimum_optimizations.items() if r.energies}
        found: dict[Point, float] = {}
        for line in self._view("optimizations"):
            if line.energy is not None:
                point = _point(line.key)
                found[point] = min(line.energy, found.get(point, line.energy))
        return found

    def _has(self, view: str) -> bool:
        value = getattr(self._document, view)
        return sent(value) and value is not None

    def _draw(self, ax: Axes, axes: Sequence[int] | int | None) -> None:
        from qchive.client.plots import torsion_scan

        torsion_scan(ax, self, axes)


class GridoptimizationRecord(BaseRecord):
    """A scan of distances, angles and dihedral angles. Grid points are tuples of the indices of steps."""

    starting_grid: list[int] | None
    """The grid point that the scan begins with; None until it is known."""
    initial_molecule_id: int
    initial_molecule: Molecule
    starting_molecule_id: int | None
    starting_molecule: Molecule | None

    @cached_property
    def optimizations(self) -> dict[Any, OptimizationRecord]:
        """The optimization of each grid point, and under `"preoptimization"` that before the scan."""
        return {_point(line.key): line.optimization_record for line in self._entries("optimizations")}

    @property
    def preoptimization(self) -> OptimizationRecord | None:
        """The optimization before the scan; None if there is none."""
        return self.optimizations.get("preoptimization")

    @property
    def final_energies(self) -> dict[Any, float]:
        """The energy of each grid point in Hartree, and under `"preoptimization"` that before the scan; what has none
        is left out."""
        lines = self._view("optimizations")
        return {_point(line.key): line.energy for line in lines if line.energy is not None}

    def _draw(self, ax: Axes, axes: Sequence[int] | int | None) -> None:
        from qchive.client.plots import grid_scan

        grid_scan(ax, self, axes)


class ReactionRecord(BaseRecord):
    """The sum of the energies of molecules, each times its coefficient."""

    total_energy: float | None
    """In Hartree; None until the record is complete."""
    components: list[Entry]
    """The molecules: `coefficient`, `molecule_id`, `molecule`, and what computed them, or None: `singlepoint_id`,
    `singlepoint_record`, `optimization_id`, `optimization_record`."""

    def _facts(self) -> list[tuple[str, str]]:
        energy = self.total_energy
        return super()._facts() + ([] if energy is None else [("total energy", f"{energy:.10f} Eh")])


class ManybodyRecord(BaseRecord):
    """A many-body expansion; what came out is in `properties`."""

    initial_molecule_id: int
    initial_molecule: Molecule
    clusters: list[Entry]
    """Fragments, pairs, triples …: `mc_level`, `fragments` and `basis` (counted from 1), `molecule_id`, `molecule`,
    `singlepoint_id`, `singlepoint_record`."""


class NEBRecord(BaseRecord):
    """A nudged elastic band: the path from one geometry to another."""

    initial_chain_molecule_ids: list[int]
    initial_chain: list[Molecule]

    @cached_property
    def singlepoints(self) -> dict[int, list[SinglepointRecord]]:
        """The images of each chain, the first under 0."""
        return self._chains_and_hessian[0]

    @property
    def ts_hessian(self) -> SinglepointRecord | None:
        """The Hessian that the optimization of the transition state begins with; None if there is none."""
        return self._chains_and_hessian[1]

    @cached_property
    def optimizations(self) -> dict[str, OptimizationRecord]:
        """Optimizations of the ends (`initial`, `final`) and of the transition state (`transition`)."""
        return {name: line.optimization_record for name, line in self._entries("optimizations").items()}

    @property
    def ts_optimization(self) -> OptimizationRecord | None:
        """The optimization of the transition state; None if there is none."""
        return self.optimizations.get("transition")

    @property
    def final_chain(self) -> list[SinglepointRecord]:
        """The images of the last chain.

        Raises:
            ValueError: there is no chain yet.
        """
        if not self.singlepoints:
            raise ValueError(f"NEB {self.id}, which is {self.status.value}, has no chain yet")
        return self.singlepoints[max(self.singlepoints)]

    @property
    def result(self) -> Molecule:
        """The image of the highest energy in the last chain: a guess of the transition state.

        Raises:
            ValueError: the record is not complete.
        """
        if self.status is not RecordStatusEnum.complete:
            raise ValueError(f"NEB {self.id} is {self.status.value}: there is a result when it is complete")
        return self.neb_result

    @cached_property
    def neb_result(self) -> Molecule:
        """The same, of the last chain whose energies are known, also before the record is complete.

        Raises:
            NotFound: there is none yet.
        """
        if not self.offline:
            return self._entries("neb_result")
        return max(self.final_chain, key=lambda image: (image.properties or {})["return_energy"]).molecule

    @cached_property
    def _chains_and_hessian(self) -> tuple[dict[int, list[SinglepointRecord]], SinglepointRecord | None]:
        chains: dict[int, list[SinglepointRecord]] = {}
        for line in self._entries("singlepoints"):
            chains.setdefault(line.chain_iteration, []).append(line.singlepoint_record)
        # A chain is never one image alone: that is the Hessian, which comes last.
        hessian = chains.pop(max(chains)) if chains and len(chains[max(chains)]) == 1 else [None]
        return chains, hessian[0]

    def _draw(self, ax: Axes, axes: Sequence[int] | int | None) -> None:
        from qchive.client.plots import path

        path(ax, self)
