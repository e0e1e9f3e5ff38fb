"""Older databases reach the present schema, and keep what they hold."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from tests.archive import prepared

from qchive.db.migrate import VERSION, migrate, schema
from qchive.errors import WrongSchema

OLDER = {version: schema(version) for version in range(1, VERSION)}
# Everything that a schema is, whatever the order of its columns.
SHAPE = {
    "columns": """
        SELECT table_name, column_name, data_type, udt_name, is_nullable, column_default, identity_generation
        FROM information_schema.columns WHERE table_schema = 'public'
    """,
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "constraints": """
        SELECT conrelid::regclass::text, contype, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    """,
    "functions": """
        SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """,
    "types": "SELECT typname, enum_range FROM (SELECT t.typname, array_agg(e.enumlabel ORDER BY e.enumsortorder) AS "
    "enum_range FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid GROUP BY t.typname) AS enums",
    "storage": """
        SELECT c.relname, c.reloptions, a.attname, a.attstorage, a.attcompression
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    """,
}
LIFE = """
INSERT INTO specification (hash, kind, body, program) VALUES ('h', 'singlepoint', '{}', 'psi4');
INSERT INTO record (kind, spec_id, identity, status, stack) VALUES ('singlepoint', 1, 'i', 'cancelled', '{waiting}');
INSERT INTO operation (username, action) VALUES (NULL, 'cancel');
INSERT INTO move (operation_id, record_id, source, target) VALUES (1, 1, 'waiting', 'cancelled');
INSERT INTO attempt (record_id, attempt_no, outcome) VALUES (1, 1, 'lost');
INSERT INTO attempt (record_id, attempt_no, outcome, error_type) VALUES (1, 2, 'error', 'a'), (1, 3, 'error', 'a');
INSERT INTO attempt (record_id, attempt_no, outcome, error_type, error_message) VALUES (1, 4, 'error', 'a', 'b');
INSERT INTO comment (record_id, text) VALUES (1, 'seen');
"""


def shape(conninfo: str) -> dict[str, list[str]]:
    with psycopg.connect(conninfo) as conn:
        return {what: sorted(map(repr, conn.execute(query.encode()).fetchall())) for what, query in SHAPE.items()}


def old(conninfo: str, version: int) -> None:
    with psycopg.connect(conninfo) as conn:
        conn.execute(OLDER[version])
        conn.execute("INSERT INTO setting VALUES ('schema', to_jsonb(%s::int))", (version,))
        conn.execute(LIFE)


@pytest.mark.parametrize("version", OLDER)
def test_an_older_database_becomes_like_a_new_one_and_keeps_what_it_holds(databases: Any, version: int) -> None:
    with prepared(databases) as new, databases.fresh() as older:
        old(older, version)
        assert migrate(older) == version
        assert shape(older) == shape(new)
        with psycopg.connect(older) as conn:
            held = conn.execute(
                "SELECT r.status::text, m.source::text, m.target::text, m.time = o.time, o.action, c.text"
                " FROM record r JOIN move m ON m.record_id = r.id JOIN operation o ON o.id = m.operation_id"
                " JOIN comment c ON c.record_id = r.id"
            ).fetchall()
            told = conn.execute("SELECT outcome, error_class, fingerprint FROM attempt ORDER BY attempt_no").fetchall()
        assert held == [("cancelled", "waiting", "cancelled", True, "cancel", "seen")]
        assert told[0] == ("lost", None, None)
        assert told[1] == told[2] != told[3]
        assert {(one[1], len(one[2])) for one in told[1:]} == {("unknown", 12)}
        assert migrate(older) == VERSION, "a second time changes nothing"


def test_a_newer_database_is_refused(databases: Any) -> None:
    with prepared(databases) as conninfo:
        with psycopg.connect(conninfo) as conn:
            conn.execute("UPDATE setting SET value = to_jsonb(%s::int) WHERE key = 'schema'", (VERSION + 1,))
        with pytest.raises(WrongSchema, match="install the newer release"):
            migrate(conninfo)
