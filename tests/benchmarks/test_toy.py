"""Made-up optimizations hold what they are told to hold, as the server measures it."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.toy import dihedral, peroxides, turned

from qchive.kinds.constrained import apart, measured


@pytest.mark.parametrize("degrees", [-165, -90, 0, 15, 120, 180])
def test_a_molecule_is_turned_to_the_angle_that_is_held(degrees: int) -> None:
    (molecule,) = peroxides(1)
    points = np.asarray(molecule.geometry)
    assert apart(dihedral(points), measured({"geometry": points}, (0, 1, 2, 3))) < 1e-6
    moved = turned(points, degrees)
    assert apart(measured({"geometry": moved}, (0, 1, 2, 3)), degrees) < 1e-6
    np.testing.assert_allclose(moved[:3], points[:3])
    np.testing.assert_allclose(np.linalg.norm(moved[3] - moved[2]), np.linalg.norm(points[3] - points[2]))
