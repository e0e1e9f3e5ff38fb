"""What commands say about operations: what would be done, what was, and how to take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from qchive.cli import printing
from qchive.cli.exits import Exit

if TYPE_CHECKING:
    from qchive.client.operations import Operation, Preview
    from qchive.client.tables import Counts

NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for what the server does in the background.")]


class Outcome:
    """What became of a command that changes records."""

    def __init__(self, operation: Operation | None = None, *, changed: int = 0, relatives: int = 0) -> None:
        self.operation = operation
        self.changed: int = operation.changed if operation else changed
        self.relatives: int = operation.relatives if operation else relatives
        self._refused: int = operation.refused if operation else 0
        self.reasons: list[dict[str, Any]] = []
        """For each that was refused, where they are known: `id` and `reason`."""

    def refuse(self, record_id: int, reason: str) -> None:
        """One of the records asked for did not change."""
        self.reasons.append({"id": record_id, "reason": reason})

    @property
    def refused(self) -> int:
        """How many of those asked for did not change."""
        return max(self._refused, len(self.reasons))

    @property
    def running(self) -> bool:
        """Whether the server is still at it."""
        return self.operation is not None and self.operation.state == "running"

    @property
    def exit(self) -> Exit:
        """How the command ends."""
        stopped = self.operation is not None and self.operation.state == "stopped"
        return Exit.incomplete if self.refused or stopped else Exit.done


def outcome(found: Outcome, as_json: bool) -> None:
    """Say what was done and how to take it back, and end the command.

    Raises:
        typer.Exit: always.
    """
    operation = found.operation
    if as_json:
        printing.write_json(
            {
                "operation": operation and described(operation),
                "changed": found.changed,
                "relatives": found.relatives,
                "refused": found.refused,
                "reasons": found.reasons,
            }
        )
        raise typer.Exit(found.exit)
    more = f", and {printing.many(found.relatives, 'relative')} with them" if found.relatives else ""
    so_far = " so far" if found.running else ""
    typer.echo(f"{printing.many(found.changed, 'record')} changed{more}{so_far}")
    if found.refused:
        printing.tell(f"{printing.many(found.refused, 'record')} refused")
    for one in found.reasons:
        printing.tell(f"  record {one['id']} {one['reason']}")
    if operation is not None:
        tell_of(operation)
    raise typer.Exit(found.exit)


def tell_of(operation: Operation) -> None:
    """Say how an operation stands, and how to take it back."""
    if operation.state == "running":
        printing.tell(f"Operation {operation.id} runs in the background: qchive operations show {operation.id}")
    elif operation.state == "stopped":
        printing.tell(f"Operation {operation.id} was stopped before it was through.")
    if operation.undoable:
        printing.tell(f"To take operation {operation.id} back: qchive undo {operation.id}")
    else:
        printing.tell(f"This was operation {operation.id}; it cannot be taken back.")


def preview(found: Preview, as_json: bool) -> None:
    """Say what would be done."""
    if not as_json:
        typer.echo(str(found))
        return
    import msgspec

    printing.write_json(
        {
            "action": found.action,
            "count": found.count,
            "by_status": plain(found.by_status),
            "others": plain(found.others),
            "examples": msgspec.to_builtins(found.examples),
            "background": found.background,
        }
    )


def counts(found: Counts, as_json: bool) -> None:
    """Say how many records there are, by kind and status."""
    if as_json:
        printing.write_json({"count": found.total, "by_status": plain(found)})
    else:
        typer.echo(str(found))


def plain(found: Counts) -> dict[str, dict[str, int]]:
    """Counts as JSON has them."""
    return {kind: {status.value: n for status, n in of_kind.items()} for kind, of_kind in found.items()}


def described(operation: Operation) -> dict[str, Any]:
    """An operation as JSON has it."""
    from qchive.api.operations import Operation as Document

    return {name: getattr(operation, name) for name in Document.__struct_fields__} | {"undoable": operation.undoable}
