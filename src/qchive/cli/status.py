"""`qchive status`: how an archive is doing, on one screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from qchive.cli import printing
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.printing import AsJson
from qchive.status import RecordStatusEnum

if TYPE_CHECKING:
    from qchive.client.portal import PortalClient


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Computing")(status)


def status(address: Address = DEFAULT, as_json: AsJson = False) -> None:
    """Show how an archive is doing: its records, what waits, and who computes."""
    with connect(address) as client:
        found = _look(client)
    if as_json:
        printing.write_json(found)
    else:
        _show(found)


def _look(client: PortalClient) -> dict[str, Any]:
    import msgspec

    from qchive.api.managers import ManagerStatusEnum
    from qchive.api.records import COUNTS

    counts = client.connection.ask(COUNTS)
    table: dict[str, dict[str, int]] = {}
    for row in counts.records:
        table.setdefault(row.record_type, {})[row.status.value] = row.count
    managers = list(client.query_managers(status=ManagerStatusEnum.active))
    info = client.server_info
    return {
        "server": {
            "address": client.address,
            "name": info["name"],
            "version": info.get("qchive_version"),
            "protocol": info["version"],
        },
        "records": table,
        "waiting": [msgspec.to_builtins(row) for row in counts.waiting],
        "running": sum(of_kind.get("running", 0) for of_kind in table.values()),
        "managers": [msgspec.to_builtins(manager) for manager in managers],
    }


def _show(found: Mapping[str, Any]) -> None:
    out, server = printing.console(), found["server"]
    version = f"QCHive {server['version']}" if server["version"] else "not a QCHive server"
    out.print(f"[bold]{server['name']}[/] at {server['address']} ({version}, protocol {server['protocol']})")
    statuses = [s.value for s in RecordStatusEnum if any(s.value in counts for counts in found["records"].values())]
    if statuses:
        rows = [[kind, *(counts.get(s) for s in statuses)] for kind, counts in found["records"].items()]
        out.print(printing.table(["records", *statuses], rows, right=statuses))
    else:
        out.print("\nNo records yet: `qchive submit --help` says how to add some.")
    if found["waiting"]:
        rows = [[w["count"], w["compute_tag"], ", ".join(w["programs"])] for w in found["waiting"]]
        out.print(printing.table(["waiting", "tag", "needs"], rows, right=["waiting"]))
    if found["managers"]:
        out.print(_workers(found["managers"]))
    else:
        out.print("\nNo worker is active: nothing runs until `qchive worker` (or `qchive up`) is started.")


def _workers(managers: Sequence[Mapping[str, Any]]) -> Any:
    columns = ["worker", "tags", "running", "done", "failed", "heard of", "programs"]
    rows = [
        [
            f"{manager['cluster']} on {manager['hostname']}",
            " ".join(manager["tags"]),
            manager["active_tasks"],
            manager["successes"],
            manager["failures"],
            _ago(datetime.fromisoformat(manager["modified_on"])),
            ", ".join(name for name in manager["programs"] if name != "qcengine"),
        ]
        for manager in managers
    ]
    return printing.table(columns, rows, right=["running", "done", "failed"])


def _ago(moment: datetime) -> str:
    seconds = max((datetime.now(UTC) - moment).total_seconds(), 0)
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"
