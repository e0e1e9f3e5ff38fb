"""What a task carries: made from the record when it is asked for, never stored, so it cannot go stale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from qchive.api.tasks import RecordTask, task_id
from qchive.db import statements
from qchive.db.pool import Connection
from qchive.kinds import Kind
from qchive.kinds.kind import Molecule, TaskInput
from qchive.molecule import with_id
from qchive.status import PriorityEnum
from qchive.wire import Bytes, compress


class TaskRow(msgspec.Struct):
    """What a task is made of, but its molecules."""

    id: int
    kind: str
    attempt_no: int
    tag: str
    priority: int
    programs: list[str]
    specification: bytes


async def tasks(conn: Connection, kinds: Mapping[str, Kind], rows: Sequence[TaskRow]) -> list[RecordTask]:
    """Tasks as they travel, in the order given. Function and arguments are null before the first claim."""
    claimed = [row.id for row in rows if row.attempt_no > 0]
    molecules = await _molecules(conn, claimed, kinds) if claimed else {}
    return [_task(kinds[row.kind], row, molecules.get(row.id, {})) for row in rows]


async def _molecules(
    conn: Connection, ids: list[int], kinds: Mapping[str, Kind]
) -> dict[int, dict[str, list[Molecule]]]:
    roles = list({kind.molecules[0] for kind in kinds.values() if kind.molecules})
    found: dict[int, dict[str, list[Molecule]]] = {}
    for record_id, role, molecule_id, document in await statements.tuples(conn, "records/inputs", ids=ids, roles=roles):
        molecule = msgspec.json.decode(with_id(document, molecule_id))
        found.setdefault(record_id, {}).setdefault(role, []).append(molecule)
    return found


def _task(kind: Kind, row: TaskRow, molecules: Mapping[str, Sequence[Molecule]]) -> RecordTask:
    function, kwargs = None, None
    if row.attempt_no > 0:
        made = kind.task(TaskInput(row.id, msgspec.json.decode(row.specification), molecules, {}))
        function, kwargs = made.function, Bytes(compress(made.kwargs))
    return RecordTask(
        id=task_id(row.id, row.attempt_no),
        record_id=row.id,
        function=function,
        function_kwargs_compressed=kwargs,
        required_programs=row.programs,
        tag=row.tag,
        priority=PriorityEnum(row.priority),
    )
