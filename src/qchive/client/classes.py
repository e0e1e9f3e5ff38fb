"""Which class the records of each type have."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from qchive.api import records
from qchive.client.composites import (
    GridoptimizationRecord,
    ManybodyRecord,
    NEBRecord,
    ReactionRecord,
    TorsiondriveRecord,
)
from qchive.client.records import BaseRecord
from qchive.client.tasks import OptimizationRecord, SinglepointRecord

if TYPE_CHECKING:
    from qchive.client.portal import PortalClient

CLASSES: dict[str, type[BaseRecord]] = {
    "singlepoint": SinglepointRecord,
    "optimization": OptimizationRecord,
    "torsiondrive": TorsiondriveRecord,
    "gridoptimization": GridoptimizationRecord,
    "reaction": ReactionRecord,
    "manybody": ManybodyRecord,
    "neb": NEBRecord,
}
"""Record types with methods of their own; all others get a class with what their kind declares."""


def as_record(document: records.Record, client: PortalClient | None) -> BaseRecord:
    """The record of the class that its type has."""
    return _class(document.record_type)(document, client)


@cache
def _class(record_type: str) -> type[BaseRecord]:
    own = CLASSES.get(record_type)
    return own or type(f"{record_type.title()}Record", (BaseRecord,), {"__doc__": f"A {record_type} record."})
