"""Composite records whose children a test computes at once: hydrogen peroxide that turns and stretches, helium, and a
chain of three atoms."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from qchive.client.given import plain
from tests.archive import Archive
from tests.factories import SPEC, Http, Manager, optimization, singlepoint, unpacked
from tests.ticking import tick

OPTIMIZER: dict[str, Any] = {"program": "geometric", "qc_specification": {k: SPEC[k] for k in SPEC if k != "driver"}}
GRADIENT = {**SPEC, "driver": "gradient"}
DIHEDRAL = (0, 1, 2, 3)

Given = dict[str, Any]


def peroxide(dihedral: float = 115.0, *others: float, distance: float = 2.75) -> Given:
    """Hydrogen peroxide with this dihedral angle (degrees) and O–O distance (Bohr); with one more angle trioxidane."""
    angles = (dihedral, *others)
    lengths = [1.83, distance, *[2.75 for _ in others], 1.83]
    at = [np.zeros(3), np.array([lengths[0], 0.0, 0.0])]
    for n, length in enumerate(lengths[1:]):
        turn = math.radians(angles[n - 1]) if n else 0.0
        before = at[-3] if n else np.array([0.0, 1.0, 0.0])
        along = (at[-1] - at[-2]) / np.linalg.norm(at[-1] - at[-2])
        out = np.cross(at[-2] - before, along)
        out /= np.linalg.norm(out)
        bend = math.radians(100.0)
        step = (-math.cos(bend), math.sin(bend) * math.cos(turn), math.sin(bend) * math.sin(turn))
        at.append(at[-1] + length * (step[0] * along + step[1] * np.cross(out, along) + step[2] * out))
    geometry = [round(float(x), 10) + 0.0 for atom in at for x in atom]
    return {"symbols": ["H", *["O"] * (len(at) - 2), "H"], "geometry": geometry}


def energy(*dihedrals: float, distance: float = 2.75) -> float:
    """Of hydrogen peroxide in Hartree, as we have it: lowest at 120° and 2.75 Bohr."""
    turns = [math.radians(dihedral) for dihedral in dihedrals]
    wells = sum(0.5 * (math.cos(t) + 0.5) ** 2 + 0.05 * (1 - math.sin(t)) for t in turns)
    return -150.0 + 0.012 * wells + 0.1 * (distance - 2.75) ** 2


def optimized(given: Given) -> Given:
    """The result of an optimization: hydrogen peroxide goes where its constraints are, everything else stays."""
    start = given["initial_molecule"]
    if list(start["symbols"]) == ["C", "C", "C"]:
        end = import_module("tests.flows.bands").double_well(start["symbols"], start["geometry"])[0]
        return optimization(given, steps=2, energies=[end, end - 0.002])
    if list(start["symbols"])[:3] != ["H", "O", "O"]:
        return optimization(given, steps=2)
    held = given["keywords"].get("constraints", {}).get("set", [])
    dihedrals = [c["value"] for c in held if c["type"] == "dihedral"] or [115.0] * (len(start["symbols"]) - 3)
    distance = next((c["value"] for c in held if c["type"] == "distance"), 2.75)
    final = {**start, **peroxide(*dihedrals, distance=distance)}
    end = energy(*dihedrals, distance=distance)
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
            "results": plain(results),
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
    """The id of a torsion drive of hydrogen peroxide, with two spacings of trioxidane."""
    dihedrals = [[n, n + 1, n + 2, n + 3] for n in range(len(spacing))]
    told = {"dihedrals": dihedrals, "grid_spacing": list(spacing), **keywords}
    start = peroxide(*[115.0] * len(spacing))
    return _only(client.add_torsiondrives([[start]], "torsiondrive", OPTIMIZER, told))


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
