"""The file of a backup: a ZIP archive that other programs can read, written from front to back.

    tables/<table>.zst    its rows as COPY has them, compressed with zstd; one for each table
    manifest.json         last: what there is, with rows, bytes and SHA-256 of each, so that a cut file has none

`docs/decisions/0013-backup-format.md` says why, and `docs/howto/back-up-and-move.md` how to read one without QCHive.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import itertools
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import error as StructError
from typing import IO

import msgspec
import zstandard

from qchive.db.folder import sync_folder
from qchive.db.keeping.catalogue import Contents, Table
from qchive.db.keeping.snapshot import CHUNK, Source
from qchive.errors import BackupDamaged, BackupRefused, WrongSchema

FORMAT = 1
_MANIFEST = "manifest.json"
_LEVEL = 3
_WRONG = (
    zipfile.BadZipFile,
    zlib.error,
    zstandard.ZstdError,
    msgspec.MsgspecError,
    StructError,
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)
"""What reading a damaged file may raise, depending on where it is damaged."""

Tell = Callable[[str, int], None]


class Member(msgspec.Struct, frozen=True):
    """One table in the file."""

    table: str
    rows: int
    bytes: int
    """Of the rows, before compression."""
    size: int
    sha256: str
    """Of what is stored, after compression."""


class _Head(msgspec.Struct, frozen=True):
    """What a release reads before it knows whether it understands the rest."""

    format: int


class Manifest(msgspec.Struct, frozen=True):
    """What the file says of itself."""

    format: int
    contents: Contents
    members: tuple[Member, ...]


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A new file, readable by its owner only: under its name when all of it is on disk, else not there at all.

    Raises:
        BackupRefused: there is such a file, somebody is just writing it, or it cannot be written.
    """
    progress = path.with_name(f"{path.name}.in_progress")
    refuse_existing(path)
    try:
        number = os.open(progress, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "r+b") as file:
            _claim(file, progress)
            try:
                refuse_existing(path)
                yield file
                file.flush()
                os.fsync(file.fileno())
                refuse_existing(path)
                progress.rename(path)
                sync_folder(path.parent)
            except BaseException:
                progress.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise BackupRefused(f"{path} cannot be written: {error}") from error


def refuse_existing(path: Path) -> None:
    """Never write over anything.

    Raises:
        BackupRefused: there is something of that name.
    """
    if os.path.lexists(path):
        raise BackupRefused(f"{path} is there already: choose another name, or remove it yourself")


def _claim(file: IO[bytes], path: Path) -> None:
    """Take over what a killed backup left, but not what a living one writes."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Finished just now by another one, it has got its name: that is not ours to empty.
        ours = os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        ours = False
    if not ours:
        raise BackupRefused(f"{path} is just being written by another backup")
    file.truncate()


def write(file: IO[bytes], source: Source, tell: Tell) -> Manifest:
    """Write a copy, table by table, and last what it is."""
    members = []
    with zipfile.ZipFile(file, "w") as archive:
        for table in source.contents.tables:
            members.append(_write_table(archive, source, table, tell))
        manifest = Manifest(FORMAT, source.contents, tuple(members))
        archive.writestr(_MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def _write_table(archive: zipfile.ZipFile, source: Source, table: Table, tell: Tell) -> Member:
    raw = 0
    with archive.open(_name(table.name), "w", force_zip64=True) as member:
        packing = zstandard.ZstdCompressor(_LEVEL, write_checksum=True).compressobj()
        found, size = hashlib.sha256(), 0
        for chunk in itertools.chain(source.stream(table), [None]):
            data = packing.flush() if chunk is None else packing.compress(chunk)
            found.update(data)
            size += member.write(data)
            raw += len(chunk or b"")
            tell(table.name, len(chunk or b""))
    return Member(table.name, source.rows(table), raw, size, found.hexdigest())


class BackupFile:
    """A `Source`: a backup, whose manifest has been read."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive = archive
        self.manifest = manifest
        self.contents = manifest.contents
        self._members = {member.table: member for member in manifest.members}

    def verify(self, tell: Tell) -> None:
        """Compare all that is stored with its hashes.

        Raises:
            BackupDamaged: something differs.
        """
        for table in self.contents.tables:
            member = self._members[table.name]
            found, size = hashlib.sha256(), 0
            with self._archive.open(_name(table.name)) as stored:
                while data := stored.read(CHUNK):
                    found.update(data)
                    size += len(data)
                    tell("checksums", len(data))
            if (size, found.hexdigest()) != (member.size, member.sha256):
                raise BackupDamaged(f"This backup is damaged: the rows of {table.name} are not those that were written")

    def stream(self, table: Table) -> Iterator[bytes]:
        """The rows of a table."""
        unpacking = zstandard.ZstdDecompressor()
        with self._archive.open(_name(table.name)) as stored, unpacking.stream_reader(stored) as rows:
            while data := rows.read(CHUNK):
                yield data

    def rows(self, table: Table) -> int:
        """How many rows the table had."""
        return self._members[table.name].rows


@contextmanager
def opened(path: Path) -> Iterator[BackupFile]:
    """A backup to be read.

    Raises:
        BackupRefused: it cannot be opened.
        BackupDamaged: it is none, or not all of one; also while it is read.
        WrongSchema: a newer release wrote it.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            yield BackupFile(archive, _manifest(archive))
    except (OSError, *_WRONG) as error:
        # EINVAL: a damaged ZIP archive sends its reader to places before the beginning.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise BackupRefused(f"{path} cannot be read: {error}") from error
        raise BackupDamaged(f"{path} is no backup of QCHive, or is cut off or damaged: {error}") from error


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    text = archive.read(_MANIFEST)
    head = msgspec.json.decode(text, type=_Head)
    if head.format > FORMAT:
        raise WrongSchema(
            f"This backup has format {head.format}, this release knows up to {FORMAT}: install the newer one"
        )
    manifest = msgspec.json.decode(text, type=Manifest)
    if [table.name for table in manifest.contents.tables] != [member.table for member in manifest.members]:
        raise BackupDamaged("This backup is damaged: its manifest does not fit itself")
    return manifest


def _name(table: str) -> str:
    return f"tables/{table}.zst"
