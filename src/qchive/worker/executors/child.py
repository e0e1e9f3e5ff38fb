"""A warm process: imports everything once, then runs one task after the other.

Started by `executors/process.py` as `python -m qchive.worker.executors.child SOCKET FOLDER`. Whatever a program
prints, also from C or Fortran, ends in two files of the folder and never in the socket. When the worker is gone, this
process ends and takes the programs it started with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from qchive.worker.executors.memory import GIB, resident
from qchive.worker.executors.messages import Done, Frames, FromChild, Ready, Run, ToChild, Warm, frame
from qchive.worker.executors.printed import STDERR, STDOUT, tail

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 1 << 20


def main(argv: list[str]) -> None:
    """Serve orders until the worker goes away."""
    connection = socket.socket(fileno=int(argv[1]))
    connection.set_inheritable(False)
    folder = Path(argv[2])
    _print_to(folder)
    _outlive_nobody()
    orders: queue.SimpleQueue[ToChild] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, orders), daemon=True).start()
    warnings.simplefilter("ignore")  # of libraries, about libraries: nothing a user of an archive could act upon
    while True:
        connection.sendall(frame(_obey(orders.get(), folder)))


def _listen(connection: socket.socket, orders: queue.SimpleQueue[ToChild]) -> None:
    """Read orders, also while a task runs; when the worker is gone, end this process and all it started."""
    frames: Frames[ToChild] = Frames(ToChild)
    while True:
        with contextlib.suppress(ConnectionError):
            if data := connection.recv(_PIECE):
                for order in frames.feed(data):
                    orders.put(order)
                continue
        os.killpg(os.getpgrp(), signal.SIGKILL)


def _outlive_nobody() -> None:
    """Make sure of the end when `_listen` cannot see to it, because native code never lets another thread run.

    The kernel sends SIGHUP when the worker dies (`spawn`). The handler must not be Python, and must leave `_listen`
    the time to take other processes along; so it is libc's `alarm`, called with the signal's number, 1, as seconds.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
        libc.signal(signal.SIGHUP, ctypes.cast(libc.alarm, ctypes.c_void_p))


def _print_to(folder: Path) -> None:
    for descriptor, name in ((1, STDOUT), (2, STDERR)):
        opened = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)


def _obey(order: ToChild, folder: Path) -> FromChild:
    if isinstance(order, Warm):
        from qchive.worker.programs import program_log
        from qchive.worker.run import warm_up

        program_log.pass_on()
        warm_up(order.plugins)
        return Ready(_installed() if order.list_programs else None)
    return _run(order, folder)


def _installed() -> dict[str, str]:
    from qchive.worker import programs

    return programs.installed()


def _run(order: Run, folder: Path) -> Done:
    from qchive.worker.run import add_output, packed, run

    started = time.monotonic()
    for descriptor in (1, 2):
        os.ftruncate(descriptor, 0)
    with _scratch(folder) as scratch:
        config = {"ncores": order.cores, "scratch_directory": str(scratch), "memory": _memory(order.memory)}
        success, result = run(order.function, order.kwargs, config, order.record_id)
        _flush()
        if not success:
            add_output(result, tail(folder / STDOUT), tail(folder / STDERR))
        success, blob = packed(success, result)
    return Done(success, blob, time.monotonic() - started)


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A fresh folder for one task; working directory and TMPDIR too, because programs leave files in both."""
    scratch = folder / "task"
    scratch.mkdir()
    os.chdir(scratch)
    before = os.environ.get("TMPDIR")
    _temporary_files_in(str(scratch))
    try:
        yield scratch
    finally:
        _temporary_files_in(before)
        os.chdir(folder)
        shutil.rmtree(scratch, ignore_errors=True)


def _temporary_files_in(folder: str | None) -> None:
    """Of this process, and of those it starts; None: wherever the system puts them."""
    if folder is None:
        os.environ.pop("TMPDIR", None)
    else:
        os.environ["TMPDIR"] = folder
    tempfile.tempdir = None  # Python remembers what it saw first


def _memory(limit: float | None) -> float | None:
    """What a program may use, in GiB: the limit counts this process too, whose imports are there already."""
    if limit is None:
        return None
    return max(limit - resident(os.getpid()) / GIB, limit / 2)


if __name__ == "__main__":
    main(sys.argv)
