"""Specifications and required programs in the database: stored once each, by content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from qchive.canonical import canonical, content_hash
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.errors import InvalidSpecification
from qchive.kinds import Kind
from qchive.kinds.kind import Facets
from qchive.wire import DEPTH, stored_json, too_deep


class Prepared(msgspec.Struct, frozen=True):
    """A specification ready to be stored: its canonical form and what identifies it."""

    kind: Kind
    specification: Any
    body: bytes
    hash: bytes
    facets: Facets
    keywords: str
    """Those of the facets as jsonb can hold them."""


def prepare(kind: Kind, specification: Any) -> Prepared:
    """Bring a specification into its canonical form.

    Raises:
        InvalidSpecification: a number or a value that could not be sent to a compute manager.
    """
    try:
        body = kind.body(specification)
        # Tasks travel as MessagePack, whose whole numbers end at 64 bits.
        msgspec.msgpack.encode(msgspec.json.decode(body))
    except (TypeError, NotImplementedError, OverflowError, UnicodeEncodeError, RecursionError) as e:
        raise InvalidSpecification(f"The specification cannot be stored: {e}") from e
    if too_deep(body):
        raise InvalidSpecification(f"The specification is nested deeper than {DEPTH} levels")
    facets = kind.facets(specification)
    keywords = searchable(facets.keywords or {})
    return Prepared(kind, specification, body, kind.specification_hash(body), facets, keywords)


async def ensure(conn: Connection, specifications: Sequence[Prepared]) -> dict[bytes, int]:
    """Ids by hash, storing what is new."""
    distinct = {s.hash: s for s in specifications}
    if not distinct:
        return {}
    known = dict(await statements.tuples(conn, "specifications/find", hashes=list(distinct)))
    missing = [s for h, s in distinct.items() if h not in known]
    if missing:
        known |= dict(await _add(conn, missing))
        raced = [s.hash for s in missing if s.hash not in known]
        if raced:
            known |= dict(await statements.tuples(conn, "specifications/find", hashes=raced))
    return known


async def _add(conn: Connection, missing: list[Prepared]) -> list[tuple[Any, ...]]:
    facets = [s.facets for s in missing]
    return await statements.tuples(
        conn,
        "specifications/add",
        hashes=[s.hash for s in missing],
        kinds=[s.kind.name for s in missing],
        bodies=[s.body for s in missing],
        programs=[f.program for f in facets],
        drivers=[f.driver for f in facets],
        methods=[f.method for f in facets],
        bases=[f.basis for f in facets],
        qc_programs=[f.qc_program for f in facets],
        keywords=[s.keywords for s in missing],
        optimizers=[f.optimizer for f in facets],
        others=[_others(f) for f in facets],
    )


def _others(facets: Facets) -> str | None:
    names = ("qc_program", "method", "basis")
    others = [dict(zip(names, (program, method, basis or ""), strict=True)) for program, method, basis in facets.others]
    return stored_json(others).decode() if others else None


def searchable(keywords: Mapping[str, Any]) -> str:
    """Keywords as jsonb can hold them, for containment queries only; the body keeps the originals."""
    return stored_json(keywords).decode()


async def require(conn: Connection, programs: Sequence[str], versions: Mapping[str, str]) -> int:
    """The id of this set of required programs and versions demanded, storing it if new."""
    key = content_hash("requirement", canonical(sorted(programs)), canonical(dict(versions)))
    while True:
        found = await statements.column(conn, "requirements/find", hash=key)
        found = found or await statements.column(
            conn, "requirements/add", hash=key, programs=list(programs), versions=canonical(dict(versions)).decode()
        )
        if found:
            return int(found[0])
