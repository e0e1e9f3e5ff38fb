"""What composite records show of their children and their progress, as people hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, get_args

import msgspec

from qchive.api.records import FlowProgress
from qchive.client import tables
from qchive.kinds import KINDS
from qchive.kinds.flow import View
from qchive.molecule import to_qcelemental
from qchive.status import RecordStatusEnum

if TYPE_CHECKING:
    from qchive.client.records import BaseRecord


class Entry(SimpleNamespace):
    """A line of what a composite record shows: the fields as sent, molecules as qcelemental has them, and beside each
    `<kind>_id` the child record itself, as `<kind>_record`; None where there is none yet."""


class Progress(FlowProgress, kw_only=True):
    """How far a composite record is."""

    done: int | None = None
    total: int | None = None
    minimum: float | None = None
    batch: int | None = None

    @classmethod
    def of(cls, sent: FlowProgress) -> Self:
        """The same, for people."""
        return cls(**{name: getattr(sent, name) for name in sent.__struct_fields__})

    def facts(self) -> list[tuple[str, str]]:
        """Names and values, for tables; what is not known is left out."""
        facts = [("stage", self.stage)] if self.stage else []
        if self.done is not None or self.total is not None:
            facts.append(("done", f"{self.done or 0}" + ("" if self.total is None else f" of {self.total}")))
        if self.minimum is not None:
            facts.append(("lowest energy", f"{self.minimum:.10f} Eh"))
        if self.children:
            counts = ((status.value, self.children.get(status.value, 0)) for status in RecordStatusEnum)
            facts.append(("children", ", ".join(f"{n} {status}" for status, n in counts if n)))
        return facts

    def __str__(self) -> str:
        return "; ".join(value if name == "stage" else f"{name}: {value}" for name, value in self.facts()) or "ended"

    def _repr_html_(self) -> str:
        return tables.facts("progress", self.facts())


def links(view: View, value: Any, ids_only: str | None) -> list[tuple[str, int]]:
    """The children that a view names, as kinds and ids; `ids_only` is the kind where it is nothing but ids."""
    if ids_only is not None:
        return [(ids_only, i) for i in _lines(value)]
    named = _child_fields(view)
    pairs = ((kind, getattr(line, field)) for line in _lines(value) for field, kind in named.items()) if named else ()
    return [(kind, i) for kind, i in pairs if i is not None]


def shown(view: View, value: Any, children: Mapping[int, BaseRecord]) -> Any:
    """A view as people hold it: its lines as `Entry`, molecules as qcelemental has them."""
    named = _child_fields(view)

    def line(sent: Any) -> Any:
        if not isinstance(sent, msgspec.Struct):
            return _with_molecules(sent)
        made = Entry(**{name: _with_molecules(getattr(sent, name)) for name in sent.__struct_fields__})
        for field in named:
            i = getattr(sent, field)
            setattr(made, f"{field.removesuffix('_id')}_record", None if i is None else children[i])
        return made

    return _each(value, line)


def _lines(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict) and not _is_molecule(value):
        return {name: change(line) for name, line in value.items()}
    return [change(line) for line in value] if isinstance(value, list) else change(value)


def _child_fields(view: View) -> dict[str, str]:
    """Fields of a view's lines that hold the id of a child → its kind, which they are named for."""
    line = (get_args(view.answer) or (view.answer,))[-1]
    if not (isinstance(line, type) and issubclass(line, msgspec.Struct)):
        return {}
    kinds = {name: name.removesuffix("_id") for name in line.__struct_fields__ if name.endswith("_id")}
    return {name: kind for name, kind in kinds.items() if kind in KINDS}


def _is_molecule(value: Any) -> bool:
    return isinstance(value, dict) and "symbols" in value and "geometry" in value


def _with_molecules(value: Any) -> Any:
    if _is_molecule(value):
        return to_qcelemental(value)
    return _each(value, _with_molecules) if isinstance(value, dict | list) else value
