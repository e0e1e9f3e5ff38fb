"""`qchive records`: looking at records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qchive.cli import changing, printing
from qchive.cli.changing import Ids
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.printing import AsJson
from qchive.status import RecordStatusEnum

if TYPE_CHECKING:
    from qchive.client.portal import PortalClient
    from qchive.client.records import BaseRecord
    from qchive.kinds import Kind

Several = list[str] | None

_COLUMNS = ("id", "kind", "status", "formula", "program", "method", "basis", "driver", "energy / Eh", "created")


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="Find, show, wait for and change records.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.command("list")(list_)
    for command in (show, wait, output):
        group.command()(command)
    changing.add_to(group)
    app.add_typer(group, name="records", rich_help_panel="Computing")


def list_(
    status: Annotated[list[RecordStatusEnum] | None, typer.Option(help="How it stands.")] = None,
    kind: Annotated[Several, typer.Option(help="singlepoint, optimization …")] = None,
    program: Annotated[Several, typer.Option(help="That computes energies, also behind an optimizer.")] = None,
    method: Annotated[Several, typer.Option(help="Level of theory.")] = None,
    basis: Annotated[Several, typer.Option(help="Basis set.")] = None,
    tag: Annotated[Several, typer.Option(help="Compute tag.")] = None,
    manager: Annotated[Several, typer.Option(help="Full name of the worker that has or had it.")] = None,
    created_after: Annotated[
        str | None, typer.Option(metavar="TIME", help="As 2026-01-31 or 2026-01-31T12:00.")
    ] = None,
    created_before: Annotated[str | None, typer.Option(metavar="TIME", help="As --created-after.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 25,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List records, the newest first. Options given several times mean "any of these"."""
    from qchive.cli.summary import summaries

    common: dict[str, Any] = {
        "status": status,
        "compute_tag": [name.lower() for name in tag] if tag else None,
        "manager_name": manager,
        "created_after": _time(created_after, "--created-after"),
        "created_before": _time(created_before, "--created-before"),
    }
    facets = {name: values for name, values in (("program", program), ("method", method), ("basis", basis)) if values}
    with connect(address) as client:
        found = _found(client, kind, {k: v for k, v in common.items() if v}, facets, limit)
        rows = summaries(client, found)
    if as_json:
        printing.write_json(rows)
        return
    printing.console().print(_table(rows))
    if len(rows) == limit:
        printing.tell(f"These are the newest {limit}; --limit shows more.")


def _found(
    client: PortalClient, kinds: Several, common: Mapping[str, Any], facets: Mapping[str, Any], limit: int
) -> list[BaseRecord]:
    from qchive.errors import UnknownKind
    from qchive.kinds import KINDS

    if unknown := [name for name in kinds or () if name not in KINDS]:
        raise UnknownKind(f"there is no kind {', '.join(unknown)}: there are {', '.join(KINDS)}", kind=unknown[0])
    if not facets:
        of_kinds = {"record_type": kinds} if kinds else {}
        return list(client.query_records(**of_kinds, **common, limit=limit))
    found: list[BaseRecord] = []
    for name in kinds or KINDS:
        fields = _search_fields(KINDS[name], facets)
        if fields is not None:
            found += client.query(name, **fields, **common, limit=limit)
    return sorted(found, key=lambda record: record.id, reverse=True)[:limit]


def _search_fields(kind: Kind, facets: Mapping[str, Any]) -> dict[str, Any] | None:
    """The kind's own names of what is searched by; None if it has no such thing, and so no record that fits."""
    names = {facet: name for name, facet in kind.filters.items()}
    names["program"] = names.get("qc_program") or names.get("program", "")
    return {names[facet]: values for facet, values in facets.items()} if all(map(names.get, facets)) else None


def _time(text: str | None, option: str) -> datetime | None:
    """A time as a person writes it: without a zone it is that of this machine."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-01-31 or 2026-01-31T12:00", param_hint=option
        ) from None


def _table(rows: Sequence[Mapping[str, Any]]) -> Any:
    cells = (
        (
            row["id"],
            row["kind"],
            printing.coloured(row["status"]),
            row["formula"],
            f"{row['optimizer']} + {row['program']}" if row["optimizer"] else row["program"],
            row["method"],
            row["basis"],
            row["driver"],
            f"{row['energy']:.8f}" if row["energy"] is not None else None,
            printing.moment(row["created_on"]),
        )
        for row in rows
    )
    return printing.table(_COLUMNS, cells, right=("id", "energy / Eh"))


def show(ids: Ids, address: Address = DEFAULT, as_json: AsJson = False) -> None:
    """Show everything about records: status, specification, molecules, times, worker, energies, errors, history."""
    from qchive.cli import describing

    with connect(address) as client:
        found = client.get_records(ids, include=describing.PARTS)
        described = [describing.description(client, record) for record in found]
    if as_json:
        printing.write_json(described)
        return
    for one in described:
        describing.show(one)


def wait(
    ids: Annotated[list[int] | None, typer.Argument(metavar="ID…", help="Ids of records.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait or run just now.")] = False,
    timeout: Annotated[float | None, typer.Option(min=0, help="Seconds; then give up with exit code 1.")] = None,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Wait until records have ended. The exit code is 1 if one of them did not complete."""
    if bool(ids) == everything:
        raise typer.BadParameter("name records, or use --all", param_hint="ID…")
    with connect(address) as client:
        wanted = list(_unfinished(client)) if everything else list(ids or ())
        ended = wait_for(client, wanted, timeout)
    if as_json:
        printing.write_json({"counts": Counter(ended.values()), "statuses": ended})
    else:
        typer.echo(printing.counted(Counter(ended.values())))
        if failed := [i for i, status in ended.items() if status == "error"]:
            printing.tell(f"What went wrong: qchive records show {' '.join(map(str, failed[:10]))}")
    raise typer.Exit(any(status != "complete" for status in ended.values()))


def wait_for(client: PortalClient, ids: Sequence[int], timeout: float | None = None) -> dict[int, str]:
    """How each of these records ended, by its id; what was removed meanwhile is left out.

    Raises:
        typer.Exit: some have not ended in time; that is said on stderr.
    """
    from qchive.api.managers import ManagerStatusEnum

    if ids and not list(client.query_managers(status=ManagerStatusEnum.active, limit=1)):
        printing.tell("No worker is active: what waits goes on waiting until `qchive worker` or `qchive up` runs.")
    try:
        found = client.wait(ids, timeout=timeout)
    except TimeoutError as error:
        printing.tell(f"qchive: {error}")
        raise typer.Exit(1) from None
    return {record.id: record.status.value for record in found if record is not None}


def _unfinished(client: PortalClient) -> Iterator[int]:
    from qchive.api.records import QUERY

    body = {"status": ["waiting", "running"], "limit": client.api_limits["get_records"]}
    while page := client.connection.ask(QUERY, body=body):
        yield from page
        body["cursor"] = page[-1]


def output(
    record_id: Annotated[int, typer.Argument(metavar="ID", help="Id of a record.")],
    stdout: Annotated[bool, typer.Option("--stdout", help="What the program printed (this is the default).")] = False,
    stderr: Annotated[bool, typer.Option("--stderr", help="What it printed as errors.")] = False,
    error: Annotated[bool, typer.Option("--error", help="Why it failed.")] = False,
    native: Annotated[str | None, typer.Option(metavar="NAME", help="A file that the program wrote.")] = None,
    address: Address = DEFAULT,
) -> None:
    """Write one output of a record's last attempt to stdout, as it is."""
    if stdout + stderr + error + (native is not None) > 1:
        raise typer.BadParameter("choose one of --stdout, --stderr, --error and --native")
    with connect(address) as client:
        record = client.get_records(record_id)
        if native is not None:
            content, what = _native(record, native), f"native file {native!r}"
        elif error:
            content, what = _error(record), "error"
        else:
            content, what = (record.stderr, "stderr") if stderr else (record.stdout, "stdout")
        if content is None:
            kept = f" (there are: {', '.join(record.native_files)})" if native and record.native_files else ""
            printing.tell(f"qchive: record {record_id}, which is {record.status.value}, has no {what}{kept}")
            raise typer.Exit(1)
    typer.echo(content, nl=isinstance(content, str) and not content.endswith("\n"))


def _native(record: BaseRecord, name: str) -> str | bytes | None:
    file = record.native_files.get(name)
    return None if file is None else file.data


def _error(record: BaseRecord) -> str | None:
    error = record.error
    return None if error is None else f"{error.get('error_type')}: {error.get('error_message')}"
