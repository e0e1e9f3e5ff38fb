"""A worker plugin for tests: a program that QCEngine knows as "trouble" and that does what its method says."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any, ClassVar

import numpy as np
from qcelemental.models.v2 import AtomicResult
from qcengine import register_program
from qcengine.exceptions import ConvergenceError
from qcengine.programs.model import ProgramHarness

KEPT: list[Any] = []


class Trouble(ProgramHarness):
    """Fails in every way a program can fail."""

    _defaults: ClassVar[dict[str, Any]] = {
        "name": "trouble",
        "scratch": False,
        "thread_safe": False,
        "thread_parallel": False,
        "node_parallel": False,
        "managed_memory": False,
    }

    @staticmethod
    def found(raise_error: bool = False) -> bool:
        return True

    def get_version(self) -> str:
        return "1.0"

    def compute(self, input_data: Any, config: Any) -> AtomicResult:
        keywords = input_data.specification.keywords
        extras = DEEDS[input_data.specification.model.method](keywords, config)
        return AtomicResult(
            input_data=input_data,
            molecule=input_data.molecule,
            provenance={"creator": "Trouble", "version": "1.0"},
            properties={"return_energy": -1.0},
            return_result=-1.0,
            success=True,
            stdout="all is well",
            extras=extras or {},
        )


def register() -> None:
    register_program(Trouble())


def noise(_keywords: Any, _config: Any) -> None:
    libc = ctypes.CDLL(None)
    libc.printf(b"from C %d\n", 1)
    libc.puts(b"x" * 100_000)
    os.write(1, b"\x00\x01\xff raw bytes\n")
    os.write(2, b"a warning\n")
    print("from Python")


def noise_then_failure(keywords: Any, config: Any) -> None:
    noise(keywords, config)
    raise ConvergenceError("no luck")


def segfault(_keywords: Any, _config: Any) -> None:
    print("about to crash", flush=True)
    ctypes.string_at(0)


def leave_files(_keywords: Any, _config: Any) -> dict[str, Any]:
    """Temporary files of Python and of a process it starts, which nobody removes."""
    shell = subprocess.run(["mktemp"], check=True, capture_output=True, text=True)
    return {"files": [tempfile.mkdtemp(), shell.stdout.strip()]}


def leave(_keywords: Any, _config: Any) -> None:
    os._exit(3)


def system_exit(_keywords: Any, _config: Any) -> None:
    sys.exit("I prefer to go")


def hang(keywords: Any, _config: Any) -> None:
    helper = subprocess.Popen(["sleep", "600"], start_new_session=bool(keywords.get("own_session")))
    with open(keywords["tell"], "w") as told:
        told.write(f"{os.getpid()} {helper.pid}\n")
    while True:
        time.sleep(60)


def hold_the_lock(keywords: Any, _config: Any) -> None:
    with open(keywords["tell"], "w") as told:
        told.write(f"{os.getpid()} 0\n")
    ctypes.PyDLL(None).pause()  # native code that never lets another thread run


def eat(keywords: Any, _config: Any) -> None:
    food = [np.ones(int(keywords["gib"] * 2**27 / 8)) for _ in range(8)]
    time.sleep(60)
    del food


def unsendable(_keywords: Any, _config: Any) -> dict[str, Any]:
    return {"thing": object()}


def where(_keywords: Any, config: Any) -> dict[str, Any]:
    with open("left_behind", "w") as left:
        left.write("x")
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "cwd": os.getcwd(),
        "pid": os.getpid(),
        "scratch": config.scratch_directory,
        "memory": config.memory,
        "ncores": config.ncores,
        "threads": {name: os.environ.get(name) for name in names},
    }


def slow(keywords: Any, _config: Any) -> None:
    time.sleep(keywords["seconds"])


def big(keywords: Any, _config: Any) -> dict[str, Any]:
    return {"noise": os.urandom(int(keywords["mib"] * 2**19)).hex()}


def keep(keywords: Any, _config: Any) -> None:
    KEPT.append(np.ones(int(keywords["gib"] * 2**27)))


def kill_me(_keywords: Any, _config: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


DEEDS = {
    deed.__name__: deed
    for deed in (
        noise,
        noise_then_failure,
        segfault,
        leave,
        leave_files,
        system_exit,
        hang,
        hold_the_lock,
        eat,
        unsendable,
        where,
        slow,
        big,
        keep,
        kill_me,
    )
}
