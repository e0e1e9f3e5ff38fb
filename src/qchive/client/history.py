"""All that happened to a record, as people read it."""

from __future__ import annotations

from qchive.api import records
from qchive.client import tables
from qchive.status import PriorityEnum


class HistoryEvent(records.HistoryEvent, kw_only=True):
    """Something that happened to a record; `what` is a sentence about it."""

    def __repr__(self) -> str:
        return f"{self.time:%Y-%m-%d %H:%M:%S %Z}  {self.what}"

    @property
    def what(self) -> str:
        """What happened, in a line."""
        return {"attempt": self._attempt, "move": self._move, "comment": self._comment}.get(
            self.event, lambda: self.event
        )()

    def _attempt(self) -> str:
        where = f" on {self.manager_name}" if self.manager_name else ""
        kind = f" ({self.error_type})" if self.error_type else ""
        said = (self.error_message or "").strip().splitlines()[:1]
        return f"attempt {self.attempt_no}{where}: {': '.join([f'{self.outcome}{kind}', *said])}"

    def _move(self) -> str:
        if self.target is None:
            became = "removed for good"
        elif self.target is self.source:
            became = " and ".join(self._replaced()) or "nothing new"
        else:
            became = ", ".join([f"{self.source and self.source.value} → {self.target.value}", *self._replaced()])
        why = f", because: {self.reason}" if self.reason else ""
        return f"{self.action}{self._by()}: {became} (operation {self.operation_id}{why})"

    def _replaced(self) -> list[str]:
        def named(priority: int | None) -> str | None:
            return None if priority is None else PriorityEnum(priority).name

        parts = (
            ("tag", self.tag, self.new_tag),
            ("priority", named(self.priority), named(self.new_priority)),
        )
        return [
            f"{what} {old} → {new}" if new is not None else f"{what} is no longer {old}"
            for what, old, new in parts
            if old is not None
        ]

    def _comment(self) -> str:
        return f"comment{self._by()}: {self.comment}"

    def _by(self) -> str:
        return f" by {self.username}" if self.username else ""


class History(list[HistoryEvent]):
    """Events, oldest first, a line for each."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))

    def _repr_html_(self) -> str:
        rows = ((f"{event.time:%Y-%m-%d %H:%M:%S %Z}", event.event, event.what) for event in self)
        return tables.html("history", ("time", "", ""), rows)
