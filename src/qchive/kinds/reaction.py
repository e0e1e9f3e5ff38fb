"""Reactions: the sum of the energies of molecules, each times its coefficient (`records.md` §7.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from qchive._version import __version__
from qchive.kinds.flow import Batch, Done, Ended, Flow, Given, GivenMolecule, Progress, Request, Seen, Steps, View
from qchive.kinds.kind import Facets, Id, InputRefused, Inputs, Kind, Molecule, Part
from qchive.kinds.optimization import OptimizationSpecification
from qchive.kinds.singlepoint import HYDROGEN, Name, QCSpecification

ROLE = "component"


class ReactionKeywords(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing can be said of a reaction so far."""


class ReactionSpecification(msgspec.Struct, forbid_unknown_fields=True):
    """How the energy of each molecule is computed: at the geometry given, or after an optimization."""

    singlepoint_specification: QCSpecification | None = None
    """The energy counted; None: that of the optimization."""
    optimization_specification: OptimizationSpecification | None = None
    """How geometries are optimized first; None: they stay as they are."""
    program: Name = "reaction"
    """Always `reaction`."""
    keywords: ReactionKeywords | None = None
    """None so far."""

    def __post_init__(self) -> None:
        self.program = self.program.lower()
        self.keywords = self.keywords or ReactionKeywords()
        if self.program != "reaction":
            raise ValueError(f"the program of a reaction is 'reaction', not {self.program!r}")
        if self.singlepoint_specification is None and self.optimization_specification is None:
            raise ValueError("a reaction needs a singlepoint_specification, an optimization_specification, or both")


class ReactionComponent(msgspec.Struct, kw_only=True):
    """One molecule of a reaction, and the records that computed it."""

    molecule_id: int
    coefficient: float
    singlepoint_id: int | None
    optimization_id: int | None
    molecule: Any


def _parts(element: Sequence[tuple[float, int | dict[str, Any]]]) -> Sequence[Part]:
    return [Part(ROLE, molecule, n, coefficient) for n, (coefficient, molecule) in enumerate(element)]


def _settle(_: ReactionSpecification, parts: Sequence[Part], __: Mapping[int, Molecule]) -> Sequence[Part]:
    # A molecule on both sides, or named twice, counts once, with the sum of its coefficients.
    if not parts:
        raise InputRefused("a reaction needs at least one molecule")
    coefficients: dict[int, float] = {}
    for part in parts:
        assert isinstance(part.molecule, int)
        coefficients[part.molecule] = coefficients.get(part.molecule, 0.0) + (part.coefficient or 0.0)
    return [Part(ROLE, i, n, c) for n, (i, c) in enumerate(sorted(coefficients.items()))]


def _facets(spec: ReactionSpecification) -> Facets:
    inner = [spec.singlepoint_specification] if spec.singlepoint_specification else []
    optimization = spec.optimization_specification
    inner += [optimization.qc_specification] if optimization else []
    first, *others = [(qc.program, qc.method, qc.basis) for qc in inner]
    return Facets(
        spec.program,
        None,
        first[1],
        first[2],
        first[0],
        optimizer=optimization.program if optimization else None,
        others=tuple(others),
    )


def _run(given: Given) -> Steps:
    spec: ReactionSpecification = given.specification
    components = given.molecules[ROLE]
    at: list[int | None] = [component.id for component in components]
    ended: Sequence[Ended] = ()
    if spec.optimization_specification is not None:
        requests = _each("optimization", spec.optimization_specification, "initial_molecule", at)
        ended = yield Batch(requests=requests, progress=_progress("optimizations", components))
        at = [one.molecule_id for one in ended]
    if spec.singlepoint_specification is not None:
        requests = _each("singlepoint", spec.singlepoint_specification, "molecule", at)
        ended = yield Batch(requests=requests, progress=_progress("single points", components))
    lines, total = [], 0.0
    for component, one in zip(components, ended, strict=True):
        energy, coefficient = one.energy or 0.0, component.coefficient or 0.0
        total += coefficient * energy
        lines.append(f"{coefficient:+8.3f} x molecule {component.id}: {energy:20.10f} Eh (record {one.record_id})\n")
    lines.append(f"Total energy: {total:.10f} Eh\n")
    done = Progress(stage="done", done=len(components), total=len(components))
    return Done(fields={"total_energy": total}, log="".join(lines), progress=done)


def _each(kind: str, specification: Any, role: str, at: Sequence[int | None]) -> list[Request]:
    molecules = enumerate(at)
    return [
        Request(role=kind, kind=kind, specification=specification, parts=(Part(role, i or 0),), position=n)
        for n, i in molecules
    ]


def _progress(stage: str, components: Sequence[GivenMolecule]) -> Progress:
    return Progress(stage=stage, total=len(components))


def _components(seen: Seen) -> list[ReactionComponent]:
    children = {(link.role, link.position): link.record_id for link in seen.links}
    return [
        ReactionComponent(
            molecule_id=int(part.molecule),  # type: ignore[arg-type]
            coefficient=part.coefficient or 0.0,
            singlepoint_id=children.get(("singlepoint", part.position)),
            optimization_id=children.get(("optimization", part.position)),
            molecule=seen.document(int(part.molecule)),  # type: ignore[arg-type]
        )
        for part in seen.parts
        if part.role == ROLE
    ]


def _molecules(seen: Seen) -> Iterable[int]:
    return [int(part.molecule) for part in seen.parts if part.role == ROLE]  # type: ignore[arg-type]


reaction = Kind(
    name="reaction",
    specification=ReactionSpecification,
    inputs=Inputs("stoichiometries", list[tuple[float, Id | dict[str, Any]]], _parts),
    settle=_settle,
    facets=_facets,
    filters={
        "program": "program",
        "optimization_program": "optimizer",
        "qc_program": "qc_program",
        "qc_method": "method",
        "qc_basis": "basis",
    },
    molecule_filters={"molecule_id": ROLE},
    flow=Flow(
        run=_run,
        provenance=lambda: {"creator": "qchive", "version": __version__, "routine": "qchive.kinds.reaction"},
    ),
    molecules=(),
    fields={"total_energy": None},
    views=(
        View(
            name="components",
            path="components",
            answer=list[ReactionComponent],
            make=_components,
            molecules=_molecules,
            doc="Molecules with their coefficients, and the records that computed them.",
        ),
    ),
    example={
        "specification": {
            "singlepoint_specification": {"program": "tblite", "driver": "energy", "method": "gfn2-xtb", "basis": None}
        },
        "stoichiometries": [
            [[-2.0, {"symbols": ["H"], "geometry": [0.0, 0.0, 0.0], "molecular_multiplicity": 2}], [1.0, HYDROGEN]]
        ],
    },
)
