"""The `qchive` command. Each group of commands is a module; what is slow to import is imported when it is needed."""

from __future__ import annotations

import sys

import typer

from qchive.cli import (
    adding,
    configuring,
    demo,
    doctor,
    errors,
    exits,
    keeping,
    molecules,
    operations,
    records,
    rules,
    serving,
    status,
    submit,
    tokens,
    users,
)

app = typer.Typer(
    name="qchive",
    help="An archive that runs quantum chemistry.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    serving,
    configuring,
    keeping,
    demo,
    doctor,
    submit,
    adding,
    records,
    errors,
    operations,
    rules,
    molecules,
    status,
    users,
    tokens,
):
    group.add_to(app)


def main() -> None:
    """Run the command line; what QCHive refuses is said in a sentence, without a traceback."""
    from qchive.errors import QCHiveError

    try:
        app()
    except QCHiveError as error:
        which = f": {', '.join(map(str, error.fields['ids']))}" if error.fields.get("ids") else ""
        typer.secho(f"qchive: {error}{which}", fg="red", err=True)
        sys.exit(exits.of(error))
