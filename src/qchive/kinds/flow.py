"""Composite record types as flows without I/O.

A flow is a generator. It yields a batch of child computations, is sent what they ended with, in the order of the batch,
and so on until it returns what the record itself ends with. What a flow yields follows from what it is given alone, so
it is not kept between batches: the server begins it anew, answers the batches that are stored, and takes it from there.
Where that would cost too much, a batch carries a checkpoint: begun with it, the flow yields this very batch first.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from qchive.kinds.parts import Molecule, Part


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a flow begins with."""

    specification: Any
    """Of the kind's own type."""
    molecules: Mapping[str, Sequence[GivenMolecule]]
    """The record's input by role, in the order of the positions."""
    checkpoint: Any = None
    """That of the last batch stored that carried one, as JSON gives it back."""


class GivenMolecule(msgspec.Struct, frozen=True):
    """A molecule of the record's input."""

    id: int
    document: Molecule
    coefficient: float | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A child computation. Role, key and position together are its place, which it alone has among all children."""

    role: str
    kind: str
    specification: Any
    """Of the type of the child's kind."""
    parts: tuple[Part, ...]
    """Molecules by id, or as they stand on the wire."""
    key: str = ""
    position: int = 0
    info: Mapping[str, Any] = {}
    """Further facts of the link, as JSON; clients see them as the `extras` of a dependency."""
    needs: frozenset[str] = frozenset()
    """What the flow reads of the child once it has ended, beside energy and molecule id: names of `Ended`'s fields."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a child computation, which is complete."""

    record_id: int
    energy: float | None
    """Of an optimization, that of its last step; in Hartree."""
    molecule_id: int | None
    """Of an optimization, its final molecule."""
    molecule: Molecule | None = None
    properties: Mapping[str, Any] | None = None
    fields: Mapping[str, Any] | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a flow is, for people."""

    stage: str
    done: int | None = None
    """Points that are settled: of the grid, components, clusters, images, cycles …"""
    total: int | None = None
    """Of how many, where that is known."""
    minimum: float | None = None
    """The lowest energy so far, in Hartree."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Child computations that do not wait for each other."""

    requests: Sequence[Request]
    progress: Progress
    log: str = ""
    """What the record's stdout says of it."""
    checkpoint: Any = None
    """JSON; None: the flow goes back to the checkpoint before."""
    fields: Mapping[str, Any] = {}
    """Fields of the record that are known by now."""
    molecules: tuple[Part, ...] = ()
    """Molecules of the record that are known by now, by id."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What a flow ends with."""

    properties: Mapping[str, Any] | None = None
    fields: Mapping[str, Any] = {}
    log: str = ""
    progress: Progress | None = None


Steps = Generator[Batch, Sequence[Ended], Done]


class FlowFailed(Exception):
    """The flow cannot go on; the text says why, and what to do."""


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """How a composite kind is computed.

    `run` may raise `FlowFailed`, and `ImportError` for a library that is not installed.
    """

    run: Callable[[Given], Steps]
    provenance: Callable[[], Mapping[str, Any]]
    """`creator`, `version`, `routine`: what plans the children."""


# --- how a composite record shows its children --------------------------------------------------------------------


class Link(msgspec.Struct, frozen=True):
    """A child of a record, as views see it."""

    record_id: int
    kind: str
    status: str
    role: str
    key: str
    position: int
    batch: int
    info: Mapping[str, Any]
    energy: float | None
    """In Hartree; of an optimization, that of its last step; None until there is one."""
    molecule_id: int | None
    """The molecule it computes or, of a finished optimization, its final one."""


class Seen(msgspec.Struct, frozen=True):
    """What a view is made of."""

    parts: Sequence[Part]
    """The record's molecules by id, by role and position."""
    links: Sequence[Link]
    """Children by batch, then place."""
    document: Callable[[int], Any]
    """The molecule of an id that the view asked for, ready to be sent."""


def _no_molecules(_: Seen) -> Iterable[int]:
    return ()


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a composite record shows on request: a list of children, the best of them …"""

    name: str
    """In `include`, and the key it arrives under."""
    answer: Any
    """Its type on the wire."""
    make: Callable[[Seen], Any]
    """Raises `NotYet` where there is nothing to show yet."""
    path: str | None = None
    """Its address under the record's; None: only with the record."""
    included: bool = True
    """Whether it comes with the record; otherwise it has an address only."""
    brings: tuple[str, ...] = ()
    """Other views that come along when this one is asked for."""
    molecules: Callable[[Seen], Iterable[int]] = _no_molecules
    """Ids of the molecules that `make` shows."""
    doc: str = ""


class NotYet(Exception):
    """A view has nothing to show; the text says what is missing."""
