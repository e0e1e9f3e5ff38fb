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
        queue = {"compute_tag": compute_tag, "compute_priority": compute_priority, "find_existing": find_existing}
        return self.add("singlepoint", molecules, spec, **(queue | options))

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
        queue = {"compute_tag": compute_tag, "compute_priority": compute_priority, "find_existing": find_existing}
        return self.add("optimization", initial_molecules, spec, **(queue | options))


def _known(kind: str) -> Kind:
    try:
        return KINDS[kind]
    except KeyError:
        raise errors.UnknownKind(f"no kind {kind!r}: there are {', '.join(KINDS)}", kind=kind) from None
