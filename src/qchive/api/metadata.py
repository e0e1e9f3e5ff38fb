"""What bulk calls answer: which items changed, which did not, and why (`record-lifecycle.md` §6).

The index lists of one answer are sorted, disjoint and together cover the input without a gap. `str` and `repr` are
part of the user's guide.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

Errors = list[tuple[int, str]]


def _told(description: str | None, what: str, errors: Errors) -> str:
    lines = [description] if description else []
    return "\n".join(lines + [f"    {what} {i}: {text}" for i, text in errors])


class _Metadata(msgspec.Struct, kw_only=True):
    error_description: str | None = None
    errors: Errors = []

    @property
    def n_errors(self) -> int:
        """How many items were refused."""
        return len(self.errors)

    @property
    def error_idx(self) -> list[int]:
        """Positions of the items that were refused."""
        return [i for i, _ in self.errors]

    @property
    def success(self) -> bool:
        """Whether nothing was refused."""
        return self.error_description is None and not self.errors

    @property
    def error_string(self) -> str:
        """All refusals as text, one line each."""
        return _told(self.error_description, "Index", self.errors)


class InsertMetadata(_Metadata, kw_only=True):
    """Which items of an add call are new and which were there already."""

    inserted_idx: list[int] = []
    existing_idx: list[int] = []

    def __post_init__(self) -> None:
        self.inserted_idx = sorted(self.inserted_idx)
        self.existing_idx = sorted(self.existing_idx)

    @property
    def n_inserted(self) -> int:
        """How many items are new."""
        return len(self.inserted_idx)

    @property
    def n_existing(self) -> int:
        """How many items were there already."""
        return len(self.existing_idx)

    @staticmethod
    def merge(parts: Sequence[InsertMetadata]) -> InsertMetadata:
        """One answer for calls that were made one after the other, as if they had been one call."""
        merged, start = InsertMetadata(), 0
        for part in parts:
            merged.inserted_idx += [start + i for i in part.inserted_idx]
            merged.existing_idx += [start + i for i in part.existing_idx]
            merged.errors = [*merged.errors, *((start + i, text) for i, text in part.errors)]
            start += part.n_inserted + part.n_existing + part.n_errors
        merged.error_description = "\n".join(p.error_description for p in parts if p.error_description) or None
        return merged


class UpdateMetadata(_Metadata, kw_only=True):
    """Which records a change reached, and how many relatives with them."""

    updated_idx: list[int] = []
    n_children_updated: int = 0

    def __post_init__(self) -> None:
        self.updated_idx = sorted(self.updated_idx)

    @property
    def n_updated(self) -> int:
        """How many of the given records changed."""
        return len(self.updated_idx)


class DeleteMetadata(_Metadata, kw_only=True):
    """Which objects were deleted, and how many children with them."""

    deleted_idx: list[int] = []
    n_children_deleted: int = 0

    def __post_init__(self) -> None:
        self.deleted_idx = sorted(self.deleted_idx)

    @property
    def n_deleted(self) -> int:
        """How many of the given objects were deleted."""
        return len(self.deleted_idx)


class TaskReturnMetadata(msgspec.Struct, kw_only=True):
    """Which returned results were taken and which were refused, with the reason."""

    error_description: str | None = None
    rejected_info: Errors = []
    accepted_ids: list[int] = []

    @property
    def n_accepted(self) -> int:
        """How many results were taken."""
        return len(self.accepted_ids)

    @property
    def n_rejected(self) -> int:
        """How many results were refused."""
        return len(self.rejected_info)

    @property
    def rejected_ids(self) -> list[int]:
        """Task ids of the results that were refused."""
        return [i for i, _ in self.rejected_info]

    @property
    def success(self) -> bool:
        """Whether the call as a whole went through."""
        return self.error_description is None

    @property
    def error_string(self) -> str:
        """All refusals as text, one line each."""
        return _told(self.error_description, "Task id", self.rejected_info)
