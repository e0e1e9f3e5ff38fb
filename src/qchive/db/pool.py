"""The pool of connections, and transactions that are tried again when PostgreSQL asks for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import psycopg
from psycopg import errors
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from qchive._version import __version__
from qchive.db import statements
from qchive.db.connection import BEGIN, COMMIT
from qchive.db.connection import Connection as Connection
from qchive.errors import Unavailable

T = TypeVar("T")

TRANSIENT = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    psycopg.OperationalError,
    PoolTimeout,
)
"""Trouble that says nothing about the request: the same transaction may well go through in a moment."""

_AT_HAND = 60.0
"""Seconds between looks of the pool at a connection that is always in use."""

_RACES = 3
"""How often in a row somebody else may be quicker."""


class Database:
    """A database and its pool.

    `patience` is how long, in seconds, a request waits for PostgreSQL to come back (a restart, a crash recovery) before
    it is answered with `Unavailable`.
    """

    def __init__(self, conninfo: str, *, size: int = 8, patience: float = 30.0) -> None:
        self.conninfo = conninfo
        self.patience = patience
        self._at_hand: Connection | None = None
        self._asking = 0
        self._until = 0.0
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            conninfo,
            connection_class=Connection,
            min_size=1,
            max_size=size,
            open=False,
            timeout=min(5.0, patience),
            reconnect_timeout=2.0,
            configure=_configure,
            # Preparing is ours: psycopg would make the session forget all statements after each rollback.
            kwargs={
                "autocommit": True,
                "prepare_threshold": None,
                "fallback_application_name": f"qchive {__version__}",
            },
        )

    async def open(self) -> None:
        """Start the pool."""
        await self._pool.open()

    async def close(self) -> None:
        """End all connections."""
        if self._at_hand is not None:
            await self._pool.putconn(self._at_hand)
            self._at_hand = None
        await self._pool.close()

    def figures(self) -> dict[str, int]:
        """How many connections there are and are free, and how many requests wait for one."""
        found = self._pool.get_stats()
        free = found.get("pool_available", 0) + (self._at_hand is not None)
        return {"open": found.get("pool_size", 0), "free": free, "waiting": found.get("requests_waiting", 0)}

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` in one transaction under READ COMMITTED; again from the start after transient trouble.

        When the connection is lost in the middle of COMMIT, PostgreSQL is asked what became of it, so that nothing is
        done twice.

        Raises:
            Unavailable: the trouble did not pass within `patience`.
        """
        unsure: list[tuple[str, T]] = []

        async def transaction(conn: Connection) -> T:
            if unsure:
                name, done = unsure[0]
                if await _committed(conn, name):
                    return done
                unsure.clear()
            conn.queue(BEGIN, {})
            began = statements.later(conn, "transactions/current")
            done = await work(conn)
            if not began.here:
                await conn.flush()
            unsure.append((began.column()[0], done))
            committed = conn.queue(COMMIT, {})
            await conn.flush()
            if committed.command != COMMIT.text:
                raise RuntimeError("the transaction had failed, and was rolled back")
            unsure.clear()
            return done

        return await self._persist(transaction)

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` without a transaction of its own; again after transient trouble."""
        return await self._persist(work)

    async def _persist(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        deadline = asyncio.get_running_loop().time() + self.patience
        delay = 0.02
        races = 0
        while True:
            try:
                return await self._once(work)
            except errors.ProgramLimitExceeded:
                # An OperationalError that would come again each time.
                raise
            except errors.ForeignKeyViolation:
                # Somebody removed what this transaction had just seen. Looking again, it will find it gone.
                races += 1
                if races > _RACES:
                    raise
            except TRANSIENT as trouble:
                if asyncio.get_running_loop().time() + delay > deadline:
                    raise Unavailable(f"The database does not answer ({trouble}); try again later") from trouble
                await asyncio.sleep(delay * random.uniform(0.7, 1.3))
                delay = min(delay * 2, 1.0)

    async def _once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        conn = await self._take()
        try:
            done = await work(conn)
            await conn.flush()  # what was to be sent later and had nothing to go with
            return done
        except BaseException:
            conn.forget()
            if not conn.closed:
                # A connection that is just being lost does not roll back, and says so less well than the error does.
                with suppress(psycopg.OperationalError):
                    await conn.rollback()
            raise
        finally:
            await self._give(conn)

    async def _take(self) -> Connection:
        """The connection used last, whose backend has everything at hand; the pool hands them out in turns."""
        conn, self._at_hand = self._at_hand, None
        if conn is not None:
            return conn
        self._asking += 1
        try:
            return await self._pool.getconn()
        finally:
            self._asking -= 1

    async def _give(self, conn: Connection) -> None:
        now = asyncio.get_running_loop().time()
        idle = not conn.closed and conn.pgconn.transaction_status == TransactionStatus.IDLE
        if idle and self._at_hand is None and not self._asking and now < self._until:
            self._at_hand = conn
        else:
            # The pool ends what is broken or old, and serves who waits.
            self._until = now + _AT_HAND
            await self._pool.putconn(conn)


async def _committed(conn: Connection, transaction: str) -> bool:
    """What became of a transaction whose COMMIT was not answered; waits until PostgreSQL has made up its mind."""
    while True:
        (status,) = await statements.column(conn, "transactions/status", transaction=transaction)
        if status != "in progress":
            return bool(status == "committed")
        await asyncio.sleep(0.01)


async def _configure(conn: Connection) -> None:
    # Every statement of ours reads by index, whatever its parameters, so it is planned once per connection; planning
    # each call anew cost PostgreSQL more than running it.
    await conn.execute("SET timezone = 'UTC'; SET jit = off")
    await conn.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
