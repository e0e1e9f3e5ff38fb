"""A compute manager for tests, over plain HTTP: it claims, and returns results made by hand."""

from __future__ import annotations

import uuid
from typing import Any

import zstandard
from msgspec import msgpack

from qchive.api import managers, tasks
from qchive.api.metadata import TaskReturnMetadata
from qchive.api.tasks import RecordTask
from qchive.client.connection import Connection
from qchive.wire import Bytes

PROGRAMS = {"qcengine": ["0.1"], "psi4": ["1.9"], "geometric": ["1.1"]}
PROVENANCE = {"creator": "psi4", "version": "1.9", "routine": "run", "wall_time": 1.5, "nthreads": 2}
GRADIENT = [0.0, 0.0, 0.25, 0.0, 0.0, -0.25]


class Manager:
    """Runs everything by inventing its result."""

    def __init__(self, connection: Connection, tags: tuple[str, ...] = ("*",)) -> None:
        self._connection = connection
        self.name_data = {"cluster": "tests", "hostname": "here", "uuid": str(uuid.uuid4())}
        self.name = "-".join(self.name_data.values())
        self._tags = list(tags)
        body = self._offer() | {"manager_version": "0.71", "username": None}
        connection.ask(managers.ACTIVATE, body=body)

    def _offer(self) -> dict[str, Any]:
        return {"name_data": self.name_data, "programs": PROGRAMS, "compute_tags": self._tags}

    def claim(self, limit: int = 50) -> list[RecordTask]:
        found: list[RecordTask] = self._connection.ask(tasks.CLAIM, body=self._offer() | {"limit": limit})
        return found

    def give_back(self, results: dict[int, dict[str, Any]]) -> TaskReturnMetadata:
        packed = {task: Bytes(zstandard.compress(msgpack.encode(result))) for task, result in results.items()}
        body = tasks.Return(name_data=managers.ManagerName(**self.name_data), results_compressed=packed)
        answer: TaskReturnMetadata = self._connection.ask(tasks.RETURN, body=body)
        return answer

    def run_all(self) -> TaskReturnMetadata:
        return self.give_back({task.id: finished(task) for task in self.claim()})

    def fail_all(self) -> TaskReturnMetadata:
        return self.give_back({task.id: failed() for task in self.claim()})


def finished(task: RecordTask) -> dict[str, Any]:
    """A result for whatever the task asks."""
    kwargs = task.function_kwargs
    assert kwargs is not None
    given = kwargs["input_data"]
    return optimization(given) if "initial_molecule" in given else singlepoint(given)


def singlepoint(given: dict[str, Any], energy: float = -1.0, **more: Any) -> dict[str, Any]:
    result = {
        **{k: given[k] for k in ("molecule", "driver", "model", "keywords")},
        "protocols": given.get("protocols", {}),
        "id": given.get("id"),
        "schema_name": "qcschema_output",
        "schema_version": 1,
        "provenance": PROVENANCE,
        "properties": {"return_energy": energy, "scf_iterations": 7},
        "extras": {"qcvars": {"SCF TOTAL ENERGY": energy}, "mine": [1, 2]},
        "return_result": GRADIENT if given["driver"] == "gradient" else energy,
        "stdout": "all is well\n",
        "native_files": {"input": "molecule h2"},
        "success": True,
    }
    if given.get("protocols", {}).get("wavefunction", "none") != "none":
        result["wavefunction"] = WAVEFUNCTION
    return result | more


def optimization(given: dict[str, Any]) -> dict[str, Any]:
    inner = given["input_specification"]
    first = given["initial_molecule"]
    last = {**first, "geometry": [*first["geometry"][:-1], 1.5], "identifiers": None}
    last = {k: v for k, v in last.items() if v is not None and k != "id"}
    model = {"model": inner["model"], "keywords": inner["keywords"], "driver": "gradient"}
    steps = [singlepoint({**model, "molecule": m}, e) for m, e in ((first, -1.0), (last, -1.1))]
    for step in steps:
        del step["native_files"]
    return {
        **{k: given[k] for k in ("keywords", "protocols", "input_specification", "initial_molecule")},
        "id": given.get("id"),
        "schema_name": "qcschema_optimization_output",
        "schema_version": 1,
        "provenance": {"creator": "geometric", "version": "1.1", "routine": "optimize"},
        "extras": {},
        "final_molecule": last,
        "trajectory": steps,
        "energies": [-1.0, -1.1],
        "stdout": "converged\n",
        "success": True,
    }


def failed() -> dict[str, Any]:
    return {
        "input_data": {"stdout": "half way"},
        "success": False,
        "error": {"error_type": "convergence_error", "error_message": "SCF did not converge"},
    }


WAVEFUNCTION = {
    "basis": {
        "name": "one s function",
        "center_data": {
            "h": {
                "electron_shells": [
                    {
                        "angular_momentum": [0],
                        "harmonic_type": "spherical",
                        "exponents": [1.0],
                        "coefficients": [[1.0]],
                    }
                ]
            }
        },
        "atom_map": ["h", "h"],
        "nbf": 2,
    },
    "restricted": True,
    "scf_eigenvalues_a": [-0.5, 0.5],
    "eigenvalues_a": "scf_eigenvalues_a",
}
