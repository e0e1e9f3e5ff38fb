"""To and from qcelemental's Molecule classes, which are what people hold in their hands."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Literal

_V1_EXISTS = sys.version_info < (3, 14)


def from_qcelemental(molecule: Any) -> dict[str, Any]:
    """The wire form of a qcelemental Molecule (either layout) or of a class derived from one: plain lists, no nulls."""
    dumped: dict[str, Any] = molecule.model_dump() if hasattr(molecule, "model_dump") else molecule.dict()
    plain: dict[str, Any] = {key: _plain(value) for key, value in dumped.items() if value is not None}
    geometry = plain["geometry"]
    plain["geometry"] = [x for row in geometry for x in row] if isinstance(geometry[0], list) else geometry
    if "identifiers" in plain:
        plain["identifiers"] = {key: value for key, value in plain["identifiers"].items() if value is not None}
    return plain | {"schema_version": 2}


def to_qcelemental(document: Mapping[str, Any], layout: Literal[1, 2] | None = None) -> Any:
    """The qcelemental Molecule of a document of the server, taken as it is: not validated, moved, turned or rounded.

    `layout` is that of QCSchema: 1 by default, which Python 3.14 no longer has; there it is 2.
    """
    if layout == 2 or (layout is None and not _V1_EXISTS):
        from qcelemental.models.v2 import Molecule as Second

        return Second(validate=False, **{**document, "schema_version": 3})
    from qcelemental.models import Molecule

    return Molecule(validate=False, **document)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy arrays and scalars, without importing numpy
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
