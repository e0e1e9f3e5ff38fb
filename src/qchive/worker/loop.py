"""The worker's life: activate, claim, run, return, and leave in good order.

Three threads: this one asks the server for tasks and returns results; one sends heartbeats; the executor runs tasks and
puts what they leave into the spool. Whatever the server does, computing goes on and finished results are kept.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from qchive.api.managers import ManagerName
from qchive.client.connection import Connection
from qchive.errors import QCHiveError
from qchive.worker.executors.executor import Executor, Finished, Report
from qchive.worker.heartbeat import Heart
from qchive.worker.pace import Pause, Store
from qchive.worker.returning import Returning
from qchive.worker.scratch import scratch
from qchive.worker.server import Load, Server, is_final, is_misdirected, is_unknown_to
from qchive.worker.settings import WorkerSettings
from qchive.worker.spool import Spool

log = logging.getLogger("qchive.worker")

_PATIENCE = 60.0
"""Seconds for an answer of the server."""
_GOODBYE = 3.0
"""The same when leaving."""
_GRACE = 2.0
"""Seconds for a request under way when a signal ends the worker: tasks of a claim broken off would be missed."""
_GATHER = 0.05
"""Seconds between two requests that return short tasks; a request costs more than such a task."""
_LAST_RETURNS = 6.0
"""Seconds for returning what is finished when leaving; the rest stays in the spool."""

MakeExecutor = Callable[[Report, Path], Executor]
"""Makes the executor, given whom to report to and a folder for temporary files."""


class _Leave(BaseException):
    """Breaks off a request to the server because the worker is to stop."""


class Worker:
    """Claims tasks that this machine can run, runs them, returns the results.

    `run` does it all, until `stop` is called or a signal asks for it (`handle_signals`). The executor is a pool of warm
    processes unless `executor` makes another one.
    """

    def __init__(self, settings: WorkerSettings, *, executor: MakeExecutor | None = None) -> None:
        self.settings = settings
        self.name = _fresh_name(settings.cluster)
        self._make_executor = executor or self._warm_pool
        self._events: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._leaving = False
        self._asking = False
        self._goodbye = False
        self._unknown: QCHiveError | None = None
        self._memory = settings.memory
        self._done = self._failed = 0
        self._store = Store(settings.slots)
        self._idle = Pause(settings.poll, settings.poll_longest)
        self._away = Pause(1.0, 60.0)
        self._busy_until = self._returned_at = time.monotonic()
        self._core_seconds = 0.0
        self.active = threading.Event()
        """Set once the server knows this worker."""

    def stop(self) -> None:
        """Ask `run` to end soon; callable from any thread."""
        self._leaving = True
        self._events.put(None)

    def run(self) -> None:
        """Work until asked to stop.

        Raises:
            DataInUse, SpoolUnusable: the spool cannot be used.
            ChildKeepsDying: the processes that run tasks do not start.
            QCHiveError: the server refuses this worker for good.
        """
        with (
            contextlib.closing(Spool(self.settings.spool_folder)) as self._spool,
            scratch(self.settings.scratch_folder, self._spool.folder / "scratch") as folder,
        ):
            self._executor = self._make_executor(self._finished, folder)
            try:
                with contextlib.suppress(_Leave):
                    self._work()
            finally:
                self._leave()

    def _connection(self, timeout: float) -> Connection:
        from qchive.client.login import TokenLogin

        connection = Connection(self.settings.address, timeout=timeout)
        if self.settings.api_token is not None:
            connection.log_in(TokenLogin(self.settings.api_token))
        return connection

    def handle_signals(self) -> None:
        """Stop at SIGTERM or SIGINT, at once when they come again; from the main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGALRM, self._on_alarm)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._leaving:
            os._exit(130)  # the processes that compute end when our end of their sockets is gone
        self.stop()
        signal.setitimer(signal.ITIMER_REAL, _GRACE)

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        if self._asking and not self._goodbye:
            raise _Leave

    # --- the loop -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        with self._interruptible():
            programs = self._executor.programs()
        log.info("Programs: %s", ", ".join(f"{name} {version}" for name, version in sorted(programs.items())))
        with self._connection(_PATIENCE) as connection:
            self._server = Server(connection, programs, self.settings.tags)
            self._returning = Returning(self._spool, self._server)
            self._arrive()
            with Heart(self._beat, lambda: self._server.rules):
                while not self._leaving:
                    self._turn()

    def _turn(self) -> None:
        if (problem := self._executor.problem()) is not None:
            raise problem
        if self._unknown is not None:
            self._start_anew(self._unknown)
        if not self._away.left():
            try:
                self._give_back()
                self._claim()
            except QCHiveError as error:
                self._went_wrong(error)
            except Exception:
                # Hours of computing may be in the processes; nothing that goes wrong here is worth losing them.
                log.exception("Something unexpected happened; the worker goes on")
                self._away.take()
        self._rest()

    def _rest(self) -> None:
        """Wait until a result is there or it is time to ask the server again."""
        if self._is_idle_for_good():
            log.info("Nothing to do for %g s: ending", self.settings.stop_after_idle)
            self._leaving = True
        pause = self._until_next_request()
        with contextlib.suppress(queue.Empty):
            self._events.get(block=pause > 0, timeout=pause)
            while True:
                self._events.get_nowait()  # all that are there become one batch

    def _until_next_request(self) -> float:
        if self._away.left():
            return self._away.left()
        pauses = [self.settings.poll_longest]
        if len(self._spool):
            pauses.append(self._until_return())
        if self._store.wanted(len(self._executor.held())):
            pauses.append(self._idle.left())
        return min(pauses)

    def _until_return(self) -> float:
        """Seconds until what is finished should be returned: at once, unless more short tasks are about to end."""
        if len(self._spool) >= self._server.rules.most_returned:
            return 0.0
        if not self._store.ahead() or not self._executor.held():
            return 0.0
        return max(0.0, self._returned_at + _GATHER - time.monotonic())

    def _is_idle_for_good(self) -> bool:
        if self._executor.held() or len(self._spool):
            self._busy_until = time.monotonic()
        limit = self.settings.stop_after_idle
        return limit is not None and time.monotonic() - self._busy_until > limit

    def _arrive(self, *, again: bool = False) -> None:
        """Activate as soon as the server can be reached, whenever that is."""
        while not self.active.is_set():
            try:
                with self._interruptible():
                    self._server.ask_rules()
                    self._server.activate(self.name)
            except QCHiveError as error:
                if not again and (is_final(error) or is_misdirected(error)):
                    raise
                log.warning("%s; trying again in %.0f s", error.msg, self._away.take())
                self._pause_for_server()
            else:
                self._away.end()
                self.active.set()
                log.info("Active as %s at %s", self.name.fullname, self.settings.address)

    def _pause_for_server(self) -> None:
        with self._interruptible(), contextlib.suppress(queue.Empty):
            self._events.get(timeout=self._away.left())

    def _claim(self) -> None:
        if self._idle.left():
            return
        room = min(self._store.wanted(len(self._executor.held())), self._server.rules.most_claimed)
        if room <= 0 or self._leaving:
            return
        with self._interruptible():
            tasks = self._server.claim(self.name, room)
        for task in tasks:
            self._executor.submit(task)
        self._away.end()
        if len(tasks) == room:
            self._idle.end()
        else:
            if tasks:
                self._idle.end()
            self._idle.take()

    def _went_wrong(self, error: QCHiveError) -> None:
        if is_unknown_to(error):
            self._start_anew(error)
        else:
            log.warning("%s; trying again in %.0f s, computing goes on", error.msg, self._away.take())

    def _start_anew(self, error: QCHiveError) -> None:
        """Activate under a new name. What was claimed under the old one is still finished, and returned as its."""
        log.warning("The server does not know %s any more: %s", self.name.fullname, error.msg)
        self._unknown = None
        self.name = _fresh_name(self.settings.cluster)
        self.active.clear()
        self._arrive(again=True)

    # --- results --------------------------------------------------------------------------------------------------

    def _finished(self, finished: Finished) -> None:
        """Called by the executor's thread."""
        self._spool.put(finished)
        self._store.took(finished.wall_time)
        self._core_seconds += finished.wall_time * self.settings.cores_per_worker
        self._done += finished.success
        self._failed += not finished.success
        self._events.put(None)

    def _give_back(self) -> None:
        """Return what is ready, one request after the other."""
        while not self._until_return() and (batch := self._returning.next_batch()):
            with self._interruptible():
                self._returning.send(batch, self.name)
            self._returned_at = time.monotonic()
            self._away.end()
            self._idle.end()
            if self._store.wanted(len(self._executor.held())):
                return  # new work first: nothing may idle while results of the past are handed over

    # --- heartbeats and the end -----------------------------------------------------------------------------------

    def _load(self) -> Load:
        running = self._executor.running()
        cores = running * self.settings.cores_per_worker
        return Load(running, cores, running * self._memory, self._core_seconds / 3600)

    def _beat(self) -> None:
        """One heartbeat; called by its thread. Stops what the server says nobody wants any more."""
        name = self.name
        if not self.active.is_set():
            return
        running = [task.id for task in self._executor.held() if task.claimed_as == name]
        finished = [one.task_id for one in self._spool.waiting() if one.claimed_as == name]
        try:
            unwanted = self._server.heartbeat(name, self._load(), running + finished)
        except QCHiveError as error:
            if not is_unknown_to(error):
                raise
            self._unknown = error
            self._events.put(None)
            return
        for task_id in set(running) & set(unwanted):
            log.info("Task %d is not wanted any more: stopping it", task_id)
            self._executor.cancel(task_id)
        self._events.put(None)  # there may be room for others now
        log.info("%d tasks run, %d are done, %d have failed", len(running), self._done, self._failed)

    def _leave(self) -> None:
        """Stop computing, return what is finished, and let the server give the rest to others."""
        self._leaving = True
        self._goodbye = True
        self._executor.stop()
        if not self.active.is_set():
            return
        with self._connection(_GOODBYE) as connection:
            self._server.connection = connection
            try:
                self._return_the_last()
                self._server.deactivate(self.name, self._load())
            except QCHiveError as error:
                left = len(self._spool.waiting())
                log.warning("Left without a goodbye (%s); %d results stay in %s", error.msg, left, self._spool.folder)
            else:
                log.info("%s has left", self.name.fullname)

    def _return_the_last(self) -> None:
        deadline = time.monotonic() + _LAST_RETURNS
        while time.monotonic() < deadline and (batch := self._returning.next_batch()):
            self._returning.send(batch, self.name)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """A signal may break off what happens inside."""
        self._asking = True
        try:
            if self._leaving and not self._goodbye:
                raise _Leave
            yield
        finally:
            self._asking = False

    def _warm_pool(self, report: Report, folder: Path) -> Executor:
        from qchive.worker.executors.warm import WarmPool

        settings = self.settings
        return WarmPool(
            report,
            folder,
            slots=settings.slots,
            cores=settings.cores_per_worker,
            memory=self._memory,
            wall_time=settings.wall_time,
            plugins=settings.plugins,
        )


def _fresh_name(cluster: str) -> ManagerName:
    """A name that was never used before: each life of a worker is told apart."""
    return ManagerName(cluster=cluster, hostname=socket.gethostname().replace("/", "_"), uuid=str(uuid.uuid4()))


def run(settings: WorkerSettings) -> int:
    """Be a worker until a signal ends it; gives the exit code. From the main thread only."""
    worker = Worker(settings)
    worker.handle_signals()
    try:
        worker.run()
    except QCHiveError as error:
        log.error("%s", error.msg)
        return 1
    return 0
