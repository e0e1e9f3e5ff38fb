"""Molecules of the server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qchive.api import molecules
from qchive.api.endpoint import BulkGet
from qchive.api.metadata import DeleteMetadata, InsertMetadata, UpdateMetadata
from qchive.client.given import as_ids, as_list, filters, is_one, plain, without_nothing
from qchive.client.iterators import MoleculeQueryIterator
from qchive.client.progress import Bar
from qchive.client.session import Session
from qchive.molecule import to_qcelemental


class MoleculeCalls(Session):
    """Get, find, add, change and remove molecules. They are `qcelemental` molecules; lengths in Bohr."""

    def get_molecules(self, molecule_ids: int | Iterable[int], missing_ok: bool = False) -> Any:
        """The molecule with this id, or the list of those with these ids, in their order.

        With `missing_ok`, None stands for those that do not exist.

        Raises:
            NotFound: one does not exist.
        """
        found = list(self._molecules(as_ids(molecule_ids), missing_ok))
        return found[0] if is_one(molecule_ids) else found

    def _molecules(self, ids: Sequence[int], missing_ok: bool) -> Iterator[Any]:
        def ask(some: list[int]) -> list[dict[str, Any] | None]:
            body = without_nothing(BulkGet(ids=some, missing_ok=missing_ok))
            documents: list[dict[str, Any] | None] = self.connection.ask(
                molecules.BULK_GET, body=body, answer=list[dict[str, Any] | None]
            )
            return documents

        for document in self.in_chunks(ids, self.api_limits["get_molecules"], ask):
            yield None if document is None else to_qcelemental(document)

    def query_molecules(self, *, limit: int | None = None, **given: Any) -> MoleculeQueryIterator:
        """Molecules that fit, newest first. Filters: `molecule_id`, `molecule_hash`, `molecular_formula` (one or
        several each), `identifiers` (name → one or several values).

        Raises:
            TypeError: a filter that does not exist.
        """
        if isinstance(given.get("identifiers"), Mapping):
            given["identifiers"] = {name: as_list(values) for name, values in given["identifiers"].items()}
        wanted = filters(molecules.MoleculeQuery, given, single={"identifiers"})

        def ids(size: int, cursor: int | None) -> list[int]:
            body = without_nothing(molecules.MoleculeQuery(**wanted, limit=size, cursor=cursor))
            found: list[int] = self.connection.ask(molecules.QUERY, body=body)
            return found

        page = self.api_limits["get_molecules"] // 4
        return MoleculeQueryIterator(ids, lambda found: self._molecules(found, missing_ok=True), limit, page)

    def add_molecules(self, given: Any) -> tuple[InsertMetadata, list[int]]:
        """Add molecules; one that is there already keeps its id. The ids are in the order given.

        Raises:
            InvalidMolecule: one makes no sense.
        """
        everything, limit = plain(as_list(given)), self.api_limits["add_molecules"]
        answers: list[InsertMetadata] = []
        ids: list[int] = []
        with Bar("adding molecules", len(everything)) as bar:
            for start in range(0, len(everything), limit):
                body = everything[start : start + limit]
                metadata, new = self.connection.ask(molecules.ADD, body=body)
                answers.append(metadata)
                ids += new
                bar.at(start + len(body))
        return InsertMetadata.merge(answers), ids

    def upload_molecules(self, file_paths: Any) -> tuple[dict[str, list[tuple[str, int]]], list[str]]:
        """Add the molecules of files (xyz, QCSchema JSON, or archives of such): by file, the name and id of each
        molecule; and what could not be read."""
        paths = [Path(path) for path in as_list(file_paths)]
        if not paths:
            return {}, []
        files = {path.name: path.read_bytes() for path in paths}
        by_file, unread = self.connection.ask(molecules.UPLOAD, body=molecules.UploadOptions(), files=files)
        return by_file, unread

    def modify_molecule(
        self,
        molecule_id: int,
        name: str | None = None,
        comment: str | None = None,
        identifiers: Any = None,
        overwrite_identifiers: bool = False,
    ) -> UpdateMetadata:
        """Change name, comment or identifiers; None keeps what is there.

        Raises:
            NotFound: there is no such molecule.
        """
        change = molecules.MoleculeModify(
            name=name,
            comment=comment,
            identifiers=plain(identifiers),
            overwrite_identifiers=overwrite_identifiers,
        )
        metadata: UpdateMetadata = self.connection.ask(
            molecules.MODIFY, body=without_nothing(change), molecule_id=int(molecule_id)
        )
        return metadata

    def delete_molecules(self, molecule_ids: int | Iterable[int]) -> DeleteMetadata:
        """Remove molecules; those still in use are told in the answer."""
        ids = as_ids(molecule_ids)
        if not ids:
            return DeleteMetadata()
        metadata: DeleteMetadata = self.connection.ask(molecules.BULK_DELETE, body=ids)
        return metadata

    def purge_molecules(self, dry_run: bool = True) -> int:
        """How many molecules no record refers to; with `dry_run=False` they are removed. Servers of QCHive only."""
        n: int = self.connection.ask(molecules.PURGE, body=molecules.MoleculePurge(dry_run=dry_run))
        return n
