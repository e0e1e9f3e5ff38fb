"""Tables for people, JSON for machines: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")]

COLOURS = {
    "complete": "green",
    "error": "red",
    "running": "yellow",
    "waiting": "cyan",
    "cancelled": "magenta",
    "invalid": "magenta",
    "deleted": "bright_black",
}
"""Of each status, everywhere."""

_UNWATCHED_WIDTH = 200


def console(*, stderr: bool = False) -> Console:
    """Where to write. A pipe or file gets lines long enough that nothing is cut off."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _UNWATCHED_WIDTH
    return Console(stderr=stderr, highlight=False, width=width, soft_wrap=False)


def write_json(value: Any) -> None:
    """A value as JSON on stdout."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
    typer.echo(text.decode())


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> Table:
    """A table of text; None is an empty cell. Columns in `right` hold numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*[cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in row])
    return made


def facts(pairs: Iterable[tuple[str, Any]]) -> Table:
    """Names and what is known under them, one below the other; what is None or empty is left out."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    made.add_column(style="bright_black", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None and value != "":
            made.add_row(f"  {name}", value if isinstance(value, Text) else Text(str(value)))
    return made


def coloured(status: str) -> Any:
    """A status in its colour."""
    from rich.text import Text

    return Text(status, style=COLOURS.get(status, ""))


def tell(text: str) -> None:
    """A message for whoever watches; stdout is kept for results."""
    typer.echo(text, err=True)


def moment(time: datetime) -> str:
    """A time as the clock on the wall has it."""
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


def counted(counts: Mapping[str, int]) -> str:
    """`3 complete, 1 error`."""
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n) or "none"


def many(n: int, what: str) -> str:
    """`1 record`, `2 records`."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
