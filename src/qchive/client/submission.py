"""Adding records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qchive import errors, wire
from qchive.api.metadata import InsertMetadata
from qchive.client.given import as_list, plain, without_nothing
from qchive.client.progress import Bar
from qchive.client.records import rows
from qchive.client.session import Session
from qchive.kinds import KINDS, Kind
from qchive.status import PriorityEnum


class SubmissionCalls(Session):
    """Add records. Molecules are given by id, as `qcelemental` molecules or as QCSchema mappings, one or many.

    The answer is which inputs are new and which were there already, and the record's id for each input, in their order.
    More inputs than the server takes at once are sent in several requests; the first that it refuses ends the call, and
    its `error_description` says why.
    """

    def add(
        self,
        kind: str,
        inputs: Any,
        specification: Any,
        *,
        compute_tag: str = "*",
        compute_priority: PriorityEnum | str | int = PriorityEnum.normal,
        find_existing: bool = True,
        program_versions: Mapping[str, str] | None = None,
        tag: str | None = None,
        priority: PriorityEnum | str | int | None = None,
    ) -> tuple[InsertMetadata, list[int]]:
        """Add records of any kind: one specification, and one record for each input.

        Only managers that serve `compute_tag` run them, `high` before `normal` before `low` priority (`tag` and
        `priority` are shorter names of the same). With `find_existing`, a computation that is there already keeps its
        record. `program_versions` (name → PEP 440 specifier such as `>=2.14`) is demanded of whoever runs them.

        Raises:
            UnknownKind: there is no such kind.
            InvalidRequest: the specification or an input makes no sense.
        """
        row, declared = rows(_known(kind))["add"], _known(kind)
        options: dict[str, Any] = {
            "specification": wire.convert(plain(specification), declared.specification),
            "compute_tag": tag if tag is not None else compute_tag,
            "compute_priority": PriorityEnum.of(priority if priority is not None else compute_priority).value,
            "find_existing": find_existing,
            "program_versions": dict(program_versions) if program_versions else None,
        }
        everything, limit = plain(as_list(inputs)), self.api_limits["add_records"]
        answers: list[InsertMetadata] = []
        ids: list[int] = []
        with Bar(f"adding {kind}s", len(everything)) as bar:
            for start in range(0, len(everything), limit):
                some = everything[start : start + limit]
                body = without_nothing(row.body(**options, **{declared.inputs.field: some}))
                # Repeating a request that did arrive is harmless only where existing records are found again.
                metadata, new = self.connection.ask(row, body=body, repeatable=find_existing)
                answers.append(metadata)
                ids += new
                if metadata.error_description:
                    break
                bar.at(start + len(some))
        return InsertMetadata.merge(answers), ids

    def add_singlepoints(
        self,
        molecules: Any,
        program: str,
        driver: str,
        method: str,
        basis: str | None = None,
        keywords: Mapping[str, Any] | None = None,
        protocols: Any = None,
        compute_tag: str = "*",
        compute_priority: PriorityEnum | str | int = PriorityEnum.normal,
        find_existing: bool = True,
        **options: Any,
    ) -> tuple[InsertMetadata, list[int]]:
        """Add single points: `driver` is `energy`, `gradient`, `hessian` or `properties`. Options as for `add`."""
        spec: dict[str, Any] = {"program": program, "driver": driver, "method": method, "basis": basis}
        spec |= {"keywords": keywords, "protocols": protocols}
        return self.add(
            "singlepoint", molecules, spec, **options | _queue(compute_tag, compute_priority, find_existing)
        )

    def add_optimizations(
        self,
        initial_molecules: Any,
        program: str,
        qc_specification: Any,
        keywords: Mapping[str, Any] | None = None,
        protocols: Any = None,
        compute_tag: str = "*",
        compute_priority: PriorityEnum | str | int = PriorityEnum.normal,
        find_existing: bool = True,
        **options: Any,
    ) -> tuple[InsertMetadata, list[int]]:
        """Add geometry optimizations by `program`, each step computed as `qc_specification` (program, method, basis,
        keywords) says. Options as for `add`."""
        spec: dict[str, Any] = {"program": program, "qc_specification": qc_specification}
        spec |= {"keywords": keywords, "protocols": protocols}
        return self.add(
            "optimization", initial_molecules, spec, **options | _queue(compute_tag, compute_priority, find_existing)
        )

    def add_torsiondrives(
        self,
        initial_molecules: Any,
        program: str,
        optimization_specification: Any,
        keywords: Any,
        compute_tag: str = "*",
        compute_priority: PriorityEnum | str | int = PriorityEnum.normal,
        find_existing: bool = True,
        **options: Any,
    ) -> tuple[InsertMetadata, list[int]]:
        """Add torsion drives: for each a list of molecules to begin with. `program` is `torsiondrive`; `keywords`
        say which `dihedrals` are scanned (four atoms each, from 0) at which `grid_spacing` (whole degrees
        for each). Options as for `add`."""
        spec: dict[str, Any] = {
            "program": program,
            "optimization_specification": optimization_specification,
            "keywords": keywords,
        }
        return self.add(
            "torsiondrive", initial_molecules, spec, **options | _queue(compute_tag, compute_priority, find_existing)
        )

    def add_gridoptimizations(
        self,
        initial_molecules: Any,
        program: str,
        optimization_specification: Any,
        keywords: Any,
        compute_tag: str = "*",
        compute_priority: PriorityEnum | str | int = PriorityEnum.normal,
        find_existing: bool = True,
        **options: Any,
    ) -> tuple[InsertMetadata, list[int]]:
        """Add grid optimizations. `program` is `gridoptimization`; `keywords` are `scans`, for each dimension a
        `type` (`distance`, `angle` or `dihedral`), `indices` of atoms, `steps` (Bohr or degrees) and a
        `step_type` (`absolute` or `relative`), and whether there is a `preoptimization`. Options as for
        `add`."""
        spec: dict[str, Any] = {
            "program": program,
            "optimization_specification": optimization_specification,
            "keywords": keywords,
        }
        return self.add(
            "gridoptimization",
            initial_molecules,
            spec,
            **options | _queue(compute_tag, compute_priority, find_existing),
        )

    def add_reactions(
        self,
        stoichiometries: Any,
        program: str,
        singlepoint_specification: Any,
        optimization_specification: Any = None,
        keywords: Any = None,
        compute_tag: str = "*",
        compute_priority: PriorityEnum | str | int = PriorityEnum.normal,
        find_existing: bool = True,
        **options: Any,
    ) -> tuple[InsertMetadata, list[int]]:
        """Add reactions: for each a list of pairs, a coefficient (negative for what is used up) and a molecule.
        `program` is `reaction`. The molecules are optimized if there is an `optimization_specification`, and
        their energies are those of `singlepoint_specification` if there is one. Options as for `add`."""
        spec: dict[str, Any] = {
            "program": program,
            "singlepoint_specification": singlepoint_specification,
            "optimization_specification": optimization_specification,
            "keywords": keywords or {},
        }
        return self.add(
            "reaction", stoichiometries, spec, **options | _queue(compute_tag, compute_priority, find_existing)
        )

    def add_manybodys(
        self,
        initial_molecules: Any,
        program: str,
        levels: Mapping[Any, Any],
        bsse_correction: Any,
        keywords: Any = None,
        compute_tag: str = "*",
        compute_priority: PriorityEnum | str | int = PriorityEnum.normal,
        find_existing: bool = True,
        **options: Any,
    ) -> tuple[InsertMetadata, list[int]]:
        """Add many-body expansions of molecules with fragments. `program` is `qcmanybody`; `levels` say how the
        energy of one body, of two bodies … is computed (1, 2 …, and `"supersystem"` for all the rest), and
        `bsse_correction` is one or several of `nocp`, `cp` and `vmfc`. Options as for `add`."""
        spec: dict[str, Any] = {
            "program": program,
            "levels": levels,
            "bsse_correction": as_list(bsse_correction),
            "keywords": keywords or {},
        }
        return self.add(
            "manybody", initial_molecules, spec, **options | _queue(compute_tag, compute_priority, find_existing)
        )

    def add_nebs(
        self,
        initial_chains: Any,
        program: str,
        singlepoint_specification: Any,
        optimization_specification: Any = None,
        keywords: Any = None,
        compute_tag: str = "*",
        compute_priority: PriorityEnum | str | int = PriorityEnum.normal,
        find_existing: bool = True,
        **options: Any,
    ) -> tuple[InsertMetadata, list[int]]:
        """Add nudged elastic bands: for each a list of molecules, the path to begin with. `program` is `geometric`;
        forces are those of `singlepoint_specification`; `keywords` say how many `images` the path has, and
        whether its ends (`optimize_endpoints`) and the transition state (`optimize_ts`, with
        `optimization_specification`) are optimized. Options as for `add`."""
        spec: dict[str, Any] = {
            "program": program,
            "singlepoint_specification": singlepoint_specification,
            "optimization_specification": optimization_specification,
            "keywords": keywords or {},
        }
        queue = _queue(compute_tag, compute_priority, find_existing)
        return self.add("neb", initial_chains, spec, **(queue | options))


def _known(kind: str) -> Kind:
    known = {name: declared for name, declared in KINDS.items() if not declared.internal}
    if kind not in known:
        raise errors.UnknownKind(f"no kind {kind!r}: there are {', '.join(known)}", kind=kind)
    return known[kind]


def _queue(compute_tag: str, compute_priority: PriorityEnum | str | int, find_existing: bool) -> dict[str, Any]:
    return {"compute_tag": compute_tag, "compute_priority": compute_priority, "find_existing": find_existing}
