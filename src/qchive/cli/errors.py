"""`qchive errors`: what went wrong, over all records in error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qchive.cli import printing
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.filtering import Filter
from qchive.cli.options import expanded
from qchive.cli.printing import AsJson
from qchive.diagnosis import MEANING

if TYPE_CHECKING:
    from qchive.api.failures import ErrorGroup

_LINES, _WIDTH = 3, 120


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Computing")(errors)


@expanded
def errors(
    filter: Filter,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many groups at most.")] = 20,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Group records in error by what went wrong, the most frequent first, and say what to do about it."""
    with connect(address) as client:
        found = client.error_summary(**filter.given(), limit=limit)
    if as_json:
        import msgspec

        printing.write_json(msgspec.to_builtins(found))
    elif found:
        _show(found, limit)
    else:
        typer.echo("No failed records that fit.")


def _show(found: Sequence[ErrorGroup], limit: int) -> None:
    out = printing.console()
    columns = ("records", "class", "program", "what happened", "last seen", "fingerprint")
    rows = (
        (g.count, g.error_class, g.program, _message(g.message), printing.moment(g.last_seen), g.fingerprint)
        for g in found
    )
    out.print(printing.table(columns, rows, right=["records"]))
    for line in _advice(found):
        printing.tell(line)
    if len(found) == limit:
        printing.tell(f"These are the {limit} most frequent; --limit shows more.")


def _message(text: str) -> str:
    lines = [line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…" for line in text.splitlines()]
    return "\n".join(lines if len(lines) <= _LINES else [*lines[: _LINES - 1], "…"])


def _advice(found: Sequence[ErrorGroup]) -> list[str]:
    """What each class means, as far as it occurs, and what can be done to all records of a group."""
    meant: dict[str, Any] = {str(c): said for c, said in MEANING.items()}
    classes = [name for name in meant if name in {g.error_class for g in found}]
    first = found[0]
    return [
        *(f"{name}: {' '.join(meant[name])}" for name in classes),
        "",
        f"Look at one:       qchive records show {first.record_ids[0]}",
        f"Run a group again: qchive records reset --fingerprint {first.fingerprint}",
        f"Give a group up:   qchive records cancel --fingerprint {first.fingerprint}",
    ]
