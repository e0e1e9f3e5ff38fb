"""Refusing molecules that no program can compute, although it would print a number for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from qcengine.exceptions import InputError

# Two centres closer than this (in Bohr) are a mistake: nuclei at 0.05 Å, or a ghost atom laid onto a real one.
CLOSEST = 0.1
_NOBLE_GASES = (0, 2, 10, 18, 36, 54, 86, 118)


def check_geometry(molecule: Any) -> None:
    """Raise InputError unless all coordinates are finite and all centres apart."""
    geometry = np.asarray(molecule.geometry, dtype=float).reshape(-1, 3)
    if not np.isfinite(geometry).all():
        raise InputError("the geometry has coordinates that are not finite numbers")
    distances = np.linalg.norm(geometry[:, None] - geometry[None, :], axis=-1)
    near = np.argwhere(np.triu(distances < CLOSEST, k=1))
    if near.size:
        i, j = (int(n) for n in near[0])
        raise InputError(f"atoms {i} and {j} are {distances[i, j]:.3g} Bohr apart: they overlap")


def check_electrons(molecule: Any) -> tuple[int, int]:
    """Charge and number of unpaired electrons of a molecule, or InputError if they are impossible.

    Impossible are charges and multiplicities that are not whole, spins that do not go with the number of electrons,
    and charges beyond the valence shells: for every atom but a single one on its own, nobody means to ionise the
    core (+9 on water), and nobody means to fill the next shell (-9 on water).
    """
    charge = _whole(molecule.molecular_charge, "charge")
    unpaired = _whole(molecule.molecular_multiplicity, "multiplicity") - 1
    numbers = [int(z) for z, real in zip(molecule.atomic_numbers, molecule.real, strict=True) if real]
    electrons = sum(numbers) - charge
    if not numbers or electrons < 1:
        raise InputError(f"the molecule has no electrons (charge {charge:+d} on {len(numbers)} real atoms)")
    if unpaired < 0 or unpaired > electrons or (electrons - unpaired) % 2:
        raise InputError(f"multiplicity {unpaired + 1} is impossible with {electrons} electrons (charge {charge:+d})")
    most = sum(z - max(n for n in _NOBLE_GASES if n < z) for z in numbers)
    least = -sum(min(n for n in _NOBLE_GASES if n > z) - z for z in numbers)
    if charge < least or (charge > most and len(numbers) > 1):
        raise InputError(f"charge {charge:+d} is impossible: the valence shells allow {least:+d} to {most:+d}")
    return charge, unpaired


def _whole(value: Any, what: str) -> int:
    """The value as an integer, or InputError: programs would silently cut the fraction off."""
    number = float(value)
    if not np.isfinite(number) or number != round(number):
        raise InputError(f"the molecular {what} has to be a whole number, not {value}")
    return round(number)
