"""QCSchema version 1, which travels, and version 2, which QCEngine computes with: plain dictionaries both ways.

QCElemental's own converters go through models that do not exist on every Python (version 1 needs `pydantic.v1`), and
cost more than a force-field energy. The layouts differ only in where things stand; the values are the same. Version 2
drops trajectories unless it is asked for them (version 1 keeps them), so they are always asked for explicitly.
"""

from __future__ import annotations

from typing import Any

Plain = dict[str, Any]

_TRAJECTORY = {"all": "all", "initial_and_final": "initial_and_final", "final": "final", "none": "none"}


def atomic_input(given: Plain, program: str) -> Plain:
    """A version-1 `qcschema_input` as version-2 `qcschema_atomic_input`."""
    return {
        "schema_name": "qcschema_atomic_input",
        "schema_version": 2,
        "id": given.get("id"),
        "molecule": _molecule_2(given["molecule"]),
        "specification": _atomic_specification(given, program),
    }


def optimization_input(given: Plain, procedure: str) -> Plain:
    """A version-1 `qcschema_optimization_input` as version 2; the program stands in its keywords."""
    keywords = dict(given.get("keywords") or {})
    program = keywords.pop("program", "")
    kept = (given.get("protocols") or {}).get("trajectory") or "all"
    return {
        "schema_name": "qcschema_optimization_input",
        "schema_version": 2,
        "id": given.get("id"),
        "initial_molecule": _molecule_2(given["initial_molecule"]),
        "specification": {
            "program": procedure,
            "keywords": keywords,
            "protocols": {"trajectory_results": _TRAJECTORY.get(kept, kept)},
            "extras": given.get("extras") or {},
            "specification": _atomic_specification(given["input_specification"], program),
        },
    }


def version_1(result: Plain) -> Plain:
    """A finished version-2 result (atomic or optimization) in the layout of version 1.

    Raises:
        ValueError: a result of another schema.
    """
    schema = result.get("schema_name")
    if schema == "qcschema_atomic_result":
        return _atomic_result(result)
    if schema == "qcschema_optimization_result":
        return _optimization_result(result)
    raise ValueError(f"QCEngine returned a {schema}, which no archive of this protocol stores")


def _atomic_specification(given: Plain, program: str) -> Plain:
    return {
        "program": program,
        "driver": given.get("driver", "gradient"),
        "model": given["model"],
        "keywords": given.get("keywords") or {},
        "protocols": given.get("protocols") or {},
        "extras": given.get("extras") or {},
    }


def _molecule_2(molecule: Plain) -> Plain:
    return {name: value for name, value in molecule.items() if name != "schema_version"}


def _molecule_1(molecule: Plain) -> Plain:
    identifiers = molecule.get("identifiers")
    if identifiers:
        identifiers = {name: value for name, value in identifiers.items() if value is not None}
        molecule = {**molecule, "identifiers": identifiers}
    return {**molecule, "schema_name": "qcschema_molecule", "schema_version": 2}


def _atomic_result(result: Plain) -> Plain:
    given = result["input_data"]["specification"]
    return {
        "schema_name": "qcschema_output",
        "schema_version": 1,
        "id": result.get("id") or result["input_data"].get("id"),
        "molecule": _molecule_1(result["molecule"]),
        "driver": given["driver"],
        "model": _model_1(given["model"]),
        "keywords": given["keywords"],
        "protocols": _without(given["protocols"], "schema_name"),
        "extras": {**given["extras"], **result["extras"]},
        "provenance": result["provenance"],
        "properties": _set(_without(result["properties"], "schema_name")),
        "wavefunction": _wavefunction_1(result.get("wavefunction")),
        "return_result": result["return_result"],
        "stdout": result.get("stdout"),
        "stderr": result.get("stderr"),
        "native_files": result.get("native_files") or {},
        "success": True,
        "error": None,
    }


def _optimization_result(result: Plain) -> Plain:
    given = result["input_data"]
    outer = given["specification"]
    inner = outer["specification"]
    return {
        "schema_name": "qcschema_optimization_output",
        "schema_version": 1,
        "id": result.get("id") or given.get("id"),
        "hash_index": None,
        "keywords": {**outer["keywords"], "program": inner["program"]},
        "extras": {**outer["extras"], **result["extras"]},
        "protocols": {"trajectory": outer["protocols"].get("trajectory_results", "none")},
        "input_specification": {
            "schema_name": "qcschema_input",
            "schema_version": 1,
            "driver": inner["driver"],
            "model": _model_1(inner["model"]),
            "keywords": inner["keywords"],
            "extras": _without(inner["extras"], "_qcengine_local_config"),
        },
        "initial_molecule": _molecule_1(given["initial_molecule"]),
        "final_molecule": _molecule_1(result["final_molecule"]),
        "trajectory": [_step(step, inner["program"]) for step in result.get("trajectory_results") or ()],
        "energies": [step["return_energy"] for step in result["trajectory_properties"]],
        "stdout": result.get("stdout"),
        "stderr": result.get("stderr"),
        "success": True,
        "provenance": result["provenance"],
        "error": None,
    }


def _step(step: Plain, program: str) -> Plain:
    """One step of a trajectory. Archives make its specification from `provenance.creator`, which has to be the name
    that QCEngine knows the program by; what the program calls itself is kept beside it."""
    atomic = _atomic_result(step)
    atomic["extras"] = _without(atomic["extras"], "_qcengine_local_config")
    creator = str(atomic["provenance"].get("creator", ""))
    if creator.lower() != program.lower():
        atomic["provenance"] = {**atomic["provenance"], "creator": program, "program_calls_itself": creator}
    return atomic


def _model_1(model: Plain) -> Plain:
    basis = model.get("basis")
    return {**model, "basis": _basis_1(basis) if isinstance(basis, dict) else basis}


def _wavefunction_1(wavefunction: Plain | None) -> Plain | None:
    if wavefunction is None:
        return None
    return {**_set(_without(wavefunction, "schema_name")), "basis": _basis_1(wavefunction["basis"])}


def _basis_1(basis: Plain) -> Plain:
    return {**basis, "schema_name": "qcschema_basis_set", "schema_version": 1}


def _without(given: Plain, name: str) -> Plain:
    return {key: value for key, value in given.items() if key != name}


def _set(given: Plain) -> Plain:
    return {key: value for key, value in given.items() if value is not None}
