"""Our own child processes: starting them, noticing that one died, starting it again, ending all in order.

What is supervised has the six methods of `Supervised`: a `Child` is a command, and an `EmbeddedPostgres` fits as it is.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qchive.errors import ChildKeepsDying, LocalProblem
from qchive.logfile import open_log, tail
from qchive.spawn import Order, ended, spawn


class Supervised(Protocol):
    """Something that runs as one child process and can be started again after it died."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def log(self) -> Path | None:
        """Where its output goes; None: where ours does."""

    @property
    def pid(self) -> int | None:
        """Its process id, None while it does not run."""

    def start(self) -> object:
        """Start it; for a second time only after it has ended."""

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end; the exit code (negative: a signal), None if it still runs after `timeout` seconds."""

    def stop(self, timeout: float) -> None:
        """End it, by force after `timeout` seconds."""


class Child:
    """A command that runs as a child process and ends, with SIGTERM, when this process does."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path | None,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        cwd: Path | None = None,
    ) -> None:
        """Without `log` its output goes to our stderr. `env` replaces the whole environment (default: ours),
        `pass_fds` stay open in it, `cwd` defaults to ours."""
        self.name = name
        self.log = log
        self._argv = list(argv)
        self._env = None if env is None else dict(env)
        self._pass_fds = tuple(pass_fds)
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, None while it does not run."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> int:
        """Start the command; its process id. Raises OSError when no process can be started."""
        env = dict(os.environ) if self._env is None else self._env
        program = shutil.which(self._argv[0], path=env.get("PATH")) or self._argv[0]
        log = os.dup(2) if self.log is None else open_log(self.log)
        try:
            order = Order(
                [program, *self._argv[1:]],
                env,
                log,
                signal.SIGTERM,
                cwd=self._cwd or Path.cwd(),
                pass_fds=self._pass_fds,
            )
            self._process = spawn(order)
        finally:
            os.close(log)
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code if it has ended (negative: the signal that killed it), None while it runs."""
        return None if self._process is None else self._process.poll()

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end; the exit code, or None if it still runs after `timeout` seconds."""
        return ended(self._process, timeout)

    def stop(self, timeout: float = 10.0) -> None:
        """Ask it to end (SIGTERM); after `timeout` seconds kill it and all of its process group."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        if self.wait(timeout) is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@dataclass(frozen=True)
class Backoff:
    """How to restart: after `first` seconds, twice as long each time up to `most`.

    After `limit` deaths in a row it is given up. Having lived for `calm` seconds ends a row.
    """

    first: float = 0.2
    most: float = 30.0
    calm: float = 60.0
    limit: int = 5

    def delay(self, deaths: int) -> float:
        """Seconds to wait before the restart after so many deaths in a row."""
        return min(self.first * 2.0 ** (deaths - 1), self.most)


@dataclass
class _Life:
    """One child's history, as far as it decides about its restart."""

    started: float = 0.0
    deaths: int = 0
    due: float | None = None


OnExit = Callable[[Supervised, int], object]


class Supervisor:
    """Runs children: starts them in order, restarts those that die, ends them in the reverse order.

    `on_exit(child, returncode)` is called before a child that died is restarted; what it raises ends the supervision.
    `run_forever` (in this thread, until `ask_to_stop`) or `watch` (in a thread of its own) does the restarting.
    """

    def __init__(
        self, children: Sequence[Supervised], *, on_exit: OnExit | None = None, backoff: Backoff | None = None
    ) -> None:
        self.children = tuple(children)
        self.problem: LocalProblem | None = None
        """Why a supervision by `watch` was given up."""
        self._on_exit = on_exit
        self._backoff = backoff or Backoff()
        self._lives = {id(child): _Life() for child in self.children}
        # Exits, each put there by a thread that waits for that child; None asks to stop. Signal handlers may put, too.
        self._events: queue.SimpleQueue[tuple[Supervised, int] | None] = queue.SimpleQueue()
        self._watcher: threading.Thread | None = None
        self._starting = threading.Lock()  # so that nothing forgotten is started again

    def start(self) -> None:
        """Start all children in order; when one cannot be started, end the others and raise its error."""
        try:
            for child in self.children:
                self._start(child)
        except BaseException:
            self.stop()
            raise

    def add(self, child: Supervised) -> None:
        """Start one more child and look after it; it ends before the others."""
        self.children = (*self.children, child)
        self._lives[id(child)] = _Life()
        self._start(child)

    def adopt(self, child: Supervised) -> None:
        """Look after a child that runs already; it ends before the others."""
        self._lives[id(child)] = _Life(started=time.monotonic())
        self.children = (*self.children, child)
        self._await_end(child)

    def forget(self, child: Supervised) -> None:
        """Look after it no more: it may end, and is not started again."""
        with self._starting:
            self.children = tuple(one for one in self.children if one is not child)
            self._lives.pop(id(child), None)

    def join(self) -> None:
        """Wait until the supervision by `watch` ends: it was asked to stop, or given up."""
        while self._watcher is not None and self._watcher.is_alive():
            self._watcher.join(3600.0)

    def run_forever(self) -> None:
        """Restart children that die, until `ask_to_stop`. Raises what keeps a child from running in the end.

        ChildKeepsDying carries the last lines of its log.
        """
        while True:
            dues = [life.due for life in list(self._lives.values()) if life.due is not None]
            try:
                event = self._events.get(timeout=max(0.0, min(dues) - time.monotonic()) if dues else None)
            except queue.Empty:
                self._restart_what_is_due()
                continue
            if event is None:
                return
            self._died(*event)

    def watch(self) -> None:
        """Do the same in a thread of its own; what would have been raised is kept in `problem`."""
        if self._watcher is not None:
            raise RuntimeError("the children are being watched already")
        self._watcher = threading.Thread(target=self._watch, name="qchive-supervisor", daemon=True)
        self._watcher.start()

    def ask_to_stop(self) -> None:
        """Have `run_forever` return. May be called from signal handlers and any thread."""
        self._events.put(None)

    def stop(self, timeout: float = 30.0, *, together: bool = False) -> None:
        """End all children, the last started first or all `together`; each by force after `timeout` seconds."""
        if self._watcher is not None:
            self.ask_to_stop()
            self._watcher.join()
            self._watcher = None
        if together:
            _stop_together(self.children, timeout)
        for child in reversed(self.children):
            child.stop(timeout)

    def _watch(self) -> None:
        try:
            self.run_forever()
        except LocalProblem as problem:
            self.problem = problem

    def _start(self, child: Supervised) -> None:
        child.start()
        self._lives[id(child)].started = time.monotonic()
        self._await_end(child)

    def _await_end(self, child: Supervised) -> None:
        threading.Thread(target=self._report_end, args=(child,), name=f"qchive-wait-{child.name}", daemon=True).start()

    def _report_end(self, child: Supervised) -> None:
        code = child.wait()
        self._events.put((child, code if code is not None else 0))

    def _died(self, child: Supervised, code: int) -> None:
        life = self._lives.get(id(child))
        if life is None:  # forgotten
            return
        if time.monotonic() - life.started >= self._backoff.calm:
            life.deaths = 0
        if self._on_exit is not None:
            self._on_exit(child, code)
        said = tail(child.log) if child.log is not None else ""
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        problem = ChildKeepsDying(
            f"{child.name} {how}, {life.deaths + 1} times in a row. "
            + (f"Its log, {child.log}, says:\n{said}" if child.log is not None else "It said why on stderr."),
            name=child.name,
            returncode=code,
            log=said,
        )
        self._plan_restart(life, problem)

    def _plan_restart(self, life: _Life, problem: LocalProblem) -> None:
        life.deaths += 1
        if life.deaths > self._backoff.limit:
            raise problem
        life.due = time.monotonic() + self._backoff.delay(life.deaths)

    def _restart_what_is_due(self) -> None:
        with self._starting:
            for child in self.children:
                life = self._lives[id(child)]
                if life.due is None or life.due > time.monotonic():
                    continue
                life.due = None
                try:
                    self._start(child)
                except LocalProblem as problem:
                    self._plan_restart(life, problem)


def _stop_together(children: Sequence[Supervised], timeout: float) -> None:
    ending = [threading.Thread(target=child.stop, args=(timeout,), daemon=True) for child in children]
    for thread in ending:
        thread.start()
    for thread in ending:
        thread.join()
