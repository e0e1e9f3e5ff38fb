"""Chains, a potential to move them on, and geomeTRIC's own nudged elastic band, driven without QCHive."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Potential = Callable[[Sequence[str], Any], tuple[float, list[float]]]
"""Energy in Hartree and gradient in Hartree/Bohr, flat, of symbols and a geometry in Bohr."""

BARRIER = 0.02 * 1.5**4
"""Of the double well, in Hartree."""


def double_well(_: Sequence[str], geometry: Any) -> tuple[float, list[float]]:
    """Three atoms, the middle one bound to either of the others: wells where the distances differ by 1.5 Bohr."""
    at = np.array(geometry, dtype=float).reshape(3, 3)
    near, near_slope = _distance(at, 1, 0)
    far, far_slope = _distance(at, 1, 2)
    ends, ends_slope = _distance(at, 0, 2)
    well, bent, apart = (near - far) ** 2 - 1.5**2, near + far - 5.0, ends - 4.0
    energy = 0.02 * well**2 + 0.3 * bent**2 + 0.3 * apart**2
    slope = 0.08 * well * (near - far) * (near_slope - far_slope)
    slope += 0.6 * bent * (near_slope + far_slope) + 0.6 * apart * ends_slope
    return float(energy), [float(x) for x in slope.ravel()]


def _distance(at: Any, i: int, j: int) -> tuple[float, Any]:
    line = at[i] - at[j]
    length = float(np.linalg.norm(line))
    slope = np.zeros((3, 3))
    slope[i], slope[j] = line / length, -line / length
    return length, slope


def across_the_well(frames: int, *, off: float = 0.0) -> list[dict[str, Any]]:
    """The middle atom on its way, too far out by 0.3 Bohr half-way, and by `off` Bohr everywhere."""

    def frame(t: float) -> dict[str, Any]:
        z = (2 * t - 1) * 1.5 * 2.5 / 4.0
        y = 1.5 * math.sqrt(1 - (z / 2.5) ** 2) + 0.3 * math.sin(math.pi * t) + off
        return {"symbols": ["C", "C", "C"], "geometry": [0.0, 0.0, -2.0, 0.0, y, z, 0.0, 0.0, 2.0]}

    return [frame(n / (frames - 1)) for n in range(frames)]


def hydrogen_cyanide(frames: int) -> list[dict[str, Any]]:
    """Hydrogen on its way around CN, from HCN to HNC."""

    def frame(angle: float) -> dict[str, Any]:
        hydrogen = [2.6 * math.sin(angle), 0.0, 1.1 - (3.1 - 0.05 * angle) * math.cos(angle)]
        return {"symbols": ["H", "C", "N"], "geometry": [*hydrogen, 0.0, 0.0, 0.0, 0.0, 0.0, 2.2]}

    return [frame(0.03 + n * (math.pi - 0.06) / (frames - 1)) for n in range(frames)]


def gfn2(symbols: Sequence[str], geometry: Any) -> tuple[float, list[float]]:
    """GFN2-xTB by tblite itself."""
    from tblite.interface import Calculator

    numbers = np.array([{"H": 1, "C": 6, "N": 7}[symbol] for symbol in symbols])
    calculator = Calculator("GFN2-xTB", numbers, np.array(geometry, dtype=float).reshape(-1, 3))
    calculator.set("verbosity", 0)
    found = calculator.singlepoint()
    return float(found.get("energy")), [float(x) for x in found.get("gradient").ravel()]


def hartree_fock(symbols: Sequence[str], geometry: Any) -> tuple[float, list[float]]:
    """Restricted Hartree-Fock in STO-3G, by PySCF itself."""
    found = _hartree_fock(symbols, geometry)
    return float(found.e_tot), [float(x) for x in found.nuc_grad_method().kernel().ravel()]


def hartree_fock_hessian(symbols: Sequence[str], geometry: Any) -> Any:
    """The second derivatives of the same, in Hartree/Bohr²."""
    size = 3 * len(symbols)
    return _hartree_fock(symbols, geometry).Hessian().kernel().transpose(0, 2, 1, 3).reshape(size, size)


def _hartree_fock(symbols: Sequence[str], geometry: Any) -> Any:
    from pyscf import gto, scf

    at = np.array(geometry, dtype=float).reshape(-1, 3)
    atoms = [(symbol, tuple(x)) for symbol, x in zip(symbols, at, strict=True)]
    molecule = gto.M(atom=atoms, unit="Bohr", basis="sto-3g", verbose=0)
    return scf.RHF(molecule).run(conv_tol=1e-11)


def relaxed_directly(
    frames: Sequence[dict[str, Any]], potential: Potential, keywords: dict[str, Any]
) -> tuple[list[float], list[Any], int]:
    """Energies and geometries of the last chain that geomeTRIC alone makes of these frames, and the chains computed."""
    from geometric.qcf_neb import arrange, nextchain

    symbols = frames[0]["symbols"]
    chain = [[[0, 1], list(symbols), np.reshape(frame["geometry"], (-1, 3)).tolist()] for frame in frames]
    geometries = [image[-1] for image in arrange(chain, True)]
    info: dict[str, Any] = {}
    for n in range(1, 1000):
        found = [potential(symbols, geometry) for geometry in geometries]
        info |= {
            "elems": list(symbols),
            "charge": 0,
            "mult": 1,
            "geometry": geometries,
            "energies": [energy for energy, _ in found],
            "gradients": [gradient for _, gradient in found],
            "params": {**keywords, "iteration": n},
        }
        following, after = nextchain(dict(info))
        if following is None:
            return info["energies"], geometries, n
        geometries, info = following, after
    raise AssertionError("the chain was never finished")


def optimized_directly(
    symbols: Sequence[str], geometry: Any, potential: Potential, hessian: Any = None
) -> tuple[float, list[float]]:
    """Energy and geometry, flat, that geomeTRIC's optimizer ends with, starting here: in a minimum or, given a Hessian,
    in a saddle point."""
    from geometric.engine import Engine
    from geometric.internal import DelocalizedInternalCoordinates
    from geometric.molecule import Molecule
    from geometric.nifty import bohr2ang
    from geometric.optimize import Optimize
    from geometric.params import OptParams

    molecule = Molecule()
    molecule.elem = list(symbols)
    molecule.xyzs = [np.reshape(geometry, (-1, 3)) * bohr2ang]
    molecule.charge, molecule.mult = 0, 1
    molecule.build_topology()

    class Direct(Engine):  # type: ignore[misc]
        def calc_new(self, coords: Any, dirname: str) -> dict[str, Any]:
            energy, gradient = potential(symbols, coords)
            return {"energy": energy, "gradient": np.array(gradient)}

    start = np.array(geometry, dtype=float).ravel()
    coordinates = DelocalizedInternalCoordinates(molecule, build=True, connect=False, addcart=False)
    options = {} if hessian is None else {"transition": True, "hess_data": hessian.tolist()}
    with tempfile.TemporaryDirectory() as folder:
        params = OptParams(**options, xyzout=f"{folder}/steps_optim.xyz")
        done = Optimize(start, molecule, coordinates, Direct(molecule), folder, params)
    return float(done.qm_energies[-1]), [float(x) for x in (done.xyzs[-1] / bohr2ang).ravel()]
