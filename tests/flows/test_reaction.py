"""Reactions, planned without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.flows.driving import drive

from qchive.kinds.flow import Request
from qchive.kinds.kind import InputRefused, Molecule
from qchive.kinds.reaction import reaction

QC = {"program": "toy", "driver": "energy", "method": "m", "basis": None}
OPT = {"program": "geometric", "qc_specification": QC}


def atom(symbol: str) -> dict[str, Any]:
    return {"symbols": [symbol], "geometry": [0.0, 0.0, 0.0]}


ENERGIES = {"He": -2.0, "Ne": -128.0, "Ar": -527.0}


def compute(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
    (molecule,) = molecules
    energy = ENERGIES[molecule["symbols"][0]]
    if request.kind == "optimization":
        return {"energy": energy - 0.5, "molecule": {**molecule, "geometry": [1.0, 0.0, 0.0]}}
    return {"energy": energy - 10 * molecule["geometry"][0]}


@pytest.mark.parametrize(
    ("spec", "total"),
    [
        ({"singlepoint_specification": QC}, 2 * -2.0 - -128.0),
        ({"optimization_specification": OPT}, 2 * -2.5 - -128.5),
        ({"singlepoint_specification": QC, "optimization_specification": OPT}, 2 * -12.0 - -138.0),
    ],
)
def test_each_component_is_computed_and_counted(spec: dict[str, Any], total: float) -> None:
    driven = drive(reaction, spec, [(2.0, atom("He")), (-1.0, atom("Ne"))], compute)
    assert driven.done.fields["total_energy"] == pytest.approx(total)
    assert len(driven.batches) == len(spec)


def test_single_points_are_at_the_geometry_of_their_own_component() -> None:
    spec = {"singlepoint_specification": QC, "optimization_specification": OPT}
    driven = drive(reaction, spec, [(1.0, atom(s)) for s in ENERGIES], compute)
    symbols = [driven.molecules[r.parts[0].molecule]["symbols"] for r in driven.batches[1].requests]  # type: ignore[index]
    assert symbols == [driven.molecules[r.parts[0].molecule]["symbols"] for r in driven.batches[0].requests]  # type: ignore[index]


def test_a_molecule_named_twice_counts_once() -> None:
    driven = drive(reaction, {"singlepoint_specification": QC}, [(2.0, atom("He")), (-0.5, atom("He"))], compute)
    assert len(driven.batches[0].requests) == 1
    assert driven.done.fields["total_energy"] == pytest.approx(-3.0)


def test_a_reaction_of_nothing_is_refused() -> None:
    with pytest.raises(InputRefused, match="at least one molecule"):
        drive(reaction, {"singlepoint_specification": QC}, [], compute)
