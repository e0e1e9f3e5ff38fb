"""`qchive doctor`: what this machine has, what it lacks, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from qchive.cli import printing
from qchive.cli.printing import AsJson

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Running an archive")(doctor)


def doctor(
    data: Annotated[Path | None, typer.Option(help="Folder of the archive; default: your data folder.")] = None,
    port: Annotated[int, typer.Option(help="Where the archive is to listen.")] = 7777,
    as_json: AsJson = False,
) -> None:
    """Explain what is missing on this machine. Exit code 1 if something keeps `qchive up` from working."""
    from qchive.cli.checks import all_checks

    found = []
    for check in all_checks(data, port):
        found.append(check)
        if not as_json:
            _show(check)
    problems = [check for check in found if check.state == "problem"]
    if as_json:
        import msgspec

        printing.write_json({"works": not problems, "checks": msgspec.to_builtins(found)})
    elif problems:
        typer.echo(f"\n{printing.many(len(problems), 'problem')}: `qchive up` will not work yet.")
    else:
        typer.echo("\n`qchive up` should work.")
    raise typer.Exit(bool(problems))


def _show(check: Any) -> None:
    from rich.text import Text

    mark, colour = _MARKS[check.state]
    out = printing.console()
    out.print(Text.assemble((f"{mark} ", colour), (f"{check.name:<20}", "bold"), check.found))
    if check.advice:
        out.print(Text(f"{'':22}{check.advice}", style=colour))
