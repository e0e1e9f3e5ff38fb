"""Make the server in a folder empty again: `empty.py DIR`; ids start from 1. It runs before each test, so it imports
little; where the database is, `serve.py` wrote down."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
from psycopg import sql

KEPT = ("setting",)
"""Tables that are about the database itself."""


def main() -> None:
    """Empty all tables but those about the database itself."""
    with psycopg.connect((Path(sys.argv[1]) / "conninfo.txt").read_text()) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> ALL (%s)",
            [list(KEPT)],
        ).fetchall()
        names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in tables)
        connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(names))


if __name__ == "__main__":
    main()
