"""Starting a process that cannot outlive us, whichever way we end.

On Linux a child gets a parent-death signal (`prctl(PR_SET_PDEATHSIG)`, prctl(2)). Three things about it decide how this
module works:

* It is lost when the child changes its user, so it has to be set after that, and before the program is executed. Doing
  so in a `preexec_fn` can deadlock in a process with threads. Instead a few lines of Python are started first, which
  give up privileges, ask for the signal, make sure the parent is still there and then *become* the program: same
  process, same id.
* It is sent when the *thread* that started the child ends, not the process. All children are therefore started from one
  thread of their own, which lives as long as the process; callers may be any thread.
* Elsewhere (macOS) there is no such signal; children then have to be stopped.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

_BECOME = """
import json, os, signal, sys
order = json.load(sys.stdin)
devnull = os.open(os.devnull, os.O_RDONLY)
os.dup2(devnull, 0)
os.close(devnull)
try:
    # All that Python loads comes before: the new user may have no way into Python's own folder.
    import ctypes
    libc = ctypes.CDLL(None)
    if order["account"]:
        uid, gid = order["account"]
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        libc.prctl(1, order["death_signal"])
        if os.getppid() != order["parent"]:
            sys.exit(1)
    os.chdir(order["cwd"])
    # Python ignores these two, and what is ignored stays so in the program that we become.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execve(order["argv"][0], order["argv"], order["env"])
except OSError as error:
    sys.exit(f"cannot start {order['argv'][0]}: {error}")
"""


@dataclass(frozen=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Order:
    """What to start: `argv[0]` is a path, `log` a file descriptor for both outputs, `account` whom root becomes."""

    argv: Sequence[str]
    env: Mapping[str, str]
    log: int
    death_signal: signal.Signals
    account: Account | None = None
    cwd: Path = Path("/")
    pass_fds: Sequence[int] = ()


class _Starter(threading.Thread):
    """The thread that every child is started from; a daemon, so it ends with the process and not before."""

    def __init__(self) -> None:
        super().__init__(name="qchive-starter", daemon=True)
        self.pid = os.getpid()
        self.orders: queue.SimpleQueue[tuple[Order, Future[subprocess.Popen[bytes]]]] = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            order, answer = self.orders.get()
            try:
                answer.set_result(_start(order))
            except BaseException as error:
                answer.set_exception(error)


_starter: _Starter | None = None
_only_one = threading.Lock()


def ended(process: subprocess.Popen[bytes] | None, timeout: float | None) -> int | None:
    """Wait for the end of a process, at most `timeout` seconds; its exit code, None if it still runs (or never did)."""
    try:
        return None if process is None else process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None


def spawn(order: Order) -> subprocess.Popen[bytes]:
    """Start a process of its own session that dies with this process; callable from any thread.

    Raises OSError when no process can be started. A program that cannot be executed ends with code 1 and its log says
    why.
    """
    global _starter
    with _only_one:
        if _starter is None or _starter.pid != os.getpid():  # a fork inherits the object, but not the thread
            _starter = _Starter()
            _starter.start()
    answer: Future[subprocess.Popen[bytes]] = Future()
    _starter.orders.put((order, answer))
    return answer.result()


def _start(order: Order) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _BECOME],
        stdin=subprocess.PIPE,
        stdout=order.log,
        stderr=order.log,
        pass_fds=order.pass_fds,
        start_new_session=True,  # Ctrl-C in the terminal is for us; we end our children in the right order
    )
    account = None if order.account is None else [order.account.uid, order.account.gid]
    message = {
        "argv": list(order.argv),
        "env": dict(order.env),  # through the pipe: on the command line everybody could read it
        "death_signal": int(order.death_signal),
        "account": account,
        "cwd": str(order.cwd),
        "parent": os.getpid(),
    }
    assert process.stdin is not None
    try:
        with process.stdin:
            process.stdin.write(json.dumps(message).encode())
    except BrokenPipeError:
        process.wait()
        raise
    return process
