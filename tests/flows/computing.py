"""Children of flows computed by real programs: the task that a worker would claim, run by the worker's own code in this
process, and read as the server reads a returned result."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from qchive.kinds import KINDS
from qchive.kinds.flow import Request
from qchive.kinds.kind import Molecule, TaskInput, energy_of
from qchive.wire import compress_quickly, decompress
from qchive.worker.run import packed, run, warm_up


def really(request: Request, molecules: Sequence[Molecule]) -> dict[str, Any]:
    """What the child of this request ends with."""
    _warm()
    kind = KINDS[request.kind]
    by_role: dict[str, list[Molecule]] = {}
    for part, molecule in zip(request.parts, molecules, strict=True):
        by_role.setdefault(part.role, []).append(molecule)
    specification = msgspec.json.decode(kind.body(request.specification))
    task = kind.task(TaskInput(1, specification, by_role, {}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what programs warn of is not ours
        success, result = run(task.function, compress_quickly(task.kwargs), {"ncores": 1, "memory": 2.0})
    assert success, result["error"]["error_message"]
    outcome = kind.outcome(msgspec.msgpack.encode(decompress(packed(success, result)[1])))
    found: dict[str, Any] = {
        "energy": energy_of(outcome.properties, outcome.fields),
        "properties": outcome.properties,
        "fields": outcome.fields,
    }
    final = next((p.molecule for p in outcome.molecules if p.role == "final_molecule"), None)
    return found if final is None else {**found, "molecule": final}


@cache
def _warm() -> None:
    warm_up()
