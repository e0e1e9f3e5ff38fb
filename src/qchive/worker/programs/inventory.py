"""What QCEngine can really run on this machine."""

from __future__ import annotations

from typing import Any

import qcengine
from packaging.version import InvalidVersion, Version

# The oldest version whose input QCEngine's harness still writes. Debian's Psi4 1.3 is found, then fails each task.
_OLDEST = {"psi4": Version("1.4")}


def versions() -> dict[str, str]:
    """Lower-case program or procedure name -> version, for all that work; "qcengine" itself is one of them."""
    found = {"qcengine": str(qcengine.__version__)}
    for name in sorted(qcengine.list_available_programs()):
        _add(found, name, qcengine.get_program(name, check=False))
    for name in sorted(qcengine.list_available_procedures()):
        _add(found, name, qcengine.get_procedure(name))
    return found


def _add(found: dict[str, str], name: str, harness: Any) -> None:
    """Enter the program unless its version cannot be found out (then it would not run either) or is too old."""
    try:
        version = str(harness.get_version())
    except Exception:
        # Each harness asks its program in its own way (import, subprocess, log file) and each can fail in its own.
        return
    if version in ("", "None") or _too_old(name, version):
        return
    found[name.lower()] = version


def _too_old(name: str, version: str) -> bool:
    """Whether QCEngine's harness is known not to work with so old a version."""
    if name not in _OLDEST:
        return False
    try:
        return Version(version) < _OLDEST[name]
    except InvalidVersion:
        return False
