"""Failed results, and the words for why a task failed.

Programs and QCEngine say `input_error`, `convergence_error`, `resource_error`, `random_error` or `unknown_error`. What
only the worker can know has words of its own here, so that a retry policy can tell the classes apart.
"""

from __future__ import annotations

from typing import Any

from qchive.diagnosis import ErrorClass, classify

INPUT = "input_error"
CONVERGENCE = "convergence_error"
RESOURCE = "resource_error"
"""Memory, mostly: the limit of the task was outgrown. More of it may help, the same again will not."""
RANDOM = "random_error"
UNKNOWN = "unknown_error"
WALL_TIME = "wall_time_error"
"""The task ran longer than this worker allows."""
CRASHED = "worker_crashed"
"""The process that ran the task ended in the middle: a crash of the program, or killed by somebody."""
UNUSABLE = "result_error"
"""The program finished, but what it left cannot be sent."""

OUTPUT_LIMIT = 4 << 20
"""How many bytes of a stream are kept with a failed result; of longer ones the end."""

_BETTER = {
    ErrorClass.input: INPUT,
    ErrorClass.memory: RESOURCE,
    ErrorClass.convergence: CONVERGENCE,
    ErrorClass.random: RANDOM,
}


def failed(
    error_type: str, message: str, *, id: str | None = None, extras: Any = None, stdout: str = "", stderr: str = ""
) -> dict[str, Any]:
    """A QCSchema FailedOperation in its minimal form; `input_data` carries what was printed, as archives expect it."""
    result: dict[str, Any] = {
        "id": id,
        "success": False,
        "error": {"error_type": error_type, "error_message": message, "extras": extras},
    }
    printed = {name: text for name, text in (("stdout", stdout), ("stderr", stderr)) if text}
    if printed:
        result["input_data"] = printed
    return result


def better_type(error_type: str, message: str) -> str:
    """The type of an error that an optimizer or QCEngine passed on as unknown, read from the message."""
    if error_type not in (UNKNOWN, "unknown", ""):
        return error_type
    return _BETTER.get(classify(UNKNOWN, message), UNKNOWN)
