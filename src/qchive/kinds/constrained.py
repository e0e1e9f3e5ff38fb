"""Optimizations under constraints: what torsion drives and grid optimizations are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from qchive.kinds.kind import InputRefused, Molecule
from qchive.kinds.optimization import OptimizationSpecification


class Constraint(msgspec.Struct, frozen=True):
    """A coordinate and the value it is held at, as geomeTRIC is told."""

    type: str
    """`distance`, `angle` or `dihedral`."""
    indices: Sequence[int]
    """Of the two, three or four atoms, from 0."""
    value: float
    """In Bohr or degrees."""


def constrained(spec: OptimizationSpecification, constraints: Sequence[Constraint]) -> OptimizationSpecification:
    """The optimization with these constraints beside those it has."""
    keywords = spec.keywords or {}
    given = keywords.get("constraints") or {}
    wanted = [*(given.get("set") or []), *map(msgspec.to_builtins, constraints)]
    return msgspec.structs.replace(spec, keywords={**keywords, "constraints": {**given, "set": wanted}})


def check_optimization(spec: OptimizationSpecification) -> None:
    """See that constraints can be added to those of the optimization.

    Raises:
        InputRefused: its keywords have constraints of another form.
    """
    given = (spec.keywords or {}).get("constraints") or {}
    if not isinstance(given, dict) or not isinstance(given.get("set") or [], list):
        raise InputRefused("the optimizer's keyword 'constraints' is an object, and 'set' in it a list")


def check_atoms(indices: Sequence[int], molecule: Molecule, what: str) -> None:
    """See that these are different atoms of the molecule.

    Raises:
        InputRefused: an atom is named twice, or is not there.
    """
    n = len(molecule["symbols"])
    if len(set(indices)) != len(indices):
        raise InputRefused(f"{what} {list(indices)} names an atom twice")
    if not all(0 <= i < n for i in indices):
        raise InputRefused(f"{what} {list(indices)} is outside of the molecule, whose atoms are 0 to {n - 1}")


def check_unlike(coordinates: Sequence[Sequence[int]], what: str) -> None:
    """See that no coordinate is there twice.

    Raises:
        InputRefused: two are over the same atoms in the same or in the opposite order.
    """
    seen: set[tuple[int, ...]] = set()
    for indices in map(tuple, coordinates):
        if indices in seen or indices[::-1] in seen:
            raise InputRefused(f"{what} {list(indices)} is there twice")
        seen.add(indices)


def measured(molecule: Molecule, indices: Sequence[int]) -> float:
    """A distance in Bohr, an angle in degrees, or a dihedral angle in degrees from -180 to 180."""
    import numpy as np
    from qcelemental.util import measure_coordinates

    geometry = np.reshape(np.asarray(molecule["geometry"], dtype=float), (-1, 3))
    return float(measure_coordinates(geometry, list(indices), degrees=True))


def wrapped(degrees: float) -> float:
    """The same dihedral angle above -180 and up to 180 degrees; one that is there already is not touched."""
    return degrees if -180 < degrees <= 180 else 180 - (180 - degrees) % 360


def apart(a: float, b: float) -> float:
    """How far two dihedral angles are from each other, at most 180 degrees."""
    return abs(math.remainder(a - b, 360))


def key_of(point: Sequence[int]) -> str:
    """How a grid point is named on the wire: `[-90, 180]`."""
    return f"[{', '.join(map(str, point))}]"
