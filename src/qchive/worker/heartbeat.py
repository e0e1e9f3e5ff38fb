"""The thread that tells the server, again and again, that this worker is alive."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from qchive.errors import QCHiveError
from qchive.worker.server import Rules

log = logging.getLogger("qchive.worker")

_SOON = 10.0
"""Seconds until a heartbeat that failed is tried again, if that is sooner than the next one."""
_FAREWELL = 1.0
"""Seconds that a heartbeat under way is waited for at the end: one that comes after the goodbye would be a return."""


class Heart:
    """Calls `beat` as often as the server wants while the context lasts; errors are logged and tried again."""

    def __init__(self, beat: Callable[[], None], rules: Callable[[], Rules]) -> None:
        self._beat = beat
        self._rules = rules
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="qchive-heartbeat", daemon=True)

    def __enter__(self) -> Heart:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopped.set()
        self._thread.join(_FAREWELL)  # no longer: it may be asking a server that is away

    def _run(self) -> None:
        pause = self._period()
        while not self._stopped.wait(pause):
            pause = self._period()
            try:
                self._beat()
            except QCHiveError as error:
                pause = min(pause, _SOON)
                log.warning("Heartbeat: %s; trying again in %.0f s", error.msg, pause)
            except Exception:
                if not self._stopped.is_set():  # at the end, the connection may have been closed under a request
                    log.exception("Heartbeat: something unexpected happened")

    def _period(self) -> float:
        rules = self._rules()
        spread = rules.manager_heartbeat_frequency_jitter
        return rules.manager_heartbeat_frequency * random.uniform(1 - spread, 1 + spread)
