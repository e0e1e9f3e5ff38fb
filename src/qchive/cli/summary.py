"""What lists and `--json` say of a record, of whatever kind it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from qchive.client.records import kind_of

if TYPE_CHECKING:
    from qchive.client.portal import PortalClient
    from qchive.client.records import BaseRecord


def summaries(client: PortalClient, records: Sequence[BaseRecord]) -> list[dict[str, Any]]:
    """For each record: what it is, what was asked for, of which molecule, how it stands, its energy (Hartree)."""
    made = [_summary(record) for record in records]
    known = formulas(client, [row["molecule_id"] for row in made if row["molecule_id"] is not None])
    for row in made:
        row["formula"] = known.get(row["molecule_id"])
    return made


def _summary(record: BaseRecord) -> dict[str, Any]:
    kind = kind_of(record.record_type)
    asked = kind.facets(record.specification)
    roles = [getattr(record, f"{role}_id") for role in kind.molecules]
    inner = asked.qc_program or asked.program
    return {
        "id": record.id,
        "kind": record.record_type,
        "status": record.status.value,
        "formula": None,
        "molecule_id": roles[0] if roles else None,
        "optimizer": asked.optimizer if kind.is_service else asked.program if inner != asked.program else None,
        "program": inner,
        "driver": asked.driver,
        "method": asked.method,
        "basis": asked.basis,
        "energy": energy(record),
        "manager": record.manager_name,
        "created_on": record.created_on,
        "modified_on": record.modified_on,
    }


def energy(record: BaseRecord) -> float | None:
    """The energy in Hartree, of an optimization that of its last step, of a reaction or a many-body expansion that of
    the whole; None until there is one."""
    path, properties = getattr(record, "energies", None), record.properties or {}
    whole = getattr(record, "total_energy", None)
    value = path[-1] if path else properties.get("return_energy", properties.get("ret_energy", whole))
    return float(value) if isinstance(value, int | float) else None


def formulas(client: PortalClient, molecule_ids: Iterable[int]) -> dict[int, str]:
    """The formulas of molecules by their ids."""
    found = molecules(client, molecule_ids, "identifiers")
    return {i: str(m["identifiers"]["molecular_formula"]) for i, m in found.items()}


def molecules(client: PortalClient, molecule_ids: Iterable[int], *parts: str) -> dict[int, dict[str, Any]]:
    """These parts of molecules by their ids; those that do not exist are left out."""
    from qchive.api.molecules import BULK_GET

    def ask(some: list[int]) -> list[dict[str, Any] | None]:
        body = {"ids": some, "missing_ok": True, "include": ["id", *parts]}
        found: list[dict[str, Any] | None] = client.connection.ask(
            BULK_GET, body=body, answer=list[dict[str, Any] | None]
        )
        return found

    ids = list(dict.fromkeys(molecule_ids))
    found = client.in_chunks(ids, client.api_limits["get_molecules"], ask)
    return {i: m for i, m in zip(ids, found, strict=True) if m is not None}
