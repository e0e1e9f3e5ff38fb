"""Words to write requests down with; `tests/interop/golden/replay.py` says what they mean."""

from __future__ import annotations

from typing import Any

Exchange = dict[str, Any]

PROGRAMS = {"qcengine": ["0.52"], "psi4": ["1.9"], "geometric": ["1.1"]}
HF = {"program": "psi4", "driver": "energy", "method": "hf", "basis": "sto-3g"}
OPT = {
    "program": "geometric",
    "qc_specification": {"program": "psi4", "driver": "deferred", "method": "hf", "basis": "sto-3g"},
}
KEEP = {"wavefunction": "all", "native_files": "all"}
ABSENT = 10**9


def ask(name: str, method: str, path: str, body: Any = ..., **more: Any) -> Exchange:
    """One request."""
    given = {} if body is ... else {"body": body}
    return {"name": name, "method": method, "path": path, **given, **more}


def get(name: str, path: str, **more: Any) -> Exchange:
    """A GET under the users' addresses."""
    return ask(name, "GET", f"/api/v1/{path}", **more)


def post(name: str, path: str, body: Any, **more: Any) -> Exchange:
    """A POST under the users' addresses."""
    return ask(name, "POST", f"/api/v1/{path}", body, **more)


def helium(x: float = 0.0, **more: Any) -> dict[str, Any]:
    """One atom, told from others by its place."""
    return {"symbols": ["He"], "geometry": [x, 0.0, 0.0], **more}


def add(name: str, molecule: Any, *names: str, kind: str = "singlepoint", spec: Any = None, **more: Any) -> Exchange:
    """Add records on one or several molecules; new ones get these names. An option of `...` is left out."""
    field = "molecules" if kind == "singlepoint" else "initial_molecules"
    molecules = molecule if isinstance(molecule, list) else [molecule]
    options = {"compute_tag": "*", "compute_priority": 1} | more
    spec = (HF if kind == "singlepoint" else OPT) if spec is None else spec
    body = {"specification": spec, field: molecules} | {k: v for k, v in options.items() if v is not ...}
    asked = post(name, f"records/{kind}/bulkCreate", body)
    return asked | {"ids": {"1.*": "record"}, "names": {"record": list(names)}}


def manager(cluster: str) -> dict[str, str]:
    """Who a manager is."""
    return {"cluster": cluster, "hostname": "here", "uuid": "1a"}


def name_of(cluster: str) -> str:
    """A manager's name."""
    return "-".join(manager(cluster).values())


def activate(cluster: str, tags: list[str], programs: Any = None, *, name: str | None = None, **more: Any) -> Exchange:
    """A manager announces itself."""
    body = {"name_data": manager(cluster), "programs": PROGRAMS if programs is None else programs}
    body |= {"compute_tags": tags, "manager_version": "0.71", "username": None, **more}
    asked = ask(name or f"{cluster} announces itself", "POST", "/compute/v1/managers", body)
    return asked | {"ids": {"": "manager"}, "names": {"manager": [cluster]}}


def claim(name: str, cluster: str, tags: list[str], *names: str, programs: Any = None, limit: int = 20) -> Exchange:
    """A manager claims; the tasks get these names. What they are given is looked at in `whole` alone."""
    body = {"name_data": manager(cluster), "programs": programs or PROGRAMS, "compute_tags": tags, "limit": limit}
    asked = ask(name, "POST", "/compute/v1/tasks/claim", body)
    return asked | {"ids": {"*.id": "task"}, "names": {"task": list(names)}, "masks": ["*.function_kwargs_compressed"]}


def whole(exchange: Exchange) -> Exchange:
    """The same, and all of the answer is looked at."""
    return {key: value for key, value in exchange.items() if key != "masks"}


def give_back(name: str, cluster: str, results: dict[str, Any], **more: Any) -> Exchange:
    """A manager returns results, by the names of the tasks."""
    packed = {
        f"<task {task}>": result if "$bytes" in result else {"$packed": result} for task, result in results.items()
    }
    body = {"name_data": manager(cluster), "results_compressed": packed, **more}
    return ask(name, "POST", "/compute/v1/tasks/return", body)


def heartbeat(name: str, cluster: str, status: str = "active", **more: Any) -> Exchange:
    """A manager shows that it lives, or leaves."""
    body = {"status": status, "active_tasks": 3, "active_cores": 12, "active_memory": 24.5, "total_cpu_hours": 1.75}
    return ask(name, "PATCH", f"/compute/v1/managers/{name_of(cluster)}", body | more)


def finished(molecule: dict[str, Any], record: str | None = None, energy: float = -1.5, **more: Any) -> dict[str, Any]:
    """A single point as a program would return it."""
    return {
        "schema_name": "qcschema_output",
        "schema_version": 1,
        "id": {"$text": f"<record {record}>"} if record else None,
        "molecule": molecule,
        "driver": "energy",
        "model": {"method": "hf", "basis": "sto-3g"},
        "keywords": {},
        "protocols": {},
        "provenance": {"creator": "psi4", "version": "1.9", "routine": "run", "wall_time": 1.5, "nthreads": 2},
        "properties": {"return_energy": energy, "scf_iterations": 7, "calcinfo_natom": 1},
        "extras": {"qcvars": {"SCF TOTAL ENERGY": energy, "Mine": [1, 2]}, "kept": {"deep": [1, 2.5, None]}},
        "return_result": energy,
        "stdout": "all is well\n",
        "success": True,
    } | more


def brief(molecule: dict[str, Any], record: str) -> dict[str, Any]:
    """A single point as a program would return it that has nothing to say."""
    whole = finished(molecule, record)
    return {key: whole[key] for key in ("schema_name", "molecule", "driver", "model", "return_result", "success")} | {
        "properties": {},
        "provenance": {"creator": "psi4"},
    }


def optimized(molecule: dict[str, Any], record: str) -> dict[str, Any]:
    """An optimization of two steps."""
    last = molecule | {"geometry": [molecule["geometry"][0] + 0.25, 0.0, 0.0]}
    gradient: dict[str, Any] = {"driver": "gradient", "return_result": [0.0, 0.0, 0.125]}
    steps = [finished(m, energy=e, **gradient) for m, e in ((molecule, -1.5), (last, -1.75))]
    return {
        "schema_name": "qcschema_optimization_output",
        "schema_version": 1,
        "id": {"$text": f"<record {record}>"},
        "keywords": {"program": "psi4"},
        "protocols": {},
        "input_specification": {"driver": "gradient", "model": {"method": "hf", "basis": "sto-3g"}, "keywords": {}},
        "initial_molecule": molecule,
        "final_molecule": last,
        "trajectory": steps,
        "energies": [-1.5, -1.75],
        "provenance": {"creator": "geometric", "version": "1.1", "routine": "optimize"},
        "extras": {"mine": 1},
        "stdout": "converged\n",
        "success": True,
    }


def failed(**more: Any) -> dict[str, Any]:
    """A failure."""
    error = {"error_type": "convergence_error", "error_message": "it did not converge", "extras": None}
    return {"success": False, "error": error, "input_data": {"stdout": "half way\n"}, **more}


WAVEFUNCTION = {
    "basis": {
        "name": "one",
        "center_data": {
            "he": {
                "electron_shells": [
                    {"angular_momentum": [0], "harmonic_type": "spherical", "exponents": [1.0], "coefficients": [[1.0]]}
                ]
            }
        },
        "atom_map": ["he"],
        "nbf": 1,
    },
    "restricted": True,
    "scf_eigenvalues_a": [-0.5],
    "eigenvalues_a": "scf_eigenvalues_a",
}
