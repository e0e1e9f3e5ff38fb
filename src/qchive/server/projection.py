"""Which parts of a record are wanted (`records.md` §5)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from qchive.api.records import COLUMNS, ON_REQUEST, named_fields, on_request_fields, plain_fields
from qchive.kinds import Kind

_RESULT = {"properties", "extras"}


class Wanted(msgspec.Struct, frozen=True):
    """The names wanted of records, resolved: no stars, nothing excluded."""

    names: frozenset[str]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def any(self, names: Sequence[str] | set[str]) -> bool:
        """Whether one of these is wanted."""
        return not self.names.isdisjoint(names)

    @property
    def history(self) -> bool:
        """Outputs come inside the compute history."""
        return self.any(("compute_history", "outputs"))

    def result(self, kind: Kind) -> bool:
        """Whether something of the wide part is wanted."""
        return self.any(_RESULT | set(kind.fields))


def wanted(kind: Kind, include: Sequence[str] | None, exclude: Sequence[str] | None, *, typed: bool) -> Wanted:
    """What a request asks of records of this kind. Names nobody knows are ignored: clients pass one list to parents
    and children. An endpoint without a type knows only the requests that all kinds have."""
    stars = {"*", "**"}
    plain = {*COLUMNS, *plain_fields(kind)}
    known = {*ON_REQUEST, *(on_request_fields(kind) if typed else ())}
    asked = set(include or ("*",))
    ours = set(named_fields(kind)) if typed else set()
    names = (asked & (plain | known | ours)) | (plain if asked & stars else set())
    if "**" in asked:
        names |= known
    if "molecules" in asked and typed:
        names |= set(kind.molecules)
    names |= {other for view in kind.views if view.name in names for other in view.brings}
    unwanted = set(exclude or ())
    if "compute_history" in unwanted:
        unwanted.add("outputs")  # they come inside it
    return Wanted(frozenset(names - unwanted | {"id", "record_type", "owner_user"}))
