"""Whether a record that has just failed runs again by itself, as a table: budgets by type of error, or by its class.

Pure, as `judging` is. What the settings do not limit by class counts as the protocol says: a worker that vanished, a
random error, or anything else; a limit L allows L automatic restarts, and one budget overdrawn stops them all.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from qchive.diagnosis import ErrorClass
from qchive.server.settings import AutoReset

LOST = "ManagerLost"
"""The error type that an attempt counts as whose manager fell silent."""
REASON = "auto_reset: {budget} {n} of {limit}"

_BY_TYPE = {
    "KilledWorker": "compute_lost",
    "ManagerLost": "compute_lost",
    "lost": "compute_lost",
    "random_error": "random_error",
}


class Failed(msgspec.Struct, frozen=True):
    """One attempt that ended in an error, or with its manager gone."""

    error_type: str
    error_class: ErrorClass


def again(failed: Sequence[Failed], settings: AutoReset) -> str | None:
    """Why the record runs again, or None if it stays an error.

    `failed` are its attempts since a person last reset it, oldest first.
    """
    if not settings.enabled or not failed:
        return None
    budgets = [_budget(one, settings) for one in failed]
    used = {budget: budgets.count(budget) for budget in set(budgets)}
    if any(n > limit for (_, limit), n in used.items()):
        return None
    name, limit = last = budgets[-1]
    return REASON.format(budget=name, n=used[last], limit=limit)


def _budget(one: Failed, settings: AutoReset) -> tuple[str, int]:
    """What an error is counted as, and how often that may happen."""
    limit = settings.of_class(one.error_class)
    if limit is not None:
        return one.error_class.value, limit
    if one.error_class is ErrorClass.server:
        return one.error_class.value, 0
    name = _BY_TYPE.get(one.error_type, "unknown_error")
    return name, getattr(settings, name)
