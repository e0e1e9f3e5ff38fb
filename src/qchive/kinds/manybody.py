"""Many-body expansions: the energy of a cluster from those of its fragments, pairs, triples … (`records.md` §7.6).

QCManyBody says which computations are needed, and makes the energies of the expansion from theirs. It is imported only
when a record is computed. What it can only refuse, or would answer wrongly, is refused here when a record is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from importlib.metadata import version
from math import comb
from string import ascii_uppercase
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from qchive.canonical import canonical
from qchive.kinds.flow import Batch, Done, Flow, FlowFailed, Given, Link, Progress, Request, Seen, Steps, View
from qchive.kinds.kind import Facets, InputRefused, Kind, Molecule, Part, one_molecule
from qchive.kinds.singlepoint import Name, QCSpecification
from qchive.molecule.exchange import from_qcelemental, to_qcelemental

ROLE = "initial_molecule"
CLUSTERS = "clusters"
SUPERSYSTEM = "supersystem"
MOST_LEVELS = len(ascii_uppercase)
"""QCManyBody's tables have one letter for each."""
MOST_CLUSTERS = 1_000_000
"""They are planned in one piece, at one to two milliseconds each."""

Level = Annotated[str, Meta(pattern=rf"^([1-9][0-9]{{0,8}}|{SUPERSYSTEM})$", examples=["1"])]
"""A number of bodies, or `supersystem`."""


class BSSECorrection(StrEnum):
    """What is done about the basis-set superposition error."""

    nocp = "nocp"
    cp = "cp"
    vmfc = "vmfc"


class ManybodyKeywords(msgspec.Struct, forbid_unknown_fields=True):
    """What is made of the energies."""

    return_total_data: bool = False
    """Whether total energies are wanted as well as those of interaction."""


class ManybodySpecification(msgspec.Struct, forbid_unknown_fields=True):
    """How the energy of one body, of two bodies … is computed, and which corrections are made."""

    levels: dict[Level, QCSpecification]
    """Number of bodies, from 1 without gaps → what computes their contribution. `supersystem`, beside them: what adds
    the contributions of all higher numbers at once."""
    bsse_correction: list[BSSECorrection]
    """At least one. Which ones counts, not their order, which is always `nocp`, `cp`, `vmfc`; `ret_energy` is that of
    the first."""
    program: Name = "qcmanybody"
    """Always `qcmanybody`."""
    keywords: ManybodyKeywords | None = None
    """What is made of the energies."""
    protocols: dict[str, Any] | None = None
    """None so far."""

    def __post_init__(self) -> None:
        self.program = self.program.lower()
        self.keywords = self.keywords or ManybodyKeywords()
        self.protocols = self.protocols or {}
        self.bsse_correction = [each for each in BSSECorrection if each in self.bsse_correction]
        self.levels = dict(sorted(self.levels.items(), key=_by_bodies))
        if self.program != "qcmanybody":
            raise ValueError(f"the program of a many-body expansion is 'qcmanybody', not {self.program!r}")
        if not self.bsse_correction:
            raise ValueError("bsse_correction is empty: give at least one of nocp, cp, vmfc; nocp corrects nothing")
        _check_levels(self.levels)


class ManybodyCluster(msgspec.Struct, kw_only=True):
    """Some fragments of a molecule in the basis of the same or more of them, and the record that computed them."""

    molecule_id: int
    mc_level: str
    """Which computation it is: program, method and basis, with a number where others have the same."""
    fragments: list[int]
    """From 1."""
    basis: list[int]
    """From 1; those that are not among the fragments are ghosts."""
    singlepoint_id: int | None
    molecule: Any


def _by_bodies(level: tuple[str, Any]) -> float:
    return float("inf") if level[0] == SUPERSYSTEM else int(level[0])


def _highest(levels: Mapping[str, QCSpecification]) -> int:
    """The highest numbered level."""
    return len(levels) - (SUPERSYSTEM in levels)


def _check_levels(levels: Mapping[str, QCSpecification]) -> None:
    """Refuse what no molecule can be computed with. The levels are in their order."""
    numbers = [name for name in levels if name != SUPERSYSTEM]
    if not numbers or numbers != [str(n + 1) for n in range(len(numbers))]:
        raise ValueError(
            f"levels are numbered from 1 without gaps, with or without {SUPERSYSTEM!r} beside them, not "
            f"{', '.join(levels) or 'empty'}"
        )
    at: dict[bytes, str] = {}
    before = b""
    for name, qc in levels.items():
        body = canonical(qc)
        if body in at and (body != before or name == SUPERSYSTEM):
            raise ValueError(
                f"level {name} is computed like level {at[body]}; only levels that follow each other may be, and "
                f"{SUPERSYSTEM!r} needs a specification of its own"
            )
        at.setdefault(body, name)
        before = body
    if len(at) > MOST_LEVELS:
        raise ValueError(f"at most {MOST_LEVELS} different specifications may be among the levels, not {len(at)}")


def _settle(spec: ManybodySpecification, parts: Sequence[Part], molecules: Mapping[int, Molecule]) -> Sequence[Part]:
    for part in parts:
        assert isinstance(part.molecule, int)
        _check_molecule(spec, molecules[part.molecule])
    return parts


def _check_molecule(spec: ManybodySpecification, molecule: Molecule) -> None:
    fragments = molecule.get("fragments") or ()
    if len(fragments) < 2:
        raise InputRefused("a many-body expansion needs a molecule of at least two fragments: set its `fragments`")
    if [atom for fragment in fragments for atom in fragment] != list(range(len(molecule["symbols"]))):
        raise InputRefused("the atoms of a many-body expansion stand fragment by fragment: reorder the molecule's")
    if not all(molecule.get("real") or ()):
        raise InputRefused("a many-body expansion places the ghost atoms itself: take those of the molecule away")
    for name in ("fragment_charges", "fragment_multiplicities"):
        if len(molecule.get(name) or ()) != len(fragments):
            raise InputRefused(f"the molecule lacks `{name}`: set them, or leave out `validated`, and they are found")
    highest = _highest(spec.levels)
    if highest > len(fragments):
        raise InputRefused(f"level {highest} is more than the {len(fragments)} fragments of the molecule")
    if highest == len(fragments) and SUPERSYSTEM in spec.levels:
        raise InputRefused(
            f"level {highest} is all {len(fragments)} fragments of the molecule and leaves nothing to the level "
            f"{SUPERSYSTEM!r}: leave one of them out"
        )
    clusters = _at_least(spec.bsse_correction, len(fragments), highest)
    if clusters > MOST_CLUSTERS:
        raise InputRefused(
            f"{clusters} clusters of the molecule's {len(fragments)} fragments are more than the {MOST_CLUSTERS} that "
            "can be planned: take lower levels, or fewer or larger fragments"
        )


def _at_least(corrections: Sequence[BSSECorrection], fragments: int, highest: int) -> int:
    """How many clusters a correction alone needs, for the one that needs most."""
    bodies = range(1, highest + 1)
    if BSSECorrection.vmfc in corrections:
        return sum(comb(fragments, n) * (2**n - 1) for n in bodies)
    return sum(comb(fragments, n) for n in bodies)


def _facets(spec: ManybodySpecification) -> Facets:
    first, *others = dict.fromkeys((qc.program, qc.method, qc.basis) for qc in spec.levels.values())
    return Facets(spec.program, None, first[1], first[2], first[0], others=tuple(others))


def _named(levels: Mapping[str, QCSpecification]) -> tuple[dict[int | str, str], dict[str, QCSpecification]]:
    """Level → name of its specification, and name → specification."""
    names: dict[bytes, str] = {}
    named: dict[str, QCSpecification] = {}
    for qc in levels.values():
        body = canonical(qc)
        if body in names:
            continue
        # QCManyBody reads labels with an @ as something else.
        plain = name = f"{qc.program}/{qc.method}/{qc.basis or ''}".replace("@", "(at)")
        n = 0
        while name in named:
            name = f"{plain}_{(n := n + 1)}"
        names[body], named[name] = name, qc
    of = {level if level == SUPERSYSTEM else int(level): names[canonical(qc)] for level, qc in levels.items()}
    return of, named


def _core(spec: ManybodySpecification, molecule: Molecule, levels: Mapping[int | str, str]) -> Any:
    from qcmanybody import ManyBodyCore

    # Masses that are not given are looked up anew for every atom of every cluster: most of the time it all takes.
    masses = to_qcelemental(molecule, layout=2).masses.tolist()
    return ManyBodyCore(
        to_qcelemental({**molecule, "masses": masses}, layout=2),
        [each.value for each in spec.bsse_correction],
        levels,
        return_total_data=spec.keywords.return_total_data if spec.keywords else False,
        supersystem_ie_only=False,
        embedding_charges={},
    )


def _run(given: Given) -> Steps:
    spec: ManybodySpecification = given.specification
    (molecule,) = given.molecules[ROLE]
    levels, named = _named(spec.levels)
    core = _core(spec, molecule.document, levels)
    requests = _requests(core, named)
    energies: dict[str, dict[str, float]] = {}
    if requests:  # contributions of single bodies alone may need none
        plan = core.format_calc_plan()[0]
        ended = yield Batch(requests=requests, progress=Progress(stage="clusters", total=len(requests)), log=plan)
        for request, one in zip(requests, ended, strict=True):
            if one.energy is None:
                raise FlowFailed(
                    f"Record {one.record_id} (cluster {request.key}) has no return_energy: choose a driver and method "
                    "that give one"
                )
            energies[request.key] = {"energy": float(one.energy)}
    found = core.analyze(energies)
    log = found.pop("stdout")
    done = Progress(stage="done", done=len(requests), total=len(requests))
    return Done(properties=_plain(found), log=log, progress=done)


def _requests(core: Any, named: Mapping[str, QCSpecification]) -> list[Request]:
    """One for each cluster; their order is that of the levels, then of the number of fragments."""
    from qcmanybody import delabeler

    order = list(named)
    clusters = []
    for name, label, molecule in core.iterate_molecules():
        _, fragments, basis = delabeler(label)
        place = (order.index(name), len(fragments), list(fragments), len(basis), list(basis))
        clusters.append((place, name, label, molecule))
    clusters.sort(key=lambda cluster: cluster[0])
    return [
        Request(
            role=CLUSTERS,
            kind="singlepoint",
            specification=named[name],
            parts=(Part("molecule", from_qcelemental(molecule)),),
            key=label,
            position=n,
            info={"_mc_level": name, "_fragments": place[2], "_basis": place[4]},
        )
        for n, (place, name, label, molecule) in enumerate(clusters)
    ]


def _plain(value: Any) -> Any:
    """As JSON can hold it: numbers of numpy as Python's, keys as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value


def _links(seen: Seen) -> list[Link]:
    return sorted((link for link in seen.links if link.role == CLUSTERS), key=lambda link: link.position)


def _clusters(seen: Seen) -> list[ManybodyCluster]:
    return [
        ManybodyCluster(
            molecule_id=link.molecule_id,
            mc_level=link.info["_mc_level"],
            fragments=link.info["_fragments"],
            basis=link.info["_basis"],
            singlepoint_id=link.record_id,
            molecule=seen.document(link.molecule_id),
        )
        for link in _links(seen)
        if link.molecule_id is not None
    ]


def _molecules(seen: Seen) -> Iterable[int]:
    return [link.molecule_id for link in _links(seen) if link.molecule_id is not None]


manybody = Kind(
    name="manybody",
    specification=ManybodySpecification,
    inputs=one_molecule("initial_molecules", ROLE),
    settle=_settle,
    facets=_facets,
    filters={"program": "program", "qc_program": "qc_program", "qc_method": "method", "qc_basis": "basis"},
    flow=Flow(
        run=_run,
        provenance=lambda: {"creator": "qcmanybody", "version": version("qcmanybody"), "routine": "qcmanybody"},
    ),
    molecules=(ROLE,),
    views=(
        View(
            name=CLUSTERS,
            path=CLUSTERS,
            answer=list[ManybodyCluster],
            make=_clusters,
            molecules=_molecules,
            doc="Fragments, pairs, triples … and the records that computed them.",
        ),
    ),
    example={
        "specification": {
            "levels": {
                "1": {"program": "pyscf", "driver": "energy", "method": "hf", "basis": "sto-3g"},
                "2": {"program": "pyscf", "driver": "energy", "method": "hf", "basis": "sto-3g"},
            },
            "bsse_correction": ["nocp", "cp"],
        },
        "initial_molecules": [
            {"symbols": ["He", "He"], "geometry": [0.0, 0.0, 0.0, 0.0, 0.0, 5.6], "fragments": [[0], [1]]}
        ],
    },
)
