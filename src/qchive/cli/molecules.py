"""`qchive molecules`: looking after molecules."""

from __future__ import annotations

from typing import Annotated

import typer

from qchive.cli import printing
from qchive.cli.confirming import Yes, confirm
from qchive.cli.connecting import DEFAULT, Address, connect
from qchive.cli.printing import AsJson


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="Look after molecules.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.command()(purge)
    app.add_typer(group, name="molecules", rich_help_panel="Computing")


def purge(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them.")] = False,
    yes: Yes = False,
    address: Address = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Remove all molecules that no record refers to."""
    with connect(address) as client:
        found, removed = client.purge_molecules(), 0
        if found and not dry_run:
            confirm(f"remove {printing.many(found, 'molecule')} that no record refers to?", yes)
            removed = client.purge_molecules(dry_run=False)
    if as_json:
        printing.write_json({"found": found, "removed": removed})
    elif dry_run:
        typer.echo(f"{printing.many(found, 'molecule')} that no record refers to")
    else:
        typer.echo(f"{printing.many(removed, 'molecule')} removed")
