"""`qchive undo` and `qchive operations`: what was done to records, and taking it back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qchive.cli import printing, telling
from qchive.cli.confirming import Yes, confirm
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.exits import Exit
from qchive.cli.filtering import moment
from qchive.cli.printing import AsJson
from qchive.cli.telling import NoWait

if TYPE_CHECKING:
    from qchive.client.operations import Operation

Id = Annotated[int, typer.Argument(metavar="OPERATION", help="Id of an operation.")]
Several = list[str] | None

_FEW = 20
"""How many records are listed for a person."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Computing")(undo)
    group = typer.Typer(
        help="See what was done to records, by whom and why.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.command("list")(list_)
    group.command()(show)
    group.command()(stop)
    app.add_typer(group, name="operations", rich_help_panel="Computing")


def undo(
    operation_id: Id,
    reason: Annotated[str | None, typer.Option(help="Why; kept with the operation.")] = None,
    yes: Yes = False,
    no_wait: NoWait = False,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take an operation back, for all records that nothing else has moved since; exit code 1 if some were left."""
    with connect(address) as client:
        operation = client.get_operation(operation_id)
        if not (yes and as_json):
            printing.tell(_sentence(operation))
        confirm("take it back?", yes)
        undoing = client.undo(operation, reason, wait=not no_wait)
        if as_json:
            left = [{"id": one.record_id, "reason": one.reason} for one in undoing.left()]
            printing.write_json({"operation": telling.described(undoing), "restored": undoing.changed, "left": left})
        else:
            _tell(undoing)
    raise typer.Exit(Exit.incomplete if undoing.refused or undoing.state == "stopped" else Exit.done)


def _sentence(operation: Operation) -> str:
    who = f" by {operation.username}" if operation.username else ""
    why = f", because: {operation.reason}" if operation.reason else ""
    changed = operation.changed + operation.relatives
    what = f"{operation.action}{who}: {printing.many(changed, 'record')} changed{why}"
    return f"Operation {operation.id}, {printing.moment(operation.time)}, {what}"


def _tell(undoing: Operation) -> None:
    so_far = " so far" if undoing.state == "running" else ""
    typer.echo(f"{printing.many(undoing.changed, 'record')} restored{so_far}")
    if undoing.refused:
        printing.tell(f"{printing.many(undoing.refused, 'record')} left alone:")
        for one in islice(undoing.left(), _FEW):
            printing.tell(f"  record {one.record_id}: {one.reason}")
        if undoing.refused > _FEW:
            printing.tell(f"  … and {undoing.refused - _FEW} more: --json lists all")
    telling.tell_of(undoing)


def list_(
    action: Annotated[Several, typer.Option(help="cancel, reset, undo …")] = None,
    user: Annotated[Several, typer.Option(help="Who did it.")] = None,
    record: Annotated[list[int] | None, typer.Option(help="Id of a record that it did something to.")] = None,
    after: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="As 2026-01-31 or 2026-01-31T12:00.")
    ] = None,
    before: Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME", help="As --after.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 25,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List what was done to records, the newest first."""
    given = {"action": action, "username": user, "record_id": record, "after": after, "before": before}
    with connect(address) as client:
        found = list(client.query_operations(**{k: v for k, v in given.items() if v}, limit=limit))
    if as_json:
        printing.write_json([telling.described(operation) for operation in found])
        return
    columns = ("id", "time", "who", "action", "state", "changed", "relatives", "refused", "why")
    rows = ((o.id, printing.moment(o.time), o.username, _action(o), o.state, *_numbers(o), o.reason) for o in found)
    printing.console().print(printing.table(columns, rows, right=("id", "changed", "relatives", "refused")))


def _action(operation: Operation) -> str:
    return operation.action if operation.undoes is None else f"{operation.action} of {operation.undoes}"


def _numbers(operation: Operation) -> tuple[int, int, int]:
    return operation.changed, operation.relatives, operation.refused


def show(
    operation_id: Id,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="How many of its records to list.")] = _FEW,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show an operation: who, when, why, to what, how far it is, and what it did record by record."""
    import msgspec

    with connect(address) as client:
        operation = client.get_operation(operation_id)
        moves = list(islice(operation.moves(), limit))
        left = list(islice(operation.left(), limit)) if operation.undoes is not None else []
    if as_json:
        more = {"moves": msgspec.to_builtins(moves), "left": msgspec.to_builtins(left)}
        printing.write_json(telling.described(operation) | more)
        return
    out = printing.console()
    out.print(f"[bold]Operation {operation.id}[/]  {_action(operation)}  {operation.state}")
    out.print(printing.facts(_facts(operation)))
    if moves:
        columns = ("record", "from", "to", "tag was", "priority was")
        out.print(printing.table(columns, map(_move, moves), right=("record",)))
    for one in left:
        printing.tell(f"  record {one.record_id} was left alone: {one.reason}")


def _facts(operation: Operation) -> Iterable[tuple[str, Any]]:
    import msgspec

    yield "when", printing.moment(operation.time)
    yield "who", operation.username
    yield "why", operation.reason
    yield "new", ", ".join(f"{name} {value}" for name, value in operation.changes.items())
    yield "on", None if operation.filter is None else msgspec.json.encode(operation.filter).decode()
    yield "changed", operation.changed
    yield "relatives", operation.relatives
    yield "refused", operation.refused
    yield "expected", operation.expected
    yield "job", operation.job_id


def _move(move: Any) -> tuple[Any, ...]:
    from qchive.status import PriorityEnum

    target = "removed" if move.target is None else printing.coloured(move.target.value)
    priority = None if move.priority is None else PriorityEnum(move.priority).name
    return move.record_id, printing.coloured(move.source.value), target, move.tag, priority


def stop(operation_id: Id, address: Address = DEFAULT, as_json: AsJson = False) -> None:
    """Let a long operation go no further; what it has done stays, and can be taken back."""
    with connect(address) as client:
        operation = client.get_operation(operation_id)
        operation.stop()
    if as_json:
        printing.write_json(telling.described(operation))
    else:
        typer.echo(
            f"Operation {operation.id} is {operation.state}; {printing.many(operation.changed, 'record')} changed"
        )
        telling.tell_of(operation)
