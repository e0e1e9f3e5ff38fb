"""The floor: the same rows written and read by bare SQL, in the same batches, without HTTP, checks or a protocol.

Nothing can cost less that keeps these rows in PostgreSQL with the same guarantees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.rows import tuple_row

from benchmarks.measure import Figure
from benchmarks.servers import Server
from benchmarks.sizes import Sizes
from qchive.db.migrate import migrate

T = TypeVar("T")
Rows = dict[str, list[tuple[Any, ...]]]
_WAITING = {"status": "waiting", "worker_id": None, "attempt_no": 0}
_RETURN = 10
"""Results of one request, as the client sends them."""


class _Table:
    """A table of ours: its columns (without arrays, which are at their defaults), and where its rows belong."""

    def __init__(self, conn: psycopg.Connection[Any], name: str, key: str) -> None:
        self.name, self.key = name, key
        found = conn.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (name,),
        ).fetchall()
        self.columns = [(column, kind) for column, kind in found if not kind.endswith("[]")]
        names = ", ".join(column for column, _ in self.columns)
        shown = ", ".join(f"{column}::{_travels(kind)}" for column, kind in self.columns)
        arrays = ", ".join(f"%b::{_travels(kind)}[]" for _, kind in self.columns)
        cast = ", ".join(f"{column}::{kind}" for column, kind in self.columns)
        self._select = f"SELECT {shown} FROM {name} WHERE {key} = ANY(%b) ORDER BY {key}"
        self._insert = f"INSERT INTO {name} ({names}) SELECT {cast} FROM unnest({arrays}) AS t ({names})"

    def read(self, conn: psycopg.Connection[Any], ids: list[int]) -> list[tuple[Any, ...]]:
        """All rows that belong to these."""
        return conn.cursor(binary=True, row_factory=tuple_row).execute(self._select.encode(), (ids,)).fetchall()

    def write(self, conn: psycopg.Connection[Any], rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert them."""
        if rows:
            conn.execute(self._insert.encode(), [list(column) for column in zip(*rows, strict=True)])

    def at(self, column: str) -> int:
        """The place of a column."""
        return [name for name, _ in self.columns].index(column)


def _travels(kind: str) -> str:
    """The type in which a column's values come and go."""
    return "text" if kind in ("jsonb", "record_status") else kind


class _Floor:
    """A database of its own beside ours, and the rows that ours holds."""

    def __init__(self, source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> None:
        self.source, self.target = source, target
        keys = {"molecule": "id", "record": "id"} | dict.fromkeys(
            ("record_identity", "record_molecule", "attempt", "result", "blob"), "record_id"
        )
        self.tables = {name: _Table(source, name, key) for name, key in keys.items()}
        self.tables["record_child"] = _Table(source, "record_child", "parent_id")

    def rows(self, ids: list[int]) -> Rows:
        """What ours holds of these records, with their molecules."""
        found = {name: t.read(self.source, ids) for name, t in self.tables.items() if name != "molecule"}
        place = self.tables["record_molecule"].at("molecule_id")
        found["molecule"] = self.tables["molecule"].read(
            self.source, list({row[place] for row in found["record_molecule"]})
        )
        return found

    def waiting(self, records: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The same records as they were when they were new."""
        columns = [name for name, _ in self.tables["record"].columns]
        return [tuple(_WAITING.get(c, v) for c, v in zip(columns, row, strict=True)) for row in records]

    def write(self, *written: tuple[str, list[tuple[Any, ...]]]) -> None:
        """Insert rows, table by table, in one transaction."""
        with self.target.transaction():
            for name, rows in written:
                self.tables[name].write(self.target, rows)


def floor(server: Server, sizes: Sizes) -> list[Figure]:
    """Write and read again what `records` left in our database."""
    if server.name != "qchive":
        return []
    figures: list[Figure] = []
    with _floor(server) as it:
        ids = _latest(it, "singlepoint", sizes.records)
        _singlepoints(it, server, sizes, ids, figures)
        ids = _latest(it, "optimization", sizes.optimizations)
        _optimizations(it, server, ids, figures)
    return figures


@contextmanager
def _floor(server: Server) -> Iterator[_Floor]:
    dsn = server.dsn.replace("/qchive?", "/floor?", 1)
    with psycopg.connect(server.dsn, autocommit=True) as source:
        source.execute("DROP DATABASE IF EXISTS floor WITH (FORCE)")
        source.execute("CREATE DATABASE floor")
        migrate(dsn)
        with psycopg.connect(dsn, autocommit=True, prepare_threshold=1) as target:
            it = _Floor(source, target)
            target.execute("ALTER TABLE requirement ALTER programs SET DEFAULT '{}'")
            for table in (_Table(source, name, "id") for name in ("specification", "requirement")):
                ids = [i for (i,) in source.execute(f"SELECT id FROM {table.name}".encode()).fetchall()]
                table.write(target, table.read(source, ids))
            yield it


def _latest(it: _Floor, kind: str, n: int) -> list[int]:
    found = it.source.execute(
        "SELECT r.id FROM record r WHERE kind = %s AND status = 'complete' AND requirement_id IS NOT NULL"
        " ORDER BY id DESC LIMIT %s",
        (kind, n),
    ).fetchall()
    return sorted(i for (i,) in found)


def _parts(things: Sequence[T], n: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(things), n):
        yield things[start : start + n]


@contextmanager
def _timed(measure: str, server: Server, n: int, figures: list[Figure]) -> Iterator[None]:
    cost = server.cost()
    with cost:
        yield
    # What stands in for a server here is this process.
    figures.append(Figure(measure, "floor", n, cost.wall, cost.client, cost.postgres))


def _singlepoints(it: _Floor, server: Server, sizes: Sizes, ids: list[int], figures: list[Figure]) -> None:
    batches = [it.rows(list(some)) for some in _parts(ids, sizes.chunk)]
    with _timed("add new single points", server, len(ids), figures):
        for rows in batches:
            it.write(
                ("molecule", rows["molecule"]), ("record", it.waiting(rows["record"])),
                ("record_identity", rows["record_identity"]), ("record_molecule", rows["record_molecule"]),
            )  # fmt: skip
    molecule, identity = it.tables["molecule"], it.tables["record_identity"]
    with _timed("add duplicates", server, len(ids), figures):
        for rows in batches:
            _ask(
                it,
                "SELECT hash, id FROM molecule WHERE hash = ANY(%b)",
                [r[molecule.at("hash")] for r in rows["molecule"]],
            )
            identities = [r[identity.at("identity")] for r in rows["record_identity"]]
            _ask(it, "SELECT identity, record_id FROM record_identity WHERE identity = ANY(%b)", identities)
    with _timed("claim", server, len(ids), figures):
        for some in _parts(ids, sizes.claim):
            _claim(it, list(some))
    batches = [it.rows(list(some)) for some in _parts(ids, _RETURN)]
    with _timed("return with 20 kB of output", server, len(ids), figures):
        for rows in batches:
            with it.target.transaction():
                it.write(*((name, rows[name]) for name in ("attempt", "result", "blob")))
                _finish(it, [row[0] for row in rows["record"]])
    with _timed("read complete records, all fields", server, len(ids), figures):
        for some in _parts(ids, sizes.chunk):
            _read(it, list(some))
    with _timed("lazy fields of one record", server, sizes.lazy, figures):
        for i in ids[: sizes.lazy]:
            _read(it, [i])


def _optimizations(it: _Floor, server: Server, ids: list[int], figures: list[Figure]) -> None:
    child = it.tables["record_child"]
    first = it.rows(ids)
    known = {row[0] for row in first["molecule"]}
    role = it.tables["record_molecule"].at("role")
    starts = [row for row in first["record_molecule"] if row[role] == "initial_molecule"]
    started = {row[it.tables["record_molecule"].at("molecule_id")] for row in starts}
    it.write(
        ("molecule", [row for row in first["molecule"] if row[0] in started]), ("record", it.waiting(first["record"])),
        ("record_identity", first["record_identity"]),
        ("record_molecule", starts),
    )  # fmt: skip
    batches = []
    for some in _parts(ids, _RETURN):
        own = it.rows(list(some))
        steps = it.rows([row[child.at("child_id")] for row in own["record_child"]])
        batches.append((own, steps))
    with _timed("return optimizations of five steps", server, len(ids), figures):
        for own, steps in batches:
            made = {row[0]: row for row in (*own["molecule"], *steps["molecule"]) if row[0] not in started}
            ended = [row for row in own["record_molecule"] if row[role] != "initial_molecule"]
            with it.target.transaction():
                it.write(("molecule", list(made.values())), ("record", steps["record"]))
                it.write(("record_identity", steps["record_identity"]), ("record_child", own["record_child"]))
                it.write(("record_molecule", ended + steps["record_molecule"]))
                it.write(*((name, own[name] + steps[name]) for name in ("attempt", "result", "blob")))
                _finish(it, [row[0] for row in own["record"]])
    assert known >= started


def _ask(it: _Floor, text: str, *values: Any) -> None:
    it.target.cursor(binary=True).execute(text.encode(), values).fetchall()


def _claim(it: _Floor, ids: list[int]) -> None:
    with it.target.transaction():
        it.target.execute(
            "UPDATE record SET status = 'running', worker_id = 1, claimed_at = now(), attempt_no = 1,"
            " modified_on = now() WHERE id = ANY(%b)",
            (ids,),
        )
        _ask(
            it,
            "SELECT m.record_id, d.document FROM record_molecule m JOIN molecule d ON d.id = m.molecule_id"
            " WHERE m.record_id = ANY(%b)",
            ids,
        )


def _finish(it: _Floor, ids: list[int]) -> None:
    it.target.execute("UPDATE record SET status = 'complete', modified_on = now() WHERE id = ANY(%b)", (ids,))


def _read(it: _Floor, ids: list[int]) -> None:
    _ask(it, "SELECT r.*, s.body FROM record r JOIN specification s ON s.id = r.spec_id WHERE r.id = ANY(%b)", ids)
    _ask(
        it,
        "SELECT m.record_id, d.document FROM record_molecule m JOIN molecule d ON d.id = m.molecule_id"
        " WHERE m.record_id = ANY(%b)",
        ids,
    )
    for name in ("result", "attempt", "blob", "comment"):
        _ask(it, f"SELECT * FROM {name} WHERE record_id = ANY(%b)", ids)
