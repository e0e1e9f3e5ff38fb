"""Torsion drives of a molecule whose optimizations take no time: a potential that is written down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qcportal.molecules import Molecule

from benchmarks.inputs import Results

PEROXIDE = np.array([[1.85, 1.44, 0.8], [1.36, -0.17, 0.1], [-1.36, 0.17, 0.1], [-1.85, -1.44, 0.8]])
"""H, O, O, H in Bohr."""

Points = NDArray[np.float64]


def peroxides(n: int) -> list[Molecule]:
    """Distorted hydrogen peroxide, `n` times, never twice the same."""
    rng = np.random.default_rng()
    return [
        Molecule(symbols=["H", "O", "O", "H"], geometry=PEROXIDE + rng.normal(scale=0.02, size=PEROXIDE.shape))
        for _ in range(n)
    ]


def energy(degrees: float) -> float:
    """Of hydrogen peroxide by its dihedral angle, in Hartree; roughly."""
    angle = math.radians(degrees)
    return -151.5 + 0.004 * math.cos(angle) + 0.002 * math.cos(2 * angle)


def dihedral(points: Points) -> float:
    """The dihedral angle of four points, in degrees."""
    first, axis, last = points[0] - points[1], points[2] - points[1], points[3] - points[2]
    axis = axis / np.linalg.norm(axis)
    first, last = first - (first @ axis) * axis, last - (last @ axis) * axis
    return math.degrees(math.atan2(np.cross(axis, first) @ last, first @ last))


def turned(points: Points, degrees: float) -> Points:
    """The same with the last point turned until the dihedral angle is this."""
    axis, arm = points[2] - points[1], points[3] - points[2]
    axis, by = axis / np.linalg.norm(axis), math.radians(degrees - dihedral(points))
    along = (arm @ axis) * (1 - math.cos(by)) * axis
    moved = points.copy()
    moved[3] = points[2] + arm * math.cos(by) + np.cross(axis, arm) * math.sin(by) + along
    return moved


class Toy(Results):
    """Results of optimizations with one dihedral angle held, at once and without noise, in a single step."""

    def __init__(self) -> None:
        super().__init__(output_bytes=2_000, steps=1)

    def _optimization(self, given: Mapping[str, Any]) -> dict[str, Any]:
        (held,) = given["keywords"]["constraints"]["set"]
        points = np.array(given["initial_molecule"]["geometry"], dtype=float).reshape(-1, 3)
        ended = turned(points, held["value"]).ravel().tolist()
        result = super()._optimization(given)
        (step,) = result["trajectory"]
        result["final_molecule"] = {**result["final_molecule"], "geometry": ended}
        step["molecule"] = result["final_molecule"]
        step["properties"]["return_energy"] = energy(held["value"])
        result["energies"] = [energy(held["value"])]
        return result
