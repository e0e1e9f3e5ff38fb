"""Molecules from uploaded files: XYZ and Psi4 text, QCSchema JSON, and archives of them.

What is uploaded is unpacked in memory and never past a limit, whatever the headers promise.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec

from qchive.errors import InvalidBody, InvalidMolecule, LimitExceeded, TooLarge
from qchive.molecule.document import Stored, stored

EXTENSIONS = ("xyz", "json", "zip", "tar.gz", "tgz", "tar.bz2", "tbz2", "tar.xz", "txz")
UNPACKED_BYTES = 64 * 1024 * 1024
"""All files of one upload together, unpacked."""
TEXT_BYTES = 512 * 1024
"""One molecule as text, some 13 000 atoms: reading takes time quadratic in their number."""

Molecules = list[tuple[str, Stored]]


class _Unreadable(Exception):
    """An archive that is damaged, encrypted or no archive."""


class _Budget:
    """What may still be unpacked in this upload."""

    def __init__(self, size: int, molecules: int) -> None:
        self._limits = self._size, self._molecules = size, molecules

    def read(self, name: str, stream: Any) -> bytes:
        """All of a stream; TooLarge as soon as it is more than may still be."""
        content: bytes = stream.read(self._size + 1)
        self._size -= len(content)
        if self._size < 0:
            raise TooLarge(f"{name} unpacks to more than the {self._limits[0]} bytes of one upload: split it")
        return content

    def count(self) -> None:
        """One more molecule; LimitExceeded if that is too many."""
        self._molecules -= 1
        if self._molecules < 0:
            raise LimitExceeded(f"the upload holds more than {self._limits[1]} molecules: split it")


def read_files(
    files: Sequence[tuple[str, bytes]],
    *,
    molecule_limit: int = 1000,
    size_limit: int = UNPACKED_BYTES,
    charge_in_comment: bool = False,
) -> tuple[dict[str, Molecules], list[str]]:
    """The molecules in uploaded files, (name, content) each, and a sentence about every one that could not be read.

    The keys are the file names; each molecule comes with the name of its file, which for those in archives is the
    name there, folders removed. `charge_in_comment` is for `from_text`. Raises InvalidBody for other file extensions,
    LimitExceeded for more than `molecule_limit` molecules, TooLarge for archives that unpack to more than `size_limit`
    bytes together.
    """
    for name, _ in files:
        _extension(name)
    budget = _Budget(size_limit, molecule_limit)
    found: dict[str, Molecules] = {}
    errors: list[str] = []
    for name, content in files:
        molecules = found.setdefault(name, [])
        try:
            for member, data in _members(name, content, budget):
                try:
                    molecules.append((member, _molecule(member, data, charge_in_comment)))
                except InvalidMolecule as error:
                    errors.append(f"Error parsing molecule {member!r}{_inside(name, member)}: {error.msg}")
        except _Unreadable as error:
            errors.append(f"Error reading archive {name!r}: {error}")
    return found, errors


def _inside(name: str, member: str) -> str:
    return "" if member == name else f" in {name!r}"


def _extension(name: str) -> str:
    for extension in EXTENSIONS:
        if name.lower().endswith("." + extension):
            return extension
    raise InvalidBody(f"Invalid file extension on file: {name}. Allowed extensions: {list(EXTENSIONS)}")


def _molecule(name: str, content: bytes, charge_in_comment: bool) -> Stored:
    """One molecule file: QCSchema if it is called .json, else text."""
    if name.lower().endswith(".json"):
        try:
            data = msgspec.json.decode(content, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise InvalidMolecule(f"not a JSON object: {error}") from error
        return stored(data)
    if len(content) > TEXT_BYTES:
        raise InvalidMolecule(f"more than {TEXT_BYTES} bytes of text: send large molecules as validated QCSchema JSON")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidMolecule(f"not text: {error}") from error
    from qchive.molecule.complete import from_text  # loads numpy and qcelemental

    return stored(from_text(text, charge_in_comment=charge_in_comment))


def _members(name: str, content: bytes, budget: _Budget) -> Iterator[tuple[str, bytes]]:
    extension = _extension(name)
    if extension in ("xyz", "json"):
        budget.count()
        yield name, budget.read(name, io.BytesIO(content))
    elif extension == "zip":
        yield from _from_zip(name, content, budget)
    else:
        yield from _from_tar(name, content, budget)


def _base(member: str) -> str:
    """The name without its folders; empty for what file managers leave behind, whose names begin with a dot."""
    base = PurePosixPath(member.replace("\\", "/")).name
    return "" if base.startswith(".") else base


def _from_zip(name: str, content: bytes, budget: _Budget) -> Iterator[tuple[str, bytes]]:
    import lzma
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for info in archive.infolist():
                base = _base(info.filename)
                if base and not info.is_dir():
                    budget.count()
                    with archive.open(info) as stream:
                        data = budget.read(name, stream)
                    yield base, data
    # Damaged, cut off, of an unknown method (NotImplementedError, a RuntimeError) or with a password (RuntimeError).
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError) as error:
        raise _Unreadable(str(error)) from error


def _from_tar(name: str, content: bytes, budget: _Budget) -> Iterator[tuple[str, bytes]]:
    import lzma
    import tarfile
    import zlib

    try:
        with tarfile.open(fileobj=io.BytesIO(_decompressed(name, content, budget)), mode="r:") as archive:
            for info in archive:
                base = _base(info.name)
                # Links are not followed, and a sparse file could be any number of zeros.
                member = archive.extractfile(info) if base and info.isreg() and not info.issparse() else None
                if member is not None:
                    budget.count()
                    yield base, member.read()
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise _Unreadable(str(error)) from error


def _decompressed(name: str, content: bytes, budget: _Budget) -> bytes:
    import bz2
    import gzip
    import lzma

    packed = io.BytesIO(content)
    extension = _extension(name)
    if extension.endswith("gz"):
        with gzip.GzipFile(fileobj=packed) as stream:
            return budget.read(name, stream)
    with bz2.BZ2File(packed) if extension.endswith("bz2") else lzma.LZMAFile(packed) as other:
        return budget.read(name, other)
