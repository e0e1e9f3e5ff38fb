"""What can be asked of a server: every endpoint, once."""

from __future__ import annotations

from collections.abc import Mapping

from qchive.api import (
    about,
    accounts,
    failures,
    jobs,
    login,
    logs,
    managers,
    molecules,
    operations,
    records,
    rules,
    tasks,
    tokens,
)
from qchive.api.endpoint import Endpoint
from qchive.kinds import KINDS, Kind


def endpoints(kinds: Mapping[str, Kind] = KINDS) -> tuple[Endpoint, ...]:
    """All endpoints of a server that offers these kinds, more specific addresses before more general ones."""
    per_kind = [row for kind in kinds.values() for row in records.for_kind(kind)]
    rooms = (
        about,
        molecules,
        records,
        failures,
        operations,
        rules,
        managers,
        tasks,
        jobs,
        logs,
        login,
        accounts,
        tokens,
    )
    return (*(row for room in rooms for row in room.ENDPOINTS), *per_kind)


__all__ = ["Endpoint", "endpoints"]
