"""What people hand in (molecules, numpy arrays, enumerations, models of other packages), as it travels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum
from operator import index
from typing import Any

import msgspec

from qchive import wire
from qchive.molecule import from_qcelemental

_PLAIN = {str, int, float, bool, bytes}


def plain(value: Any) -> Any:
    """The value made of what every encoding knows. Molecules are those of qcelemental, either layout, or mappings."""
    if value is None or type(value) in _PLAIN:
        return value
    if isinstance(value, Enum):
        return value.value
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value)
    if isinstance(value, datetime):
        return wire.utc(value)
    if hasattr(value, "geometry") and hasattr(value, "symbols"):
        return from_qcelemental(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"cannot send a {type(value).__name__}")


def is_one(value: Any) -> bool:
    """Whether this is one thing rather than a collection of them."""
    return isinstance(value, str | bytes | Mapping) or not isinstance(value, Collection)


def as_list(value: Any) -> list[Any]:
    """The things given, whether one or a collection (list, set, range, array, dict view …) of them."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [value] if is_one(value) else list(value)


def as_ids(value: Any) -> list[int]:
    """The ids given, whether one or a collection.

    Raises:
        TypeError: something that is no whole number.
    """
    return [index(i) for i in as_list(value)]


def without_nothing(body: msgspec.Struct) -> dict[str, Any]:
    """A request body without what is None, so that servers that know fewer options than we do accept it."""
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not None and value is not msgspec.UNSET}


def filters(kind: type[msgspec.Struct], given: Mapping[str, Any], single: Collection[str] = ()) -> dict[str, Any]:
    """Query filters as the request has them: each value of a list field may be one or many, times may be ISO text.

    Raises:
        TypeError: a filter that does not exist.
    """
    known = {f.name: f.type for f in msgspec.structs.fields(kind)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        offered = ", ".join(sorted(set(known) - {"limit", "cursor"}))
        raise TypeError(f"there is no filter {', '.join(unknown)}: use {offered}")
    return {name: _filter(name, value, single) for name, value in given.items() if value is not None}


def _filter(name: str, value: Any, single: Collection[str]) -> Any:
    if name.endswith(("before", "after")):
        return wire.utc(datetime.fromisoformat(value) if isinstance(value, str) else value)
    return plain(value) if name in single else plain(as_list(value))
