"""Single points: one molecule, one program, one method (`records.md` §7.1)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from qchive.kinds import result as returned
from qchive.kinds.kind import Facets, Kind, Outcome, ResultRefused, Task, TaskInput, one_molecule

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00]*$", examples=["name"])]
"""Programs, methods: never empty, never longer than archives of this protocol store."""


class SinglepointDriver(StrEnum):
    """What is computed; `deferred` stands inside an optimization, whose procedure decides."""

    energy = "energy"
    gradient = "gradient"
    hessian = "hessian"
    properties = "properties"
    deferred = "deferred"


class WavefunctionProtocol(StrEnum):
    """How much of the wavefunction is kept."""

    all = "all"
    orbitals_and_eigenvalues = "orbitals_and_eigenvalues"
    occupations_and_eigenvalues = "occupations_and_eigenvalues"
    return_results = "return_results"
    none = "none"


class NativeFilesProtocol(StrEnum):
    """Which of the program's own files are kept."""

    all = "all"
    input = "input"
    none = "none"


class ErrorCorrection(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Which errors QCEngine may try to correct by itself."""

    default_policy: bool = True
    """Whether errors that `policies` does not name may be corrected."""
    policies: dict[str, bool] | None = None
    """Names of errors, and whether each may be corrected."""


class SinglepointProtocols(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What is kept of a single point beyond its properties; only what differs from the defaults travels."""

    wavefunction: WavefunctionProtocol = WavefunctionProtocol.none
    """How much of the wavefunction is kept."""
    stdout: bool = True
    """Whether the program's output is kept."""
    error_correction: ErrorCorrection | None = None
    """Which errors QCEngine may try to correct by itself."""
    native_files: NativeFilesProtocol = NativeFilesProtocol.none
    """Which of the program's own files are kept."""

    def __post_init__(self) -> None:
        policy = self.error_correction
        if policy is not None and not policy.policies:
            policy.policies = None
        if policy is not None and policy.default_policy and policy.policies is None:
            self.error_correction = None


class QCSpecification(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Program, driver, method, basis, keywords and protocols of one quantum-chemistry computation."""

    program: Name
    """What computes, by QCEngine's name; kept in lower case."""
    driver: SinglepointDriver
    """What is computed of the molecule."""
    method: Name
    """Level of theory, as the program calls it; kept in lower case."""
    basis: Annotated[str, Meta(max_length=100, pattern=r"^[^\x00]*$")] | None
    """Basis set, as the program calls it; kept in lower case. None, or empty text, where the method has none."""
    keywords: dict[str, Any] | None = None
    """Whatever else the program is told, by its own names."""
    protocols: SinglepointProtocols | None = None
    """What is kept beyond the properties."""

    def __post_init__(self) -> None:
        self.program = self.program.lower()
        self.method = self.method.lower()
        self.basis = self.basis.lower() or None if self.basis else None
        self.keywords = self.keywords or {}
        self.protocols = self.protocols or SinglepointProtocols()


def _facets(spec: QCSpecification) -> Facets:
    return Facets(spec.program, spec.driver.value, spec.method, spec.basis, spec.program, spec.keywords)


def _task(given: TaskInput) -> Task:
    spec = given.specification
    return Task(
        "qcengine.compute",
        {
            "input_data": {
                "schema_name": "qcschema_input",
                "schema_version": 1,
                "id": str(given.record_id),
                "driver": spec["driver"],
                "model": {"method": spec["method"], "basis": spec["basis"]},
                "molecule": given.molecules["molecule"][0],
                "keywords": spec["keywords"],
                "protocols": spec["protocols"],
                "extras": given.extras,
            },
            "program": spec["program"],
        },
    )


def singlepoint_outcome(result: returned.AtomicResult) -> Outcome:
    """What one finished single point writes.

    Raises:
        ResultRefused: a gradient or Hessian whose length does not fit the molecule.
    """
    _check_length(result)
    return returned.outcome(result, wavefunction=returned.wavefunction(result))


def _check_length(result: returned.AtomicResult) -> None:
    symbols = result.molecule.get("symbols")
    if result.driver not in ("gradient", "hessian") or not isinstance(symbols, list):
        return
    n = 3 * len(symbols)
    want = n if result.driver == "gradient" else n * n
    got = _count(result.return_result)
    if got != want:
        raise ResultRefused(f"A {result.driver} of {len(symbols)} atoms has {want} numbers, this one has {got}")


def _count(value: Any) -> int:
    if isinstance(value, list) and not any(isinstance(v, list | tuple) for v in value):
        return len(value)
    return sum(map(_count, value)) if isinstance(value, (list, tuple)) else 1


SCHEMA = "qcschema_output"


def _outcome(packed: bytes) -> Outcome:
    return singlepoint_outcome(returned.success(packed, returned.AtomicResult, SCHEMA))


HYDROGEN = {"symbols": ["H", "H"], "geometry": [0.0, 0.0, 0.0, 0.0, 0.0, 1.4]}
"""A molecule for examples; lengths in Bohr."""

singlepoint = Kind(
    name="singlepoint",
    specification=QCSpecification,
    inputs=one_molecule("molecules", "molecule"),
    facets=_facets,
    filters={"program": "program", "driver": "driver", "method": "method", "basis": "basis"},
    programs=lambda spec: (spec.program, "qcengine"),
    task=_task,
    outcome=_outcome,
    molecules=("molecule",),
    schema=SCHEMA,
    has_wavefunction=True,
    example={
        "specification": {"program": "pyscf", "driver": "energy", "method": "b3lyp-d3bj", "basis": "def2-svp"},
        "molecules": [HYDROGEN],
    },
)

__all__ = [
    "QCSpecification",
    "SinglepointDriver",
    "SinglepointProtocols",
    "WavefunctionProtocol",
    "singlepoint",
    "singlepoint_outcome",
]
