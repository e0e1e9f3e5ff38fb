"""Records as results of QCSchema, version 1 (loads qcelemental)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from qcelemental.models import AtomicResult, AtomicResultProperties, OptimizationResult, WavefunctionProperties

from qchive.status import RecordStatusEnum

if TYPE_CHECKING:
    from qchive.client.records import BaseRecord
    from qchive.client.tasks import OptimizationRecord, SinglepointRecord

_KNOWN = set(AtomicResultProperties.__fields__)


def atomic_result(record: SinglepointRecord) -> AtomicResult:
    """A single point; properties that the schema does not know are in `extras["extra_properties"]`."""
    spec = record.specification
    properties = record.properties or {}
    extra = {k: v for k, v in properties.items() if k not in _KNOWN and k != "return_result"}
    return AtomicResult(
        **_common(record, extra_properties=extra),
        molecule=record.molecule,
        driver=spec.driver.value,
        model={"method": spec.method, "basis": spec.basis},
        properties={k: v for k, v in properties.items() if k in _KNOWN},
        return_result=record.return_result,
        wavefunction=record.wavefunction,
        native_files={name: file.data for name, file in record.native_files.items()},
    )


def optimization_result(record: OptimizationRecord) -> OptimizationResult:
    """An optimization with all its steps."""
    inner = record.specification.qc_specification
    common = _common(record)
    common["keywords"] = {**common["keywords"], "program": inner.program}
    return OptimizationResult(
        **common,
        input_specification={"driver": "gradient", "model": {"method": inner.method, "basis": inner.basis}}
        | {"keywords": inner.keywords},
        initial_molecule=record.initial_molecule,
        final_molecule=record.final_molecule,
        trajectory=[atomic_result(step) for step in record.trajectory],
        energies=record.energies,
    )


def wavefunction(stored: dict[str, Any]) -> WavefunctionProperties:
    """A stored wavefunction as the schema has it."""
    basis = stored.get("basis") or {}
    # Writers name the schema of the basis differently, and each reader takes its own name only.
    unnamed = {k: v for k, v in basis.items() if k not in ("schema_name", "schema_version")}
    return WavefunctionProperties(**{**stored, "basis": unnamed})


def _common(record: BaseRecord, **extras: Any) -> dict[str, Any]:
    if record.status != RecordStatusEnum.complete:
        raise RuntimeError(f"record {record.id} is {record.status.value}: only complete records have a result")
    provenance = record.provenance
    return {
        "id": str(record.id),
        "keywords": record.specification.keywords,
        "protocols": msgspec.to_builtins(record.specification.protocols),
        "extras": {**record.extras, **extras, "_qcfractal_modified_on": record.modified_on},
        "provenance": vars(provenance) if provenance else {"creator": "unknown"},
        "stdout": record.stdout,
        "stderr": record.stderr,
        "success": True,
    }
