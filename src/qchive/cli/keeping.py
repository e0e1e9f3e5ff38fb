"""Keeping an archive: `upgrade`, `backup`, `restore`, `move-to`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qchive.cli import confirming, printing

if TYPE_CHECKING:
    from qchive.db.keeping.file import Manifest

Data = Annotated[
    Path | None, typer.Option("--data", help="Folder of an archive with an embedded database; default: yours.")
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database-url", envvar="QCHIVE_DATABASE_URL", help="A PostgreSQL of yours instead; --data goes before it."
    ),
]
Tell = Callable[[str, int], None]

MB = 1e6


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = "Keeping an archive"
    for command in (backup, restore, upgrade):
        app.command(rich_help_panel=group)(command)
    app.command("move-to", rich_help_panel=group)(move_to)


def backup(
    file: Annotated[Path, typer.Argument(help="The file to make; never one that is there already.")],
    data: Data = None,
    database_url: Database = None,
) -> None:
    """Write a copy of an archive to a file, as it is at this moment, while it goes on working."""
    from qchive.db.keeping import verbs
    from qchive.db.keeping.file import refuse_existing

    refuse_existing(file)
    with place_of(data, database_url) as conninfo, _progress() as tell:
        made = verbs.back_up(conninfo, file, tell)
    printing.tell(f"{file}: {_said(made)}, {file.stat().st_size / MB:,.1f} MB")
    for name in made.contents.left_out:
        printing.tell(f"The table {name} is not QCHive's and was left out: keep such tables in another schema.")


def restore(
    file: Annotated[Path, typer.Argument(help="What `qchive backup` made.")],
    data: Data = None,
    database_url: Database = None,
    check: Annotated[bool, typer.Option("--check", help="Only see whether the file is whole.")] = False,
    replace: Annotated[
        str | None,
        typer.Option(help="Remove for good what the database of this name holds; else its name is asked for."),
    ] = None,
) -> None:
    """Fill an empty database with a backup: all of it or, whatever happens meanwhile, nothing."""
    from qchive.db.keeping import verbs

    if check:
        with _progress() as tell:
            found = verbs.examine(file, tell)
        typer.echo(f"{file} is whole: {_said(found)}")
        return
    with place_of(data, database_url, make=True) as conninfo:
        empty = verbs.is_empty(conninfo)
        if not empty:
            what = "All that is in its schema now will be gone for good."
            confirming.confirm_by_name(verbs.name_of(conninfo), replace, what)
        with _progress() as tell:
            contents = verbs.restore(conninfo, file, tell, replace=not empty)
    printing.tell(f"Restored, as it was at {printing.moment(contents.taken)}.")


def upgrade(
    data: Data = None,
    database_url: Database = None,
    backup: Annotated[Path | None, typer.Option(help="Make a backup first, in this file.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    even_if_connected: Annotated[
        bool, typer.Option("--even-if-connected", help="Also while servers or others use the database.")
    ] = False,
) -> None:
    """Bring a database to the schema of this release. `qchive server` does so too, unless told --no-migrate."""
    from qchive.db.keeping import verbs

    with place_of(data, database_url) as conninfo:
        planned = verbs.plan(conninfo, alone=backup is not None and not (dry_run or even_if_connected))
        _announce(planned.found, planned.steps)
        if dry_run or (planned.found and not planned.steps):
            return
        if backup is not None:
            with _progress() as tell:
                verbs.back_up(conninfo, backup, tell)
            printing.tell(f"The backup is {backup}.")
        verbs.upgrade(conninfo, connected_too=even_if_connected)
        printing.tell("Done.")


def move_to(
    database_url: Annotated[str, typer.Argument(metavar="URL", help="An empty database: postgresql://…")],
    data: Data = None,
) -> None:
    """Copy an archive from its embedded database, which is not to run and stays as it is, to a PostgreSQL server."""
    from qchive.db.folder import default_data
    from qchive.db.keeping import place, verbs

    folder = (data or default_data()).absolute()
    with place.running(folder, alone=True) as conninfo, _progress() as tell:
        verbs.move(conninfo, database_url, tell)
    typer.echo("All rows are there, compared one by one. From now on start the archive with")
    shown = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:…@", database_url)
    typer.echo(f"  qchive up --data {folder} --database-url {shown}")
    printing.tell(f"The database in {folder} is as it was. Do not start it again: it would go on as another archive.")


@contextmanager
def place_of(data: Path | None, database_url: str | None, *, make: bool = False) -> Iterator[str]:
    """Where the database is."""
    from qchive.db.folder import default_data
    from qchive.db.keeping import place

    if data is None and database_url is not None:
        yield database_url
        return
    with place.running(data or default_data(), make=make) as conninfo:
        yield conninfo


@contextmanager
def _progress() -> Iterator[Tell]:
    """What is being worked on and how fast, for whoever watches at a terminal."""
    if not sys.stderr.isatty():
        yield lambda what, done: None
        return
    from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=printing.console(stderr=True), transient=True) as shown:
        task = shown.add_task("connecting", total=None)
        yield lambda what, done: shown.update(task, description=what, advance=done)


def _announce(found: int, steps: tuple[str, ...]) -> None:
    from qchive.db.migrate import VERSION

    if not found:
        typer.echo(f"The database is empty: it gets schema {VERSION}.")
    elif not steps:
        typer.echo(f"The database has schema {VERSION}, which is that of this release: nothing to do.")
    else:
        typer.echo(f"The database has schema {found}, this release works on {VERSION}:")
        for number, step in enumerate(steps, found + 1):
            typer.echo(f"  {number}  {step}")


def _said(made: Manifest) -> str:
    rows = {member.table: member.rows for member in made.members}
    when = printing.moment(made.contents.taken)
    return f"schema {made.contents.schema}, {printing.many(rows['record'], 'record')} as of {when}"
