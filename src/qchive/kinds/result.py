"""Results as compute managers return them: QCSchema version 1 in MessagePack (`managers-and-tasks.md` §9.1).

Decoded with plain structs, tolerant of keys we do not use: what matters is read, checked and stored; the echo of the
input is ignored.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from qchive.kinds.kind import Outcome, ResultRefused
from qchive.wire import Bytes, blob_as_served, compress, dec_hook, decompress

PACKED_PARTS = b"_qcfractal_compressed_"
"""How the names of extras begin that hold parts which the manager compressed by itself."""
_OUTPUTS = PACKED_PARTS.decode() + "outputs"
_NATIVE_FILES = PACKED_PARTS.decode() + "native_files"
_NESTED_FAILURE = "\n\n===== nested failure =====\n\n"
OUTPUT_TYPES = ("stdout", "stderr", "error")
BLOB_LIMIT = 1 << 30
"""Largest unpacked output, native file or wavefunction, in bytes."""

FILE_NAME = 255
"""Longest name of a native file, in characters."""

T = TypeVar("T")


class ComputeError(msgspec.Struct):
    """Why a computation failed."""

    error_type: str = "not_supplied"
    error_message: str = "no message was supplied"
    extras: Any = None


class Compressed(msgspec.Struct):
    """A part that the manager compressed by itself."""

    compression_type: str
    data: Bytes


class Model(msgspec.Struct):
    """Method and basis of one quantum-chemistry computation."""

    method: str
    basis: Any = None


class AtomicResult(msgspec.Struct):
    """One finished quantum-chemistry computation (QCSchema `qcschema_output`, version 1)."""

    molecule: dict[str, Any]
    driver: str
    model: Model
    provenance: dict[str, Any]
    properties: dict[str, Any]
    return_result: Any
    success: bool
    id: str | int | None = None
    keywords: dict[str, Any] = {}
    protocols: dict[str, Any] = {}
    extras: dict[str, Any] | None = None
    wavefunction: dict[str, Any] | None = None
    native_files: dict[str, Any] | None = None
    stdout: str | None = None
    stderr: str | None = None
    error: dict[str, Any] | None = None


class OptimizationResult(msgspec.Struct):
    """One finished geometry optimization (QCSchema `qcschema_optimization_output`, version 1)."""

    success: bool
    provenance: dict[str, Any]
    energies: list[float]
    trajectory: list[AtomicResult]
    final_molecule: dict[str, Any] | None = None
    id: str | int | None = None
    extras: dict[str, Any] | None = None
    stdout: str | None = None
    stderr: str | None = None
    error: dict[str, Any] | None = None


class GenericResult(msgspec.Struct):
    """What a function of a library returned, called by name (`qca_generic_task_result`)."""

    success: bool
    provenance: dict[str, Any]
    results: Any
    id: str | int | None = None
    extras: dict[str, Any] | None = None
    stdout: str | None = None
    stderr: str | None = None
    error: dict[str, Any] | None = None


class FailedOperation(msgspec.Struct):
    """A computation that failed."""

    error: ComputeError | None = None
    input_data: Any = None


class _Header(msgspec.Struct):
    schema_name: str | None = None
    success: Any = None


def _decode(packed: bytes, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(packed, type=kind, dec_hook=dec_hook, strict=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise ResultRefused(f"The result cannot be decoded: {e}") from e


def failure(packed: bytes) -> FailedOperation | None:
    """The failure that a returned result is, or None if it claims success.

    Raises:
        ResultRefused: it is neither.
    """
    header = _decode(packed, _Header)
    if header.schema_name in (None, "qcschema_failed_operation"):
        if header.success is False:
            return _decode(packed, FailedOperation)
        raise ResultRefused("The result cannot be decoded: neither a failure nor a known schema_name")
    if header.success is not True:
        raise ResultRefused("Returned success=False, but not a FailedOperation")
    return None


def schema_name(packed: bytes) -> str | None:
    """The schema that a returned result names."""
    return _decode(packed, _Header).schema_name


def success(packed: bytes, kind: type[T], schema_name: str) -> T:
    """A successful result of the schema that the record's kind wants."""
    header = _decode(packed, _Header)
    if header.schema_name != schema_name:
        raise ResultRefused(f"The result is a {header.schema_name}, but this record needs a {schema_name}")
    return _decode(packed, kind)


def failure_outputs(failed: FailedOperation) -> dict[str, tuple[str, bytes]]:
    """What a failure leaves to read: its error, and the stdout and stderr of the innermost programs too."""
    error = failed.error or ComputeError()
    outputs = {"error": compress(msgspec.to_builtins(error))}
    for name in ("stdout", "stderr"):
        texts = [t for t in _nested_texts(failed, name) if t]
        if texts:
            outputs[name] = compress(_NESTED_FAILURE.join(texts))
    return {name: ("zstd", data) for name, data in outputs.items()}


def _nested_texts(failed: FailedOperation, name: str) -> list[str]:
    texts = []
    layer: Any = failed.input_data
    extras: Any = (failed.error or ComputeError()).extras
    for _ in range(16):
        if isinstance(layer, dict) and isinstance(layer.get(name), str):
            texts.append(layer[name])
        layer = extras.get("failed_result") if isinstance(extras, dict) else None
        error = layer.get("error") if isinstance(layer, dict) else None
        extras = error.get("extras") if isinstance(error, dict) else None
        if layer is None:
            break
    return texts


def outcome(result: AtomicResult | OptimizationResult | GenericResult, **own: Any) -> Outcome:
    """What every successful result writes: properties, extras, provenance, outputs (`managers-and-tasks.md` §10.1)."""
    extras = dict(result.extras or {})
    moved_outputs = extras.pop(_OUTPUTS, None) or {}
    moved_files = extras.pop(_NATIVE_FILES, None) or {}
    qcvars = extras.pop("qcvars", None) or {}
    if not isinstance(qcvars, dict):
        raise ResultRefused("extras.qcvars of the result is no map")
    properties: dict[str, Any] = {}
    if isinstance(result, AtomicResult):
        if result.return_result is not None:
            properties["return_result"] = result.return_result
        properties |= {str(k).lower(): v for k, v in qcvars.items()}
        properties |= {k: v for k, v in result.properties.items() if v is not None}
    plain = {name: getattr(result, name) for name in OUTPUT_TYPES}
    files = getattr(result, "native_files", None) or {}
    return Outcome(
        properties=properties,
        extras=extras,
        provenance={"version": "", "routine": "", **result.provenance},
        outputs=_outputs(plain, moved_outputs),
        native_files=_native_files(files, moved_files),
        **own,
    )


def _outputs(plain: dict[str, Any], moved: Any) -> dict[str, tuple[str, bytes]]:
    blobs = _blobs(plain, moved)
    unknown = sorted(set(blobs) - set(OUTPUT_TYPES))
    if unknown:
        raise ResultRefused(f"The result has an output {unknown[0]!r}: known are {', '.join(OUTPUT_TYPES)}")
    return blobs


def _native_files(plain: dict[str, Any], moved: Any) -> dict[str, tuple[str, bytes]]:
    blobs = _blobs(plain, moved)
    for name in blobs:
        if not 0 < len(name) <= FILE_NAME or "\0" in name:
            raise ResultRefused(f"A native file has a name that is empty, has a NUL or is over {FILE_NAME} long")
    return blobs


def _blobs(plain: dict[str, Any], moved: Any) -> dict[str, tuple[str, bytes]]:
    blobs = {name: ("zstd", compress(value)) for name, value in plain.items() if value is not None}
    try:
        received = msgspec.convert(moved, dict[str, Compressed], dec_hook=dec_hook)
    except msgspec.ValidationError as e:
        raise ResultRefused(f"The result cannot be decoded: {e}") from e
    for name, part in received.items():
        blobs[name] = blob_as_served(part.data.data, part.compression_type, BLOB_LIMIT)
    return blobs


def text(outcome: Outcome, name: str) -> str:
    """What was printed to that output; empty if nothing was."""
    if name not in outcome.outputs:
        return ""
    compression, data = outcome.outputs[name]
    return str(decompress(data, compression, BLOB_LIMIT))


def wavefunction(result: AtomicResult) -> bytes | None:
    """The wavefunction as it is stored, without unset fields."""
    if result.wavefunction is None:
        return None
    kept = {k: v for k, v in result.wavefunction.items() if v is not None}
    basis = kept.get("basis")
    if isinstance(basis, dict) and basis.get("schema_name") == "qcschema_basis":
        # QCSchema knows the basis set under two names; existing clients read only this one.
        kept["basis"] = {**basis, "schema_name": "qcschema_basis_set"}
    return compress(kept)
