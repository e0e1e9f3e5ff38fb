"""Small tables, as text and for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from qchive.api.records import StatusCount
from qchive.status import RecordStatusEnum


def text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Columns below their names, numbers to the right; None is an empty cell."""
    rows = list(rows)
    cells = [["" if cell is None else str(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [any(isinstance(row[i], int) for row in rows) for i in range(len(columns))]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if to_right else cell.ljust(w) for cell, w, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    )


def html(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The same for a notebook."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{'' if cell is None else escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table>{_caption(title)}<tr>{head}</tr>{body}</table>"


def facts(title: str, pairs: Iterable[tuple[str, Any]]) -> str:
    """Names and what is known under them, for a notebook."""
    lines = "".join(f"<tr><th>{escape(k)}</th><td>{escape(str(v))}</td></tr>" for k, v in pairs)
    return f"<table>{_caption(title)}{lines}</table>"


def _caption(title: str) -> str:
    return f"<caption>{escape(title)}</caption>" if title else ""


class Counts(Mapping[str, Mapping[RecordStatusEnum, int]]):
    """How many records there are of each type and status: `counts["singlepoint"]["error"]`."""

    def __init__(self, rows: Iterable[StatusCount]) -> None:
        self._by_type: dict[str, dict[RecordStatusEnum, int]] = {}
        for row in rows:
            self._by_type.setdefault(row.record_type, {})[row.status] = row.count

    def __getitem__(self, record_type: str) -> Mapping[RecordStatusEnum, int]:
        return self._by_type[record_type]

    def __iter__(self) -> Any:
        return iter(self._by_type)

    def __len__(self) -> int:
        return len(self._by_type)

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_status.values())

    @property
    def by_status(self) -> dict[RecordStatusEnum, int]:
        """All types together."""
        found = {s: sum(of_type.get(s, 0) for of_type in self.values()) for s in RecordStatusEnum}
        return {status: n for status, n in found.items() if n}

    def table(self, title: str = "") -> tuple[list[str], list[list[Any]]]:
        """Columns and rows: a row for each type, a column for each status that occurs. The title stands above the
        types."""
        statuses = list(self.by_status)
        rows = [[name, *(of_type.get(s, 0) for s in statuses)] for name, of_type in self.items()]
        return [title, *(s.value for s in statuses)], rows

    def __repr__(self) -> str:
        return text(*self.table()) if self else "no records"

    def _repr_html_(self) -> str:
        return html(f"records: {self.total}", *self.table())
