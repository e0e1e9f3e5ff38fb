"""A connection that prepares each statement once, and sends together what needs no answer in between.

psycopg does the talking. Its cursors, which find out anew for each statement what it is and what its parameters are,
cost the server more than most statements cost PostgreSQL; and each wait for an answer costs both sides a change of
processes. So BEGIN travels with the first statement, and COMMIT with the last ones whose answers nobody needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, LiteralString, TypeVar

import msgspec
from psycopg import AsyncConnection, AsyncCursor, generators, pq
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result

from qchive.db.binary import PACKS, Pack

Row = TypeVar("Row")
_PARAMETER = re.compile(r"%\((\w+)\)b")
_BINARY = pq.Format.BINARY
_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED)


class Statement(msgspec.Struct, frozen=True):
    """A statement as PostgreSQL prepares it, and the names of its parameters in their order."""

    name: bytes
    text: bytes
    parameters: tuple[str, ...]

    @classmethod
    def of(cls, name: str, text: LiteralString) -> Statement:
        """From the text with named parameters."""
        names = list(dict.fromkeys(_PARAMETER.findall(text)))
        numbered = _PARAMETER.sub(lambda m: f"${names.index(m[1]) + 1}", text).replace("%%", "%")
        return cls(name.encode(), numbered.encode(), tuple(names))


BEGIN = Statement.of("begin", "BEGIN")
COMMIT = Statement.of("commit", "COMMIT")


class _Prepared:
    """A statement that this connection's session knows: how its parameters are packed and its rows are read."""

    def __init__(self, name: bytes, described: pq.abc.PGresult, conn: Connection) -> None:
        self.name = name
        self.packs: list[Pack] = [PACKS[described.param_type(i) or 0] for i in range(described.nparams)]
        self.formats = [_BINARY] * described.nparams
        columns = range(described.nfields)
        self.columns = [(described.fname(i) or b"").decode() for i in columns]
        self.reader = Transformer.from_context(conn)
        self.reader.set_loader_types([described.ftype(i) for i in columns], _BINARY)


class Answer:
    """What a statement will have answered when it has been sent."""

    __slots__ = ("_prepared", "_result", "params", "statement")

    def __init__(self, statement: Statement, params: Mapping[str, Any]) -> None:
        self.statement = statement
        self.params = params
        self._result: pq.abc.PGresult | None = None

    def came(self, prepared: _Prepared, result: pq.abc.PGresult) -> None:
        """It is there."""
        self._prepared, self._result = prepared, result

    @property
    def here(self) -> bool:
        """Whether it is there."""
        return self._result is not None

    @property
    def command(self) -> bytes:
        """What PostgreSQL says it did."""
        assert self._result is not None
        return self._result.command_status or b""

    @property
    def count(self) -> int:
        """How many rows the statement touched."""
        assert self._result is not None
        return self._result.command_tuples or 0

    def tuples(self) -> list[tuple[Any, ...]]:
        """The rows, as tuples."""
        return self._read(lambda values: tuple(values))

    def column(self) -> list[Any]:
        """The first column of the rows."""
        return self._read(lambda values: values[0])

    def rows(self, row: type[Row]) -> list[Row]:
        """The rows, each as a `row`, whose fields have the names of the columns."""
        names = self._prepared.columns
        return self._read(lambda values: row(**dict(zip(names, values, strict=True))))

    def _read(self, make: Callable[[Sequence[Any]], Row]) -> list[Row]:
        assert self._result is not None, f"{self.statement.name!r} has not been sent yet"
        reader = self._prepared.reader
        reader.set_pgresult(self._result, set_loaders=False)
        return reader.load_rows(0, self._result.ntuples, make)


class Connection(AsyncConnection[Any]):
    """A connection of the pool."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known: dict[bytes, _Prepared] = {}
        self._queue: list[Answer] = []
        self._names = count()

    def queue(self, statement: Statement, params: Mapping[str, Any]) -> Answer:
        """Send a statement with the next one that is waited for."""
        answer = Answer(statement, params)
        self._queue.append(answer)
        return answer

    async def flush(self) -> None:
        """Send what is queued, and wait for all answers.

        Raises:
            psycopg.Error: a statement failed; those behind it were not run.
        """
        answers, self._queue = self._queue, []
        if not answers:
            return
        for answer in answers:
            if answer.statement.name not in self._known:
                self._known[answer.statement.name] = await self._prepare(answer.statement)
        calls = []
        for answer in answers:
            prepared, params = self._known[answer.statement.name], answer.params
            values = [params[name] for name in answer.statement.parameters]
            calls.append(
                (prepared, [None if v is None else pack(v) for pack, v in zip(prepared.packs, values, strict=True)])
            )
        results = await self.wait(self._exchange(calls))
        for answer, (prepared, _), result in zip(answers, calls, results, strict=True):
            if result.status in _FAILED:
                raise error_from_result(result)
            answer.came(prepared, result)

    def forget(self) -> None:
        """Send nothing of what is queued."""
        self._queue.clear()

    async def execute(self, *args: Any, **kwargs: Any) -> AsyncCursor[Any]:
        """Run a statement by a cursor, behind what is queued."""
        await self.flush()
        return await super().execute(*args, **kwargs)

    async def _prepare(self, statement: Statement) -> _Prepared:
        # Each time under a new name: when the wait for the description is cut short, the old one is taken.
        name = b"%s %d" % (statement.name, next(self._names))
        return _Prepared(name, await self.wait(self._describe(name, statement.text)), self)

    def _describe(self, name: bytes, text: bytes) -> PQGen[pq.abc.PGresult]:
        result: pq.abc.PGresult
        self.pgconn.send_prepare(name, text)
        (result,) = yield from generators.execute(self.pgconn)
        if result.status not in _FAILED:
            self.pgconn.send_describe_prepared(name)
            (result,) = yield from generators.execute(self.pgconn)
        if result.status in _FAILED:
            raise error_from_result(result)
        return result

    def _exchange(self, calls: Sequence[tuple[_Prepared, Sequence[bytes | None]]]) -> PQGen[list[pq.abc.PGresult]]:
        pgconn = self.pgconn
        together = len(calls) > 1
        if together:
            pgconn.enter_pipeline_mode()
        for prepared, packed in calls:
            pgconn.send_query_prepared(prepared.name, packed, prepared.formats, _BINARY)
        if together:
            pgconn.pipeline_sync()
        yield from generators.send(pgconn)
        results: list[pq.abc.PGresult] = []
        for _ in calls:
            results += yield from generators.fetch_many(pgconn)
        if together:
            yield from generators.fetch_many(pgconn)  # the end of the pipeline
            pgconn.exit_pipeline_mode()
        return results
