"""Molecules in the database: stored once each, by content."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from qchive.db import statements
from qchive.db.pool import Connection
from qchive.molecule import Stored


class Ensured(msgspec.Struct, frozen=True):
    """Ids of molecules in the order given, and the positions of those that are new."""

    ids: list[int]
    new: set[int]


async def ensure(conn: Connection, molecules: Sequence[Stored], *, mostly_new: bool = False) -> Ensured:
    """Store what is new; a molecule that is there already keeps its id and its name. Those that are `mostly_new` are
    not looked for before they are stored."""
    if not molecules:
        return Ensured([], set())
    first: dict[bytes, int] = {}
    for position, molecule in enumerate(molecules):
        first.setdefault(bytes.fromhex(molecule.hash), position)
    known = {} if mostly_new else await _find(conn, list(first))
    new = set()
    missing = [h for h in first if h not in known]
    if missing:
        added = await _add(conn, [molecules[first[h]] for h in missing])
        new = {first[h] for h in added}
        known |= added
        raced = [h for h in missing if h not in added]
        if raced:
            known |= await _find(conn, raced)
    return Ensured([known[bytes.fromhex(m.hash)] for m in molecules], new)


async def _find(conn: Connection, hashes: list[bytes]) -> dict[bytes, int]:
    return dict(await statements.tuples(conn, "molecules/find", hashes=hashes))


async def _add(conn: Connection, molecules: list[Stored]) -> dict[bytes, int]:
    return dict(
        await statements.tuples(
            conn,
            "molecules/add",
            hashes=[bytes.fromhex(m.hash) for m in molecules],
            formulas=[m.formula for m in molecules],
            identifiers=[msgspec.json.encode(m.identifiers).decode() for m in molecules],
            documents=[m.document for m in molecules],
        )
    )


async def missing(conn: Connection, ids: Sequence[int]) -> list[int]:
    """Which of these ids are no molecule."""
    return sorted(await statements.column(conn, "molecules/missing", ids=list(ids))) if ids else []
