"""What `qchive demo` computes: small enough for a minute on two cores, real enough to compare with a textbook."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec


class Job(msgspec.Struct, frozen=True):
    """One computation of one of the molecules in `demo_molecules`."""

    name: str
    title: str
    kind: str
    specification: dict[str, Any]
    programs: frozenset[str]

    def molecule(self) -> dict[str, Any]:
        """The molecule as it is sent, with bonds where the program needs them."""
        from qchive.cli.submit import prepared
        from qchive.molecule import read_files

        name = f"{self.name}.xyz"
        content = files("qchive.cli").joinpath("demo_molecules", name).read_bytes()
        found, _ = read_files([(name, content)])
        ((_, stored),) = found[name]
        ((_, molecule),) = prepared([(name, msgspec.json.decode(stored.document))], self._program, None, None)
        return molecule

    @property
    def _program(self) -> str:
        inner: dict[str, Any] = self.specification.get("qc_specification", self.specification)
        return str(inner["program"])


def _optimization(name: str, title: str, program: str, method: str) -> Job:
    spec = {"program": "geometric", "qc_specification": {"program": program, "method": method, "basis": None}}
    return Job(name, title, "optimization", spec, frozenset(("geometric", program)))


def _single(
    name: str, title: str, program: str, method: str, basis: str | None, driver: str = "gradient", **keywords: Any
) -> Job:
    spec = {"program": program, "driver": driver, "method": method, "basis": basis, "keywords": keywords}
    return Job(name, title, "singlepoint", spec, frozenset((program,)))


JOBS = (
    _optimization("ethanol", "optimization, GFN2-xTB", "tblite", "gfn2-xtb"),
    *(
        _single(name, f"{label}/def2-SVP", "pyscf", method, "def2-svp")
        for method, label in (("hf", "HF"), ("mp2", "MP2"), ("b3lyp-d3bj", "B3LYP-D3(BJ)"))
        for name in ("water", "ammonia", "formaldehyde")
    ),
    _single("ethanol", "MMFF94 force field", "rdkit", "mmff94", None),
)

FAILING = _single("water", "HF/def2-SVP, max_cycle=2", "pyscf", "hf", "def2-svp", "energy", max_cycle=2)
"""Cannot converge in two cycles."""

REPAIRED = _single("water", "HF/def2-SVP, again", "pyscf", "hf", "def2-svp", "energy")
"""The same, given the cycles it needs."""
