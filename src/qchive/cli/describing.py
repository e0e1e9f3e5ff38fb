"""Everything about one record, for a person and for a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from qchive.cli import printing
from qchive.cli.summary import molecules, summaries
from qchive.client.records import kind_of
from qchive.status import RecordStatusEnum

if TYPE_CHECKING:
    from qchive.client.outputs import ComputeHistory
    from qchive.client.portal import PortalClient
    from qchive.client.records import BaseRecord

PARTS = ("compute_history", "outputs", "task", "service", "comments", "native_files")
"""What to fetch with a record that is to be described."""

_MESSAGE_LINES = 14
_FEW = 10
"""As many follow-ons are told to a person."""


def description(client: PortalClient, record: BaseRecord) -> dict[str, Any]:
    """What is known of a record fetched with `PARTS`; energies in Hartree, wall times in seconds."""
    import msgspec

    last = record.compute_history[-1] if record.compute_history else None
    queued, path = record.task or record.service, getattr(record, "energies", None)
    waits = record.status is RecordStatusEnum.waiting and not record.is_service
    return {
        **summaries(client, [record])[0],
        "specification": msgspec.to_builtins(record.specification),
        "molecules": _molecules(client, record),
        "energies": path,
        "properties": record.properties,
        "provenance": vars(last.provenance) if last is not None and last.provenance is not None else None,
        "error": record.error,
        "tag": queued.tag if queued is not None else None,
        "priority": queued.priority.name if queued is not None else None,
        "required_programs": record.task.required_programs if record.task is not None else None,
        "progress": msgspec.to_builtins(record.progress),
        "waiting_reason": record.get_waiting_reason() if waits else None,
        "comments": [msgspec.to_builtins(comment) for comment in record.comments],
        "native_files": sorted(record.native_files),
        **_provenance(client, record.id),
        "history": [_attempt(entry) for entry in record.compute_history],
    }


def _provenance(client: PortalClient, record_id: int) -> dict[str, Any]:
    """What follow-on rules made it of, and made of it; nothing where a server knows no rules."""
    import msgspec

    from qchive.errors import NoSuchPath, RequestFailed

    try:
        found = client.get_follow_ons(record_id)
    except (NoSuchPath, RequestFailed):
        return {"followed_from": [], "follow_ons": []}
    return {"followed_from": msgspec.to_builtins(found.came_from), "follow_ons": msgspec.to_builtins(found.led_to)}


def _molecules(client: PortalClient, record: BaseRecord) -> dict[str, Any]:
    ids = {role: getattr(record, f"{role}_id") for role in kind_of(record.record_type).molecules}
    parts = ("identifiers", "name", "molecular_charge", "molecular_multiplicity")
    found = molecules(client, [i for i in ids.values() if i is not None], *parts)
    return {
        role: {
            "id": i,
            "formula": found[i]["identifiers"]["molecular_formula"],
            "name": found[i]["name"],
            "charge": found[i]["molecular_charge"],
            "multiplicity": found[i]["molecular_multiplicity"],
        }
        for role, i in ids.items()
        if i in found
    }


def _attempt(entry: ComputeHistory) -> dict[str, Any]:
    error = entry.error if "error" in entry.outputs else None
    return {
        "status": entry.status.value,
        "manager": entry.manager_name,
        "modified_on": entry.modified_on,
        "wall_time": getattr(entry.provenance, "wall_time", None),
        "error_type": (error or {}).get("error_type"),
        "outputs": sorted(entry.outputs),
    }


def show(record: Mapping[str, Any]) -> None:
    """Write a description for a person."""
    from rich.text import Text

    out = printing.console()
    title = Text.assemble((f"Record {record['id']}", "bold"), f"  {record['kind']}  ")
    out.print(title + printing.coloured(record["status"]))
    out.print(printing.facts([*_asked(record), *_times(record), *_progress(record), *_result(record)]))
    _show_error(record)
    out.print(printing.facts([*_comments(record), *_history(record["history"])]))


def _asked(record: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    specification = record["specification"]
    optimization = specification.get("optimization_specification") or {}
    single = optimization.get("qc_specification") or specification.get("singlepoint_specification") or {}
    inner = specification.get("qc_specification") or single
    level = " / ".join(part for part in (record["method"], record["basis"]) if part)
    yield "asked for", " ".join(part for part in (record["program"], level, record["driver"]) if part)
    yield "optimizer", record["optimizer"]
    given = [of.get("keywords") or {} for of in (inner, optimization, specification)]
    yield "keywords", _settings({k: v for some in given for k, v in some.items() if v is not None})
    yield "protocols", _settings(specification.get("protocols") or {})
    for role, molecule in record["molecules"].items():
        named = f" {molecule['name']}" if molecule["name"] != molecule["formula"] else ""
        yield (
            role.replace("_", " "),
            f"{molecule['formula']}{named} (id {molecule['id']}), charge {molecule['charge']:g}, "
            f"multiplicity {molecule['multiplicity']:g}",
        )


def _settings(given: Mapping[str, Any]) -> str:
    import msgspec

    return ", ".join(f"{k}={v if isinstance(v, str) else msgspec.json.encode(v).decode()}" for k, v in given.items())


def _times(record: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    yield "created", printing.moment(record["created_on"])
    yield "last moved", printing.moment(record["modified_on"])
    if record["tag"] is not None:
        yield "queue", f"tag {record['tag']}, priority {record['priority']}"
        yield "needs", ", ".join(record["required_programs"] or ())
    if (waiting := record["waiting_reason"]) is not None:
        details = [f"{name}: {why}" for name, why in (waiting.get("details") or {}).items()]
        yield "why it waits", "\n".join([waiting["reason"], *details, *filter(None, [waiting.get("hint")])])
    yield "worker", record["manager"]


def _progress(record: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    if record["progress"] is not None:
        from qchive.client.views import Progress

        yield from Progress(**record["progress"]).facts()


def _result(record: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    made_by = record["provenance"] or {}
    if made_by:
        yield "computed by", " ".join(str(made_by[key]) for key in ("creator", "version") if made_by.get(key))
    if isinstance(made_by.get("wall_time"), int | float):
        yield "wall time", f"{made_by['wall_time']:.2f} s"
    if record["energy"] is not None:
        steps = f", after {printing.many(len(record['energies']), 'step')}" if record["energies"] else ""
        yield "energy", f"{record['energy']:.10f} Eh{steps}"
    yield "native files", ", ".join(record["native_files"])
    for one in record["followed_from"][:_FEW]:
        yield "followed from", f"record {one['source_id']}, by the rule {one['rule']}"
    for one in record["follow_ons"][:_FEW]:
        became = one["state"] if one["record_id"] is None else f"record {one['record_id']}"
        yield "followed by", f"{became}, by the rule {one['rule']}"


def _show_error(record: Mapping[str, Any]) -> None:
    error = record["error"]
    if error is None:
        return
    from rich.text import Text

    lines = str(error.get("error_message", "")).rstrip().splitlines()
    if len(lines) > _MESSAGE_LINES:
        cut = f"… {len(lines) - _MESSAGE_LINES} lines left out: qchive records output {record['id']} --error"
        lines = [*lines[:3], cut, *lines[3 - _MESSAGE_LINES :]]
    printing.console().print(Text(f"  {error.get('error_type', 'error')}", style="bold red"))
    printing.console().print(Text("\n".join(f"    {line}" for line in lines)))
    if record["status"] == "error":
        tell = f"  To run it again: qchive records reset {record['id']}"
        printing.console().print(Text(tell, style="bright_black"))


def _comments(record: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for comment in record["comments"]:
        yield "comment", f"{comment['comment']}  ({comment['username'] or 'somebody'}, {comment['timestamp']})"


def _history(entries: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Any]]:
    for number, entry in enumerate(entries, start=1):
        parts = [entry["status"], printing.moment(entry["modified_on"]), entry["error_type"], entry["manager"]]
        yield f"attempt {number}", "  ".join(part for part in parts if part)
