"""Settings of a server on the command line: the options that all of its commands share, and `qchive config`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qchive.cli import printing
from qchive.cli.printing import AsJson

if TYPE_CHECKING:
    from qchive.server.configuration import Configuration
    from qchive.server.settings import Settings

ConfigFile = Annotated[
    Path | None, typer.Option("--config", envvar="QCHIVE_CONFIG", help="File with settings, in YAML.", dir_okay=False)
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any setting; for others on that machine to see."),
]
Database = Annotated[
    str | None, typer.Option("--database-url", help="Where PostgreSQL is: postgresql://… Also `QCHIVE_DATABASE_URL`.")
]

_HIDDEN = "********"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Settings of a server: what holds, and a file to begin with.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.command()(show)
    group.command()(init)
    app.add_typer(group, name="config", rich_help_panel="Running an archive")


def configured(file: Path | None, more: list[str] | None, **flags: Any) -> Configuration:
    """The settings from all sources. `flags`: settings that have an option of their own, None where not given.

    Raises:
        BadConfiguration: a source names a setting that does not exist, or gives a value that it cannot have.
        typer.BadParameter: `--set` lacks a `=`.
    """
    from qchive.server.configuration import load

    typed: dict[str, tuple[Any, str]] = {}
    for text in more or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text!r} is not of the form NAME=VALUE", param_hint="--set")
        typed[name.strip()] = (value, "flag --set")
    options = {name: f"flag --{name.replace('_', '-')}" for name, value in flags.items() if value is not None}
    return load(file, typed | {name: (flags[name], option) for name, option in options.items()})


def database_of(settings: Settings) -> str:
    """Where PostgreSQL is.

    Raises:
        typer.BadParameter: nothing says so.
    """
    if settings.database_url is None:
        raise typer.BadParameter(
            "say where PostgreSQL is, here, in QCHIVE_DATABASE_URL or in the file of settings",
            param_hint="--database-url",
        )
    return settings.database_url


def show(config: ConfigFile = None, more: Set = None, database_url: Database = None, as_json: AsJson = False) -> None:
    """Show every setting as `qchive server` and `qchive upkeep` would have it, and where its value comes from."""
    from qchive.server.settings import SECRET

    found = configured(config, more, database_url=database_url)
    lines = [(name, _HIDDEN if name in SECRET and value else value, origin) for name, value, origin in found.lines()]
    if as_json:
        printing.write_json({name: {"value": value, "from": origin} for name, value, origin in lines})
    else:
        cells = ((name, _shown(value), origin) for name, value, origin in lines)
        printing.console().print(printing.table(("setting", "value", "from"), cells))


def _shown(value: Any) -> str:
    import msgspec

    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def init(file: Annotated[Path, typer.Argument(help="Where to write it; nothing is overwritten.")]) -> None:
    """Write a file with every setting, explained and as it is by default, to be changed."""
    from qchive.server.sample import sample

    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as new:
            new.write(sample())
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be made: {error.strerror}", param_hint="FILE") from None
    printing.tell(
        f"{file} is written, for you alone to read: it may hold secrets. Name it with --config, or in QCHIVE_CONFIG."
    )
