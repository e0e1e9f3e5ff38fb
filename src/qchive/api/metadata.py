"""What bulk calls answer: which items changed, which did not, and why (`record-lifecycle.md` §6).

The index lists of one answer are disjoint and together cover the input without a gap. `str` and `repr` are part of the
user's guide.
"""

from __future__ import annotations

import msgspec

Errors = list[tuple[int, str]]


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
        lines = [self.error_description] if self.error_description else []
        return "\n".join(lines + [f"    Index {i}: {text}" for i, text in self.errors])


class InsertMetadata(_Metadata, kw_only=True):
    """Which items of an add call are new and which were there already."""

    inserted_idx: list[int] = []
    existing_idx: list[int] = []

    @property
    def n_inserted(self) -> int:
        """How many items are new."""
        return len(self.inserted_idx)

    @property
    def n_existing(self) -> int:
        """How many items were there already."""
        return len(self.existing_idx)


class UpdateMetadata(_Metadata, kw_only=True):
    """Which records a change reached, and how many relatives with them."""

    updated_idx: list[int] = []
    n_children_updated: int = 0

    @property
    def n_updated(self) -> int:
        """How many of the given records changed."""
        return len(self.updated_idx)


class DeleteMetadata(_Metadata, kw_only=True):
    """Which objects were deleted, and how many children with them."""

    deleted_idx: list[int] = []
    n_children_deleted: int = 0

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
