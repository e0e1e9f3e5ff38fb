"""Molecules: add, get, query, modify, delete, upload."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from qchive.api.endpoint import BulkGet, Projection
from qchive.api.metadata import DeleteMetadata, InsertMetadata, UpdateMetadata
from qchive.api.molecules import MoleculeModify, MoleculePurge, MoleculeQuery, UploadOptions
from qchive.db import molecules as store
from qchive.db import statements, where
from qchive.db.pool import Connection
from qchive.errors import InvalidMolecule, NotFound
from qchive.molecule import Path, Stored, modified, parse_formula, read_files, with_id
from qchive.server.body import Files
from qchive.server.context import Context
from qchive.wire import Json

MISSING = "Could not find all requested records"


async def get(ctx: Context, query: Projection, molecule_id: int) -> Json:
    """One molecule."""
    found = await _documents(ctx, [molecule_id], query)
    if molecule_id not in found:
        raise NotFound(MISSING, ids=[molecule_id])
    return found[molecule_id]


async def bulk_get(ctx: Context, body: BulkGet) -> list[Json | None]:
    """Molecules by id, in the order asked for."""
    ctx.at_most(len(body.ids), "get_molecules", "get {n} molecule records")
    found = await _documents(ctx, body.ids, body)
    missing = [i for i in body.ids if i not in found]
    if missing and not body.missing_ok:
        raise NotFound(MISSING, ids=missing)
    return [found.get(i) for i in body.ids]


async def _documents(ctx: Context, ids: list[int], wanted: Projection) -> dict[int, Json]:
    async def work(conn: Connection) -> list[tuple[Any, ...]]:
        return await statements.tuples(conn, "molecules/get", ids=ids)

    return {i: Json(project(with_id(document, i), wanted)) for i, document in await ctx.db.read(work)}


def project(document: bytes, wanted: Projection) -> bytes:
    """Only the wanted keys of a document; its id always stays."""
    names = set(wanted.include or ())
    if (not names or names & {"*", "**"}) and not wanted.exclude:
        return document
    whole = msgspec.json.decode(document)
    keep = set(whole) if not names or names & {"*", "**"} else names
    keep = (keep - set(wanted.exclude or ())) | {"id"}
    return msgspec.json.encode({k: v for k, v in whole.items() if k in keep})


async def add(ctx: Context, body: list[dict[str, Any]]) -> tuple[InsertMetadata, list[int]]:
    """Add molecules; one that is there already keeps its id."""
    ctx.at_most(len(body), "add_molecules", "add {n} molecule records")
    molecules = await read_molecules(body)

    async def work(conn: Connection) -> store.Ensured:
        return await store.ensure(conn, molecules)

    done = await ctx.db.run(work)
    return InsertMetadata(
        inserted_idx=sorted(done.new), existing_idx=[i for i in range(len(body)) if i not in done.new]
    ), done.ids


async def read_molecules(molecules: list[dict[str, Any]]) -> list[Stored]:
    """Check molecules of a request. Those that nobody has validated yet need the chemistry library: off the loop.

    Raises:
        InvalidMolecule: one that cannot exist; says which.
    """
    if all(m.get("validated") is True for m in molecules):
        return _read(molecules)
    return await asyncio.to_thread(_read, molecules)


def _read(molecules: list[dict[str, Any]]) -> list[Stored]:
    read, path = [], Path()
    for position, molecule in enumerate(molecules):
        try:
            read.append(path.stored(molecule))
        except InvalidMolecule as e:
            raise InvalidMolecule(
                f"Invalid body: molecule {position}: {e.msg}", **{**e.fields, "index": position}
            ) from e
    return read


async def upload(ctx: Context, body: UploadOptions, files: Files) -> tuple[dict[str, list[tuple[str, int]]], list[str]]:
    """Add molecules from files; those that make no sense are reported, the rest is stored."""
    most = ctx.settings.limits["add_molecules"]
    named, errors = await asyncio.to_thread(read_files, files, molecule_limit=most)
    molecules = [molecule for inside in named.values() for _, molecule in inside]

    async def work(conn: Connection) -> store.Ensured:
        return await store.ensure(conn, molecules)

    ids = iter((await ctx.db.run(work)).ids)
    return {file: [(inner, next(ids)) for inner, _ in inside] for file, inside in named.items()}, errors


async def query(ctx: Context, body: MoleculeQuery) -> list[int]:
    """Ids of the molecules that fit, newest first."""
    limit = ctx.page(body.limit, "get_molecules")
    if body.molecular_formula is not None:
        body = msgspec.structs.replace(body, molecular_formula=[parse_formula(f) for f in body.molecular_formula])

    async def work(conn: Connection) -> list[int]:
        return await statements.composed(conn, *where.molecules(body, limit))

    return await ctx.db.read(work)


async def modify(ctx: Context, body: MoleculeModify, molecule_id: int) -> UpdateMetadata:
    """Change name, comment or identifiers."""

    async def work(conn: Connection) -> None:
        found = await statements.column(conn, "molecules/lock", id=molecule_id)
        if not found:
            raise NotFound(f"Molecule with id {molecule_id} not found in the database", ids=[molecule_id])
        new = modified(
            found[0],
            name=body.name,
            comment=body.comment,
            identifiers=body.identifiers,
            overwrite_identifiers=body.overwrite_identifiers,
        )
        identifiers = msgspec.json.encode(new.identifiers).decode()
        await statements.execute(
            conn, "molecules/modify", id=molecule_id, document=new.document, identifiers=identifiers
        )

    await ctx.db.run(work)
    return UpdateMetadata(updated_idx=[0])


async def delete(ctx: Context, molecule_id: int) -> DeleteMetadata:
    """Remove a molecule that nothing refers to."""
    return await bulk_delete(ctx, [molecule_id])


async def bulk_delete(ctx: Context, body: list[int]) -> DeleteMetadata:
    """Remove molecules that nothing refers to; an id that does not exist counts as removed."""

    async def work(conn: Connection) -> set[int]:
        gone = set(await statements.column(conn, "molecules/delete", ids=body))
        return gone | set(await store.missing(conn, body))

    gone = await ctx.db.run(work)
    text = "Integrity Error - may still be referenced"
    return DeleteMetadata(
        deleted_idx=[i for i, m in enumerate(body) if m in gone],
        errors=[(i, text) for i, m in enumerate(body) if m not in gone],
    )


PURGED = 2000
"""Molecules of one transaction."""


async def purge(ctx: Context, body: MoleculePurge) -> int:
    """Remove all molecules that no record refers to, or count them."""
    after, count = 0, 0

    async def work(conn: Connection) -> tuple[list[int], int]:
        ids = await statements.column(conn, "molecules/unneeded", after=after, limit=PURGED)
        return ids, len(ids if body.dry_run else await statements.column(conn, "molecules/delete", ids=ids))

    while True:
        ids, gone = await ctx.db.run(work)
        count += gone
        if len(ids) < PURGED:
            return count
        after = ids[-1]
