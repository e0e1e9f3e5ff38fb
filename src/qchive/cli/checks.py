"""What `qchive doctor` looks at. Nothing is changed by looking."""

from __future__ import annotations

import locale
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import msgspec

GIB = 2**30

PACKAGES = {
    "server": ("psycopg", "psycopg_pool", "starlette", "uvicorn", "httptools", "python_multipart", "argon2", "jwt"),
    "worker": ("qcengine", "psutil"),
}
"""Modules that `qchive up` cannot do without, by the extra that installs them."""

CHEMISTRY = ("pyscf", "tblite", "geometric", "rdkit", "dftd3", "dftd4", "basis_set_exchange")
"""Modules of the extra `chem`."""

EXTERNAL = {"nwchem": "nwchem", "mopac": "mopac", "psi4": "psi4"}
"""Programs as QCEngine calls them, and their executables."""


class Check(msgspec.Struct, frozen=True):
    """One thing looked at: its state, what was found, and what to do if that is not well."""

    name: str
    state: Literal["ok", "warning", "problem"]
    found: str
    advice: str = ""


def all_checks(data: Path | None, port: int) -> Iterator[Check]:
    """Every check, one after the other; finding out about programs takes seconds."""
    yield python()
    yield from packages()
    yield from postgres(data)
    yield listening(port)
    yield from computing()
    yield machine()
    yield shared_memory()
    yield text()


def python() -> Check:
    """The interpreter; one too old would not have come this far."""
    return Check("Python", "ok", f"{platform.python_version()} in {sys.prefix}")


def packages() -> Iterator[Check]:
    """Python packages that server and worker import."""
    for extra, modules in PACKAGES.items():
        missing = [module for module in modules if find_spec(module) is None]
        if missing:
            yield Check(f"{extra} packages", "problem", f"without {', '.join(missing)}", _pip(extra))
        else:
            yield Check(f"{extra} packages", "ok", "installed")


def _pip(extra: str) -> str:
    return f'pip install "qchive[{extra}]"'


def postgres(data: Path | None) -> Iterator[Check]:
    """PostgreSQL, whom it would run as, and the folder of the data."""
    from qchive.db.embedded import probe
    from qchive.errors import DataUnreachable

    seen = probe(data)
    folder_fails = isinstance(seen.problem, DataUnreachable)
    if seen.binaries is not None:
        yield Check("PostgreSQL", "ok", f"{seen.binaries.version} from {seen.binaries.source}")
    elif not folder_fails:
        yield Check("PostgreSQL", "problem", "none that could be used", str(seen.problem))
    why = " (PostgreSQL refuses to be root)" if os.geteuid() == 0 else ""
    yield Check("PostgreSQL's user", "ok", f"{seen.user}{why}")
    yield _folder(seen.data, str(seen.problem) if folder_fails else "", seen.major, seen.in_use_by)
    yield _disk(seen.free_bytes)


def _folder(data: Path, problem: str, major: int | None, in_use_by: int | None) -> Check:
    existing = next(place for place in (data, *data.parents) if place.exists())
    if problem:
        return Check("data folder", "problem", str(data), problem)
    if in_use_by is not None:
        advice = "An archive runs on it; a second one needs another folder (--data) and port (--port)."
        return Check("data folder", "warning", f"{data}, in use by process {in_use_by}", advice)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Check(
            "data folder", "problem", f"{data}, which cannot be made", f"Allow writing in {existing}, or use --data."
        )
    state = "new" if major is None else f"an archive of PostgreSQL {major}"
    return Check("data folder", "ok", f"{data} ({state})")


def _disk(free: int) -> Check:
    found = f"{free / GIB:.1f} GiB free"
    if free < GIB // 4:
        return Check("disk", "problem", found, "PostgreSQL needs some room: free a GiB, or use --data on another disk.")
    if free < 5 * GIB:
        return Check("disk", "warning", found, "Enough to begin with; wavefunctions and outputs will fill it.")
    return Check("disk", "ok", found)


def listening(port: int) -> Check:
    """Whether the port is free, and if not, whether it is an archive that listens there."""
    from qchive.api import about
    from qchive.client.connection import Connection
    from qchive.errors import QCHiveError

    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        try:
            with Connection(f"http://127.0.0.1:{port}", retry_max=0, timeout=5.0) as connection:
                info = connection.ask(about.INFORMATION)
        except (QCHiveError, msgspec.MsgspecError):
            advice = "Another program listens there: choose another port with --port, or --port 0 for any free one."
            return Check("port", "problem", f"{port}: {error.strerror}", advice)
        advice = "An archive is up there already: `qchive status`."
        return Check("port", "warning", f"{port} is taken by the archive {info.name!r}", advice)
    return Check("port", "ok", f"{port} is free")


def computing() -> Iterator[Check]:
    """Programs that QCEngine can run here, and what others it could."""
    if find_spec("qcengine") is None:
        return
    from qchive.worker import programs

    installed = programs.installed()
    listed = ", ".join(f"{name} {version}" for name, version in installed.items() if name != "qcengine")
    if listed:
        yield Check("programs", "ok", listed)
    else:
        yield Check("programs", "warning", "none: a worker would have nothing to compute with", _pip("chem"))
    if missing := [module for module in CHEMISTRY if find_spec(module) is None]:
        yield Check("chemistry packages", "warning", f"without {', '.join(missing)}", _pip("chem"))
    for name, executable in EXTERNAL.items():
        yield _external(name, shutil.which(executable), installed.get(name))


def _external(name: str, path: str | None, version: str | None) -> Check:
    if version is not None:
        return Check(name, "ok", f"{version}{f' in {path}' if path else ''}")
    if path is None:
        return Check(name, "ok", "not on PATH; only needed for computations that name it")
    return Check(
        name, "warning", f"{path}, which QCEngine cannot use", f"Try `{name}` by hand, or install a newer one."
    )


def machine() -> Check:
    """Memory and cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    found = f"{cores} cores, {total:.1f} GiB of memory"
    if total / cores < 1:
        return Check("machine", "warning", found, "Less than a GiB for each core: use fewer --workers.")
    return Check("machine", "ok", found)


def shared_memory() -> Check:
    """`/dev/shm`, which some containers keep small."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return Check("shared memory", "ok" if sys.platform == "darwin" else "warning", f"there is no {folder}")
    free = shutil.disk_usage(folder).free
    found = f"{free / 2**20:.0f} MiB free in {folder}"
    if free < 16 * 2**20:
        return Check("shared memory", "warning", found, "PostgreSQL takes a little of it: docker run --shm-size=64m")
    return Check("shared memory", "ok", found)


def text() -> Check:
    """Locale and encoding."""
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error:
        given = os.environ.get("LC_ALL") or os.environ.get("LANG")
        return Check(
            "locale", "warning", f"{given} is not installed", "Harmless for QCHive; LC_ALL=C.UTF-8 is always there."
        )
    encoding = sys.stdout.encoding or "none"
    if encoding.lower().replace("-", "") != "utf8":
        return Check("locale", "warning", f"output is {encoding}", "Set LC_ALL=C.UTF-8 or PYTHONUTF8=1.")
    return Check("locale", "ok", f"{locale.setlocale(locale.LC_CTYPE)}, output is {encoding}")
