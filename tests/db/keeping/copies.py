"""An archive with everything in it, and how to tell whether a copy is the same."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql as composing
from tests.acting import by_filter, do, family, last_operation, one_of_each, undo
from tests.factories import SPEC, Http, Manager, add, claim_and_return, failure, make_molecule, sql
from tests.runners import add_job
from tests.sql.test_migrations import shape
from tests.ticking import tick

from qchive.kinds import KINDS

ODD = "tab\there, line\nbreak, back\\slash, \\N, \\., 'quotes' \"both\", Ångström 🧪"

ACCOUNTS = (
    "INSERT INTO account (username, password, role) VALUES ('ada', '$argon2id$', 'admin')",
    "INSERT INTO account_group (groupname) VALUES ('chemists')",
    "INSERT INTO membership VALUES (1, 1)",
    "INSERT INTO api_token (account_id, hash, token_prefix, name, scope) VALUES (1, 'h', 'qch', 'mine', 'read')",
    "INSERT INTO browser_session (public_id, account_id, hash, epoch) VALUES ('p', 1, 'h', 0)",
    "INSERT INTO failed_login (address, username) VALUES ('::1', NULL)",
)

SEEN = (
    "INSERT INTO access_log (timestamp, method, module, full_uri, request_duration, request_bytes, response_bytes,"
    " status, user_agent, request_id) VALUES (now(), 'GET', 'api', '/', 0.1, 1, 2, 200, %(odd)s, 'r')",
    "INSERT INTO server_error (id, error_date, version, error_text) VALUES (1, now(), '1', %(odd)s)",
    "INSERT INTO server_stats VALUES ('2020-01-01', 1, 0.1, 3, '{\"singlepoint\": {\"complete\": 1}}')",
    "INSERT INTO upkeep_loop VALUES (%(odd)s, now(), 0.1)",
)

KILLED = """
import os, sys
from pathlib import Path
from qchive.db.keeping import verbs

def tell(what, done):
    print(what, flush=True)
    if what == sys.argv[4]:
        os.kill(os.getpid(), 9)

getattr(verbs, sys.argv[1])(sys.argv[2], Path(sys.argv[3]) if sys.argv[1] != "move" else sys.argv[3], tell)
"""


RULES = (
    "INSERT INTO rule (name, filter, kind, spec_id, tag, priority, find_existing, enabled) VALUES"
    " (%(odd)s, '{}', 'singlepoint', 1, '*', 1, true, true)",
    "INSERT INTO follow_on (rule_id, source_id, state, through) VALUES (1, 1, 'waiting', '{1}')",
    "INSERT INTO completion (record_id) VALUES (1)",
)


def everything(api: Http, conninfo: str) -> None:
    """Fill an archive: records in each status, something in every table, odd text."""
    ids = one_of_each(api)
    one_of_each(api, "optimization")
    family(api)
    output = {"stdout": "converged\n" * 500, "native_files": {"input": "molecule {\n}\n"}}
    add(api, molecules=[make_molecule(symbols=("H", "H"))], spec={**SPEC, "protocols": {"native_files": "all"}})
    claim_and_return(Manager(api), **output)
    (failed,) = add(api)
    (task,) = Manager(api).claim()
    manager = Manager(api)
    add(api, compute_tag=ODD)
    assert api.statuses([failed]) == ["running"], task
    do(api, "modify", ids["error"], comment=ODD)
    by_filter(api, "modify", {"record_id": list(ids.values())}, compute_priority=2)
    undo(api, last_operation(api, ids["waiting"]))
    (again,) = add(api, compute_tag="again")
    manager = Manager(api, tags=["again"])
    manager.give_one(manager.claim()[0]["id"], failure(error_message=ODD))
    reaction = {**KINDS["reaction"].example, "compute_tag": "*", "compute_priority": 1}
    api.post("records/reaction/bulkCreate", reaction)
    tick(conninfo)
    add_job(conninfo, kwargs={"odd": ODD})
    add_job(conninfo, name="twice")
    sql(conninfo, "UPDATE record SET owner = %s WHERE id = %s", ODD, again)
    for statement in ACCOUNTS:
        sql(conninfo, statement)
    with psycopg.connect(conninfo) as conn:
        for statement in (*SEEN, *RULES):
            conn.execute(statement, {"odd": ODD})
    sql(conninfo, "SELECT make_move_month('2020-02-01')")
    for time in ("1999-01-01", "2020-02-02"):
        sql(conninfo, "INSERT INTO move (operation_id, record_id, time, source) VALUES (1, 1, %s, 'error')", time)


def state(conninfo: str) -> Mapping[str, Any]:
    """Every table by a hash over its ordered rows with the part each is in, every sequence, and the whole schema."""
    with psycopg.connect(conninfo) as conn:
        conn.execute("SET timezone = 'UTC'")
        columns = conn.execute(
            "SELECT table_name, array_agg(column_name::text ORDER BY column_name) FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name)"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' GROUP BY table_name"
        ).fetchall()
        found: dict[str, Any] = {name: _hash(conn, name, names) for name, names in columns}
        found["sequences"] = conn.execute("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1").fetchall()
    return found | {"shape": shape(conninfo)}


def _hash(conn: psycopg.Connection[Any], table: str, columns: list[str]) -> tuple[int, str]:
    row = composing.SQL("ROW({})::text").format(composing.SQL(", ").join(map(composing.Identifier, columns)))
    query = composing.SQL("SELECT tableoid::regclass::text || {row} FROM {table}").format(
        row=row, table=composing.Identifier(table)
    )
    rows = sorted(text for (text,) in conn.execute(query))
    return len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()


def holds(conninfo: str, table: str) -> int:
    """How many rows a table has."""
    return int(sql(conninfo, f"SELECT count(*) FROM {table}")[0][0])


def killed(verb: str, conninfo: str, to: object, at: str) -> None:
    """Do it in a process that is killed with -9 as soon as it works on this."""
    argv = [sys.executable, "-c", KILLED, verb, conninfo, str(to), at]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def others(conninfo: str) -> int:
    """How many connections there are to this database but for the one that asks."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return int(sql(conninfo, query)[0][0])
