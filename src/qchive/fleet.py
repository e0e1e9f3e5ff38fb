"""Several server processes behind one socket: started, watched, and replaced one after the other."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import msgspec

from qchive.errors import ChildKeepsDying, QCHiveError
from qchive.listening import listen
from qchive.processes import Backoff, Child, Supervisor
from qchive.server.settings import Settings

log = logging.getLogger("qchive.server")

_PATIENCE = 60.0
"""Seconds until a new process has to answer."""
_FORCE = 5.0
"""Seconds beyond `shutdown_timeout` after which a process that does not end is killed."""


class _Process(Child):
    """A server process, and a pipe into which it writes when it answers."""

    def __init__(self, settings: Settings, listening: int, options: Sequence[str]) -> None:
        argv = [sys.executable, "-m", "qchive.cli", "server", "--fd", str(listening), *options]
        # Arguments are for all to see, the environment is not.
        env = {**os.environ, "QCHIVE_SETTINGS": msgspec.json.encode(settings).decode(), "PYTHONUNBUFFERED": "1"}
        super().__init__("server", argv, log=None, env=env, pass_fds=[listening])
        self._plain, self._listening = argv, listening
        self._waiting: int | None = None

    def start(self) -> int:
        """Start it, with a new pipe."""
        self.close()
        self._waiting, telling = os.pipe()
        self._argv, self._pass_fds = [*self._plain, "--ready-fd", str(telling)], (self._listening, telling)
        try:
            return super().start()
        finally:
            os.close(telling)

    def answers(self, hurry: Callable[[], bool]) -> bool:
        """Wait until it does; False if it has ended, takes too long, or there is a `hurry`."""
        assert self._waiting is not None
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and not hurry():
            if select.select([self._waiting], [], [], 0.2)[0]:
                return os.read(self._waiting, 1) != b""
        return False

    def close(self) -> None:
        """Let go of the pipe."""
        if self._waiting is not None:
            os.close(self._waiting)
            self._waiting = None


class Fleet:
    """The processes of one server, while the context lasts."""

    def __init__(self, settings: Settings, options: Sequence[str] = ()) -> None:
        """`options` go to each process as they are."""
        self._settings = settings
        self._options = options
        self._listening = listen(settings.host, settings.port)
        self._leaving: list[threading.Thread] = []
        self._processes = [self._process(settings) for _ in range(settings.processes)]
        self._supervisor = Supervisor(self._processes, backoff=Backoff(calm=20.0))

    @property
    def address(self) -> str:
        """Where it answers."""
        host, port = self._listening.getsockname()[:2]
        scheme = "https" if self._settings.tls_certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def __enter__(self) -> Self:
        self._supervisor.start()
        self._supervisor.watch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()
        self._supervisor.stop(self._settings.shutdown_timeout + _FORCE, together=True)
        for thread in self._leaving:
            thread.join()

    def run(self, read: Callable[[], Settings], signals: set[signal.Signals]) -> None:
        """Stay until SIGINT or SIGTERM; at SIGHUP read the settings again and replace all processes. The `signals` are
        blocked in all threads.

        Raises:
            ChildKeepsDying: a process dies again and again.
        """
        while self._supervisor.problem is None:
            came = signal.sigtimedwait(signals, 1.0)
            if came is None:
                continue
            if came.si_signo != signal.SIGHUP:
                return
            try:
                self.replace(read(), lambda: bool({signal.SIGINT, signal.SIGTERM} & signal.sigpending()))
            except QCHiveError as problem:
                log.error("The processes stay as they are: %s", problem)
        raise self._supervisor.problem

    def replace(self, settings: Settings, hurry: Callable[[], bool] = lambda: False) -> None:
        """Put new processes in the place of the present ones: each answers before an old one is told to end, which then
        finishes what it has.

        Raises:
            ChildKeepsDying: a new one does not answer; those that have not been replaced yet stay.
        """
        if (settings.host, settings.port) != (self._settings.host, self._settings.port):
            log.warning("A new host or port counts after a full restart only")
        old = tuple(self._processes)
        for n in range(max(len(old), settings.processes)):
            if n < settings.processes:
                self._bring(self._process(settings), hurry)
            if n < len(old):
                self._dismiss(old[n])
        self._settings = settings
        log.info("All processes are replaced")

    def _process(self, settings: Settings) -> _Process:
        return _Process(settings, self._listening.fileno(), self._options)

    def _bring(self, new: _Process, hurry: Callable[[], bool]) -> None:
        new.start()
        if not new.answers(hurry):
            new.stop()
            new.close()
            raise ChildKeepsDying("A new process does not answer; it said why on stderr", name=new.name)
        self._processes.append(new)
        self._supervisor.adopt(new)

    def _dismiss(self, process: _Process) -> None:
        self._processes.remove(process)
        self._supervisor.forget(process)
        process.close()
        patience = self._settings.shutdown_timeout + _FORCE
        thread = threading.Thread(target=process.stop, args=(patience,), daemon=True)
        thread.start()
        self._leaving = [one for one in self._leaving if one.is_alive()] + [thread]
