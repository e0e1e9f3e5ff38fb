"""`qchive records`: looking at records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qchive.cli import changing, printing, telling
from qchive.cli.changing import Ids
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.filtering import Filter
from qchive.cli.options import expanded
from qchive.cli.printing import AsJson

if TYPE_CHECKING:
    from qchive.client.portal import PortalClient
    from qchive.client.records import BaseRecord

_PICTURES = (".png", ".pdf", ".svg")
_DOTS = 150
"""Per inch, of a picture in pixels."""

_COLUMNS = ("id", "kind", "status", "formula", "program", "method", "basis", "driver", "energy / Eh", "created")


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="Find, show, wait for and change records.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.command("list")(list_)
    for command in (count, show, history, wait, output, plot):
        group.command()(command)
    changing.add_to(group)
    app.add_typer(group, name="records", rich_help_panel="Computing")


@expanded
def list_(
    filter: Filter,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 25,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List records, the newest first. Options given several times mean "any of these"."""
    from qchive.cli.summary import summaries

    with connect(address) as client:
        found = list(client.query_records(**filter.given(), limit=limit))
        rows = summaries(client, found)
    if as_json:
        printing.write_json(rows)
        return
    printing.console().print(_table(rows))
    if len(rows) == limit:
        printing.tell(f"These are the newest {limit}; --limit shows more.")


@expanded
def count(filter: Filter, address: Address = DEFAULT, as_json: AsJson = False) -> None:
    """Count records by kind and status. Options given several times mean "any of these"."""
    with connect(address) as client:
        telling.counts(client.count_records(**filter.given()), as_json)


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


def history(
    record_id: Annotated[int, typer.Argument(metavar="ID", help="Id of a record, also of one that was removed.")],
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show all that happened to a record: attempts, what people did and why, comments."""
    with connect(address) as client:
        events = client.get_history(record_id)
    if as_json:
        import msgspec

        printing.write_json(msgspec.to_builtins(list(events)))
        return
    rows = ((printing.moment(event.time), event.what) for event in events)
    printing.console().print(printing.table(("time", "what"), rows))


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


def plot(
    record_id: Annotated[int, typer.Argument(metavar="ID", help="Id of a record.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .png, .pdf or .svg.", show_default=False)],
    axis: Annotated[
        list[int] | None,
        typer.Option("--axis", min=0, help="Dimension of a scan to show, counted from 0; at most two."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Even if there is such a file already.")] = False,
    address: Address = DEFAULT,
) -> None:
    """Draw a scan, a path or the convergence of an optimization."""
    if out.suffix.lower() not in _PICTURES:
        raise typer.BadParameter(f"{out.name} does not end in {', '.join(_PICTURES)}", param_hint="--out")
    if out.exists() and not overwrite:
        raise typer.BadParameter(f"{out} exists already; --overwrite replaces it", param_hint="--out")
    with connect(address) as client:
        figure = client.get_records(record_id).plot(axes=axis or None)
    try:
        figure.savefig(out, dpi=_DOTS)
    except OSError as error:
        raise typer.BadParameter(f"{out}: {error.strerror}", param_hint="--out") from error
    printing.tell(f"Written: {out}")


def _native(record: BaseRecord, name: str) -> str | bytes | None:
    file = record.native_files.get(name)
    return None if file is None else file.data


def _error(record: BaseRecord) -> str | None:
    error = record.error
    return None if error is None else f"{error.get('error_type')}: {error.get('error_message')}"
