"""Make the server in a folder empty again: `empty.py DIR`; ids start from 1, and its people are there. It runs before
each test, so it imports little; where the database is, and who the people are, `serve.py` wrote down."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

PEOPLE = "people.json"
"""In the server's folder: its accounts and groups."""

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
        settle(connection, json.loads((Path(sys.argv[1]) / PEOPLE).read_text()))


def settle(connection: psycopg.Connection[Any], people: dict[str, Any]) -> None:
    """Have these people on the server: names of groups, and accounts with the hashes of their passwords."""
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO account_group (groupname) VALUES (%s)", [[name] for name in people["groups"]])
        for user in people["users"]:
            cursor.execute(
                "INSERT INTO account (username, password, role, enabled, fullname, organization, email)"
                " VALUES (%(username)s, %(password)s, %(role)s, %(enabled)s, %(fullname)s, %(organization)s,"
                " %(email)s)",
                user,
            )
            cursor.execute(
                "INSERT INTO membership SELECT a.id, g.id FROM account a, account_group g"
                " WHERE a.username = %(username)s AND g.groupname = ANY(%(groups)s)",
                user,
            )


if __name__ == "__main__":
    main()
