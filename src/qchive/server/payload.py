"""What a task carries: made from the record when it is asked for, never stored, so it cannot go stale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import msgspec

from qchive.api.tasks import RecordTask, task_id
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.kinds import Kind
from qchive.kinds.kind import Molecule, TaskInput
from qchive.molecule import with_id
from qchive.status import PriorityEnum
from qchive.wire import Bytes, compress_quickly


class TaskRow(msgspec.Struct):
    """What a task is made of, but its molecules."""

    id: int
    kind: str
    attempt_no: int
    tag: str
    priority: int
    programs: list[str]
    specification: bytes


async def tasks(conn: Connection, kinds: Mapping[str, Kind], ids: Sequence[int]) -> dict[int, RecordTask]:
    """The tasks of records as they travel; only unfinished records have one. Function and arguments are null before the
    first claim."""
    roles = list({kind.molecules[0] for kind in kinds.values() if kind.molecules})
    given = statements.later(conn, "records/inputs", ids=list(ids), roles=roles)
    rows = await statements.rows(conn, "records/tasks", TaskRow, ids=list(ids))
    molecules = _molecules(given.tuples(), {row.id for row in rows if row.attempt_no > 0})
    specifications = {row.specification: msgspec.json.decode(row.specification) for row in rows}
    return {
        row.id: _task(kinds[row.kind], row, specifications[row.specification], molecules.get(row.id, {}))
        for row in rows
    }


def _molecules(placed: Iterable[tuple[Any, ...]], claimed: Set[int]) -> dict[int, dict[str, list[Molecule]]]:
    found: dict[int, dict[str, list[Molecule]]] = {}
    for record_id, role, molecule_id, document in placed:
        if record_id in claimed:
            molecule = msgspec.json.decode(with_id(document, molecule_id))
            found.setdefault(record_id, {}).setdefault(role, []).append(molecule)
    return found


def _task(
    kind: Kind, row: TaskRow, specification: dict[str, Any], molecules: Mapping[str, Sequence[Molecule]]
) -> RecordTask:
    function, kwargs = None, None
    if row.attempt_no > 0:
        made = kind.task(TaskInput(row.id, specification, molecules, {}))
        function, kwargs = made.function, Bytes(compress_quickly(made.kwargs))
    return RecordTask(
        id=task_id(row.id, row.attempt_no),
        record_id=row.id,
        function=function,
        function_kwargs_compressed=kwargs,
        required_programs=row.programs,
        tag=row.tag,
        priority=PriorityEnum(row.priority),
    )
