"""Running one upkeep process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

from qchive.db import statements
from qchive.db.pool import Database
from qchive.errors import QCHiveError, Unavailable
from qchive.kinds import KINDS, Kind
from qchive.server.settings import Settings
from qchive.server.upkeep import counting, flows
from qchive.server.upkeep.jobs.functions import FUNCTIONS, Function, add_periodic
from qchive.server.upkeep.jobs.runner import Pace, Runner
from qchive.server.upkeep.leader import lead
from qchive.server.upkeep.months import PERIOD, make_months
from qchive.server.upkeep.rescue import period, rescue
from qchive.server.upkeep.rules import Follower
from qchive.server.upkeep.together import together

log = logging.getLogger("qchive.upkeep")

PATIENCE = 12.0
"""Seconds that upkeep has to end in order: longer than jobs take to be put back."""
NOTED = 10.0
"""Seconds between notes that a loop has done its work."""

Loop = tuple[str, float, Callable[[Database, Settings], Awaitable[int]]]


def loops(settings: Settings) -> tuple[Loop, ...]:
    """What is kept up: name, seconds between rounds, one round."""
    return (
        ("rescue", period(settings), rescue),
        ("periodic jobs", 60.0, add_periodic),
        ("parts of the audit", PERIOD, make_months),
        ("counts", counting.PERIOD, counting.count),
        ("overdue flows", flows.PERIOD, flows.overdue),
    )


def keep_up(
    conninfo: str,
    settings: Settings,
    *,
    read: Callable[[], Settings] | None = None,
    functions: Mapping[str, Function] = FUNCTIONS,
    pace: Pace | None = None,
    kinds: Mapping[str, Kind] = KINDS,
) -> Settings | None:
    """Keep an archive going until SIGINT or SIGTERM: advance composite records of these kinds, run internal jobs, and
    lead or stand by. If settings can be `read` again, also until SIGHUP: then the new ones are answered, to begin anew
    with."""
    end = _End()
    try:
        return asyncio.run(_keep_up(end, conninfo, settings, read, functions, pace or Pace(), kinds))
    finally:
        end.came()


class _End:
    """What is to come when upkeep has been told to stop; and the time it has for that."""

    def __init__(self) -> None:
        self._found: list[Settings | None] = []
        # Until all is over: asyncio, too, waits for whatever holds on to a connection that is just being made.
        self._last = threading.Timer(PATIENCE, lambda: _leave(self.for_good))
        self._last.daemon = True

    @property
    def for_good(self) -> bool:
        """Whether nothing is to come: then whatever else was asked for does not count."""
        return None in self._found

    @property
    def then(self) -> Settings | None:
        """The settings to begin anew with."""
        return None if self.for_good or not self._found else self._found[-1]

    def tell(self, then: Settings | None) -> None:
        """Stop, and begin anew with these settings; None: do not."""
        if not self._found:
            self._last.start()
        self._found.append(then)

    def came(self) -> None:
        """It has ended."""
        self._last.cancel()


async def _keep_up(
    end: _End,
    conninfo: str,
    settings: Settings,
    read: Callable[[], Settings] | None,
    functions: Mapping[str, Function],
    pace: Pace,
    kinds: Mapping[str, Kind],
) -> Settings | None:
    db = Database(conninfo, size=6, patience=settings.database_patience)
    await db.open()

    async def work() -> None:
        await together(
            *(_repeat(name, seconds, one_round, db, settings) for name, seconds, one_round in loops(settings))
        )

    runner, advancer, follower = (
        Runner(db, settings, functions, pace),
        flows.Advancer(db, kinds),
        Follower(db, settings),
    )
    keeping = asyncio.create_task(together(lead(conninfo, work), runner.run(), advancer.run(), follower.run()))
    running = asyncio.get_running_loop()

    def stop(then: Settings | None = None) -> None:
        end.tell(then)
        keeping.cancel()

    handlers: dict[signal.Signals, Callable[[], None]] = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if read is not None:
        handlers[signal.SIGHUP] = partial(_read_again, read, stop)
    for number, handler in handlers.items():
        running.add_signal_handler(number, handler)
    # Whoever started this process may have held them back; between two runs nobody listens, so there they wait.
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, handlers)
    try:
        with suppress(asyncio.CancelledError):
            await keeping
    finally:
        await db.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return end.then


def _read_again(read: Callable[[], Settings], stop: Callable[[Settings], None]) -> None:
    try:
        settings = read()
    except QCHiveError as problem:
        log.error("Upkeep goes on as it is: %s", problem)
        return
    stop(settings)


def _leave(for_good: bool) -> None:
    """End now: some connection does not let go. Like any process of ours, this one may be killed at any moment. Whoever
    looks after it is to start it again unless this was asked for."""
    log.warning("ending took more than %d s, so this process leaves everything as it is", PATIENCE)
    logging.shutdown()
    os._exit(0 if for_good else 1)


async def _repeat(
    name: str,
    seconds: float,
    one_round: Callable[[Database, Settings], Awaitable[int]],
    db: Database,
    settings: Settings,
) -> None:
    noted = 0.0
    while True:
        began = time.monotonic()
        try:
            await one_round(db, settings)
            if began >= noted + NOTED:
                noted = began
                await _note(db, name, time.monotonic() - began)
        except Unavailable as trouble:
            log.warning("%s: %s", name, trouble)
        await asyncio.sleep(seconds)


async def _note(db: Database, name: str, seconds: float) -> None:
    await db.run(lambda conn: statements.execute(conn, "upkeep/note", name=name, seconds=seconds))
