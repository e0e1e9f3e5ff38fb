"""Composite records with real programs, from the client to the worker and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qchive.kinds import KINDS
from qchive.local import Local
from qchive.molecule import stored
from qchive.status import Status
from tests.flows.computing import really
from tests.flows.driving import drive

COMPOSITE = [kind.name for kind in KINDS.values() if kind.is_service]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("archive")
    for parent in (folder, *folder.parents[:3]):
        parent.chmod(0o755)
    with Local(Path(folder) / "data", port=0, workers=2) as running:
        yield running


@pytest.mark.parametrize("name", COMPOSITE)
def test_the_example_of_each_kind_ends_as_its_flow_alone_does(archive: Local, name: str) -> None:
    kind = KINDS[name]
    specification: dict[str, Any] = kind.example["specification"]
    (element,) = kind.example[kind.inputs.field]
    with archive.client() as client:
        _, (record_id,) = client.add(name, [element], specification)
        client.wait(record_id, timeout=240)
        record = client.get_records(record_id)
        assert record.status is Status.complete, record.error
        assert set(record.children_status) == {Status.complete}
        alone = drive(kind, specification, completed(element), really).done
        for field, value in alone.fields.items():
            assert getattr(record, field) == pytest.approx(value, abs=1e-8)
        for field, value in (alone.properties or {}).items():
            if isinstance(value, float):
                assert record.properties[field] == pytest.approx(value, abs=1e-8)


def completed(element: Any) -> Any:
    """The same with molecules as the server stores them."""
    if isinstance(element, dict):
        return msgspec.json.decode(stored(element).document)
    return [completed(one) for one in element] if isinstance(element, list) else element
