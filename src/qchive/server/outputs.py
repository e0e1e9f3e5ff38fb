"""What computations left behind: history, outputs, native files, wavefunctions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from qchive.api.records import ComputeHistory, NativeFile, OutputStore, Record, Wavefunction
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.errors import NotFound
from qchive.kinds import Kind
from qchive.kinds.result import BLOB_LIMIT, OUTPUT_TYPES
from qchive.server.context import Context
from qchive.server.projection import Wanted
from qchive.status import RecordStatusEnum
from qchive.wire import Bytes, Json, compress, decompress

_OUTPUTS = list(OUTPUT_TYPES)


class Entry(msgspec.Struct):
    """An attempt that returned something."""

    id: int
    record_id: int
    status: str
    manager_name: str | None
    modified_on: datetime
    provenance: bytes | None


async def histories(conn: Connection, ids: Sequence[int], *, with_outputs: bool) -> dict[int, list[ComputeHistory]]:
    """The history of each record, with the data of its outputs if wanted."""
    found: dict[int, list[ComputeHistory]] = {}
    by_attempt: dict[int, ComputeHistory] = {}
    for row in await statements.rows(conn, "attempts/history", Entry, ids=list(ids)):
        entry = ComputeHistory(
            id=row.id,
            record_id=row.record_id,
            status=RecordStatusEnum(row.status),
            manager_name=row.manager_name,
            modified_on=row.modified_on,
            provenance=Json(row.provenance) if row.provenance is not None else None,
        )
        found.setdefault(row.record_id, []).append(entry)
        by_attempt[row.id] = entry
    if with_outputs:
        for entry in by_attempt.values():
            entry.outputs = {}
        pieces: dict[tuple[int, str], list[tuple[str, bytes]]] = {}
        for _, attempt, kind, _, compression, data in await statements.tuples(
            conn, "blobs/data", ids=list(found), types=_OUTPUTS
        ):
            pieces.setdefault((attempt, kind), []).append((compression, data))
        for (attempt, kind), stored in pieces.items():
            if attempt in by_attempt:
                compression, data = _joined(stored)
                output = OutputStore(output_type=kind, compression_type=compression, data=Bytes(data))
                by_attempt[attempt].outputs[kind] = output  # type: ignore[index]
    return found


def _joined(pieces: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """One output as it is sent: what a composite record prints is stored piece by piece."""
    if len(pieces) == 1:
        return pieces[0]
    return "zstd", compress("".join(decompress(data, compression, BLOB_LIMIT) for compression, data in pieces))


async def add_blobs(conn: Connection, kind: Kind, found: Mapping[int, Record], want: Wanted) -> None:
    """Native files and wavefunctions, with data, on the records that want them."""
    types = ["native_file"] if "native_files" in want else []
    types += ["wavefunction"] if "wavefunction" in want and kind.has_wavefunction else []
    if not types:
        return
    for record in found.values():
        if "native_file" in types:
            record.native_files = {}
        if "wavefunction" in types:
            record.wavefunction = None  # type: ignore[attr-defined]
    for record_id, _, of, name, compression, data in await statements.tuples(
        conn, "blobs/data", ids=list(found), types=types
    ):
        if of == "wavefunction":
            found[record_id].wavefunction = Wavefunction(compression_type=compression, data=Bytes(data))  # type: ignore[attr-defined]
        else:
            file = NativeFile(name=name, compression_type=compression, data=Bytes(data))
            found[record_id].native_files[name] = file  # type: ignore[index]


async def history(ctx: Context, record_id: int) -> list[ComputeHistory]:
    """Attempts that returned something, oldest first."""
    from qchive.server.records import exists

    async def work(conn: Connection) -> list[ComputeHistory]:
        found = (await histories(conn, [record_id], with_outputs=False)).get(record_id, [])
        if not found:
            await exists(conn, record_id)
        return found

    return await ctx.db.read(work)


async def history_entry(ctx: Context, record_id: int, history_id: int) -> ComputeHistory:
    """One attempt."""
    for entry in await history(ctx, record_id):
        if entry.id == history_id:
            return entry
    raise NotFound(f"Record {record_id} has no compute history entry {history_id}")


async def outputs(ctx: Context, record_id: int, history_id: int) -> dict[str, OutputStore]:
    """Outputs of an attempt, without data."""

    async def work(conn: Connection) -> list[tuple[Any, ...]]:
        return await statements.tuples(
            conn, "blobs/outputs", record_id=record_id, attempt_id=history_id, types=_OUTPUTS
        )

    listed = await ctx.db.read(work)
    if not listed:
        await history_entry(ctx, record_id, history_id)  # says what is missing
    return {
        kind: OutputStore(output_type=kind, compression_type=compression)
        for kind, compression in listed
        if kind is not None
    }


async def output(ctx: Context, record_id: int, history_id: int, output_type: str) -> OutputStore:
    """One output, without data."""
    found = await outputs(ctx, record_id, history_id)
    if output_type not in found:
        raise NotFound(f"Attempt {history_id} of record {record_id} has no {output_type}")
    return found[output_type]


async def output_data(ctx: Context, record_id: int, history_id: int, output_type: str) -> tuple[Bytes, str]:
    """One output, compressed."""
    return await _data(ctx, record_id, history_id, output_type, "", f"{output_type} of attempt {history_id}")


async def output_value(ctx: Context, record_id: int, history_id: int, output_type: str) -> Any:
    """One output, unpacked."""
    return await _value(await output_data(ctx, record_id, history_id, output_type))


async def native_files(ctx: Context, record_id: int) -> dict[str, NativeFile]:
    """Native files, without data."""
    listed = await _list(ctx, record_id, ["native_file"])
    return {name: NativeFile(name=name, compression_type=compression) for _, _, name, compression in listed}


async def native_file(ctx: Context, record_id: int, name: str) -> NativeFile:
    """One native file, without data."""
    found = await native_files(ctx, record_id)
    if name not in found:
        raise NotFound(f"Record {record_id} has no native file {name!r}")
    return found[name]


async def native_file_data(ctx: Context, record_id: int, name: str) -> tuple[Bytes, str]:
    """A native file, compressed."""
    return await _data(ctx, record_id, 0, "native_file", name, f"native file {name!r}")


async def native_file_value(ctx: Context, record_id: int, name: str) -> Any:
    """A native file, unpacked."""
    return await _value(await native_file_data(ctx, record_id, name))


async def wavefunction(ctx: Context, record_id: int) -> Wavefunction | None:
    """Whether a wavefunction is stored."""
    listed = await _list(ctx, record_id, ["wavefunction"])
    return Wavefunction(compression_type=listed[0][3]) if listed else None


async def wavefunction_data(ctx: Context, record_id: int) -> tuple[Bytes, str]:
    """The wavefunction, compressed."""
    return await _data(ctx, record_id, 0, "wavefunction", "", "wavefunction")


async def _list(ctx: Context, record_id: int, types: list[str]) -> list[tuple[Any, ...]]:
    async def work(conn: Connection) -> list[tuple[Any, ...]]:
        return await statements.tuples(conn, "blobs/list", id=record_id, types=types)

    listed = await ctx.db.read(work)
    if not listed:
        raise NotFound(f"Cannot find record {record_id}", ids=[record_id])
    return [row for row in listed if row[1] is not None]


async def _data(ctx: Context, record_id: int, attempt: int, of: str, name: str, what: str) -> tuple[Bytes, str]:
    async def work(conn: Connection) -> list[tuple[Any, ...]]:
        return await statements.tuples(
            conn, "blobs/get", record_id=record_id, attempt_id=attempt, type=of, name=name, pieces=of in OUTPUT_TYPES
        )

    found = await ctx.db.read(work)
    if not found:
        raise NotFound(f"Record {record_id} has no {what}")
    compression, data = _joined(found)
    return Bytes(data), compression


async def _value(stored: tuple[Bytes, str]) -> Any:
    data, compression = stored
    value = await asyncio.to_thread(decompress, data.data, compression, BLOB_LIMIT)
    return Bytes(value) if isinstance(value, bytes) else value
