"""Conformers: make them, optimize them, compute the lowest one better. A composite kind in one file.

An example (`docs/howto/a-composite-kind.md`), not part of the protocol: other servers and clients do not know it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from qchive.kinds.flow import Batch, Done, Ended, Flow, FlowFailed, Given, Progress, Request, Seen, Steps, View
from qchive.kinds.kind import Facets, InputRefused, Kind, Molecule, Part, one_molecule
from qchive.kinds.optimization import OptimizationSpecification
from qchive.kinds.singlepoint import Name, QCSpecification

ROLE = "initial_molecule"
LOWEST = "lowest_molecule"
BOLTZMANN = 3.166811563e-6
"""Hartree/K."""
SAME_ENERGY = 1e-5
"""Hartree; optimizations end no closer to a minimum than that."""

# --- the specification: what people write, its defaults, and what cannot be right -----------------------------------


class ConformersKeywords(msgspec.Struct, forbid_unknown_fields=True):
    """How conformers are made and told apart."""

    count: Annotated[int, Meta(ge=1, le=1000)] = 20
    """How many are tried; those that differ are optimized."""
    distance: Annotated[float, Meta(gt=0)] = 0.25
    """Two whose atoms are closer than this are the same (root mean square, Å; hydrogens at carbon do not count)."""
    temperature: Annotated[float, Meta(gt=0)] = 298.15
    """Of the Boltzmann weights, in K."""


class ConformersSpecification(msgspec.Struct, forbid_unknown_fields=True):
    """How conformers are made, optimized, and the lowest one is computed."""

    optimization_specification: OptimizationSpecification
    """What optimizes every conformer."""
    singlepoint_specification: QCSpecification
    """What computes the lowest one."""
    program: Name = "conformers"
    """Always `conformers`."""
    keywords: ConformersKeywords | None = None
    """How conformers are made and told apart."""

    def __post_init__(self) -> None:
        self.program = self.program.lower()
        self.keywords = self.keywords or ConformersKeywords()
        if self.program != "conformers":
            raise ValueError(f"the program of conformers is 'conformers', not {self.program!r}")


def _settle(_: ConformersSpecification, parts: Sequence[Part], molecules: Any) -> Sequence[Part]:
    for part in parts:
        molecule = molecules[part.molecule]
        if len(molecule.get("fragments") or ()) > 1:
            raise InputRefused("conformers are of one molecule: this one has several fragments")
        if not all(molecule.get("real") or ()):
            raise InputRefused("conformers have no ghost atoms: take them away")
    return parts


def _facets(spec: ConformersSpecification) -> Facets:
    qc, optimization = spec.singlepoint_specification, spec.optimization_specification
    inner = optimization.qc_specification
    return Facets(
        spec.program,
        None,
        qc.method,
        qc.basis,
        qc.program,
        optimizer=optimization.program,
        others=((inner.program, inner.method, inner.basis),),
    )


# --- the flow: two batches and an end -------------------------------------------------------------------------------


def _run(given: Given) -> Steps:
    spec: ConformersSpecification = given.specification
    keywords = spec.keywords or ConformersKeywords()
    (molecule,) = given.molecules[ROLE]
    bonded = _bonded(molecule.document)
    geometries: list[list[float]] = given.checkpoint or _embedded(bonded, molecule.document, keywords)
    optimized: Sequence[Ended] = yield Batch(
        requests=[
            Request(
                role="optimization",
                kind="optimization",
                specification=spec.optimization_specification,
                parts=(Part(ROLE, _at(molecule.document, geometry)),),
                position=n,
                needs=frozenset({"molecule"}),
            )
            for n, geometry in enumerate(geometries)
        ],
        progress=Progress(stage="optimizations", total=len(geometries)),
        checkpoint=geometries,
        log=f"{len(geometries)} of {keywords.count} conformers differ\n",
    )
    kept = _distinct(bonded, optimized, keywords.distance)
    lowest = kept[0]
    (final,) = yield Batch(
        requests=[
            Request(
                role="singlepoint",
                kind="singlepoint",
                specification=spec.singlepoint_specification,
                parts=(Part("molecule", lowest.molecule_id or 0),),
            )
        ],
        progress=Progress(stage="single point", done=len(kept), minimum=lowest.energy),
        molecules=(Part(LOWEST, lowest.molecule_id or 0),),
    )
    if final.energy is None:
        raise FlowFailed(f"Record {final.record_id} has no energy: choose a driver and method that give one")
    weights = _weights(kept, keywords.temperature)
    log = "".join(f"{one.energy:20.10f} Eh {weights[one.record_id]:8.4f} (record {one.record_id})\n" for one in kept)
    return Done(
        fields={
            "lowest_energy": final.energy,
            "boltzmann_weights": [weights.get(one.record_id, 0.0) for one in optimized],
        },
        log=log,
        progress=Progress(stage="done", done=len(kept), minimum=final.energy),
    )


def _weights(kept: Sequence[Ended], temperature: float) -> dict[int, float]:
    """By record; the energies are those of the optimizations, lowest first."""
    lowest = kept[0].energy or 0.0
    factors = {one.record_id: math.exp((lowest - (one.energy or 0.0)) / (BOLTZMANN * temperature)) for one in kept}
    return {record_id: factor / sum(factors.values()) for record_id, factor in factors.items()}


# --- the chemistry: RDKit, imported only when a record is computed --------------------------------------------------


def _bonded(document: Molecule) -> Any:
    """The RDKit molecule: bonds as given or else by distance, their orders by charge, stereochemistry by geometry."""
    from rdkit import Chem
    from rdkit.Chem import rdDetermineBonds

    made = Chem.RWMol()
    for symbol in document["symbols"]:
        atom = Chem.Atom(str(symbol).title())
        atom.SetNoImplicit(True)
        made.AddAtom(atom)
    made.AddConformer(_conformer(document["geometry"]))
    try:
        if document.get("connectivity"):
            for first, second, _ in document["connectivity"]:
                made.AddBond(first, second, Chem.BondType.SINGLE)
        else:
            rdDetermineBonds.DetermineConnectivity(made)
        rdDetermineBonds.DetermineBondOrders(made, charge=round(document.get("molecular_charge") or 0))
        Chem.SanitizeMol(made)
    except (ValueError, RuntimeError) as error:
        raise FlowFailed(f"RDKit finds no bonds that fit atoms and charge of the molecule: {error}") from error
    Chem.AssignStereochemistryFrom3D(made)
    return made


def _embedded(bonded: Any, document: Molecule, keywords: ConformersKeywords) -> list[list[float]]:
    """Geometries of conformers that differ, in Bohr; the same for the same molecule."""
    from qcelemental import constants
    from rdkit.Chem import rdDistGeom

    how = rdDistGeom.ETKDGv3()
    how.randomSeed = zlib.crc32(repr((document["symbols"], document["geometry"])).encode()) >> 1
    found = type(bonded)(bonded)
    rdDistGeom.EmbedMultipleConfs(found, keywords.count, how)
    kept: list[Any] = []
    for conformer in found.GetConformers():
        one = _skeleton(bonded, conformer)
        if not any(_distance(one, other) < keywords.distance for other, _ in kept):
            kept.append((one, (conformer.GetPositions() / constants.bohr2angstroms).ravel().tolist()))
    if not kept:
        raise FlowFailed("RDKit finds no geometry for the molecule's bonds: check its connectivity and charge")
    return [geometry for _, geometry in kept]


def _distinct(bonded: Any, optimized: Sequence[Ended], distance: float) -> list[Ended]:
    """Those that are no repeats of lower ones, lowest first."""
    kept: list[tuple[Any, Ended]] = []
    for one in sorted(optimized, key=lambda one: (one.energy or 0.0, one.record_id)):
        assert one.molecule is not None
        skeleton = _skeleton(bonded, _conformer(one.molecule["geometry"]))
        repeats = (
            abs((one.energy or 0.0) - (other.energy or 0.0)) < SAME_ENERGY and _distance(skeleton, lower) < distance
            for lower, other in kept
        )
        if not any(repeats):
            kept.append((skeleton, one))
    return [one for _, one in kept]


def _skeleton(bonded: Any, conformer: Any) -> Any:
    """The molecule at this geometry without the hydrogens at carbon, which only rotate among themselves."""
    from rdkit import Chem

    made = Chem.RWMol(bonded)
    made.RemoveAllConformers()
    made.AddConformer(conformer)
    if made.GetNumHeavyAtoms() > 1:
        hydrogens = (a for a in bonded.GetAtoms() if a.GetAtomicNum() == 1)
        at_carbon = [a.GetIdx() for a in hydrogens if any(b.GetAtomicNum() == 6 for b in a.GetNeighbors())]
        for index in reversed(at_carbon):
            made.RemoveAtom(index)
    return made


def _distance(one: Any, other: Any) -> float:
    """Root mean square of the distances of atoms, laid onto each other as well as their symmetry allows; in Å."""
    from rdkit.Chem import rdMolAlign

    return float(rdMolAlign.GetBestRMS(one, other))


def _conformer(geometry: Sequence[float]) -> Any:
    """From Bohr."""
    from qcelemental import constants
    from rdkit.Chem import Conformer

    made = Conformer(len(geometry) // 3)
    for n in range(len(geometry) // 3):
        made.SetAtomPosition(n, [x * constants.bohr2angstroms for x in geometry[3 * n : 3 * n + 3]])
    return made


def _at(document: Molecule, geometry: Sequence[float]) -> Molecule:
    own = ("id", "identifiers", "provenance")
    return {**{key: value for key, value in document.items() if key not in own}, "geometry": geometry}


# --- what is shown, and the declaration -----------------------------------------------------------------------------


class Conformer(msgspec.Struct, kw_only=True):
    """A conformer, and the record that optimized it."""

    optimization_id: int
    molecule_id: int | None
    """Its geometry, once it is optimized."""
    energy: float | None
    """In Hartree, at the level of the optimization."""


def _conformers(seen: Seen) -> list[Conformer]:
    links = sorted((link for link in seen.links if link.role == "optimization"), key=lambda link: link.position)
    return [Conformer(optimization_id=i.record_id, molecule_id=i.molecule_id, energy=i.energy) for i in links]


def _provenance() -> dict[str, Any]:
    import rdkit

    return {"creator": "rdkit", "version": rdkit.__version__, "routine": "conformers"}


conformers = Kind(
    name="conformers",
    specification=ConformersSpecification,
    inputs=one_molecule("initial_molecules", ROLE),
    settle=_settle,
    facets=_facets,
    filters={
        "program": "program",
        "optimization_program": "optimizer",
        "qc_program": "qc_program",
        "qc_method": "method",
        "qc_basis": "basis",
    },
    flow=Flow(run=_run, provenance=_provenance),
    molecules=(ROLE, LOWEST),
    fields={"lowest_energy": None, "boltzmann_weights": None},
    views=(
        View(
            name="conformers",
            path="conformers",
            answer=list[Conformer],
            make=_conformers,
            doc="Conformers in the order of `boltzmann_weights`, and the records that optimized them.",
        ),
    ),
)
