"""Record types that the client has no words for: a kind that is only declared, and one that only the server knows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from qchive import PortalClient, RecordStatusEnum
from qchive.api import records
from qchive.client.records import BaseRecord
from qchive.kinds import KINDS
from qchive.kinds.kind import Facets, one_molecule
from qchive.kinds.singlepoint import singlepoint
from tests.archive import prepared, running
from tests.interop.conftest import Server
from tests.interop.manager import Manager

HELIUM = {"symbols": ["He"], "geometry": [0.0, 0.0, 0.0]}
SPEC = {"program": "psi4", "driver": "energy", "method": "hf", "basis": "sto-3g"}

toy = replace(
    singlepoint,
    name="toy",
    inputs=one_molecule("things", "thing"),
    molecules=("thing",),
    fields={"score": None},
    facets=lambda spec: Facets(spec.program, method=spec.method),
    filters={"program": "program", "method": "method"},
    task=lambda given: singlepoint.task(replace(given, molecules={"molecule": given.molecules["thing"]})),
    has_wavefunction=False,
)


def test_a_kind_that_is_only_declared_can_be_added_found_and_looked_at(
    databases: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, "toy", toy)
    with (
        prepared(databases) as conninfo,
        running(conninfo, kinds=KINDS) as server,
        PortalClient(server.address) as client,
    ):
        meta, (record_id,) = client.add("toy", HELIUM, SPEC)
        assert meta.n_inserted == 1
        Manager(client.connection).run_all()
        (record,) = client.query("toy", method="HF", include=["thing"])
        assert str(record) == f"<ToyRecord id={record_id} status=RecordStatusEnum.complete>"
        assert type(record).__bases__ == (BaseRecord,)
        assert record.thing.id == record.thing_id
        assert record.score is None
        assert record.properties["return_result"] == -1.0
        assert record.stdout == "all is well\n"
        assert {"thing", "thing_id", "score", "status"} <= set(dir(record))
        assert client.get("toy", record_id).id == record_id
        assert [r.id for r in client.query_records(record_type="toy")] == [record_id]
        assert client.get_records(record_id, include=["**"]).thing.symbols.tolist() == ["He"]


@contextmanager
def without(kind: str) -> Iterator[None]:
    """As if our client did not know this kind; the others stay in their order, which pages follow."""
    kinds = dict(KINDS)
    del KINDS[kind]
    try:
        yield
    finally:
        KINDS.clear()
        KINDS.update(kinds)


@pytest.mark.parametrize("known", [True, False])
def test_a_composite_type_has_what_all_records_have_even_if_only_the_server_knows_it(
    peer_server: Server, known: bool
) -> None:
    with without("torsiondrive") if not known else nullcontext(), PortalClient(peer_server.url) as client:
        optimization = {"program": "geometric", "qc_specification": SPEC | {"driver": "deferred"}}
        body = {
            "specification": {
                "program": "torsiondrive",
                "keywords": {"dihedrals": [[0, 1, 2, 3]], "grid_spacing": [90]},
                "optimization_specification": optimization,
            },
            "as_service": True,
            "initial_molecules": [[{"symbols": ["H", "O", "O", "H"], "geometry": PEROXIDE}]],
            "compute_tag": "*",
            "compute_priority": 1,
            "find_existing": False,
        }
        row = next(r for r in records.for_kind(singlepoint) if r.name == "records.add")
        foreign = replace(row, path=row.path.replace("singlepoint", "torsiondrive"))
        _, (record_id,) = client.connection.ask(foreign, body=body)
        for record in (client.get_records(record_id), client.get_records(record_id, include=["**"])):
            assert str(record) == f"<TorsiondriveRecord id={record_id} status=RecordStatusEnum.waiting>"
            keywords = record.specification.keywords if known else SimpleNamespace(**record.specification["keywords"])
            assert keywords.grid_spacing == [90]
            assert record.is_service
            assert record.task is None
            assert record.service.find_existing is False
            assert record.progress.children == {}
            assert record.comments == []
            assert record.compute_history == []
            assert record.children_status == {}
            assert "torsiondrive" in record._repr_html_()
            if known:
                assert list(record.initial_molecules[0].symbols) == ["H", "O", "O", "H"]
                assert (record.optimizations, record.minimum_optimizations, record.final_energies) == ({}, {}, {})
                assert record_id in [r.id for r in client.query_torsiondrives(qc_method="hf")]
        assert record_id in [r.id for r in client.query_records(record_type="torsiondrive")]
        client.add_comment(record_id, uuid.uuid4().hex)
        assert client.cancel_records(record_id).n_updated == 1
        assert client.get_records(record_id).status is RecordStatusEnum.cancelled


PEROXIDE = [1.6, 1.1, 0.8, 0.0, 1.4, 0.0, 0.0, -1.4, 0.0, -1.6, -1.1, 0.8]
