"""What is computed: molecules that are all different, and what programs would return for them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
from qcportal.compression import CompressionEnum, compress
from qcportal.molecules import Molecule

ETHANOL = ["C", "C", "O", "H", "H", "H", "H", "H", "H"]
GEOMETRY = np.array(
    [
        [-2.2075, -0.3402, 0.0008], [0.3036, 1.0563, -0.0010], [2.3186, -0.7590, 0.0009],
        [-2.3527, -1.5330, 1.6724], [-2.3570, -1.5277, -1.6741], [-3.7793, 0.9818, 0.0047],
        [0.4576, 2.2586, 1.6825], [0.4602, 2.2546, -1.6872], [3.9170, 0.1016, -0.0003],
    ]
)  # fmt: skip
VARIANTS = 16


def molecules(n: int) -> list[Molecule]:
    """Distorted ethanol, `n` times, never twice the same."""
    rng = np.random.default_rng()
    return [
        Molecule(symbols=ETHANOL, geometry=GEOMETRY + rng.normal(scale=0.05, size=GEOMETRY.shape)) for _ in range(n)
    ]


def output(size: int, seed: int) -> str:
    """Text as programs write it, words and numbers, so that it compresses as such text does."""
    numbers = random.Random(seed)
    lines: list[str] = []
    length = 0
    while length < size:
        if len(lines) % 9 == 0:
            line = (
                f"   @DF-RKS iter {len(lines):3d}: {-155 + numbers.random():20.14f}   "
                f"{numbers.random() * 1e-3:12.5e}   {numbers.random() * 1e-4:11.5e} DIIS"
            )
        else:
            line = f"    {numbers.choice('CHO'):2s}" + "".join(f" {numbers.uniform(-5, 5):18.12f}" for _ in range(4))
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines)[:size]


class Results:
    """Makes what a compute manager sends back: QCSchema 1, outputs compressed beforehand, msgpack and zstd around."""

    def __init__(self, output_bytes: int, steps: int = 5) -> None:
        self._steps = steps
        self._rng = np.random.default_rng()
        self._made = 0
        self._outputs = []
        for seed in range(VARIANTS):
            data, kind, level = compress(output(output_bytes, seed), CompressionEnum.zstd)
            text = {"compression_type": kind.value, "compression_level": level, "data": data}
            self._outputs.append({"stdout": text})

    def of(self, task: Any) -> bytes:
        """The result of a claimed task."""
        given = task.function_kwargs["input_data"]
        result = self._optimization(given) if "initial_molecule" in given else self._atomic(given)
        # Level 1, where managers take 16: the client's cost is not what is measured.
        return bytes(compress(result, CompressionEnum.zstd, 1)[0])

    def failed(self) -> bytes:
        """A failure, of whatever task."""
        error = {"error_type": "unknown_error", "error_message": "SCF did not converge"}
        return bytes(compress({"success": False, "error": error, "input_data": None}, CompressionEnum.zstd, 1)[0])

    def _output(self) -> dict[str, Any]:
        self._made += 1
        return {"_qcfractal_compressed_outputs": self._outputs[self._made % VARIANTS]}

    def _atomic(self, given: Mapping[str, Any]) -> dict[str, Any]:
        energy = -155.0 + float(self._rng.random())
        gradient = [float(x) for x in self._rng.normal(scale=0.01, size=3 * len(given["molecule"]["symbols"]))]
        variables = {f"qcvar number {i}": float(x) for i, x in enumerate(self._rng.normal(size=24))}
        return {
            **given,
            "schema_name": "qcschema_output",
            "extras": {**(given.get("extras") or {}), "qcvars": variables, **self._output()},
            "provenance": _provenance("Psi4", "1.9.1"),
            "properties": {
                "calcinfo_nbasis": 57, "calcinfo_nmo": 57, "calcinfo_nalpha": 13, "calcinfo_nbeta": 13,
                "calcinfo_natom": len(given["molecule"]["symbols"]), "nuclear_repulsion_energy": 81.7,
                "return_energy": energy, "scf_iterations": 9,
                "scf_one_electron_energy": 2.4 * energy, "scf_two_electron_energy": -0.9 * energy,
                "scf_total_energy": energy, "scf_xc_energy": -24.1, "scf_dipole_moment": [0.1, -0.63, 0.02],
                "return_gradient": gradient,
            },
            "wavefunction": None, "return_result": gradient, "stdout": None, "stderr": None, "native_files": {},
            "success": True, "error": None,
        }  # fmt: skip

    def _optimization(self, given: Mapping[str, Any]) -> dict[str, Any]:
        molecule = {k: v for k, v in given["initial_molecule"].items() if k not in ("id", "identifiers")}
        asked = given["input_specification"]
        trajectory = []
        for _ in range(self._steps):
            moved = np.array(molecule["geometry"]).ravel()
            moved = moved + self._rng.normal(scale=0.01, size=moved.size)
            molecule = {**molecule, "geometry": [round(float(x), 8) for x in moved]}
            step = {"schema_version": 1, "molecule": molecule, "driver": "gradient", "model": asked["model"]}
            step |= {"keywords": asked.get("keywords", {}), "protocols": {}, "extras": {}}
            done = self._atomic(step)
            done["provenance"]["creator"] = given["keywords"]["program"]
            trajectory.append(done)
        return {
            **given,
            "schema_name": "qcschema_optimization_output",
            "final_molecule": molecule,
            "trajectory": trajectory,
            "energies": [step["properties"]["return_energy"] for step in trajectory],
            "extras": self._output(),
            "provenance": _provenance("geomeTRIC", "1.1.1"),
            "stdout": None, "stderr": None, "success": True, "error": None,
        }  # fmt: skip


def _provenance(creator: str, version: str) -> dict[str, Any]:
    return {
        "creator": creator, "version": version, "routine": "bench", "cpu": "bench", "hostname": "bench",
        "username": "bench", "qcengine_version": "0.52.0", "nthreads": 1, "memory": 2.0, "wall_time": 1.5,
    }  # fmt: skip
