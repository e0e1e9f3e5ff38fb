"""Grid optimizations: the energy over distances, angles and dihedral angles, each grid point optimized once, from a
neighbour (`records.md` §7.4)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Generator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from qchive._version import __version__
from qchive.kinds.constrained import (
    Constraint,
    apart,
    check_atoms,
    check_optimization,
    check_unlike,
    constrained,
    key_of,
    measured,
    wrapped,
)
from qchive.kinds.flow import Batch, Done, Ended, Flow, FlowFailed, Given, Progress, Request, Seen, Steps, View
from qchive.kinds.kind import Facets, InputRefused, Kind, Molecule, Part, one_molecule
from qchive.kinds.optimization import OptimizationSpecification
from qchive.kinds.singlepoint import HYDROGEN, Name

CHILDREN = "optimizations"
PREOPTIMIZATION = "preoptimization"


class _Word(StrEnum):
    @classmethod
    def _missing_(cls, value: object) -> _Word | None:
        return next((word for word in cls if word == str(value).lower()), None)


class ScanType(_Word):
    """What is scanned."""

    distance = "distance"
    angle = "angle"
    dihedral = "dihedral"


class StepType(_Word):
    """What the steps are: values of the coordinate, or what is added to that of the starting molecule."""

    absolute = "absolute"
    relative = "relative"


ATOMS = {ScanType.distance: 2, ScanType.angle: 3, ScanType.dihedral: 4}
"""How many atoms each coordinate is over."""


class ScanDimension(msgspec.Struct, forbid_unknown_fields=True):
    """A coordinate and the values it takes."""

    type: ScanType
    """What is scanned."""
    indices: list[int]
    """Two, three or four atoms, counted from 0."""
    steps: list[float]
    """In Bohr or degrees, strictly increasing or strictly decreasing."""
    step_type: StepType
    """Whether the steps are values, or added to the value in the starting molecule."""

    def __post_init__(self) -> None:
        self.steps = [round(step, 10) + 0.0 for step in self.steps]  # no -0.0
        if len(self.indices) != ATOMS[self.type]:
            raise ValueError(f"a {self.type} is over {ATOMS[self.type]} atoms, not {len(self.indices)}")
        pairs = list(itertools.pairwise(self.steps))
        if not (all(a < b for a, b in pairs) or all(a > b for a, b in pairs)):
            raise ValueError("steps are neither strictly increasing nor strictly decreasing")


class GridoptimizationKeywords(msgspec.Struct, forbid_unknown_fields=True):
    """Which coordinates are scanned, and where the scan begins."""

    scans: list[ScanDimension] = []
    """One for each dimension of the grid."""
    preoptimization: bool = True
    """Whether the molecule is optimized without these constraints first."""


class GridoptimizationSpecification(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The scan, and how each of its points is optimized."""

    program: Name = "gridoptimization"
    """Always `gridoptimization`."""
    optimization_specification: OptimizationSpecification
    """How a geometry is optimized while its coordinates are held."""
    keywords: GridoptimizationKeywords
    """Which coordinates are scanned, and where the scan begins."""

    def __post_init__(self) -> None:
        self.program = self.program.lower()
        if self.program != "gridoptimization":
            raise ValueError(f"the program of a gridoptimization is 'gridoptimization', not {self.program!r}")


# --- what can only fail -------------------------------------------------------------------------------------------


def _settle(
    spec: GridoptimizationSpecification, parts: Sequence[Part], molecules: Mapping[int, Molecule]
) -> Sequence[Part]:
    keywords = spec.keywords
    if not keywords.scans:
        raise InputRefused("a gridoptimization needs at least one scan")
    check_optimization(spec.optimization_specification)
    check_unlike([scan.indices for scan in keywords.scans], "the coordinate")
    molecule = molecules[int(parts[0].molecule)]  # type: ignore[arg-type]
    for scan in keywords.scans:
        if not scan.steps:
            raise InputRefused(f"the scan of {scan.type} {scan.indices} has no steps")
        check_atoms(scan.indices, molecule, scan.type)
        known = scan.step_type == StepType.absolute or not keywords.preoptimization
        wrong = _impossible(scan, measured(molecule, scan.indices)) if known else None
        if wrong:
            raise InputRefused(wrong)
    return parts


def _impossible(scan: ScanDimension, start: float) -> str | None:
    # Why one of the values is none that the coordinate can have.
    for step in scan.steps:
        value = step if scan.step_type == StepType.absolute else start + step
        if scan.type == ScanType.distance and value <= 0:
            return f"the distance {scan.indices} cannot be {value:g} Bohr"
        if scan.type == ScanType.angle and not 0 < value <= 180:
            return f"the angle {scan.indices} cannot be {value:g} degrees"
        if scan.type == ScanType.dihedral and abs(step) > 360:
            return f"a step of {step:g} degrees is more than a whole turn"
    return None


# --- the scan -----------------------------------------------------------------------------------------------------


class _Wave(msgspec.Struct, frozen=True):
    """All grid points that are equally many steps away from the first; as a checkpoint keeps them. Those before are
    done, so that nothing else needs to be kept."""

    molecule: int
    """Id of the starting molecule."""
    measured: list[float]
    """The scanned coordinates of the starting molecule, in Bohr or degrees."""
    points: list[tuple[list[int], int]]
    """Grid points, and ids of the molecules to begin with."""
    done: int = 0
    """How many points are before."""
    minimum: float | None = None


def _run(given: Given) -> Steps:
    spec: GridoptimizationSpecification = given.specification
    if given.checkpoint is not None:
        wave, log = msgspec.convert(given.checkpoint, _Wave), ""
    else:
        wave, log = yield from _begin(given)
    start = _starting_grid(spec, wave.measured)
    fields = {"starting_grid": start}
    while wave.points:
        ended = yield Batch(
            requests=[_request(spec, wave, point, molecule) for point, molecule in wave.points],
            progress=_progress("grid", spec, wave),
            log=log,
            checkpoint=msgspec.to_builtins(wave),
            fields=fields,
            molecules=(Part("starting_molecule", wave.molecule),),
        )
        wave, log = _next(spec, start, wave, ended), _lines(wave, ended)
    return Done(fields=fields, log=log, progress=_progress("done", spec, wave))


def _begin(given: Given) -> Generator[Batch, Sequence[Ended], tuple[_Wave, str]]:
    # The starting molecule, and the grid point that is closest to it.
    spec: GridoptimizationSpecification = given.specification
    first = given.molecules["initial_molecule"][0]
    molecule, document, log = first.id, first.document, ""
    if spec.keywords.preoptimization:
        request = Request(
            role=CHILDREN,
            kind="optimization",
            specification=spec.optimization_specification,
            parts=(Part("initial_molecule", first.id),),
            key=PREOPTIMIZATION,
            info={"key": PREOPTIMIZATION},
            needs=frozenset({"molecule"}),
        )
        progress = Progress(stage=PREOPTIMIZATION, done=0, total=_size(spec))
        (ended,) = yield Batch(requests=[request], progress=progress)
        if ended.molecule_id is None or ended.molecule is None:
            raise FlowFailed(f"Optimization {ended.record_id} is complete, but without final molecule")
        molecule, document, log = ended.molecule_id, ended.molecule, _line(PREOPTIMIZATION, ended)
    values = [measured(document, scan.indices) for scan in spec.keywords.scans]
    for scan, value in zip(spec.keywords.scans, values, strict=True):
        wrong = _impossible(scan, value)
        if wrong:
            raise FlowFailed(f"In molecule {molecule}, where the scan starts, {wrong}; choose other steps")
        log += f"{scan.type} {scan.indices} of molecule {molecule}: {value:.6f} {_unit(scan)}\n"
    return _Wave(molecule, values, [(_starting_grid(spec, values), molecule)]), log


def _starting_grid(spec: GridoptimizationSpecification, values: Sequence[float]) -> list[int]:
    return [_closest(scan, value) for scan, value in zip(spec.keywords.scans, values, strict=True)]


def _closest(scan: ScanDimension, value: float) -> int:
    # The step that is closest to the molecule as it is; of two, the first.
    if scan.step_type == StepType.relative:
        off = [abs(step) for step in scan.steps]
    elif scan.type == ScanType.dihedral:
        off = [apart(step, value) for step in scan.steps]
    else:
        off = [abs(step - value) for step in scan.steps]
    return off.index(min(off))


def _request(spec: GridoptimizationSpecification, wave: _Wave, point: Sequence[int], molecule: int) -> Request:
    scans = spec.keywords.scans
    held = [
        Constraint(scan.type.value, scan.indices, _value(scan, i, value))
        for scan, i, value in zip(scans, point, wave.measured, strict=True)
    ]
    key = key_of(point)
    return Request(
        role=CHILDREN,
        kind="optimization",
        specification=constrained(spec.optimization_specification, held),
        parts=(Part("initial_molecule", molecule),),
        key=key,
        info={"key": key},
    )


def _value(scan: ScanDimension, i: int, start: float) -> float:
    value = scan.steps[i] if scan.step_type == StepType.absolute else start + scan.steps[i]
    return wrapped(value) if scan.type == ScanType.dihedral else value


def _next(spec: GridoptimizationSpecification, start: Sequence[int], wave: _Wave, ended: Sequence[Ended]) -> _Wave:
    # Neighbours one step further from the start; where several points have one neighbour, it begins from the last.
    scans = spec.keywords.scans
    further = 1 + _steps_between(wave.points[0][0], start)
    found: dict[tuple[int, ...], int] = {}
    for (point, _), one in zip(wave.points, ended, strict=True):
        if one.molecule_id is None:
            raise FlowFailed(f"Optimization {one.record_id} is complete, but without final molecule")
        for axis, step in itertools.product(range(len(scans)), (-1, 1)):
            to = (*point[:axis], point[axis] + step, *point[axis + 1 :])
            if 0 <= to[axis] < len(scans[axis].steps) and _steps_between(to, start) == further:
                found[to] = one.molecule_id
    return msgspec.structs.replace(
        wave,
        points=[(list(point), molecule) for point, molecule in found.items()],
        done=wave.done + len(ended),
        minimum=min((e for e in [wave.minimum, *(one.energy for one in ended)] if e is not None), default=None),
    )


def _steps_between(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(abs(i - j) for i, j in zip(a, b, strict=True))


def _size(spec: GridoptimizationSpecification) -> int:
    return math.prod(len(scan.steps) for scan in spec.keywords.scans)


def _progress(stage: str, spec: GridoptimizationSpecification, wave: _Wave) -> Progress:
    return Progress(stage=stage, done=wave.done, total=_size(spec), minimum=wave.minimum)


def _unit(scan: ScanDimension) -> str:
    return "Bohr" if scan.type == ScanType.distance else "degrees"


def _lines(wave: _Wave, ended: Sequence[Ended]) -> str:
    return "".join(_line(key_of(point), one) for (point, _), one in zip(wave.points, ended, strict=True))


def _line(key: str, ended: Ended) -> str:
    energy = "no energy" if ended.energy is None else f"{ended.energy:.10f} Eh"
    return f"{key}: {energy} (record {ended.record_id})\n"


# --- what it shows ------------------------------------------------------------------------------------------------


class GridoptimizationOptimization(msgspec.Struct, kw_only=True):
    """An optimization of a grid."""

    optimization_id: int
    key: str
    """Indices of the steps, as JSON: `[1, 0]`; or `preoptimization`."""
    energy: float | None
    """Of its last step, in Hartree."""


def _optimizations(seen: Seen) -> list[GridoptimizationOptimization]:
    return [
        GridoptimizationOptimization(optimization_id=link.record_id, key=link.key, energy=link.energy)
        for link in seen.links
    ]


def _facets(spec: GridoptimizationSpecification) -> Facets:
    optimization = spec.optimization_specification
    qc = optimization.qc_specification
    return Facets(spec.program, None, qc.method, qc.basis, qc.program, optimizer=optimization.program)


def _provenance() -> dict[str, Any]:
    return {"creator": "qchive", "version": __version__, "routine": "qchive.kinds.gridoptimization"}


gridoptimization = Kind(
    name="gridoptimization",
    specification=GridoptimizationSpecification,
    inputs=one_molecule("initial_molecules", "initial_molecule"),
    settle=_settle,
    facets=_facets,
    filters={
        "program": "program",
        "optimization_program": "optimizer",
        "qc_program": "qc_program",
        "qc_method": "method",
        "qc_basis": "basis",
    },
    molecule_filters={"initial_molecule_id": "initial_molecule"},
    flow=Flow(run=_run, provenance=_provenance),
    molecules=("initial_molecule", "starting_molecule"),
    fields={"starting_grid": None},
    views=(
        View(
            name="optimizations",
            path="optimizations",
            answer=list[GridoptimizationOptimization],
            make=_optimizations,
            doc="All optimizations, with the grid points they belong to.",
        ),
    ),
    example={
        "specification": {
            "optimization_specification": {
                "program": "geometric",
                "qc_specification": {"program": "tblite", "method": "gfn2-xtb", "basis": None},
            },
            "keywords": {
                "scans": [{"type": "distance", "indices": [0, 1], "steps": [-0.1, 0.0, 0.1], "step_type": "relative"}]
            },
        },
        "initial_molecules": [HYDROGEN],
    },
)
