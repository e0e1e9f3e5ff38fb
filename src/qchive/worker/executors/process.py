"""One warm process as the worker sees it: started, given a task, listened to, killed with everything it started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from qchive.spawn import Order, spawn
from qchive.worker.executors import memory
from qchive.worker.executors.executor import Task
from qchive.worker.executors.messages import Frames, FromChild, Run, ToChild, Warm, frame
from qchive.worker.executors.printed import STDERR, STDOUT, tail

_PIECE = 1 << 20
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "BLIS_NUM_THREADS")


def environment(cores: int) -> dict[str, str]:
    """The worker's own environment with every library held to so many threads."""
    # Fortran's own buffer cannot be emptied from outside; what it holds back would show up in another task's output.
    return {**os.environ, **dict.fromkeys(_THREADS, str(cores)), "GFORTRAN_UNBUFFERED_PRECONNECTED": "y"}


class WarmProcess:
    """A process that imports everything once and runs one task at a time.

    All calls come from the one thread that owns it. `folder` is made here, and removed by `kill`.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], warm: Warm) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        self.ready = False
        self.task: Task | None = None
        self.started = 0.0
        self.held = 0.0
        """GiB, when last looked at."""
        self.look_again = 0.0
        self._frames: Frames[FromChild] = Frames(FromChild)
        self._outbox = bytearray()
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(False)
        argv = [sys.executable, "-P", "-m", "qchive.worker.executors.child", str(theirs.fileno()), str(folder)]
        with theirs, (folder / STDERR).open("ab") as log:
            self._process = spawn(
                Order(
                    argv=argv,
                    env=env,
                    log=log.fileno(),
                    death_signal=signal.SIGHUP,  # see child.py, which must have time to end its own children
                    cwd=folder,
                    pass_fds=(theirs.fileno(),),
                )
            )
        self.send(warm)

    @property
    def pid(self) -> int:
        """The process id, which is also its process group and session."""
        return self._process.pid

    @property
    def wants_to_write(self) -> bool:
        """Whether something waits until the socket takes more."""
        return bool(self._outbox)

    def run(self, task: Task, cores: int, memory_limit: float | None) -> None:
        """Give it a task; it must be ready and idle."""
        self.task = task
        self.started = time.monotonic()
        self.send(Run(task.function, task.kwargs, task.record_id, cores, memory_limit))

    def send(self, message: ToChild) -> None:
        """Queue a message and write as much of it as goes without waiting."""
        self._outbox += frame(message)
        self.write()

    def write(self) -> None:
        """Write what the socket takes. A process that has gone is noticed by `read`."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self._outbox:
                del self._outbox[: self.socket.send(self._outbox[:_PIECE])]

    def read(self) -> list[FromChild] | None:
        """The messages that have arrived; None when the process has closed its end, which it does only by dying."""
        try:
            data = self.socket.recv(_PIECE)
        except BlockingIOError:
            return []
        except ConnectionError:
            return None
        return list(self._frames.feed(data)) if data else None

    def is_dead(self) -> bool:
        """Whether it has ended. (A copy of its socket in a forked child of its own would keep `read` from telling.)"""
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return False
        # Without reaping it: as long as it is a zombie, its id and its group's belong to nobody else.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def resident(self) -> int:
        """Bytes of memory that it and everything it started hold."""
        return memory.resident(self.pid)

    def kill(self) -> int:
        """End it and everything it started; gives its exit code, negative for a signal as in `subprocess`."""
        members = memory.tree(self.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        for pid in members[1:]:  # those that made a session of their own
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.socket.close()
        return self._process.wait()

    def printed(self) -> tuple[str, str]:
        """What the present task has printed so far: stdout and stderr."""
        return tail(self.folder / STDOUT), tail(self.folder / STDERR)

    def clean_up(self) -> None:
        """Remove its folder; after `kill`."""
        shutil.rmtree(self.folder, ignore_errors=True)
