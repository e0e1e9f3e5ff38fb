"""Subtasks: a function of a library that a composite record wants run by a worker (`records.md` §7.8)."""

from __future__ import annotations

from typing import Any

import msgspec

from qchive.kinds import result as returned
from qchive.kinds.kind import Facets, Inputs, Kind, Outcome, Part, Task, TaskInput
from qchive.kinds.singlepoint import Name

NEXT_CHAIN = "geometric.qcf_neb.nextchain"
"""One step of a nudged elastic band."""


class ServiceSubtaskSpecification(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The function, and what it is called with."""

    required_programs: dict[Name, Any]
    """Programs that the worker needs, by lower-case name; the values say nothing so far."""
    function: Name
    """With the module it is in."""
    function_kwargs: dict[str, Any]
    """Its arguments; plain values."""


def _parts(_: Any) -> tuple[Part, ...]:
    return ()


def _task(given: TaskInput) -> Task:
    return Task(given.specification["function"], given.specification["function_kwargs"])


SCHEMA = "qca_generic_task_result"


def _outcome(packed: bytes) -> Outcome:
    # The printed text is kept twice: people read the output, the flow that asked reads the field, which is not shown.
    result = returned.success(packed, returned.GenericResult, SCHEMA)
    outcome = returned.outcome(result)
    fields = {"results": result.results, "stdout": returned.text(outcome, "stdout")}
    return msgspec.structs.replace(outcome, fields=fields)


servicesubtask = Kind(
    name="servicesubtask",
    specification=ServiceSubtaskSpecification,
    inputs=Inputs("subtasks", dict[str, Any], _parts),
    facets=lambda spec: Facets(next(iter(spec.required_programs), "")),
    filters={},
    programs=lambda spec: tuple(spec.required_programs),
    task=_task,
    outcome=_outcome,
    molecules=(),
    fields={"required_programs": None, "function": None, "function_kwargs": None, "results": None},
    schema=SCHEMA,
    internal=True,
)
