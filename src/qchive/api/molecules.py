"""Asking about molecules (`molecules-and-files.md` §3)."""

from __future__ import annotations

from typing import Any

from qchive.api.endpoint import Body, BulkGet, Endpoint, Page, Projection, Text
from qchive.api.metadata import DeleteMetadata, InsertMetadata, UpdateMetadata
from qchive.kinds.kind import Id
from qchive.kinds.singlepoint import HYDROGEN
from qchive.wire import Json


class MoleculeQuery(Page, kw_only=True):
    """Molecules by id, hash, formula or identifier; AND between filters, OR inside a list."""

    molecule_id: list[Id] | None = None
    molecule_hash: list[Text] | None = None
    molecular_formula: list[Text] | None = None
    identifiers: dict[Text, list[Text]] | None = None


class MoleculeModify(Body, kw_only=True):
    """New name, comment or identifiers; None keeps what is there."""

    name: Text | None = None
    comment: Text | None = None
    identifiers: dict[Text, Text | None] | None = None
    overwrite_identifiers: bool = False


class UploadOptions(Body, kw_only=True):
    """Options beside uploaded files: none yet, one key that clients send."""

    dummy: bool = True


class MoleculePurge(Body, kw_only=True):
    """Remove what nothing refers to."""

    dry_run: bool = True
    """Only count."""


GET = Endpoint(
    name="molecules.get",
    method="GET",
    path="/api/v1/molecules/{molecule_id:int}",
    may="records:read",
    query=Projection,
    answer=Json,
    doc="One molecule.",
)
BULK_GET = Endpoint(
    name="molecules.bulk_get",
    method="POST",
    path="/api/v1/molecules/bulkGet",
    may="records:read",
    body=BulkGet,
    example={"ids": [1], "missing_ok": True},
    answer=list[Json | None],
    doc="Molecules by id, in the order asked for.",
)
ADD = Endpoint(
    name="molecules.add",
    method="POST",
    path="/api/v1/molecules/bulkCreate",
    may="records:add",
    body=list[dict[str, Any]],
    example=[HYDROGEN],
    answer=tuple[InsertMetadata, list[int]],
    doc="Add molecules; one that is there already keeps its id.",
)
UPLOAD = Endpoint(
    name="molecules.upload",
    method="POST",
    path="/api/v1/molecules/fromFiles",
    may="records:add",
    body=UploadOptions,
    answer=tuple[dict[str, list[tuple[str, int]]], list[str]],
    upload=True,
    doc="Add molecules from xyz or QCSchema files, or archives of them.",
)
QUERY = Endpoint(
    name="molecules.query",
    method="POST",
    path="/api/v1/molecules/query",
    may="records:read",
    body=MoleculeQuery,
    example={"molecular_formula": ["H2"], "limit": 10},
    answer=list[int],
    doc="Ids of the molecules that fit, newest first.",
)
MODIFY = Endpoint(
    name="molecules.modify",
    method="PATCH",
    path="/api/v1/molecules/{molecule_id:int}",
    may="records:modify",
    body=MoleculeModify,
    example={"comment": "from a tutorial"},
    answer=UpdateMetadata,
    doc="Change name, comment or identifiers of a molecule.",
)
DELETE = Endpoint(
    name="molecules.delete",
    method="DELETE",
    path="/api/v1/molecules/{molecule_id:int}",
    may="records:delete",
    answer=DeleteMetadata,
    doc="Remove a molecule that nothing refers to.",
)
BULK_DELETE = Endpoint(
    name="molecules.bulk_delete",
    method="POST",
    path="/api/v1/molecules/bulkDelete",
    may="records:delete",
    body=list[Id],
    example=[1],
    answer=DeleteMetadata,
    doc="Remove molecules that nothing refers to.",
)
PURGE = Endpoint(
    name="molecules.purge",
    method="POST",
    path="/api/v1/molecules/purge",
    may="records:delete",
    body=MoleculePurge,
    example={"dry_run": True},
    answer=int,
    doc="Remove all molecules that no record refers to, or count them; how many.",
)

ENDPOINTS = (GET, BULK_GET, ADD, UPLOAD, QUERY, MODIFY, DELETE, BULK_DELETE, PURGE)
