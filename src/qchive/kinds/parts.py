"""The smallest words that kinds are declared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, examples=[1])]
"""The id of anything, as PostgreSQL can hold it."""

Molecule = Mapping[str, Any]
"""A molecule as it stands on the wire (`molecules-and-files.md` §1)."""


FINAL_MOLECULE = "final_molecule"
"""The role of the molecule that a computation ended with, for all kinds that end with one."""


class Part(msgspec.Struct, frozen=True):
    """One molecule of a record's input: its place and, where the kind has them, its coefficient."""

    role: str
    molecule: int | Molecule
    position: int = 0
    coefficient: float | None = None
