"""A pool of warm processes on this machine.

A fresh Python needs two seconds to import what a task of three milliseconds needs. So processes are started once, when
there is work for them, and stay. Each runs one task at a time, in a session of its own; the pool kills and replaces the
one whose task hangs, crashes, outgrows its memory or is cancelled, and touches no other.

One thread owns all processes and waits for their sockets; other threads hand it commands. While nothing runs it sleeps.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from qchive.errors import ChildKeepsDying
from qchive.worker import failure
from qchive.worker.executors.executor import Executor, Finished, Report, Task
from qchive.worker.executors.memory import GIB
from qchive.worker.executors.messages import Done, FromChild, Ready, Warm
from qchive.worker.executors.process import WarmProcess, environment
from qchive.worker.pack import pack

log = logging.getLogger(__name__)

_TICK = 0.5
"""Seconds between two looks at the memory of running tasks."""
_STARTS = 3
"""Processes that may die one after the other before they are ready."""
_GROWN = 0.5
"""A process that still holds this part of its memory limit after a task is replaced: the next task needs the room."""
_ALWAYS_FINE = 0.75
"""GiB that a process may hold after a task whatever its limit: imported libraries alone can come near."""


class WarmPool(Executor):
    """Runs tasks in up to `slots` processes of this machine.

    Each task may use `cores` threads, `memory` GiB (its process and all it starts) and `wall_time` seconds; None is no
    limit. `plugins` are modules that register programs with QCEngine. Temporary files go into `folder`.
    """

    def __init__(
        self,
        report: Report,
        folder: Path,
        *,
        slots: int,
        cores: int = 1,
        memory: float | None = None,
        wall_time: float | None = None,
        plugins: Sequence[str] = (),
    ) -> None:
        super().__init__(report)
        self.slots = slots
        self._cores, self._memory, self._wall_time = cores, memory, wall_time
        self._plugins = list(plugins)
        self._folder = folder
        self._env = environment(cores)
        self._programs: Future[dict[str, str]] = Future()
        self._problem: Exception | None = None
        self._failed_starts = 0
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._held: dict[int, Task] = {}
        self._waiting: deque[Task] = deque()
        self._processes: list[WarmProcess] = []
        self._stopping = False
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._bell, self._heard = socket.socketpair()
        self._bell.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._heard, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._serve, name="qchive-pool", daemon=True)
        self._do(self._start)
        self._thread.start()

    def programs(self) -> dict[str, str]:
        return self._programs.result()

    def submit(self, task: Task) -> None:
        with self._lock:
            self._held[task.id] = task
        self._do(lambda: self._waiting.append(task))

    def cancel(self, task_id: int) -> None:
        self._do(lambda: self._cancel(task_id))

    def held(self) -> list[Task]:
        with self._lock:
            return list(self._held.values())

    def running(self) -> int:
        return sum(process.task is not None for process in list(self._processes))

    def problem(self) -> Exception | None:
        return self._problem

    def stop(self) -> None:
        self._do(self._end)
        self._thread.join()
        self._bell.close()

    # --- everything below runs in the pool's own thread ----------------------------------------------------------

    def _do(self, command: Callable[[], None]) -> None:
        self._commands.put(command)
        with contextlib.suppress(OSError):  # it rings already, or nobody listens any more
            self._bell.send(b"!")

    def _serve(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except Exception as error:
            log.exception("The pool of processes has failed")
            self._problem = error
            self._end()
        finally:
            self._selector.close()
            self._heard.close()

    def _turn(self) -> None:
        for key, events in self._selector.select(self._patience()):
            if key.data is None:
                self._heard.recv(4096)
            elif key.data in self._processes:
                self._hear(key.data, events)
        self._obey()
        self._watch()
        self._feed()

    def _obey(self) -> None:
        while not self._commands.empty():
            self._commands.get()()

    def _patience(self) -> float | None:
        busy = [p for p in self._processes if p.task is not None]
        if not busy:
            return None
        ends = (p.started + self._wall_time - time.monotonic() for p in busy) if self._wall_time else ()
        return max(0.0, min(_TICK, *ends)) if self._wall_time else _TICK

    def _start(self) -> None:
        warm = Warm(self._plugins, list_programs=not self._programs.done())
        process = WarmProcess(self._folder / str(next(self._numbers)), self._env, warm)
        self._processes.append(process)
        self._selector.register(process.socket, selectors.EVENT_READ, process)
        self._mind_writing(process)

    def _hear(self, process: WarmProcess, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            process.write()
            self._mind_writing(process)
        if events & selectors.EVENT_READ:
            messages = process.read()
            if messages is None:
                self._lost(process)
            for message in messages or ():
                self._take(process, message)

    def _mind_writing(self, process: WarmProcess) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if process.wants_to_write else 0)
        if self._selector.get_key(process.socket).events != wanted:
            self._selector.modify(process.socket, wanted, process)

    def _take(self, process: WarmProcess, message: FromChild) -> None:
        match message:
            case Ready(programs):
                process.ready = True
                self._failed_starts = 0
                if programs is not None and not self._programs.done():
                    self._programs.set_result(programs)
            case Done(success, result, wall_time):
                task, process.task = process.task, None
                if task is not None:
                    self._report(task, success, result, wall_time)
                if self._memory is not None and self._held_now(process) > max(_GROWN * self._memory, _ALWAYS_FINE):
                    self._discard(process)

    def _feed(self) -> None:
        idle = [p for p in self._processes if p.ready and p.task is None]
        while self._waiting and idle:
            process = idle.pop()
            process.run(self._waiting.popleft(), self._cores, self._memory)
            self._mind_writing(process)
        if self._problem is None:
            coming = sum(not p.ready for p in self._processes)
            room = self.slots - len(self._processes)
            for _ in range(min(room, len(self._waiting) - coming)):
                self._start()

    def _watch(self) -> None:
        for process in [p for p in self._processes if p.task is not None]:
            ran = time.monotonic() - process.started
            if self._wall_time is not None and ran >= self._wall_time:
                text = f"Stopped after {ran:.1f} s: a task may run {self._wall_time:g} s on this worker"
                self._fail(process, failure.WALL_TIME, text)
            elif self._memory is not None and (held := self._held_now(process)) > self._memory:
                text = f"Stopped because it held {held:.2f} GiB: a task may hold {self._memory:g} GiB on this worker"
                self._fail(process, failure.RESOURCE, text)
            elif ran > _TICK and process.is_dead():
                self._lost(process)

    def _held_now(self, process: WarmProcess) -> float:
        """GiB held by the process and all it started; looked at once per tick, however often it is asked."""
        now = time.monotonic()
        if now >= process.look_again:
            process.look_again = now + _TICK
            process.held = process.resident() / GIB
        return process.held

    def _lost(self, process: WarmProcess) -> None:
        """The process has ended, which it never does of its own will."""
        code = self._discard(process, keep_folder=True)
        if process.task is not None:
            self._give_up(process, failure.CRASHED, f"The process that ran this task {_ended(code)}")
        elif not process.ready:
            self._failed_start(process, code)
        process.clean_up()

    def _fail(self, process: WarmProcess, error_type: str, message: str) -> None:
        self._discard(process, keep_folder=True)
        self._give_up(process, error_type, message)
        process.clean_up()

    def _give_up(self, process: WarmProcess, error_type: str, message: str) -> None:
        assert process.task is not None
        stdout, stderr = process.printed()
        record = str(process.task.record_id)
        result = failure.failed(error_type, message, id=record, stdout=stdout, stderr=stderr)
        self._report(process.task, False, pack(result), time.monotonic() - process.started)

    def _failed_start(self, process: WarmProcess, code: int) -> None:
        self._failed_starts += 1
        if self._failed_starts < _STARTS:
            self._start()
            return
        said = "\n".join(text for text in process.printed() if text).strip()
        self._problem = ChildKeepsDying(f"A process for running tasks {_ended(code)} while it started:\n{said}")
        if not self._programs.done():
            self._programs.set_exception(self._problem)

    def _report(self, task: Task, success: bool, result: bytes, wall_time: float) -> None:
        self.report(
            Finished(task_id=task.id, claimed_as=task.claimed_as, success=success, result=result, wall_time=wall_time)
        )
        with self._lock:
            self._held.pop(task.id, None)  # only now: somewhere it is always listed

    def _discard(self, process: WarmProcess, *, keep_folder: bool = False) -> int:
        self._processes.remove(process)
        self._selector.unregister(process.socket)
        code = process.kill()
        if not keep_folder:
            process.clean_up()
        return code

    def _cancel(self, task_id: int) -> None:
        with self._lock:
            self._held.pop(task_id, None)
        self._waiting = deque(task for task in self._waiting if task.id != task_id)
        for process in [p for p in self._processes if p.task is not None and p.task.id == task_id]:
            self._discard(process)

    def _end(self) -> None:
        self._stopping = True
        for process in list(self._processes):
            self._discard(process)
        if not self._programs.done():
            self._programs.set_exception(ChildKeepsDying("The worker was stopped before its programs were known"))
        with self._lock:
            self._held.clear()


def _ended(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed from outside (signal 9), perhaps by the kernel for lack of memory"
    if code < 0:
        name = signal.strsignal(-code) or "unknown"
        return f"crashed with signal {-code} ({name})"
    return f"exited with code {code} in the middle"
