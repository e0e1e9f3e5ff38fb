"""`qchive demo`: a whole archive for a minute, computing real things."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from qchive.cli import printing
from qchive.cli.demo_jobs import FAILING, JOBS, REPAIRED, Job
from qchive.cli.printing import AsJson

if TYPE_CHECKING:
    from qchive.client.portal import PortalClient
    from qchive.client.records import BaseRecord
    from qchive.local import Local

Submitted = dict[int, Job]

_PATIENCE = 600.0
_PAUSE = 0.2
_COLUMNS = ("id", "molecule", "computation", "energy / Eh", "steps", "gradient", "time / s")
"""The gradient by its largest component, in Eh/a0."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Running an archive")(demo)


def demo(as_json: AsJson = False) -> None:
    """Start an archive in a temporary folder, compute real molecules with it, and show what comes out.

    One computation fails on purpose, to show what that looks like and what to do. All is gone afterwards.
    """
    from qchive.local import Local

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the archive ends in order here too
    began = time.monotonic()
    printing.tell("Starting an archive in a temporary folder: PostgreSQL, server, upkeep, worker …")
    with Local() as archive, archive.client() as client:
        printing.tell(f"It is up at {archive.address} after {time.monotonic() - began:.1f} s.")
        jobs, left_out = _possible(archive, client)
        for job in left_out:
            printing.tell(f'Left out: {job.title}; "qchive doctor" says what to install.')
        submitted = _submit(client, [*jobs, *([FAILING] if FAILING.programs <= _programs(client) else [])])
        printing.tell(f"Submitted {len(submitted)} computations.")
        _follow(archive, client, submitted)
        ended = _results(client, submitted)
        repaired = _repair(archive, client) if _failed(ended) else None
    _tell(ended, repaired, began, as_json=as_json)
    well = all(row["status"] == "complete" for row in ended if row["job"] != FAILING.title)
    raise typer.Exit(not (well and (repaired is None or repaired["status"] == "complete")))


def _possible(archive: Local, client: PortalClient) -> tuple[list[Job], list[Job]]:
    """What the worker can compute with what is installed here, and what not."""
    for _ in _polling(archive):
        if programs := _programs(client):
            return [j for j in JOBS if j.programs <= programs], [j for j in JOBS if not j.programs <= programs]
    raise AssertionError("polling ends by an exception")


def _programs(client: PortalClient) -> frozenset[str]:
    return frozenset(name for manager in client.query_managers(status="active") for name in manager.programs)


def _polling(archive: Local) -> Iterator[None]:
    """Again and again, until something is wrong.

    Raises:
        LocalProblem: a process of the archive keeps dying, or nothing comes of all the waiting.
    """
    from qchive.errors import LocalProblem

    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        yield
        if archive.supervisor is not None and archive.supervisor.problem is not None:
            raise archive.supervisor.problem
        time.sleep(_PAUSE)
    raise LocalProblem(f"Nothing came of it in {_PATIENCE:.0f} s; the worker's log ends with:\n{_log_end(archive)}")


def _log_end(archive: Local) -> str:
    from qchive.logfile import tail

    return tail(archive.log("worker"))


def _submit(client: PortalClient, jobs: Sequence[Job]) -> Submitted:
    ids = {}
    for job in jobs:
        _, (record_id,) = client.add(job.kind, job.molecule(), job.specification)
        ids[record_id] = job
    return ids


def _follow(archive: Local, client: PortalClient, submitted: Submitted) -> None:
    """Show how the records are doing until all have ended."""
    with _progress(submitted) as show:
        for _ in _polling(archive):
            statuses = {r.id: r.status.value for r in client.get_records(list(submitted))}
            show(statuses)
            if not {"waiting", "running"} & set(statuses.values()):
                return


@contextmanager
def _progress(submitted: Submitted) -> Iterator[Any]:
    """Where a person watches, a table that changes; else a line on stderr whenever something has."""
    from rich.live import Live

    out, began, said = printing.console(stderr=True), time.monotonic(), [""]
    if out.is_terminal:
        with Live(console=out, auto_refresh=False, transient=True) as live:
            yield lambda statuses: live.update(_standing(submitted, statuses), refresh=True)
        return

    def line(statuses: Mapping[int, str]) -> None:
        now = printing.counted(Counter(statuses.values()))
        if now != said[0]:
            printing.tell(f"  {time.monotonic() - began:5.1f} s  {now}")
            said[0] = now

    yield line


def _standing(submitted: Submitted, statuses: Mapping[int, str]) -> Any:
    rows = [(i, job.name, job.title, printing.coloured(statuses[i])) for i, job in submitted.items()]
    return printing.table(("id", "molecule", "computation", "status"), rows, right=("id",))


def _results(client: PortalClient, submitted: Submitted) -> list[dict[str, Any]]:
    found = client.get_records(list(submitted), include=("compute_history", "outputs"))
    return [_row(record, job) for record, job in zip(found, submitted.values(), strict=True)]


def _row(record: BaseRecord, job: Job) -> dict[str, Any]:
    from qchive.cli.summary import energy

    complete = record.status.value == "complete"
    path = getattr(record, "energies", None)
    last: Any = record.trajectory_element(-1) if complete and path else record
    gradient = last.return_result if complete and isinstance(last.return_result, list) else None
    return {
        "id": record.id,
        "molecule": job.name,
        "job": job.title,
        "status": record.status.value,
        "energy": energy(record),
        "steps": len(path) if path else None,
        "largest_gradient": max(map(abs, gradient)) if gradient else None,
        "wall_time": getattr(record.provenance, "wall_time", None) if complete else None,
        "error": record.error,
    }


def _failed(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(row["job"] == FAILING.title and row["status"] == "error" for row in rows)


def _repair(archive: Local, client: PortalClient) -> dict[str, Any]:
    """Do what the person is told to do about the failed one, and see that it helps."""
    printing.tell("One failed, as it should; submitting it again without the limit that made it fail …")
    again = _submit(client, [REPAIRED])
    _follow(archive, client, again)
    (row,) = _results(client, again)
    return row


def _tell(
    ended: Sequence[Mapping[str, Any]], repaired: Mapping[str, Any] | None, began: float, *, as_json: bool
) -> None:
    seconds = time.monotonic() - began
    if as_json:
        printing.write_json({"results": ended, "repaired": repaired, "seconds": seconds})
        return
    out = printing.console()
    good = [row for row in [*ended, *([repaired] if repaired else [])] if row["status"] == "complete"]
    out.print(printing.table(_COLUMNS, map(_cells, good), right=("id", *_COLUMNS[3:])))
    out.print("Gradients are given by their largest component, in Eh/a0.\n")
    for row in ended:
        if row["status"] != "complete":
            _tell_failure(row, repaired)
    out.print(f"All this took {seconds:.0f} s, and is gone now. To keep what you compute:\n")
    for command, why in (
        ("qchive up", "an archive of your own, until Ctrl-C"),
        ("qchive submit water.xyz -p tblite -m gfn2-xtb --optimize", "from a second terminal"),
        ("qchive status", "how it is doing"),
        ("qchive records list", "what it holds"),
    ):
        out.print(f"  {command:<58}{why}")


def _cells(row: Mapping[str, Any]) -> tuple[Any, ...]:
    def number(name: str, form: str) -> str | None:
        return None if row[name] is None else format(row[name], form)

    return (
        row["id"],
        row["molecule"],
        row["job"],
        number("energy", ".8f"),
        row["steps"],
        number("largest_gradient", ".6f"),
        number("wall_time", ".2f"),
    )


def _tell_failure(row: Mapping[str, Any], repaired: Mapping[str, Any] | None) -> None:
    from rich.text import Text

    out, error = printing.console(), row["error"] or {}
    on_purpose = ", which was to fail" if row["job"] == FAILING.title else ""
    out.print(
        Text.assemble((f"Record {row['id']} failed{on_purpose}: ", "bold red"), f"{row['molecule']}, {row['job']}")
    )
    out.print(Text(f"  {error.get('error_type')}: {error.get('error_message')}"))
    if not on_purpose:
        return
    out.print("\nWhat one does about it:\n")
    for command, why in (
        (f"qchive records show {row['id']}", "what happened"),
        (f"qchive records output {row['id']} --error", "its whole message"),
        (f"qchive records reset {row['id']}", "the same once more, say after a full disk"),
        ("qchive submit water.xyz -p pyscf -m hf -b def2-svp", "again, with other keywords: without max_cycle=2"),
        (f"client.reset_records([{row['id']}])", "once more, from Python"),
        ("client.add_singlepoints(record.molecule, …)", "again, from Python"),
    ):
        out.print(f"  {command:<58}{why}")
    out.print()
    if repaired is not None and repaired["status"] == "complete":
        out.print(f"The last was done: record {repaired['id']} is complete, {repaired['energy']:.8f} Eh.\n")
