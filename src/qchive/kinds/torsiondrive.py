"""Torsion drives: the energy along dihedral angles, each grid point optimized from its neighbours until none gets lower
(`records.md` §7.3). What is computed next is up to the torsiondrive library."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from qchive.kinds.constrained import (
    Constraint,
    apart,
    check_atoms,
    check_optimization,
    check_unlike,
    constrained,
    key_of,
    measured,
)
from qchive.kinds.flow import Batch, Done, Ended, Flow, FlowFailed, Given, Progress, Request, Seen, Steps, View
from qchive.kinds.kind import Facets, Id, InputRefused, Inputs, Kind, Molecule, Part
from qchive.kinds.optimization import OptimizationSpecification
from qchive.kinds.singlepoint import Name

ROLE = "initial_molecule"
CHILDREN = "optimizations"


class TorsiondriveKeywords(msgspec.Struct, forbid_unknown_fields=True):
    """Which dihedral angles are scanned, and how."""

    dihedrals: list[tuple[int, int, int, int]] = []
    """Four atoms each, counted from 0; as many as the grid has dimensions."""
    grid_spacing: list[int] = []
    """Degrees between the grid points of each dihedral; divides 180."""
    dihedral_ranges: list[tuple[int, int]] | None = None
    """Lowest and highest angle of each dihedral, from -180 to 360 degrees; None: the whole circle."""
    energy_decrease_thresh: float | None = None
    """How much lower than before an energy must be for its neighbours to be computed again, in Hartree; None: 1e-5."""
    energy_upper_limit: float | None = None
    """How far above the lowest energy a grid point may be for its neighbours to be computed from it, in Hartree; None:
    any."""

    def __post_init__(self) -> None:
        self.energy_decrease_thresh = _rounded(self.energy_decrease_thresh)
        self.energy_upper_limit = _rounded(self.energy_upper_limit)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 10) + 0.0  # no -0.0


class TorsiondriveSpecification(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The scan, and how each of its points is optimized."""

    program: Name = "torsiondrive"
    """Always `torsiondrive`."""
    optimization_specification: OptimizationSpecification
    """How a geometry is optimized while its dihedral angles are held."""
    keywords: TorsiondriveKeywords
    """Which dihedral angles are scanned, and how."""

    def __post_init__(self) -> None:
        self.program = self.program.lower()
        if self.program != "torsiondrive":
            raise ValueError(f"the program of a torsiondrive is 'torsiondrive', not {self.program!r}")


# --- what can only fail -------------------------------------------------------------------------------------------


def _parts(element: Sequence[int | dict[str, Any]]) -> Sequence[Part]:
    return [Part(ROLE, molecule, n) for n, molecule in enumerate(element)]


def _settle(
    spec: TorsiondriveSpecification, parts: Sequence[Part], molecules: Mapping[int, Molecule]
) -> Sequence[Part]:
    if not parts:
        raise InputRefused("a torsiondrive needs at least one initial molecule")
    ids = sorted({int(part.molecule) for part in parts})  # type: ignore[arg-type]
    _check_grid(spec.keywords)
    check_optimization(spec.optimization_specification)
    first = molecules[ids[0]]
    for i in ids[1:]:
        if _substance(molecules[i]) != _substance(first):
            raise InputRefused("the initial molecules of a torsiondrive differ in their atoms, charge or multiplicity")
    for dihedral in spec.keywords.dihedrals:
        check_atoms(dihedral, first, "dihedral")
    return [Part(ROLE, i, n) for n, i in enumerate(ids)]


def _substance(molecule: Molecule) -> tuple[list[str], float, int | None]:
    charge, multiplicity = molecule.get("molecular_charge"), molecule.get("molecular_multiplicity")
    return list(molecule["symbols"]), float(charge or 0.0), multiplicity


def _check_grid(keywords: TorsiondriveKeywords) -> None:
    n = len(keywords.dihedrals)
    if not n:
        raise InputRefused("a torsiondrive needs at least one dihedral")
    if len(keywords.grid_spacing) != n:
        raise InputRefused(f"{n} dihedrals need as many numbers in grid_spacing, not {len(keywords.grid_spacing)}")
    for spacing in keywords.grid_spacing:
        if spacing < 1 or 180 % spacing:
            # The library files results on a grid that begins at 0, and asks for a grid that begins at 180.
            raise InputRefused(f"a grid_spacing of {spacing} does not divide 180")
    check_unlike(keywords.dihedrals, "dihedral")
    ranges = keywords.dihedral_ranges
    if ranges and len(ranges) != n:
        raise InputRefused(f"{n} dihedrals need as many dihedral_ranges, not {len(ranges)}")
    for low, high in ranges or ():
        if not -180 <= low < high <= 360:
            raise InputRefused(f"a range of dihedral angles is -180 <= low < high <= 360, not [{low}, {high}]")
        if low > 180:  # the library would begin at -180
            raise InputRefused(f"give a range above 180 as [{low - 360}, {high - 360}] instead of [{low}, {high}]")
    if not grid_size(keywords):
        raise InputRefused("no grid point lies within dihedral_ranges")
    for name in ("energy_decrease_thresh", "energy_upper_limit"):
        if (getattr(keywords, name) or 0) < 0:
            raise InputRefused(f"{name} cannot be below 0")


def grid_size(keywords: TorsiondriveKeywords) -> int:
    """How many grid points are within the ranges."""
    ranges = keywords.dihedral_ranges or [(-180, 180)] * len(keywords.dihedrals)
    return math.prod(_axis(*both) for both in zip(keywords.grid_spacing, ranges, strict=True))


def _axis(spacing: int, within: tuple[int, int]) -> int:
    low, high = within
    points = range(-180 + spacing, 181, spacing)
    return sum(low <= p <= high or low <= p + 360 <= high or low <= p - 360 for p in points)


# --- the scan -----------------------------------------------------------------------------------------------------


class _Result(msgspec.Struct, frozen=True, array_like=True):
    """An optimization that ended."""

    key: str
    """The grid point it was asked for, as the library writes it: `-90,180`."""
    start: int
    end: int
    """Ids of the molecules it began and ended with."""
    energy: float
    geometry: list[float]
    """Of the molecule it ended with, in Bohr."""


class _State(msgspec.Struct, frozen=True):
    """How far a scan is, as a checkpoint keeps it."""

    jobs: list[tuple[str, int]]
    """The batch: grid points, and the molecules to begin with."""
    results: list[_Result]
    """Of all batches before."""
    pictures: int
    """How many of the grid the library has drawn; it says everything again each time."""


def _run(given: Given) -> Steps:
    spec: TorsiondriveSpecification = given.specification
    log = ""
    if given.checkpoint is not None:
        state = msgspec.convert(given.checkpoint, _State)
    else:
        state, log = _plan(given, [], 0)
        if not state.jobs:
            raise FlowFailed("The initial molecules are outside of dihedral_ranges; give one that is inside")
    while state.jobs:
        checkpoint = msgspec.to_builtins(state)
        progress = _progress("scan", spec, state.results)
        ended = yield Batch(requests=_requests(spec, state), progress=progress, log=log, checkpoint=checkpoint)
        results = [_result(*job, one) for job, one in zip(state.jobs, ended, strict=True)]
        state, log = _plan(given, [*state.results, *results], state.pictures)
        _check_kept(state, results, ended)
    lowest, reached = _lowest(given, state.results), _reached(spec, state.results)
    if not reached:
        raise FlowFailed("No optimization held its dihedral angles; use an optimizer that keeps constraints")
    lines = [
        f"{key_of(point)}: {energy:.10f} Eh{'' if point in reached else ', but not at this grid point'}\n"
        for point, energy in sorted(lowest.items())
    ]
    return Done(log=f"{log}Lowest energies\n{''.join(lines)}", progress=_progress("done", spec, state.results))


def _requests(spec: TorsiondriveSpecification, state: _State) -> list[Request]:
    within: Counter[str] = Counter()
    requests = []
    for n, (key, molecule) in enumerate(state.jobs, start=len(state.results)):
        point = _point(key)
        held = [Constraint("dihedral", list(d), v) for d, v in zip(spec.keywords.dihedrals, point, strict=True)]
        requests.append(
            Request(
                role=CHILDREN,
                kind="optimization",
                specification=constrained(spec.optimization_specification, held),
                parts=(Part("initial_molecule", molecule),),
                key=key_of(point),
                position=n,
                info={"td_api_key": key, "position": within[key]},
                needs=frozenset({"molecule"}),
            )
        )
        within[key] += 1
    return requests


def _point(key: str) -> tuple[int, ...]:
    return tuple(int(angle) for angle in key.split(","))


def _result(key: str, start: int, ended: Ended) -> _Result:
    if ended.energy is None or ended.molecule is None or ended.molecule_id is None:
        raise FlowFailed(f"Optimization {ended.record_id} is complete, but without energy or final molecule")
    return _Result(key, start, ended.molecule_id, ended.energy, _geometry(ended.molecule))


def _geometry(molecule: Molecule) -> list[float]:
    return [float(x) for x in molecule["geometry"]]


def _plan(given: Given, results: list[_Result], pictures: int) -> tuple[_State, str]:
    # What the library asks for after these results, and what it says that it has not said before.
    import numpy as np

    geometries = _geometries(given, results)
    with _listening() as said:
        found = _library().next_jobs_from_state(_library_state(given, results, geometries), verbose=True)
    drawn = [n for n, message in enumerate(said) if message.endswith("\n")]
    news = said[drawn[:pictures][-1] + 1 if pictures else 0 :]
    # The library names no molecules. It moves none either, but rounds as it goes from Bohr to Ångström and back.
    ids, known = list(geometries), np.array(list(geometries.values()))
    jobs: list[tuple[str, int]] = []
    for key, starts in found.items():
        for start in starts:
            off = np.abs(known - np.asarray(start)).max(axis=1)
            nearest = int(off.argmin())
            if off[nearest] > 1e-6:
                raise FlowFailed(f"The torsiondrive library asks for a molecule at {key} that nobody gave it")
            if (key, ids[nearest]) not in jobs:
                jobs.append((key, ids[nearest]))
    return _State(jobs, results, len(drawn)), "".join(f"{message}\n" for message in news)


def _geometries(given: Given, results: Sequence[_Result]) -> dict[int, list[float]]:
    initial = {molecule.id: _geometry(molecule.document) for molecule in given.molecules[ROLE]}
    return initial | {result.end: result.geometry for result in results}


def _library_state(given: Given, results: Sequence[_Result], geometries: Mapping[int, list[float]]) -> dict[str, Any]:
    library, keywords, molecules = _library(), given.specification.keywords, given.molecules[ROLE]
    state: dict[str, Any] = library.create_initial_state(
        dihedrals=keywords.dihedrals,
        grid_spacing=keywords.grid_spacing,
        elements=list(molecules[0].document["symbols"]),
        init_coords=[geometries[molecule.id] for molecule in molecules],
        dihedral_ranges=keywords.dihedral_ranges,
        energy_decrease_thresh=keywords.energy_decrease_thresh,
        energy_upper_limit=keywords.energy_upper_limit,
    )
    found: dict[str, list[Any]] = {}
    for r in results:
        found.setdefault(r.key, []).append((geometries[r.start], geometries[r.end], r.energy))
    library.update_state(state, found)
    return state


def _check_kept(state: _State, results: Sequence[_Result], ended: Sequence[Ended]) -> None:
    # The library files a result where its dihedral angles are; one that went elsewhere it would ask for forever.
    again = set(state.jobs)
    for result, one in zip(results, ended, strict=True):
        if (result.key, result.start) in again:
            raise FlowFailed(
                f"Optimization {one.record_id} was to hold its dihedral angles at [{result.key}], but ended elsewhere, "
                "and would be asked for again; use an optimizer that keeps constraints, or other initial molecules"
            )


def _lowest(given: Given, results: Sequence[_Result]) -> dict[tuple[int, ...], float]:
    state = _library_state(given, results, _geometries(given, results))
    lowest: dict[tuple[int, ...], float] = _library().collect_lowest_energies(state)
    ours: dict[tuple[int, ...], float] = {}
    for result in results:
        point = _point(result.key)
        ours[point] = min(result.energy, ours.get(point, math.inf))
    if lowest != ours:
        raise FlowFailed("The torsiondrive library has other lowest energies than the optimizations")
    return lowest


def _reached(spec: TorsiondriveSpecification, results: Sequence[_Result]) -> set[tuple[int, ...]]:
    # Grid points that an optimization ended at, as closely as the library wants it: the others it has passed over.
    return {
        point
        for point, geometry in ((_point(result.key), result.geometry) for result in results)
        if all(
            apart(measured({"geometry": geometry}, dihedral), angle) <= 0.5
            for dihedral, angle in zip(spec.keywords.dihedrals, point, strict=True)
        )
    }


def _progress(stage: str, spec: TorsiondriveSpecification, results: Sequence[_Result]) -> Progress:
    return Progress(
        stage=stage,
        done=len({result.key for result in results}),
        total=grid_size(spec.keywords),
        minimum=min((result.energy for result in results), default=None),
    )


# --- what the library says ----------------------------------------------------------------------------------------

_heard: ContextVar[list[str] | None] = ContextVar("_heard", default=None)


@cache
def _library() -> Any:
    # It prints and warns. Flows run in threads, and stdout is the whole process's; so its modules get a `print` and a
    # `warn` of their own, which write to whoever listens in the thread they are called in.
    from torsiondrive import dihedral_scanner, td_api

    for module in (td_api, dihedral_scanner):
        module.print = _hear
    dihedral_scanner.warn = _hear_warning
    return td_api


def _hear(*values: Any, **how: Any) -> None:
    heard = _heard.get()
    if heard is None:
        print(*values, **how)
    else:
        heard.append(" ".join(map(str, values)))


def _hear_warning(message: str, category: type[Warning] = UserWarning) -> None:
    heard = _heard.get()
    if heard is None:
        warnings.warn(message, category, stacklevel=2)
    else:
        heard.append(f"Warning! {message}")


@contextmanager
def _listening() -> Iterator[list[str]]:
    said: list[str] = []
    token = _heard.set(said)
    try:
        yield said
    finally:
        _heard.reset(token)


# --- what it shows ------------------------------------------------------------------------------------------------


class TorsiondriveOptimization(msgspec.Struct, kw_only=True):
    """An optimization of a torsion drive."""

    optimization_id: int
    key: str
    """The grid point in degrees, as JSON: `[-90, 180]`."""
    position: int
    """Counted over the whole drive."""
    energy: float | None
    """Of its last step, in Hartree."""


def _optimizations(seen: Seen) -> list[TorsiondriveOptimization]:
    return [
        TorsiondriveOptimization(optimization_id=c.record_id, key=c.key, position=c.position, energy=c.energy)
        for c in seen.links
    ]


def _minimum_optimizations(seen: Seen) -> dict[str, int]:
    best: dict[str, tuple[float, int]] = {}
    for link in seen.links:
        this = (math.inf if link.energy is None else link.energy, link.record_id)
        best[link.key] = min(this, best.get(link.key, this))
    return {key: record_id for key, (_, record_id) in best.items()}


def _initial_ids(seen: Seen) -> list[int]:
    return [int(part.molecule) for part in seen.parts if part.role == ROLE]  # type: ignore[arg-type]


def _initial_molecules(seen: Seen) -> list[Any]:
    return [seen.document(i) for i in _initial_ids(seen)]


def _facets(spec: TorsiondriveSpecification) -> Facets:
    optimization = spec.optimization_specification
    qc = optimization.qc_specification
    return Facets(spec.program, None, qc.method, qc.basis, qc.program, optimizer=optimization.program)


PEROXIDE = {
    "symbols": ["H", "O", "O", "H"],
    "geometry": [1.85, 1.44, 0.8, 1.36, -0.17, 0.1, -1.36, 0.17, 0.1, -1.85, -1.44, 0.8],
}
"""A molecule with a dihedral angle, for examples; lengths in Bohr."""

torsiondrive = Kind(
    name="torsiondrive",
    specification=TorsiondriveSpecification,
    inputs=Inputs("initial_molecules", list[Id | dict[str, Any]], _parts),
    settle=_settle,
    facets=_facets,
    filters={
        "program": "program",
        "optimization_program": "optimizer",
        "qc_program": "qc_program",
        "qc_method": "method",
        "qc_basis": "basis",
    },
    molecule_filters={"initial_molecule_id": ROLE},
    also_sent={"as_service": True},
    flow=Flow(
        run=_run,
        provenance=lambda: {
            "creator": "torsiondrive",
            "version": version("torsiondrive"),
            "routine": "torsiondrive.td_api",
        },
    ),
    molecules=(),
    views=(
        View(
            name="initial_molecules_ids",
            path="initial_molecules",
            answer=list[int],
            make=_initial_ids,
            doc="Ids of the molecules the scan begins with.",
        ),
        View(
            name="initial_molecules",
            brings=("initial_molecules_ids",),
            answer=list[Any],
            make=_initial_molecules,
            molecules=_initial_ids,
            doc="The molecules the scan begins with.",
        ),
        View(
            name="optimizations",
            path="optimizations",
            answer=list[TorsiondriveOptimization],
            make=_optimizations,
            doc="All optimizations, with the grid points they belong to.",
        ),
        View(
            name="minimum_optimizations",
            path="minimum_optimizations",
            answer=dict[str, int],
            make=_minimum_optimizations,
            doc="The optimization with the lowest energy of each grid point.",
        ),
    ),
    example={
        "specification": {
            "optimization_specification": {
                "program": "geometric",
                "qc_specification": {"program": "tblite", "method": "gfn2-xtb", "basis": None},
            },
            "keywords": {"dihedrals": [[0, 1, 2, 3]], "grid_spacing": [30]},
        },
        "initial_molecules": [[PEROXIDE]],
    },
)
