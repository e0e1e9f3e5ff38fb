"""What a record type is: everything the rest of QCHive needs to know of it, in one declaration.

Tables, routes, client, command line and pages are generic over `Kind`; adding a record type is one file here and one
line in `kinds/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from qchive.canonical import canonical, content_hash
from qchive.kinds.flow import Flow, View
from qchive.kinds.parts import FINAL_MOLECULE as FINAL_MOLECULE
from qchive.kinds.parts import Id as Id
from qchive.kinds.parts import Molecule as Molecule
from qchive.kinds.parts import Part as Part


class Inputs(msgspec.Struct, frozen=True):
    """How a kind's inputs arrive: the name of the list in the request and what one element of it means."""

    field: str
    element: Any
    parts: Callable[[Any], Sequence[Part]]
    single: bool = False
    """Whether one element is one molecule, and nothing else."""


def one_molecule(field: str, role: str) -> Inputs:
    """Inputs of a kind that computes one molecule per record."""
    return Inputs(field, Id | dict[str, Any], lambda element: (Part(role, element),), single=True)


class Facets(msgspec.Struct, frozen=True):
    """What people search specifications by; flat columns of the one specification table."""

    program: str
    driver: str | None = None
    method: str | None = None
    basis: str | None = None
    qc_program: str | None = None
    keywords: Mapping[str, Any] | None = None
    optimizer: str | None = None
    """The program that optimizes geometries for a composite record."""
    others: tuple[tuple[str, str, str | None], ...] = ()
    """Program, method and basis of further computations behind a composite record."""


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

    properties: Mapping[str, Any] | None
    """As the wire shows them; energies in Hartree, lengths in Bohr, as QCSchema has them."""
    extras: dict[str, Any]
    provenance: dict[str, Any]
    outputs: dict[str, tuple[str, bytes]]
    """stdout, stderr, error: name → (compression, compressed bytes as received)."""
    native_files: dict[str, tuple[str, bytes]] = {}
    wavefunction: bytes | None = None
    fields: Mapping[str, Any] = {}
    """The kind's own plain fields (`energies` …)."""
    molecules: tuple[Part, ...] = ()
    """Molecules that the computation made (`final_molecule` …)."""
    children: tuple[Child, ...] = ()


class ChildRole(msgspec.Struct, frozen=True):
    """A list of child records: its role, the key it arrives under on request, and the kind of the children."""

    name: str
    key: str
    kind: str


def _no_programs(_: Any) -> tuple[str, ...]:
    return ()


def _no_task(given: TaskInput) -> Task:
    raise ResultRefused(f"Record {given.record_id} is not run by compute managers")


def _no_outcome(_: bytes) -> Outcome:
    raise ResultRefused("Such records are not run by compute managers")


def _as_given(_: Any, parts: Sequence[Part], __: Mapping[int, Molecule]) -> Sequence[Part]:
    return parts


class Kind(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """A record type, declared once. Compute managers run its task, or the server advances its flow."""

    name: str
    specification: type[msgspec.Struct]
    """The specification as it travels; its `__post_init__` normalises, so that equal content is equal bytes."""
    inputs: Inputs
    facets: Callable[[Any], Facets]
    filters: Mapping[str, str]
    """Search field of this kind → facet column of the specification."""
    molecule_filters: Mapping[str, str] | None = None
    """Search field of this kind → role of the molecule; None: `<role>_id` for each of `molecules`."""
    settle: Callable[[Any, Sequence[Part], Mapping[int, Molecule]], Sequence[Part]] = _as_given
    """What a composite record is made of, from specification, parts by id and the molecules themselves: in one order,
    without repeats. Raises `InputRefused` for what can only fail."""
    programs: Callable[[Any], tuple[str, ...]] = _no_programs
    """The programs a worker needs, in the order the wire shows them."""
    task: Callable[[TaskInput], Task] = _no_task
    outcome: Callable[[bytes], Outcome] = _no_outcome
    """From an unpacked MessagePack result; raises `ResultRefused` for what does not belong to this kind."""
    flow: Flow | None = None
    """How the server computes a composite record."""
    molecules: tuple[str, ...]
    """Roles shown on the wire as `<role>_id`, and on request as `<role>`."""
    fields: Mapping[str, Any] = {}
    """Plain fields of the kind's own → value before the record is complete."""
    children: tuple[ChildRole, ...] = ()
    views: tuple[View, ...] = ()
    """What else a composite record shows on request."""
    schema: str = ""
    """The name of the schema by which a result is taken for one of this kind before the record has been looked at."""
    has_wavefunction: bool = False
    also_sent: Mapping[str, Any] = {}
    """What existing clients send with new records beside all this, without effect: name → value if it is missing."""
    internal: bool = False
    """A step that a flow wants run by a worker. Nobody else adds such records, none is used twice, and they are gone
    when the flow is past them; they show the parts of their specification as fields of their own."""
    example: Mapping[str, Any] = {}
    """Specification and inputs of a request to add records, as the description of the API shows them."""

    @property
    def is_service(self) -> bool:
        """Whether the server makes and gathers the computations behind such a record."""
        return self.flow is not None

    @property
    def molecule_searches(self) -> Mapping[str, str]:
        """Search field → role of the molecule."""
        return self.molecule_filters or {f"{role}_id": role for role in self.molecules}

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


class InputRefused(Exception):
    """An input that can only fail; the text says why."""


def energy_of(properties: Mapping[str, Any] | None, fields: Mapping[str, Any] | None) -> float | None:
    """The energy of a record in Hartree, of an optimization that of its last step; None if it has none."""
    path = (fields or {}).get("energies")
    value = path[-1] if path else (properties or {}).get("return_energy")
    return float(value) if isinstance(value, int | float) else None
