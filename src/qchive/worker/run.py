"""Running one task in this process: from what the server sent to a result it can store.

Loaded by the warm processes only; everything heavy is imported when the first task comes.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

from qchive.errors import QCHiveError
from qchive.kinds.heard import heard
from qchive.wire import decompress
from qchive.worker import failure, qcschema
from qchive.worker.failure import failed
from qchive.worker.pack import NotPackable, pack

Result = dict[str, Any]
Prepared = tuple[dict[str, Any], str]
"""A QCSchema version-2 input and the program that QCEngine runs it with."""

_KWARGS_LIMIT = 1 << 31
"""Largest arguments that are unpacked, in bytes."""


def warm_up(plugins: Sequence[str] = ()) -> None:
    """Import what every task needs, and make QCEngine know our programs and those of the plugins.

    A plugin is a module by name: importing it, or the function `register` in it, registers programs with QCEngine.
    """
    import qcelemental.models.v1
    import qcelemental.models.v2  # noqa: F401 - QCEngine needs both, and imports them when the first task comes
    from qcengine.config import get_provenance_augments

    from qchive.worker import programs

    get_provenance_augments()  # finds out about this machine, once: another second
    programs.register()
    for name in plugins:
        module = importlib.import_module(name)
        if hasattr(module, "register"):
            module.register()


def run(function: str, kwargs: bytes, config: dict[str, Any], record_id: int | None = None) -> tuple[bool, Result]:
    """Whether the task succeeded, and its result in QCSchema version 1; never raises.

    `kwargs` are the arguments as the server sent them, zstd(msgpack). `config` is QCEngine's task configuration:
    `ncores`, `memory` in GiB, `scratch_directory`. `record_id` is for functions whose arguments do not say it.
    """
    if function not in _PREPARE and function not in _PLAIN:
        return False, failed(failure.INPUT, f"This worker does not know the function {function!r}")
    compute: Callable[[], Result]
    try:
        given = decompress(kwargs, limit=_KWARGS_LIMIT)
        if function in _PLAIN:
            own_id = None if record_id is None else str(record_id)
            compute = partial(_call, function, dict(given))
        else:
            given, program = _PREPARE[function](given)
            own_id = given["id"]
            compute = partial(_qcengine, given, program, config)
    except (KeyError, AttributeError, TypeError, ValueError, QCHiveError) as e:
        return False, failed(failure.INPUT, f"The task makes no sense to this worker: {type(e).__name__}: {e}")
    try:
        result = compute()
    except MemoryError:
        result = failed(failure.RESOURCE, f"Out of memory\n{traceback.format_exc()}")
    except BaseException as e:
        # A program that calls sys.exit() has failed; the process that ran it goes on.
        result = failed(failure.UNKNOWN, f"{type(e).__name__}: {e}\n{traceback.format_exc()}")
    result["id"] = own_id
    return bool(result["success"]), result


def packed(success: bool, result: Result) -> tuple[bool, bytes]:
    """The result ready to be sent. One that cannot be packed becomes a failure that says why."""
    try:
        return success, pack(result)
    except (NotPackable, MemoryError) as e:
        message = f"The computation finished, but its result cannot be sent: {e}"
        return False, pack(failed(failure.UNUSABLE, message, id=result.get("id")))


def add_output(result: Result, stdout: str, stderr: str) -> None:
    """Put what was printed past Python (by C and Fortran code) with a failed result, behind what is there."""
    for name, text in (("stdout", stdout), ("stderr", stderr)):
        if text:
            printed = result.setdefault("input_data", {})
            printed[name] = "\n".join(part for part in (printed.get(name), text) if part)


def _compute(kwargs: dict[str, Any]) -> Prepared:
    return qcschema.atomic_input(kwargs["input_data"], kwargs["program"]), kwargs["program"]


def _compute_procedure(kwargs: dict[str, Any]) -> Prepared:
    return qcschema.optimization_input(kwargs["input_data"], kwargs["procedure"]), kwargs["procedure"]


def _call(function: str, kwargs: dict[str, Any]) -> Result:
    """Call a function of a library; what it prints, and what it says through `logging`, comes with its result."""
    module, _, name = function.rpartition(".")
    library = module.partition(".")[0]
    printed = io.StringIO()
    try:
        with heard(_PLAIN[function], printed), contextlib.redirect_stdout(printed):
            results = getattr(importlib.import_module(module), name)(**kwargs)
    except BaseException:
        print(printed.getvalue())  # as programs do: what was printed is put with the failure
        raise
    return {
        "schema_name": "qca_generic_task_result",
        "id": None,
        "results": results,
        "stdout": printed.getvalue(),
        "stderr": None,
        "success": True,
        "provenance": {"creator": library, "version": version(library), "routine": function},
        "extras": {},
        "error": None,
    }


def _qcengine(given: dict[str, Any], program: str, config: dict[str, Any]) -> Result:
    import qcengine

    model = qcengine.compute(given, program, task_config=config)
    result = model.model_dump() if hasattr(model, "model_dump") else model.dict()
    return qcschema.version_1(result) if result["success"] else _failure(result)


def _failure(result: Result) -> Result:
    """What is worth sending of QCEngine's failure. The server has the input; only the streams are new in it."""
    error = result.get("error") or {}
    message = str(error.get("error_message", "no message was supplied"))
    kind = failure.better_type(str(error.get("error_type", "")), message)
    given = result.get("input_data")
    streams = {}
    if isinstance(given, dict):
        streams = {name: given[name] for name in ("stdout", "stderr") if isinstance(given.get(name), str)}
    return failed(kind, message, extras=error.get("extras"), **streams)


_PREPARE: dict[str, Callable[[dict[str, Any]], Prepared]] = {
    "qcengine.compute": _compute,
    "qcengine.compute_procedure": _compute_procedure,
}

_PLAIN = {"geometric.qcf_neb.nextchain": "geometric.nifty"}
"""Functions that are called as they are → the logger through which they say how it goes. No others: what a server
names is not called for that alone."""
