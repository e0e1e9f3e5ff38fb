"""Which function answers which endpoint: the one of that name, in the module of that noun."""

from __future__ import annotations

from qchive.api.endpoint import Endpoint
from qchive.server import (
    about,
    access_log,
    adding,
    changing,
    claiming,
    error_log,
    failures,
    groups,
    jobs,
    login,
    managers,
    molecules,
    operations,
    outputs,
    records,
    returning,
    sessions,
    statistics,
    timeline,
    tokens,
    users,
)
from qchive.server.bind import Handler
from qchive.server.flows import showing
from qchive.server.rules import asking

ROOMS = {
    "about": (about,),
    "molecules": (molecules,),
    "records": (records, adding, changing, outputs, timeline, failures, showing),
    "operations": (operations,),
    "rules": (asking,),
    "managers": (managers,),
    "tasks": (claiming, returning),
    "jobs": (jobs,),
    "access_log": (access_log,),
    "error_log": (error_log,),
    "statistics": (statistics,),
    "login": (login,),
    "users": (users,),
    "groups": (groups,),
    "tokens": (tokens,),
    "sessions": (sessions,),
}


def handlers(rows: tuple[Endpoint, ...]) -> dict[str, Handler]:
    """The handler of each endpoint.

    Raises:
        LookupError: an endpoint that nobody, or more than one, answers.
    """
    return {name: _find(name) for name in {row.name for row in rows}}


def _find(name: str) -> Handler:
    noun, verb = name.split(".")
    found = [
        fn for room in ROOMS[noun] if (fn := vars(room).get(verb)) and getattr(fn, "__module__", "") == room.__name__
    ]
    if len(found) != 1:
        raise LookupError(f"{len(found)} handlers for {name}")
    return found[0]  # type: ignore[no-any-return]
