"""A composite record as it stands in the database."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Header(msgspec.Struct, frozen=True):
    """A composite record that is not complete, and its flow."""

    id: int
    kind: str
    status: str
    tag: str
    priority: int
    owner: str | None
    sort_time: datetime
    attempt_no: int
    find_existing: bool
    batch: int
    checkpoint: bytes | None
    checkpoint_batch: int
    specification: bytes
    fields: bytes | None

    @property
    def standing(self) -> tuple[str, int, int]:
        """What nobody else may have changed when something is stored."""
        return self.status, self.attempt_no, self.batch


class Link(msgspec.Struct, frozen=True):
    """A child that the flow asked for."""

    role: str
    key: str
    position: int
    batch: int
    request: bytes
    child_id: int
    kind: str
    status: str
