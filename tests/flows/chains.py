"""Molecules for scans: chains of oxygen atoms with a hydrogen atom at each end, and a toy that optimizes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from qcelemental.util import measure_coordinates

from qchive.kinds.flow import Request
from qchive.kinds.kind import Molecule

QC = {"program": "toy", "driver": "deferred", "method": "m", "basis": None}
OPT = {"program": "geometric", "qc_specification": QC}
GFN2 = {
    "program": "geometric",
    "qc_specification": {"program": "tblite", "driver": "deferred", "method": "gfn2-xtb", "basis": None},
}


def chain(*dihedrals: float, bond: float = 2.75, angle: float = 105.0) -> dict[str, Any]:
    """H-O-O-H for one dihedral angle in degrees, H-O-O-O-H for two …; the bonds between oxygen atoms in Bohr."""
    n = len(dihedrals) + 3
    symbols = ["H", *["O"] * (n - 2), "H"]
    lengths = [1.83, *[bond] * (n - 3), 1.83]
    bend = math.radians(180 - angle)
    points = [np.zeros(3), np.array([lengths[0], 0.0, 0.0])]
    points.append(points[1] + lengths[1] * np.array([math.cos(bend), math.sin(bend), 0.0]))
    for length, degrees in zip(lengths[2:], dihedrals, strict=True):
        a, b, c = points[-3:]
        x = (c - b) / np.linalg.norm(c - b)
        z = np.cross(b - a, x)
        z /= np.linalg.norm(z)
        turn = math.radians(degrees)
        local = [math.cos(bend), math.sin(bend) * math.cos(turn), math.sin(bend) * math.sin(turn)]
        points.append(c + length * (local[0] * x + local[1] * np.cross(z, x) + local[2] * z))
    geometry = [round(float(v), 8) + 0.0 for v in np.ravel(points)]
    bonds = [[i, i + 1, 1.0] for i in range(n - 1)]
    return {"symbols": symbols, "geometry": geometry, "connectivity": bonds}


def measure(molecule: Molecule, indices: Sequence[int]) -> float:
    """In Bohr or degrees."""
    geometry = np.reshape(molecule["geometry"], (-1, 3))
    return float(measure_coordinates(geometry, list(indices), degrees=True))


def dihedrals_of(molecule: Molecule) -> list[float]:
    """All of a chain, in degrees."""
    return [measure(molecule, [i, i + 1, i + 2, i + 3]) for i in range(len(molecule["symbols"]) - 3)]


def held(request: Request) -> list[dict[str, Any]]:
    """The coordinates that the child is to hold."""
    found: list[dict[str, Any]] = request.specification.keywords.get("constraints", {}).get("set", [])
    return found


def turned(energy: Callable[[Sequence[float], float], tuple[float, float]]) -> Any:
    """A toy that turns a chain as it is told, in one step. What energy it has then, and how long its bonds get, the
    function says of the angles and of the bond it began with."""

    def compute(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
        (molecule,) = molecules
        value, bond = energy([c["value"] for c in held(request)], measure(molecule, [1, 2]))
        return {"energy": value, "molecule": chain(*(c["value"] for c in held(request)), bond=bond)}

    return compute
