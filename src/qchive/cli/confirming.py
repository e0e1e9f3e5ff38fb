"""Asking before something is done to many records, or for good."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from qchive.cli import printing
from qchive.cli.exits import Exit

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


def confirm_by_name(name: str, given: str | None, what: str) -> None:
    """Go on only if a person types the name of what will be lost, or gave it before.

    Raises:
        typer.Exit: another name, or there is nobody to ask; that is said on stderr.
    """
    if given is None and sys.stdin.isatty():
        typer.echo(f"The database {name} is not empty. {what} Type its name to go on: ", err=True, nl=False)
        given = sys.stdin.readline().strip()
    if given != name:
        said = f"{given!r} is not its name" if given is not None else f"with --replace {name} it is done unasked"
        printing.tell(f"qchive: nothing was done: the database {name} is not empty, and {said}")
        raise typer.Exit(Exit.usage)


def confirm(question: str, yes: bool) -> None:
    """Go on only if a person at the terminal says so, or said so before.

    Raises:
        typer.Exit: no, or there is nobody to ask; that is said on stderr.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        printing.tell("qchive: nothing was done, for there is no terminal to ask on; with --yes it is done unasked")
        raise typer.Exit(Exit.usage)
    typer.echo(f"{question} [y/N] ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        printing.tell("Nothing was done.")
        raise typer.Exit(Exit.usage)
