"""Classes of errors: by type, by what programs say, and the texts of real failures (`real_failures.json`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qchive.diagnosis import MEANING, ErrorClass, classify, diagnose
from qchive.worker import failure

REAL: dict[str, Any] = json.loads(Path(__file__).with_name("real_failures.json").read_text(encoding="utf-8"))
"""What programs said when they were made to fail, run by our worker and by QCEngine alone."""

C = ErrorClass

# error type, message, class
TABLE = [
    # QCEngine
    ("input_error", "whatever", C.input),
    ("convergence_error", "whatever", C.convergence),
    ("random_error", "SCF did not converge", C.random),
    ("resource_error", "whatever", C.memory),
    ("unknown_error", "whatever", C.unknown),
    ("execution_error", "", C.unknown),
    # executors of the peer's managers
    ("ManagerLost", "Compute worker lost:", C.lost),
    ("WorkerLost", "", C.lost),
    ("KilledWorker", "", C.lost),
    ("BrokenProcessPool", "", C.lost),
    ("AppTimeout", "", C.wall_time),
    ("RuntimeError", "Running in apptainer failed with error code 137\nstdout: \nstderr: Killed", C.memory),
    ("RuntimeError", "Running in apptainer failed with error code 1\nstdout: \nstderr: Disk quota exceeded", C.random),
    # the server and our worker
    ("lost", "Every attempt ended with its compute manager gone", C.lost),
    ("result_refused", "cannot be stored", C.server),
    ("internal_fractal_error", "Internal server error", C.server),
    ("wall_time_error", "Stopped after 3.1 s: a task may run 3 s on this worker", C.wall_time),
    ("resource_error", "Stopped because it held 2.10 GiB: a task may hold 2 GiB on this worker", C.memory),
    ("worker_crashed", "The process that ran this task crashed with signal 11 (Segmentation fault)", C.random),
    ("worker_crashed", "The process that ran this task was killed from outside (signal 9)", C.lost),
    ("result_error", "The computation finished, but its result cannot be sent: NaN", C.unknown),
    # what programs print
    ("unknown_error", "psi4.SCFConvergenceError: Could not converge SCF iterations in 100 iterations.", C.convergence),
    ("unknown_error", "PsiException: Could not converge geometry optimization in 50 iterations.", C.convergence),
    ("unknown_error", "Calculation failed to converge", C.convergence),
    ("unknown_error", " dft/scf: convergence criteria not met; SCF failed: no convergence", C.convergence),
    ("unknown_error", "SCF not converged in 250 cycles", C.convergence),
    ("unknown_error", "abnormal termination of xtb: SCC did not yet converge", C.convergence),
    (
        "unknown_error",
        "the maximum number of SCF cycles has been reached: maximum number of cycles exceeded",
        C.convergence,
    ),
    ("unknown_error", "driver_optimize: optimization doesn't converge", C.convergence),
    ("unknown_error", "std::bad_alloc", C.memory),
    ("execution_error", "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=1234.batch", C.memory),
    ("execution_error", "/bin/sh: line 1: 12345 Killed  xtb mol.xyz --opt", C.memory),
    ("unknown_error", "MA error: MA_init: could not allocate 8388728 bytes", C.memory),
    (
        "execution_error",
        "slurmstepd: error: *** JOB 17 ON n1 CANCELLED AT 2026-11-25T10:00:00 DUE TO TIME LIMIT ***",
        C.wall_time,
    ),
    ("execution_error", "=>> PBS: job killed: walltime 3605 exceeded limit 3600", C.wall_time),
    ("execution_error", "slurmstepd: error: *** JOB 17 CANCELLED AT 2026-11-25 DUE TO PREEMPTION ***", C.lost),
    ("execution_error", "OSError: [Errno 28] No space left on device", C.random),
    ("execution_error", "OSError: [Errno 116] Stale file handle: 'out.dat'", C.random),
    ("unknown_error", "ConnectionResetError: [Errno 104] Connection reset by peer", C.random),
    ("unknown_error", "requests.exceptions.ReadTimeout: Read timed out. (read timeout=60)", C.random),
    ("unknown_error", "PSIO Error: error = 8", C.random),
    ("execution_error", "forrtl: severe (174): SIGSEGV, segmentation fault occurred", C.random),
    ("unknown_error", "Fatal Error: Unable to find the basis set: unknown basis foo", C.input),
    ("unknown_error", "bas_tag_lib: basis set not found: no such basis available in the library", C.input),
    ("unknown_error", "qcengine: keyword scf__maxit is not recognized", C.input),
    ("unknown_error", "Method 'b3lipp' with basis 'sto-3g' and driver energy not implemented", C.input),
    ("unknown_error", "multiplicity 2 is impossible with 10 electrons", C.input),
    ("unknown_error", "TypeError: set_global_option(): incompatible function arguments", C.input),
    ("RuntimeError", "RHF reference is only for singlets.", C.input),
    # what says nothing
    ("not_supplied", "no message was supplied", C.unknown),
    ("unknown_error", "KeyError: 'energy'", C.unknown),
    ("foo", "", C.unknown),
]


@pytest.mark.parametrize(("error_type", "message", "wanted"), TABLE, ids=[f"{t}: {m[:40]}" for t, m, _ in TABLE])
def test_type_and_message_tell_the_class(error_type: str, message: str, wanted: ErrorClass) -> None:
    assert classify(error_type, message) is wanted


@pytest.mark.parametrize("name", REAL)
def test_a_real_failure_has_the_class_it_should_have(name: str) -> None:
    error = REAL[name]
    assert classify(error["error_type"], error["error_message"]) == error["error_class"]


def test_the_end_of_a_message_counts_before_what_else_is_in_it() -> None:
    message = "Trying again: SCF did not converge\n" + "step\n" * 20 + "std::bad_alloc"
    assert classify("unknown_error", message) is C.memory
    assert classify("unknown_error", "begin\n" * 3 + "SCF did not converge\n" + "step\n" * 20) is C.convergence


@pytest.mark.parametrize(
    ("error_type", "message", "wanted"),
    [
        ("unknown_error", REAL["geometric_inner_scf"]["error_message"], "convergence_error"),
        ("unknown_error", REAL["geometric_inner_basis"]["error_message"], "input_error"),
        ("unknown", REAL["numpy_memory"]["error_message"], "resource_error"),
        ("unknown_error", REAL["geometric_keyword"]["error_message"], "unknown_error"),
        ("execution_error", "SCF did not converge", "execution_error"),
    ],
)
def test_what_an_optimizer_passed_on_as_unknown_gets_a_better_type(error_type: str, message: str, wanted: str) -> None:
    assert failure.better_type(error_type, message) == wanted


@given(st.text(), st.text())
def test_every_error_has_one_class_and_a_fingerprint(error_type: str, message: str) -> None:
    found = diagnose(error_type, message)
    assert found.error_class in ErrorClass
    assert len(found.fingerprint) == 12
    assert int(found.fingerprint, 16) >= 0


def test_every_class_says_what_it_means() -> None:
    assert list(MEANING) == list(ErrorClass)
