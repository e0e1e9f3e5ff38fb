"""Derivatives by central differences, where a program has no analytic ones or wrong ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Steps in Bohr. The error of a central difference grows with the square of the step, that of the noise falls with it;
# energies converged to 1e-10 Hartree give gradients good to 1e-6 Hartree/Bohr, gradients to 1e-8 give Hessians to 1e-5.
GRADIENT_STEP = 1e-3
HESSIAN_STEP = 5e-3


def gradient(energy: Callable[[Array], float], geometry: Array, step: float = GRADIENT_STEP) -> Array:
    """Gradient (natom, 3) in Hartree/Bohr from energies of displaced geometries (natom, 3) in Bohr."""
    result = np.zeros(geometry.size)
    for i in range(geometry.size):
        result[i] = (energy(_moved(geometry, i, step)) - energy(_moved(geometry, i, -step))) / (2 * step)
    return result.reshape(-1, 3)


def hessian(gradient_at: Callable[[Array], Array], geometry: Array, step: float = HESSIAN_STEP) -> Array:
    """Symmetrised Hessian (3 natom, 3 natom) in Hartree/Bohr² from gradients (natom, 3) of displaced geometries."""
    result = np.zeros((geometry.size, geometry.size))
    for i in range(geometry.size):
        difference = gradient_at(_moved(geometry, i, step)) - gradient_at(_moved(geometry, i, -step))
        result[i] = difference.ravel() / (2 * step)
    return (result + result.T) / 2


def _moved(geometry: Array, coordinate: int, by: float) -> Array:
    moved = geometry.copy()
    moved.flat[coordinate] += by
    return moved
