"""Running loops side by side, and ending them for sure."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

AGAIN = 8.0
"""Seconds after which a task that has not ended is told again; longer than any takes that has heard it."""


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Run what never ends by itself side by side; when one of them fails, or this is cancelled, all of them end."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended. Waiting for a connection can swallow a cancellation (`asyncio.wait_for` of
    Python 3.11 does when both come at once), and a task group would not tell it again."""
    pending = {task for task in tasks if not task.done()}
    asked = False
    while pending:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=AGAIN)
        except asyncio.CancelledError:
            asked = True
        pending = {task for task in pending if not task.done()}
    if asked:
        raise asyncio.CancelledError
