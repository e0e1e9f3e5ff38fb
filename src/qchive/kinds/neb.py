"""Nudged elastic bands: the path between two geometries over a barrier, by geomeTRIC (`records.md` §7.7,
`services.md` §8)."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from qchive.kinds.flow import (
    Batch,
    Done,
    Ended,
    Flow,
    FlowFailed,
    Given,
    Link,
    NotYet,
    Progress,
    Request,
    Seen,
    Steps,
    View,
)
from qchive.kinds.heard import heard
from qchive.kinds.kind import Facets, Id, InputRefused, Inputs, Kind, Molecule, Part
from qchive.kinds.optimization import InnerSpecification, OptimizationSpecification
from qchive.kinds.servicesubtask import NEXT_CHAIN, ServiceSubtaskSpecification
from qchive.kinds.singlepoint import Name, QCSpecification, SinglepointDriver

ROLE = "initial_chain"
SINGLEPOINTS, OPTIMIZATIONS, SUBTASKS = "singlepoints", "optimizations", "subtasks"
TRIC = {"coordsys": "tric"}
"""How geometries are optimized where nothing else is said."""
_DECIMALS = 10
"""How exactly keywords are kept."""
_NOISE = re.compile(r"\x1b\[[0-9;]*m|^Custom engine selected\.\n|^Creating artificial bond .*\n", re.MULTILINE)
"""What geomeTRIC says that nobody wants to read: colours, and what it says of every image again and again."""


class NEBKeywords(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How the chain is relaxed, and what is done before and after."""

    images: Annotated[int, Meta(gt=5)] = 11
    """Frames of the chain, both ends among them."""
    spring_constant: float = 1.0
    """In kcal/mol/Angstrom²."""
    spring_type: int = 0
    """0: spring force along the chain, gradient across it; 1: whole spring force, gradient across the chain; 2: whole
    spring force, whole gradient."""
    maximum_force: float = 0.05
    """Converged when the largest RMS gradient of an image is below, in eV/Angstrom …"""
    average_force: float = 0.025
    """… and the average of all images below this, in eV/Angstrom."""
    maximum_cycle: int = 100
    """Cycles after which an unconverged chain is left as it is."""
    optimize_ts: bool = False
    """Whether the transition state is optimized, from the image of the highest energy and its Hessian."""
    optimize_endpoints: bool = False
    """Whether the two ends are optimized first; otherwise they stay as they are."""
    align: bool = True
    """Whether the images are turned and moved to fit each other first."""
    epsilon: float = 1e-5
    """Smallest eigenvalue of the Hessian before it is begun anew."""

    def __post_init__(self) -> None:
        for name in ("spring_constant", "maximum_force", "average_force", "epsilon"):
            value = getattr(self, name)
            if not math.isfinite(value):
                raise ValueError(f"{name} is no number")
            setattr(self, name, round(float(value), _DECIMALS) + 0.0)


class NEBSpecification(msgspec.Struct, forbid_unknown_fields=True):
    """How the images are computed, and how the chain is relaxed."""

    singlepoint_specification: QCSpecification
    """Program and method behind the energies and gradients of the images, and behind the optimization of the ends."""
    optimization_specification: OptimizationSpecification | None = None
    """How the transition state is optimized, and with it the program and method of its Hessian; None: as the images,
    with geomeTRIC."""
    program: Name = "geometric"
    """Always `geometric`."""
    keywords: NEBKeywords | None = None
    """How the chain is relaxed, and what is done before and after."""

    def __post_init__(self) -> None:
        self.program = self.program.lower()
        self.keywords = self.keywords or NEBKeywords()
        if self.program != "geometric":
            raise ValueError(f"the program of a neb is 'geometric', not {self.program!r}")


class NEBSinglepoint(msgspec.Struct, kw_only=True):
    """A single point of an image, in which chain and where in it."""

    singlepoint_id: int
    chain_iteration: int
    position: int


class NEBOptimization(msgspec.Struct, kw_only=True):
    """The optimization of an end or of the transition state."""

    optimization_id: int
    position: int
    ts: bool


# --- what is taken -----------------------------------------------------------------------------------------------


def _parts(element: Sequence[int | dict[str, Any]]) -> Sequence[Part]:
    return [Part(ROLE, molecule, n) for n, molecule in enumerate(element)]


def _settle(spec: NEBSpecification, parts: Sequence[Part], molecules: Mapping[int, Molecule]) -> Sequence[Part]:
    images = _keywords(spec).images
    if len(parts) < images:
        raise InputRefused(
            f"a chain of {images} images cannot be made of {len(parts)} molecules: give at least {images}"
        )
    step = (len(parts) - 1) / (images - 1)
    ids = [int(parts[round(n * step)].molecule) for n in range(images)]  # type: ignore[arg-type]
    first = _electrons_and_nuclei(molecules[ids[0]])
    for n, molecule_id in enumerate(ids):
        for (what, here), there in zip(
            _electrons_and_nuclei(molecules[molecule_id]).items(), first.values(), strict=True
        ):
            if here != there:
                raise InputRefused(f"image {n} of the chain differs from the first in its {what}: {here}, not {there}")
    if len(set(ids)) == 1:
        raise InputRefused("all images of the chain are the same molecule")
    return [Part(ROLE, molecule_id, n) for n, molecule_id in enumerate(ids)]


def _electrons_and_nuclei(molecule: Molecule) -> dict[str, Any]:
    return {
        "atoms": " ".join(molecule["symbols"]),
        "charge": float(molecule.get("molecular_charge") or 0.0),
        "multiplicity": int(molecule.get("molecular_multiplicity") or 1),
    }


def _keywords(spec: NEBSpecification) -> NEBKeywords:
    assert spec.keywords is not None
    return spec.keywords


def _facets(spec: NEBSpecification) -> Facets:
    qc, optimization = spec.singlepoint_specification, spec.optimization_specification
    inner = [optimization.qc_specification] if optimization else []
    return Facets(
        spec.program,
        None,
        qc.method,
        qc.basis,
        qc.program,
        optimizer=optimization.program if optimization else None,
        others=tuple((each.program, each.method, each.basis) for each in inner),
    )


# --- how it is computed ------------------------------------------------------------------------------------------


Geometry = list[list[float]]
"""Atom by atom, in Bohr."""


class _Chain(msgspec.Struct, tag="chain"):
    """A chain whose gradients are to be computed."""

    iteration: int
    geometries: list[Geometry]
    nebinfo: dict[str, Any]
    """What geomeTRIC wants back with the gradients; not ours to understand."""


class _Top(msgspec.Struct, tag="top"):
    """The end of the relaxation: the image of the highest energy, and what is said of the whole."""

    iteration: int
    molecule_id: int
    properties: dict[str, Any]


_SAID_ANEW = {"elems", "charge", "mult", "geometry", "energies", "gradients", "params"}

_Working = Generator[Batch, Sequence[Ended], tuple[Any, str]]
"""Ends with what comes next, and with what the log says of it."""


def _run(given: Given) -> Steps:
    spec: NEBSpecification = given.specification
    at: _Chain | _Top | None = msgspec.convert(given.checkpoint, _Chain | _Top | None)
    log = ""
    if at is None:
        at, log = yield from _begin(given)
    if isinstance(at, _Chain):
        at, log = yield from _relax(given, at, log)
    assert isinstance(at, _Top)
    properties = at.properties
    if _keywords(spec).optimize_ts:
        found, log = yield from _transition(spec, at, log)
        properties = {**properties, **found}
    stage = "done" if properties["converged"] else "done, not converged"
    done = Progress(stage=stage, done=properties["cycles"], minimum=min(properties["energies"]))
    return Done(properties=properties, log=log, progress=done)


def _begin(given: Given) -> _Working:
    """The ends optimized if that is wanted, and the first chain."""
    spec: NEBSpecification = given.specification
    chain = [_nested(image.document["geometry"]) for image in given.molecules[ROLE]]
    if _keywords(spec).optimize_endpoints:
        requests = [
            Request(
                role=OPTIMIZATIONS,
                kind="optimization",
                specification=_optimization(spec.singlepoint_specification, TRIC),
                parts=(Part("initial_molecule", given.molecules[ROLE][image].id),),
                key=key,
                position=n,
                info={"position": n},
                needs=frozenset({"molecule"}),
            )
            for n, (key, image) in enumerate((("initial", 0), ("final", -1)))
        ]
        ends = yield Batch(requests=requests, progress=Progress(stage="optimizing the ends", total=2))
        chain[0], chain[-1] = (_geometry(end) for end in ends)
    arranged, log = _arrange(given, chain)
    return _Chain(0, arranged, {}), log


def _relax(given: Given, chain: _Chain, log: str) -> _Working:
    """Chain after chain, until geomeTRIC wants no further one."""
    minimum: float | None = None
    while True:
        images = yield Batch(
            requests=_gradients(given, chain),
            progress=Progress(stage="gradients of the chain", done=chain.iteration, minimum=minimum),
            log=log,
            checkpoint=msgspec.to_builtins(chain),
        )
        info = _info(given, chain, images)
        minimum = min(info["energies"])
        (step,) = yield Batch(
            requests=[_next_chain(chain, info)],
            progress=Progress(stage="next chain", done=chain.iteration, minimum=minimum),
        )
        geometries, nebinfo = _results(step)
        log = _NOISE.sub("", (step.fields or {}).get("stdout") or "")
        if geometries is None:
            top = _top(chain, info, images)
            return top, log + _summary(given, top.properties)
        # What is said anew of every chain is not kept with each.
        kept = {name: value for name, value in nebinfo.items() if name not in _SAID_ANEW}
        chain = _Chain(chain.iteration + 1, geometries, kept)


def _transition(spec: NEBSpecification, top: _Top, log: str) -> _Working:
    """The transition state, from the image of the highest energy."""
    optimization = spec.optimization_specification
    qc = optimization.qc_specification if optimization else spec.singlepoint_specification
    cycles, minimum = top.properties["cycles"], min(top.properties["energies"])
    request = Request(
        role=SINGLEPOINTS,
        kind="singlepoint",
        specification=_driven(qc, SinglepointDriver.hessian),
        parts=(Part("molecule", top.molecule_id),),
        key=str(top.iteration),
        info={"position": 0},
        needs=frozenset({"properties"}),
    )
    (hessian,) = yield Batch(
        requests=[request],
        progress=Progress(stage="Hessian of the transition state", done=cycles, minimum=minimum),
        log=log,
        checkpoint=msgspec.to_builtins(top),
    )
    keywords = (optimization.keywords if optimization else None) or TRIC
    request = Request(
        role=OPTIMIZATIONS,
        kind="optimization",
        specification=_optimization(qc, {**keywords, "transition": True, "hess_data": _hessian(hessian)}, optimization),
        parts=(Part("initial_molecule", top.molecule_id),),
        key="transition",
        info={"position": 0},
    )
    (found,) = yield Batch(
        requests=[request],
        progress=Progress(stage="optimizing the transition state", done=cycles, minimum=minimum),
        log=f"Hessian: record {hessian.record_id}. The transition state is optimized with it.\n",
    )
    energy = f": {found.energy:.10f} Eh" if found.energy is not None else ""
    log = f"Transition state{energy} (record {found.record_id})\n"
    return {"transition_state_energy": found.energy}, log


# Children


def _gradients(given: Given, chain: _Chain) -> list[Request]:
    spec: NEBSpecification = given.specification
    specification = _driven(spec.singlepoint_specification, SinglepointDriver.gradient)
    template = {k: v for k, v in given.molecules[ROLE][0].document.items() if k not in ("id", "identifiers")}
    return [
        Request(
            role=SINGLEPOINTS,
            kind="singlepoint",
            specification=specification,
            parts=(Part("molecule", {**template, "geometry": [x for atom in geometry for x in atom]}),),
            key=str(chain.iteration),
            position=n,
            info={"position": n},
            needs=frozenset({"properties", "molecule"}),
        )
        for n, geometry in enumerate(chain.geometries)
    ]


def _next_chain(chain: _Chain, info: dict[str, Any]) -> Request:
    specification = ServiceSubtaskSpecification(
        required_programs={"geometric": None}, function=NEXT_CHAIN, function_kwargs={"info_dict": info}
    )
    return Request(
        role=SUBTASKS,
        kind="servicesubtask",
        specification=specification,
        parts=(),
        key=str(chain.iteration),
        needs=frozenset({"fields"}),
    )


def _driven(qc: QCSpecification, driver: SinglepointDriver) -> QCSpecification:
    return QCSpecification(
        program=qc.program,
        driver=driver,
        method=qc.method,
        basis=qc.basis,
        keywords=qc.keywords,
        protocols=qc.protocols,
    )


def _optimization(
    qc: QCSpecification, keywords: dict[str, Any], like: OptimizationSpecification | None = None
) -> OptimizationSpecification:
    inner = InnerSpecification(program=qc.program, method=qc.method, basis=qc.basis, keywords=qc.keywords)
    return OptimizationSpecification("geometric", inner, keywords, like.protocols if like else None)


# What is read of them


def _geometry(ended: Ended) -> Geometry:
    assert ended.molecule is not None
    return _nested(ended.molecule["geometry"])


def _nested(flat: Sequence[Any]) -> Geometry:
    values = [float(x) for row in flat for x in (row if isinstance(row, list | tuple) else (row,))]
    return [values[n : n + 3] for n in range(0, len(values), 3)]


def _numbers(ended: Ended, count: int, what: str) -> list[float]:
    values = (ended.properties or {}).get("return_result")
    if not isinstance(values, list | tuple):
        raise FlowFailed(f"record {ended.record_id} is complete, but has no {what}")
    flat = [float(x) for row in values for x in (row if isinstance(row, list | tuple) else (row,))]
    if len(flat) != count:
        raise FlowFailed(f"the {what} of record {ended.record_id} has {len(flat)} numbers instead of {count}")
    return flat


def _hessian(ended: Ended) -> list[list[float]]:
    values = (ended.properties or {}).get("return_result")
    count = len(values) if isinstance(values, list | tuple) else 0
    size = count if count and isinstance(values[0], list | tuple) else math.isqrt(count)  # type: ignore[index]
    flat = _numbers(ended, size * size, "Hessian")
    return [flat[n : n + size] for n in range(0, size * size, size)]


def _energy(ended: Ended) -> float:
    if ended.energy is None:
        raise FlowFailed(f"record {ended.record_id} is complete, but has no energy")
    return ended.energy


def _results(step: Ended) -> tuple[list[Geometry] | None, dict[str, Any]]:
    results = (step.fields or {}).get("results")
    if not isinstance(results, list | tuple) or len(results) != 2 or not isinstance(results[1], dict):
        raise FlowFailed(f"record {step.record_id} is complete, but its results are no chain")
    return (None if results[0] is None else [_nested(image) for image in results[0]]), results[1]


# What geomeTRIC is told, and asked


def _info(given: Given, chain: _Chain, images: Sequence[Ended]) -> dict[str, Any]:
    """What the next chain is made from."""
    first = given.molecules[ROLE][0].document
    facts = _electrons_and_nuclei(first)
    count = 3 * len(first["symbols"])
    return {
        **chain.nebinfo,
        "elems": list(first["symbols"]),
        "charge": int(facts["charge"]),
        "mult": float(facts["multiplicity"]),
        "geometry": [_geometry(image) for image in images],
        "energies": [_energy(image) for image in images],
        "gradients": [_numbers(image, count, "gradient") for image in images],
        "params": {**msgspec.to_builtins(_keywords(given.specification)), "iteration": chain.iteration + 1},
    }


def _arrange(given: Given, chain: Sequence[Geometry]) -> tuple[list[Geometry], str]:
    """The chain with its images aligned, and moved apart where they are too close; and what is said of it."""
    from geometric.qcf_neb import arrange

    document = given.molecules[ROLE][0].document
    facts = _electrons_and_nuclei(document)
    images = [[[facts["charge"], facts["multiplicity"]], list(document["symbols"]), image] for image in chain]
    with _listening() as said:
        arranged = arrange(images, _keywords(given.specification).align)
    return [_nested(image[-1]) for image in arranged], _NOISE.sub("", said.getvalue())


def _top(chain: _Chain, info: dict[str, Any], images: Sequence[Ended]) -> _Top:
    """What came of the last chain: energies in Hartree, forces in eV/Angstrom. geomeTRIC ends as quietly when it has
    used up its cycles as when it has converged, so the forces are looked at."""
    energies = info["energies"]
    highest = max(range(len(energies)), key=energies.__getitem__)
    largest, average = _forces(info)
    keywords = info["params"]
    molecule_id = images[highest].molecule_id
    assert molecule_id is not None
    properties = {
        "converged": largest < keywords["maximum_force"] and average < keywords["average_force"],
        "cycles": chain.iteration,
        "maximum_force": largest,
        "average_force": average,
        "energies": energies,
        "highest_image": highest,
        "forward_barrier": energies[highest] - energies[0],
        "reverse_barrier": energies[highest] - energies[-1],
    }
    return _Top(chain.iteration + 1, molecule_id, properties)


def _forces(info: dict[str, Any]) -> tuple[float, float]:
    """The largest and the average RMS gradient of a chain's images, in eV/Angstrom, as `nextchain` judges them."""
    from geometric.neb import ElasticBand
    from geometric.qcf_neb import add_attr, get_basic_info

    with _listening():
        params, molecule, engine, result, _ = get_basic_info(info)
        band = ElasticBand(molecule, engine=engine, tmpdir="", params=params, plain=params.plain)
        band = add_attr(band, info["attrs_new"])
        band.ComputeChain(result=result)
        band.PrintStatus()
    return float(band.maxg), float(band.avgg)


@contextmanager
def _listening() -> Iterator[io.StringIO]:
    said = io.StringIO()
    with heard("geometric.nifty", said):
        yield said


def _summary(given: Given, found: Mapping[str, Any]) -> str:
    keywords = _keywords(given.specification)
    forces = (
        f"largest force {found['maximum_force']:.4f} of {keywords.maximum_force} eV/Angstrom, "
        f"average {found['average_force']:.4f} of {keywords.average_force}"
    )
    ended = "Converged" if found["converged"] else "NOT converged: all cycles are used up"
    return (
        f"{ended} after {found['cycles']} cycles; {forces}\n"
        f"Highest image: {found['highest_image']}, {found['energies'][found['highest_image']]:.10f} Eh; barrier "
        f"{found['forward_barrier']:.10f} Eh forward, {found['reverse_barrier']:.10f} Eh back\n"
    )


# --- what is shown of it -----------------------------------------------------------------------------------------


def _chain_ids(seen: Seen) -> list[int]:
    return [int(part.molecule) for part in seen.parts if part.role == ROLE]  # type: ignore[arg-type]


def _initial_chain(seen: Seen) -> list[Any]:
    return [seen.document(molecule_id) for molecule_id in _chain_ids(seen)]


def _singlepoints(seen: Seen) -> list[NEBSinglepoint]:
    found = [
        NEBSinglepoint(singlepoint_id=link.record_id, chain_iteration=int(link.key), position=link.position)
        for link in seen.links
        if link.role == SINGLEPOINTS
    ]
    return sorted(found, key=lambda one: (one.chain_iteration, one.position))


def _optimizations(seen: Seen) -> dict[str, NEBOptimization]:
    return {
        link.key: NEBOptimization(optimization_id=link.record_id, position=link.position, ts=link.key == "transition")
        for link in seen.links
        if link.role == OPTIMIZATIONS
    }


def _highest(seen: Seen) -> Iterable[int]:
    """The molecule of the highest energy in the last chain of which all energies are known."""
    chains: dict[int, list[Link]] = {}
    for link in seen.links:
        if link.role == SINGLEPOINTS:
            chains.setdefault(int(link.key), []).append(link)
    for _, links in sorted(chains.items(), reverse=True):
        known = [(link.energy, -link.position, link.molecule_id) for link in links if link.energy is not None]
        if len(known) == len(links):
            _, _, molecule_id = max(known)  # of equal ones the first
            return [] if molecule_id is None else [molecule_id]
    return []


def _result(seen: Seen) -> Any:
    for molecule_id in _highest(seen):
        return seen.document(molecule_id)
    raise NotYet("The final guessed transition state can't be found")


def _ammonia(height: float) -> dict[str, Any]:
    """Ammonia on its way inside out, for the example; the height of N above the plane of H in Bohr."""
    out = 1.9 - 0.17 * abs(height)
    hydrogens = [(out, 0.0), (-out / 2, out * math.sqrt(0.75)), (-out / 2, -out * math.sqrt(0.75))]
    flat = [round(value, 3) for x, y in hydrogens for value in (x, y, 0.0)]
    return {"symbols": ["N", "H", "H", "H"], "geometry": [0.0, 0.0, height, *flat]}


neb = Kind(
    name="neb",
    specification=NEBSpecification,
    inputs=Inputs("initial_chains", list[Id | dict[str, Any]], _parts),
    settle=_settle,
    facets=_facets,
    filters={"program": "program", "qc_program": "qc_program", "qc_method": "method", "qc_basis": "basis"},
    molecule_filters={"molecule_id": ROLE},
    flow=Flow(
        run=_run,
        provenance=lambda: {"creator": "neb", "version": version("geometric"), "routine": "qchive.kinds.neb"},
    ),
    molecules=(),
    views=(
        View(
            name="initial_chain_molecule_ids",
            path="initial_chain",
            answer=list[int],
            make=_chain_ids,
            doc="Ids of the molecules of the chain it began with, in order.",
        ),
        View(
            name="initial_chain",
            brings=("initial_chain_molecule_ids",),
            answer=list[Any],
            make=_initial_chain,
            molecules=_chain_ids,
            doc="The molecules of the chain it began with, in order.",
        ),
        View(
            name="singlepoints",
            path="singlepoints",
            answer=list[NEBSinglepoint],
            make=_singlepoints,
            doc="Single points of the images by chain and position; at last, if wanted, the one Hessian.",
        ),
        View(
            name="optimizations",
            path="optimizations",
            answer=dict[str, NEBOptimization],
            make=_optimizations,
            doc="Optimizations of the ends (`initial`, `final`) and of the transition state (`transition`).",
        ),
        View(
            name="neb_result",
            path="neb_result",
            answer=Any,
            make=_result,
            included=False,
            molecules=_highest,
            doc="The molecule of the highest energy in the last chain: a guess of the transition state.",
        ),
    ),
    example={
        "specification": {
            "singlepoint_specification": {
                "program": "tblite",
                "driver": "gradient",
                "method": "gfn2-xtb",
                "basis": None,
            },
            "keywords": {"images": 7},
        },
        "initial_chains": [[_ammonia(height) for height in (0.7, 0.467, 0.233, 0.0, -0.233, -0.467, -0.7)]],
    },
)
