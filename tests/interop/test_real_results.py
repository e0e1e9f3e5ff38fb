"""Results of real programs, as managers sent them once: the peer's test data, through our server and back."""

from __future__ import annotations

import json
import lzma
import uuid
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import zstandard
from qcportal import ManagerClient, PortalClient
from qcportal.managers import ManagerName
from qcportal.molecules import Molecule
from qcportal.record_models import RecordStatusEnum

from tests.archive import prepared, running
from tests.interop.peers import portal

DATA = Path(str(files("qcarchivetesting"))) / "procedure_data"
NAMES = sorted(f.name.removesuffix(".json.xz") for f in DATA.iterdir() if f.name.startswith(("sp_", "opt_", "error_")))
PROGRAMS = {"qcengine": ["1"], "psi4": ["1"], "rdkit": ["1"], "geometric": ["1"]}


@pytest.fixture(scope="module")
def address(databases: Any) -> Iterator[str]:
    with prepared(databases) as conninfo, running(conninfo) as server:
        yield server.address


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lzma.decompress((DATA / f"{name}.json.xz").read_bytes()))
    return found


def computed(address: str, client: PortalClient, given: dict[str, Any]) -> int:
    """The id of a record that this result was returned for."""
    tag, spec = uuid.uuid4().hex, given["specification"]
    if given["record_type"] == "singlepoint":
        names = ("program", "driver", "method", "basis", "keywords", "protocols")
        molecule, add = given["molecule"], client.add_singlepoints
    else:
        names = ("program", "qc_specification", "keywords", "protocols")
        molecule, add = given["initial_molecule"], client.add_optimizations
    _, (record_id,) = add([Molecule(**molecule)], *(spec[n] for n in names), compute_tag=tag, find_existing=False)
    manager = ManagerClient(ManagerName(cluster="real", hostname="results", uuid=tag), address)
    manager.activate("0.71", PROGRAMS, [tag])
    (task,) = manager.claim(PROGRAMS, [tag], 1)
    result = zstandard.compress(msgspec.msgpack.encode(given["result"]))
    answer = manager.return_finished({task.id: result})
    assert answer.rejected_info == []
    return record_id


@pytest.mark.parametrize("name", NAMES)
def test_a_real_result_comes_back_whole(address: str, name: str) -> None:
    given, client = load(name), portal(address)
    result = given["result"]
    record = client.get_records(computed(address, client, given))
    if not result["success"]:
        assert record.status == RecordStatusEnum.error
        assert record.error["error_message"] == result["error"]["error_message"]
        return
    assert record.status == RecordStatusEnum.complete, record.error
    assert record.provenance.creator == result["provenance"]["creator"]
    assert (record.stdout is None) == ("stdout" not in result["extras"].get("_qcfractal_compressed_outputs", {}))
    if record.record_type == "singlepoint":
        assert np.ravel(record.return_result) == pytest.approx(np.ravel(result["return_result"]))
        for key, value in result["properties"].items():
            assert record.properties.get(key) == value, key
        wavefunction, kept = result["wavefunction"], result["protocols"].get("wavefunction", "none")
        assert (record.wavefunction is not None) == (wavefunction is not None and kept != "none")
        assert set(record.native_files) == set(result["extras"].get("_qcfractal_compressed_native_files", {}))
        assert all(isinstance(file.data, str | bytes) for file in record.native_files.values())
    else:
        assert record.energies == result["energies"]
        assert len(record.trajectory) == len(result["trajectory"])
        for step, sent in zip(record.trajectory, result["trajectory"], strict=True):
            assert np.ravel(step.return_result) == pytest.approx(np.ravel(sent["return_result"]))
            assert np.ravel(step.molecule.geometry) == pytest.approx(np.ravel(sent["molecule"]["geometry"]), abs=1e-8)
        assert record.final_molecule.get_hash() == Molecule(**result["final_molecule"]).get_hash()
    assert record.to_qcschema_result().success
