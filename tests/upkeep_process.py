"""A real upkeep process for tests, run as `python -m tests.upkeep_process CONNINFO SETTINGS`: brisk, with a function
that works in steps."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from qchive.db.pool import Connection
from qchive.server.settings import Settings
from qchive.server.upkeep.jobs.functions import FUNCTIONS
from qchive.server.upkeep.jobs.run import Run
from qchive.server.upkeep.jobs.runner import Pace
from qchive.server.upkeep.run import keep_up

PACE = Pace(heartbeat=0.2, dead=1.5, grace=1.0)
STEPS = 6
PAUSE = 3
"""After so many steps it waits until the test says `go`."""


async def steps(run: Run) -> dict[str, int]:
    """Work in batches, each a transaction of its own that says how far it came."""
    first = await _done(run) + 1
    for step in range(first, STEPS + 1):
        await run.db.run(lambda conn: _step(run, conn, step))  # noqa: B023
        await run.progress(100 * step // STEPS, f"step {step}")
        while step == PAUSE and not await _may_go_on(run):
            await run.check()
            await asyncio.sleep(0.02)
    return {"first": first, "last": STEPS}


async def _step(run: Run, conn: Connection, step: int) -> None:
    await run.hold(conn)
    await conn.execute("INSERT INTO step VALUES (%s, %s)", (run.job_id, step))


async def _done(run: Run) -> int:
    async def work(conn: Connection) -> int:
        cursor = await conn.execute("SELECT count(*) FROM step WHERE job_id = %s", (run.job_id,))
        (n,) = await cursor.fetchone() or (0,)
        return int(n)

    return await run.db.read(work)


async def _may_go_on(run: Run) -> bool:
    async def work(conn: Connection) -> bool:
        cursor = await conn.execute("SELECT FROM setting WHERE key = 'go'")
        return await cursor.fetchone() is not None

    return await run.db.read(work)


@contextmanager
def upkeep(conninfo: str, settings: Settings | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Such a process while the context lasts."""
    given = msgspec.json.encode(settings or Settings()).decode()
    argv = [sys.executable, "-m", "tests.upkeep_process", conninfo, given]
    process = subprocess.Popen(argv, cwd=Path(__file__).parent.parent, env=dict(os.environ))
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    keep_up(
        sys.argv[1],
        msgspec.json.decode(sys.argv[2], type=Settings),
        functions={**FUNCTIONS, "steps": steps},
        pace=PACE,
    )
