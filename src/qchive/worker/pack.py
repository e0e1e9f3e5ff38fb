"""Packing a result for its way to the server: plain values, bulky parts compressed one by one
(`managers-and-tasks.md` §9.1)."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from qchive.wire import compress, compress_bytes

OUTPUTS = "_qcfractal_compressed_outputs"
NATIVE_FILES = "_qcfractal_compressed_native_files"
_LEVEL = 3
_DEPTH = 64
_ATOMS = (str, bytes, bool, int, float, type(None))


class NotPackable(Exception):
    """A result that holds something which cannot be sent; the text says where."""


def pack(result: dict[str, Any]) -> bytes:
    """A QCSchema version-1 result as zstd(msgpack).

    stdout, stderr and native files, those of a trajectory's steps too, are compressed on their own, so that the server
    stores them as they come. Arrays travel flat.

    Raises:
        NotPackable: something in it has no place in MessagePack.
    """
    sent = plain(result)
    if sent.get("schema_name"):
        _move(sent)
        for step in sent.get("trajectory") or ():
            _move(step)
    try:
        return compress_bytes(msgspec.msgpack.encode(sent))
    except (TypeError, OverflowError, ValueError) as e:
        raise NotPackable(f"the result cannot be sent: {e}") from e


def plain(value: Any, where: str = "result", depth: int = 0) -> Any:
    """The value in plain types: arrays as flat lists, enumerations as their values, keys as text.

    Raises:
        NotPackable: a type that nobody could read, or nested beyond reason.
    """
    if type(value) in _ATOMS:
        return value
    if depth > _DEPTH:
        raise NotPackable(f"{where} is nested more than {_DEPTH} deep")
    if isinstance(value, dict):
        return {_key(k): plain(v, f"{where}.{k}", depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v, where, depth + 1) for v in value]
    if isinstance(value, enum.Enum):
        return plain(value.value, where, depth + 1)
    return _foreign(value, where, depth)


def _key(key: Any) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    return key if isinstance(key, str) else str(key)


def _foreign(value: Any, where: str, depth: int) -> Any:
    """Values of other libraries, recognised by what they can do, so that none of them is imported here."""
    if hasattr(value, "ravel") and hasattr(value, "ndim"):
        return plain(value.ravel().tolist() if value.ndim else value.item(), where, depth + 1)
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(), where, depth + 1)
    for kind in (bool, int, float, str, bytes):
        if isinstance(value, kind):
            return kind(value)  # type: ignore[arg-type]  # a subclass of it, as plain as it gets
    try:
        return msgspec.to_builtins(value)
    except (TypeError, ValueError) as e:
        raise NotPackable(f"{where} is a {type(value).__name__}, which cannot be sent") from e


def _move(result: dict[str, Any]) -> None:
    extras = result["extras"] = result.get("extras") or {}
    outputs = {}
    for name in ("stdout", "stderr", "error"):
        if result.get(name) is not None:
            outputs[name] = _compressed(result[name])
            result[name] = None
    if outputs:
        extras[OUTPUTS] = outputs
    if result.get("native_files"):
        extras[NATIVE_FILES] = {name: _compressed(data) for name, data in result["native_files"].items()}
        result["native_files"] = {}


def _compressed(value: Any) -> dict[str, Any]:
    return {"compression_type": "zstd", "compression_level": _LEVEL, "data": compress(value)}
