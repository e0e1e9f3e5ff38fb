"""What attempts leave behind: their outputs, provenance and files, unpacked when they are looked at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import msgspec

from qchive import wire
from qchive.api import records
from qchive.status import RecordStatusEnum

T = TypeVar("T")
Fetch = Callable[..., Any]
"""Asks an endpoint of the record's kind by name: `fetch("output_data", history_id=…, output_type=…)`."""


class Provenance(SimpleNamespace):
    """What computed it: `creator`, `version`, `routine`, and whatever else the program told (`wall_time` in s …)."""


def sent(value: Any) -> bool:
    """Whether the server sent this; what it did not send is not None."""
    return value is not msgspec.UNSET


def value_of(json: wire.Json | None) -> Any:
    """The plain value of a part that was sent as it is stored."""
    return None if json is None else msgspec.json.decode(json.text)


class OutputStore:
    """One output of an attempt: `data` is text for stdout and stderr, a mapping for error."""

    def __init__(self, document: records.OutputStore, fetch_data: Callable[[], Any]) -> None:
        self.output_type = document.output_type
        self.compression_type = document.compression_type
        self._packed = document.data
        self._fetch_data = fetch_data

    def __repr__(self) -> str:
        return f"OutputStore(output_type={self.output_type!r}, compression_type={self.compression_type!r})"

    @cached_property
    def data(self) -> Any:
        """The output itself."""
        return _unpacked(self._packed, self.compression_type, self._fetch_data)


class ComputeHistory:
    """One attempt that returned something."""

    def __init__(self, document: records.ComputeHistory, fetch: Fetch) -> None:
        self.id: int = document.id
        self.record_id: int = document.record_id
        self.status: RecordStatusEnum = document.status
        self.manager_name: str | None = document.manager_name
        self.modified_on: datetime = document.modified_on
        provenance = value_of(document.provenance)
        self.provenance: Provenance | None = None if provenance is None else Provenance(**provenance)
        self._outputs = document.outputs
        self._fetch = fetch

    def __repr__(self) -> str:
        return (
            f"ComputeHistory(id={self.id}, record_id={self.record_id}, status={self.status!s},"
            f" manager_name={self.manager_name!r}, modified_on={self.modified_on!r}, provenance={self.provenance!r})"
        )

    @cached_property
    def outputs(self) -> dict[str, OutputStore]:
        """Outputs by type: stdout, stderr, error."""
        found = self._outputs
        if isinstance(found, msgspec.UnsetType):
            found = self._fetch("outputs", history_id=self.id)
        return {name: OutputStore(output, self._data_of(name)) for name, output in found.items()}

    def _data_of(self, output_type: str) -> Callable[[], Any]:
        return lambda: self._fetch("output_data", history_id=self.id, output_type=output_type)

    def get_output(self, output_type: str) -> Any:
        """The data of one output, None if there is none of this type."""
        output = self.outputs.get(output_type)
        return None if output is None else output.data

    @property
    def stdout(self) -> str | None:
        """What the program printed."""
        return _text(self.get_output("stdout"))

    @property
    def stderr(self) -> str | None:
        """What the program printed as errors."""
        return _text(self.get_output("stderr"))

    @property
    def error(self) -> dict[str, Any] | None:
        """Why it failed: `error_type`, `error_message`, `extras`."""
        error: dict[str, Any] | None = self.get_output("error")
        return error

    def fetch_all(self) -> None:
        """Fetch all outputs now."""
        for output in self.outputs.values():
            _ = output.data


class NativeFile:
    """A file that the program itself wrote; `data` is text or bytes."""

    def __init__(self, document: records.NativeFile, fetch: Fetch) -> None:
        self.name: str = document.name
        self.compression_type: str = document.compression_type
        self._packed = document.data
        self._fetch = fetch

    def __repr__(self) -> str:
        return f"NativeFile(name={self.name!r}, compression_type={self.compression_type!r})"

    @cached_property
    def data(self) -> str | bytes:
        """The content."""
        content: str | bytes = _unpacked(
            self._packed, self.compression_type, lambda: self._fetch("native_file_data", name=self.name)
        )
        return content

    def fetch_all(self) -> None:
        """Fetch the content now."""
        _ = self.data

    def save_file(
        self, directory: str | Path, new_name: str | None = None, keep_compressed: bool = False, overwrite: bool = False
    ) -> Path:
        """Write the file into a folder and say where; with `keep_compressed` as zstd, its name ending in `.zst`.

        Raises:
            RuntimeError: it exists already and `overwrite` was not asked for.
        """
        content = self.data.encode() if isinstance(self.data, str) else self.data
        path = Path(directory) / Path(new_name or self.name).name
        if keep_compressed:
            path = path.with_name(path.name + ".zst")
            content = wire.compress_bytes(content)
        if path.exists() and not overwrite:
            raise RuntimeError(f"{path} exists already: pass overwrite=True to replace it")
        path.write_bytes(content)
        return path


def _unpacked(packed: Any, compression: str, fetch: Callable[[], Any]) -> Any:
    if not sent(packed):
        packed, compression = fetch()
    return wire.decompress(packed.data, compression)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
