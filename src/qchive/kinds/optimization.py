"""Geometry optimizations: a starting molecule, an optimizer, the computation behind each step (`records.md` §7.2)."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import msgspec

from qchive.kinds import result as returned
from qchive.kinds.kind import (
    FINAL_MOLECULE,
    Child,
    ChildRole,
    Facets,
    Kind,
    Outcome,
    Part,
    ResultRefused,
    Task,
    TaskInput,
    one_molecule,
)
from qchive.kinds.singlepoint import (
    HYDROGEN,
    Name,
    QCSpecification,
    SinglepointDriver,
    SinglepointProtocols,
    singlepoint_outcome,
)


class TrajectoryProtocol(StrEnum):
    """Which steps of the path are kept."""

    all = "all"
    initial_and_final = "initial_and_final"
    final = "final"
    none = "none"


class OptimizationProtocols(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """What is kept of an optimization beyond its last geometry."""

    trajectory: TrajectoryProtocol = TrajectoryProtocol.all
    """Which steps of the path are kept, each as a record of its own."""


class InnerSpecification(QCSpecification, kw_only=True):
    """The computation behind each step. The optimizer decides the driver, so it is always `deferred`, and its
    protocols do not reach the program, so they are always the defaults."""

    driver: SinglepointDriver = SinglepointDriver.deferred
    """Always `deferred`: the optimizer decides."""

    def __post_init__(self) -> None:
        QCSpecification.__post_init__(self)
        self.driver = SinglepointDriver.deferred
        self.protocols = SinglepointProtocols()


class OptimizationSpecification(msgspec.Struct, forbid_unknown_fields=True):
    """Optimizer, its keywords and protocols, and the computation behind each step."""

    program: Name
    """The optimizer, by QCEngine's name; kept in lower case."""
    qc_specification: InnerSpecification
    """The computation behind each step."""
    keywords: dict[str, Any] | None = None
    """Whatever else the optimizer is told, by its own names."""
    protocols: OptimizationProtocols | None = None
    """What is kept beyond the last geometry."""

    def __post_init__(self) -> None:
        self.program = self.program.lower()
        self.keywords = self.keywords or {}
        self.protocols = self.protocols or OptimizationProtocols()


def _facets(spec: OptimizationSpecification) -> Facets:
    inner = spec.qc_specification
    return Facets(spec.program, None, inner.method, inner.basis, inner.program, spec.keywords)


def _task(given: TaskInput) -> Task:
    spec = given.specification
    inner = spec["qc_specification"]
    return Task(
        "qcengine.compute_procedure",
        {
            "input_data": {
                "schema_name": "qcschema_optimization_input",
                "schema_version": 1,
                "id": str(given.record_id),
                "input_specification": {
                    "schema_name": "qcschema_input",
                    "schema_version": 1,
                    "driver": "gradient",
                    "model": {"method": inner["method"], "basis": inner["basis"]},
                    "keywords": inner["keywords"],
                },
                "initial_molecule": given.molecules["initial_molecule"][0],
                "keywords": {**spec["keywords"], "program": inner["program"]},
                "protocols": spec["protocols"],
                "extras": given.extras,
            },
            "procedure": spec["program"],
        },
    )


SCHEMA = "qcschema_optimization_output"


def _outcome(packed: bytes) -> Outcome:
    result = returned.success(packed, returned.OptimizationResult, SCHEMA)
    if result.final_molecule is None:
        raise ResultRefused("An optimization that succeeded has a final_molecule, this one has none")
    if not all(map(math.isfinite, result.energies)):
        raise ResultRefused("An energy of the optimization is no number")
    return returned.outcome(
        result,
        fields={"energies": result.energies},
        molecules=(Part(FINAL_MOLECULE, result.final_molecule),),
        children=tuple(_step(i, step) for i, step in enumerate(result.trajectory)),
    )


def _step(position: int, step: returned.AtomicResult) -> Child:
    try:
        specification = msgspec.convert(
            {
                "program": step.provenance.get("creator"),
                "driver": step.driver,
                "method": step.model.method,
                "basis": step.model.basis,
                "keywords": step.keywords,
                "protocols": step.protocols,
            },
            QCSpecification,
        )
    except msgspec.ValidationError as e:
        raise ResultRefused(f"Step {position} of the trajectory makes no sense: {e}") from e
    parts = (Part("molecule", step.molecule),)
    return Child("trajectory", position, "singlepoint", specification, parts, singlepoint_outcome(step))


def _programs(spec: OptimizationSpecification) -> tuple[str, ...]:
    return (spec.program, spec.qc_specification.program, "qcengine")


optimization = Kind(
    name="optimization",
    specification=OptimizationSpecification,
    inputs=one_molecule("initial_molecules", "initial_molecule"),
    facets=_facets,
    filters={"program": "program", "qc_program": "qc_program", "qc_method": "method", "qc_basis": "basis"},
    programs=_programs,
    task=_task,
    outcome=_outcome,
    molecules=("initial_molecule", FINAL_MOLECULE),
    schema=SCHEMA,
    fields={"energies": None},
    children=(ChildRole("trajectory", "trajectory_ids", "singlepoint"),),
    example={
        "specification": {
            "program": "geometric",
            "qc_specification": {"program": "tblite", "method": "gfn2-xtb", "basis": None},
        },
        "initial_molecules": [HYDROGEN],
    },
)
