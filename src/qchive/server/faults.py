"""What nobody foresaw: log and database have it under an id, and people are told the id, and more only if the server is
set so."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from qchive._version import __version__
from qchive.errors import InternalError
from qchive.logged import without_secrets
from qchive.server.seen import LONGEST, NOW, Seen

log = logging.getLogger("qchive.server")

_PRIVATE = {"auth", "users", "me"}
"""Parts of addresses whose bodies hold passwords, whether they say so or not."""
_HIDDEN = {b"authorization", b"cookie", b"proxy-authorization", b"x-api-key"}


class Fault(msgspec.Struct, frozen=True):
    """An error as it is kept; the fields are the columns of the table."""

    id: int
    error_date: datetime
    version: str
    error_text: str
    username: str | None
    request_path: str | None
    request_headers: str | None
    request_body: str | None
    request_id: str | None


def fault(error: BaseException, what: str, keep: Callable[[Fault], None] | None = None) -> InternalError:
    """Log an error that came up in `what`, and keep it: where the request at hand is watched, unless `keep` is given.
    Returns the error to show in its place."""
    seen = NOW.get()
    error_id = _ids.next()
    # Whoever asks chooses the address: as it is, it could begin lines of its own.
    log.error("error %d: %r", error_id, what, exc_info=error)
    text = without_secrets("".join(traceback.format_exception(error))).replace("\0", "\\0")
    keep = keep or (seen.watch.errors.add if seen else None)
    if keep is not None:
        keep(_made(error_id, text, seen))
    shown = "An internal error occurred." if seen is None or seen.watch.hide_errors else text
    return InternalError(
        f"{shown} **Refer to internal error id {error_id} when asking your admin**",
        error_id=error_id,
    )


def _made(error_id: int, text: str, seen: Seen | None) -> Fault:
    known = (None, None, None, None, None) if seen is None else _request(seen)
    return Fault(error_id, datetime.now(UTC), __version__, text, *known)


def _request(seen: Seen) -> tuple[str | None, str, str, str, str]:
    path = seen.scope["path"] + "?" + seen.scope.get("query_string", b"").decode("latin-1")
    headers = {
        name.decode("latin-1"): "<removed>" if name in _HIDDEN else value.decode("latin-1")
        for name, value in seen.scope["headers"]
    }
    username = seen.caller.username if seen.caller else None
    return username, path.replace("\0", ""), json.dumps(headers), _body(seen), seen.request_id.decode()


def _body(seen: Seen) -> str:
    body = seen.body
    if not _PRIVATE.isdisjoint(seen.scope["path"].lower().split("/")) or b"password" in body.lower():
        return f"<removed: {seen.received} bytes that may hold a password>"
    return repr(body)[:LONGEST]


class _Ids:
    """Microseconds since 1970, and never the same twice in this process."""

    def __init__(self) -> None:
        self._last = 0
        self._one = threading.Lock()

    def next(self) -> int:
        """The id of an error that has just come up."""
        with self._one:
            self._last = max(self._last + 1, time.time_ns() // 1000)
            return self._last


_ids = _Ids()
