"""Optimizations by geomeTRIC with tblite, both called as their own documentation says: no QCEngine, nothing of ours."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from typing import Any

import geometric
import numpy as np
from geometric.engine import Engine
from geometric.internal import DelocalizedInternalCoordinates
from geometric.nifty import ang2bohr, bohr2ang
from geometric.optimize import OptParams
from geometric.prepare import parse_constraints
from qcelemental import periodictable
from tblite.interface import Calculator

from qchive.kinds.kind import Molecule


class Gfn2(Engine):  # type: ignore[misc]
    """Energies and gradients."""

    def calc_new(self, coords: Any, dirname: str) -> dict[str, Any]:
        numbers = np.array([periodictable.to_Z(symbol) for symbol in self.M.elem])
        calculator = Calculator("GFN2-xTB", numbers, coords.reshape(-1, 3))
        calculator.set("verbosity", 0)
        result = calculator.singlepoint()
        return {"energy": float(result["energy"]), "gradient": np.array(result["gradient"]).ravel()}


def optimized_directly(molecule: Molecule, constraints: Sequence[dict[str, Any]] = ()) -> tuple[float, list[float]]:
    """Energy in Hartree and geometry in Bohr. Constraints as on the wire: in Bohr or degrees, atoms from 0."""
    logging.getLogger("geometric").setLevel(logging.ERROR)
    m = geometric.molecule.Molecule()
    m.elem = list(molecule["symbols"])
    m.xyzs = [np.reshape(molecule["geometry"], (-1, 3)) * bohr2ang]
    m.build_topology()
    lines = ["$set"]
    for c in constraints:
        value = c["value"] * bohr2ang if c["type"] == "distance" else c["value"]
        lines.append(" ".join([c["type"], *(str(i + 1) for i in c["indices"]), str(value)]))
    objects, values = parse_constraints(m, "\n".join(lines)) if constraints else (None, [None])
    coords = m.xyzs[0].ravel() * ang2bohr
    internal = DelocalizedInternalCoordinates(
        m, build=True, connect=False, addcart=False, constraints=objects, cvals=values[0]
    )
    with tempfile.TemporaryDirectory() as folder:
        params = OptParams(xyzout=f"{folder}/path.xyz")
        path = geometric.optimize.Optimize(coords, m, internal, Gfn2(m), folder, params)
    return float(path.qm_energies[-1]), (path.xyzs[-1] * ang2bohr).ravel().tolist()
