"""Whoever sends a request is found by index, however many accounts, tokens and sessions there are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.archive import prepared
from tests.sql.test_plans import plan

MANY = 5000
FILL = f"""
    INSERT INTO account (username, password, role) SELECT 'user' || n, 'x', 'read' FROM generate_series(1, {MANY}) n;
    INSERT INTO api_token (account_id, hash, token_prefix, name, scope)
        SELECT n, sha256(n::text::bytea), 'qcf_', 'one', 'read' FROM generate_series(1, {MANY}) n;
    INSERT INTO browser_session (public_id, account_id, hash, epoch)
        SELECT n::text, n, sha256(n::text::bytea), 0 FROM generate_series(1, {MANY}) n;
    INSERT INTO failed_login (address, username)
        SELECT 'address' || n % 500, 'user' || n FROM generate_series(1, {MANY}) n;
    VACUUM ANALYZE account, api_token, browser_session, failed_login
"""
HASH = hashlib.sha256(b"77").digest()
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "accounts/holder": ({"id": 77}, "account_pkey"),
    "accounts/secret": ({"id": None, "username": "user77"}, "account_username_key"),
    "tokens/holder": ({"hash": HASH}, "api_token_hash_key"),
    "sessions/holder": ({"hash": HASH, "lifetime": 60.0, "note_after": 30.0}, "browser_session_hash_key"),
    "logins/blocked": (
        {"address": "address7", "username": "user7", "window": 60.0, "most": 10, "most_of_address": 50},
        "failed_login_address",
    ),
}


@pytest.fixture(scope="module")
def conn(databases: Any) -> Iterator[psycopg.Connection[Any]]:
    with prepared(databases) as conninfo, psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")  # as connections of the pool have it
        for statement in FILL.split(";"):
            connection.execute(statement.encode())
        yield connection


@pytest.mark.parametrize("name", ASKED)
def test_who_asks_is_found_by_index(conn: psycopg.Connection[Any], name: str) -> None:
    params, index = ASKED[name]
    pages, shown, found = plan(conn, name, **params)
    assert index in shown
    assert "Seq Scan" not in shown
    assert found == 1
    assert pages <= 25
