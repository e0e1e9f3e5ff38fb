"""Loops side by side end together, even if one does not hear it the first time."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from qchive.server.upkeep import together as rooms
from qchive.server.upkeep.together import end, together


class Deaf:
    """A loop that a number of cancellations do not reach."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.ended = False

    async def loop(self) -> None:
        try:
            while True:
                if self.times:
                    with suppress(asyncio.CancelledError):
                        await asyncio.Event().wait()
                    self.times -= 1
                else:
                    await asyncio.Event().wait()
        finally:
            self.ended = True


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "AGAIN", 0.01)


async def cancelled(task: asyncio.Task[None]) -> bool:
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return task.cancelled()


@pytest.mark.parametrize("times", [0, 1, 3])
def test_what_does_not_hear_it_at_once_is_told_again(times: int) -> None:
    deaf, other = Deaf(times), Deaf(0)

    async def run() -> bool:
        return await cancelled(asyncio.create_task(together(deaf.loop(), other.loop())))

    assert asyncio.run(asyncio.wait_for(run(), 10))
    assert (deaf.ended, other.ended) == (True, True)


def test_one_that_fails_ends_the_others_and_is_heard_of() -> None:
    deaf = Deaf(1)

    async def fails() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(asyncio.wait_for(together(deaf.loop(), fails()), 10))
    assert deaf.ended


def test_who_ends_others_may_be_told_to_end_meanwhile() -> None:
    deaf = Deaf(2)

    async def run() -> bool:
        ending = asyncio.create_task(end([asyncio.create_task(deaf.loop())]))
        await asyncio.sleep(0)
        return await cancelled(ending)

    assert asyncio.run(asyncio.wait_for(run(), 10))
    assert deaf.ended
