"""Composite records whose children a test computes at once: hydrogen peroxide that turns and stretches, helium, and a
chain of three atoms."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from tests.archive import Archive
from tests.factories import SPEC, Http, Manager, optimization, singlepoint, unpacked
from tests.ticking import tick

OPTIMIZER: dict[str, Any] = {"program": "geometric", "qc_specification": {k: SPEC[k] for k in SPEC if k != "driver"}}
GRADIENT = {**SPEC, "driver": "gradient"}
DIHEDRAL = (0, 1, 2, 3)

Given = dict[str, Any]


def peroxide(dihedral: float = 115.0, distance: float = 2.75) -> Given:
    """Hydrogen peroxide with this dihedral angle (degrees) and O–O distance (Bohr)."""
    angle, length, turn = math.radians(100.0), 1.83, math.radians(dihedral)
    out, along = length * math.sin(angle), length * math.cos(angle)
    first = [out, 0.0, along]
    last = [out * math.cos(turn), out * math.sin(turn), distance - along]
    geometry = [*first, 0.0, 0.0, 0.0, 0.0, 0.0, distance, *last]
    return {"symbols": ["H", "O", "O", "H"], "geometry": [round(x, 10) + 0.0 for x in geometry]}


def energy(dihedral: float, distance: float = 2.75) -> float:
    """Of hydrogen peroxide in Hartree, as we have it: lowest at 120° and 2.75 Bohr."""
    turn = math.radians(dihedral)
    well = 0.5 * (math.cos(turn) + 0.5) ** 2 + 0.05 * (1 - math.sin(turn))
    return -150.0 + 0.012 * well + 0.1 * (distance - 2.75) ** 2


def optimized(given: Given) -> Given:
    """The result of an optimization: hydrogen peroxide goes where its constraints are, everything else stays."""
    start = given["initial_molecule"]
    if list(start["symbols"]) != ["H", "O", "O", "H"]:
        return optimization(given, steps=2)
    held = {c["type"]: c["value"] for c in given["keywords"].get("constraints", {}).get("set", [])}
    at = {"dihedral": held.get("dihedral", 115.0), "distance": held.get("distance", 2.75)}
    final = {**start, **peroxide(**at)}
    end = energy(**at)
    path = [end + 0.02, end + 0.004, end]
    return optimization(given, steps=3, final_molecule={k: v for k, v in final.items() if k != "id"}, energies=path)


def computed(given: Given) -> Given:
    """The result of a single point: three carbon atoms move in a double well, everything else is worth -2.5 Hartree."""
    result = singlepoint(given)
    molecule = given["molecule"]
    if list(molecule["symbols"]) == ["C", "C", "C"] and given["driver"] == "gradient":
        value, slope = import_module("tests.flows.bands").double_well(molecule["symbols"], molecule["geometry"])
        result["properties"]["return_energy"] = value
        result["return_result"] = slope
    return result


def answered(task: Given) -> Given:
    """The result of a task, of whatever kind."""
    kwargs = unpacked(task["function_kwargs_compressed"])
    if "input_data" not in kwargs:
        from geometric import qcf_neb

        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            results = qcf_neb.nextchain(**kwargs)
        return {
            "schema_name": "qca_generic_task_result",
            "success": True,
            "id": str(task["id"]),
            "results": results,
            "stdout": said.getvalue(),
            "provenance": {"creator": "geometric", "version": "1.1"},
        }
    given = kwargs["input_data"]
    return optimized(given) if "initial_molecule" in given else computed(given)


def run(archive: Archive, api: Http, rounds: int | None = None, answer: Callable[[Given], Any] = answered) -> None:
    """Compute what composite records ask for, until they have ended or for so many rounds."""
    manager = Manager(api)
    while rounds is None or rounds > 0:
        tick(archive.conninfo)
        tasks = manager.claim(200)
        if not tasks:
            return
        told = manager.give({task["id"]: answer(task) for task in tasks})
        assert told["rejected_info"] == [], told
        rounds = None if rounds is None else rounds - 1
    tick(archive.conninfo)


# --- records ------------------------------------------------------------------------------------------------------


def torsion_scan(client: Any, spacing: Sequence[int] = (60,), **keywords: Any) -> int:
    """The id of a torsion drive of hydrogen peroxide."""
    dihedrals = [DIHEDRAL, (3, 2, 1, 0)][: len(spacing)]
    told = {"dihedrals": dihedrals, "grid_spacing": list(spacing), **keywords}
    return _only(client.add_torsiondrives([[peroxide()]], "torsiondrive", OPTIMIZER, told))


def grid_scan(client: Any, *scans: Given, preoptimization: bool = True) -> int:
    """The id of a grid optimization of hydrogen peroxide."""
    keywords = {"scans": list(scans), "preoptimization": preoptimization}
    return _only(client.add_gridoptimizations(peroxide(), "gridoptimization", OPTIMIZER, keywords))


def stretch(*steps: float, step_type: str = "absolute") -> Given:
    """A scan of its O–O distance, in Bohr."""
    return {"type": "distance", "indices": [1, 2], "steps": list(steps), "step_type": step_type}


def turn(*steps: float) -> Given:
    """A scan of its dihedral angle, in degrees."""
    return {"type": "dihedral", "indices": list(DIHEDRAL), "steps": list(steps), "step_type": "absolute"}


def band(client: Any, **keywords: Any) -> int:
    """The id of a nudged elastic band over the double well."""
    chain = import_module("tests.flows.bands").across_the_well(7)
    told = {"images": 7, "maximum_cycle": 30, **keywords}
    return _only(client.add_nebs([chain], "geometric", GRADIENT, None, told))


def _only(answer: Any) -> int:
    meta, (record_id,) = answer
    assert meta.success, meta.error_string
    return int(record_id)
