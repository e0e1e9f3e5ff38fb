"""What a record type is: everything the rest of QCHive needs to know of it, in one declaration.

Tables, routes, client, command line and pages are generic over `Kind`; adding a record type is one file here and one
line in `kinds/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from qchive.canonical import canonical, content_hash

Id = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1, examples=[1])]
"""The id of anything, as PostgreSQL can hold it."""

Molecule = Mapping[str, Any]
"""A molecule as it stands on the wire (`molecules-and-files.md` §1)."""


class Part(msgspec.Struct, frozen=True):
    """One molecule of a record's input: its place and, where the kind has them, its coefficient."""

    role: str
    molecule: int | Molecule
    position: int = 0
    coefficient: float | None = None


class Inputs(msgspec.Struct, frozen=True):
    """How a kind's inputs arrive: the name of the list in the request and what one element of it means."""

    field: str
    element: Any
    parts: Callable[[Any], Sequence[Part]]


def one_molecule(field: str, role: str) -> Inputs:
    """Inputs of a kind that computes one molecule per record."""
    return Inputs(field, Id | dict[str, Any], lambda element: (Part(role, element),))


class Facets(msgspec.Struct, frozen=True):
    """What people search specifications by; flat columns of the one specification table."""

    program: str
    driver: str | None = None
    method: str | None = None
    basis: str | None = None
    qc_program: str | None = None
    keywords: Mapping[str, Any] | None = None


class Task(msgspec.Struct, frozen=True):
    """What a compute manager is asked to run: a function it knows and its arguments."""

    function: str
    kwargs: dict[str, Any]


class TaskInput(msgspec.Struct, frozen=True):
    """What a task is made from: the record, its specification as on the wire, and its molecules by role."""

    record_id: int
    specification: dict[str, Any]
    molecules: Mapping[str, Sequence[Molecule]]
    extras: dict[str, Any]


class Child(msgspec.Struct, frozen=True):
    """A finished record that comes with its parent's result (a step of a trajectory)."""

    role: str
    position: int
    kind: str
    specification: Any
    parts: tuple[Part, ...]
    outcome: Outcome


class Outcome(msgspec.Struct, frozen=True):
    """What a successful result writes, decoded once at the door."""

    properties: dict[str, Any]
    """As the wire shows them; energies in Hartree, lengths in Bohr, as QCSchema has them."""
    extras: dict[str, Any]
    provenance: dict[str, Any]
    outputs: dict[str, tuple[str, bytes]]
    """stdout, stderr, error: name → (compression, compressed bytes as received)."""
    native_files: dict[str, tuple[str, bytes]] = {}
    wavefunction: bytes | None = None
    fields: dict[str, Any] = {}
    """The kind's own plain fields (`energies` …)."""
    molecules: tuple[Part, ...] = ()
    """Molecules that the computation made (`final_molecule` …)."""
    children: tuple[Child, ...] = ()


class ChildRole(msgspec.Struct, frozen=True):
    """A list of child records: its role, the key it arrives under on request, and the kind of the children."""

    name: str
    key: str
    kind: str


class Kind(msgspec.Struct, frozen=True, eq=False):
    """A record type, declared once."""

    name: str
    specification: type[msgspec.Struct]
    """The specification as it travels; its `__post_init__` normalises, so that equal content is equal bytes."""
    inputs: Inputs
    facets: Callable[[Any], Facets]
    filters: Mapping[str, str]
    """Search field of this kind → facet column of the specification."""
    programs: Callable[[Any], tuple[str, ...]]
    """The programs a worker needs, in the order the wire shows them."""
    task: Callable[[TaskInput], Task]
    outcome: Callable[[bytes], Outcome]
    """From an unpacked MessagePack result; raises `ResultRefused` for what does not belong to this kind."""
    molecules: tuple[str, ...]
    """Roles shown on the wire as `<role>_id`, and on request as `<role>`."""
    fields: Mapping[str, Any] = {}
    """Plain fields of the kind's own → value before the record is complete."""
    children: tuple[ChildRole, ...] = ()
    schema: str = ""
    """The name of the schema by which a result is taken for one of this kind before the record has been looked at."""
    has_wavefunction: bool = False
    is_service: bool = False
    example: Mapping[str, Any] = {}
    """Specification and inputs of a request to add records, as the description of the API shows them."""
    version: int = 1

    def body(self, specification: Any) -> bytes:
        """The canonical JSON of a specification: stored, hashed, and sent as it is."""
        return canonical(specification)

    def specification_hash(self, body: bytes) -> bytes:
        """What makes two specifications of this kind the same."""
        return content_hash(self.name, body)

    def identity(self, specification_hash: bytes, parts: Sequence[Part], demands: Mapping[str, str]) -> bytes:
        """What makes two records the same computation: kind, specification, molecules in their places, and the
        program versions demanded. The parts carry molecule ids here."""
        places = [[p.role, p.position, p.coefficient, p.molecule] for p in parts]
        return content_hash(self.name, specification_hash, canonical(places), canonical(dict(demands)))


class ResultRefused(Exception):
    """A returned result that cannot be stored; the text is shown to the manager and on the record."""
