"""`qchive.Local()`: a whole archive in one Python object."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

import qchive
from qchive.errors import DataInUse

HELIUM = {"symbols": ["He"], "geometry": [0.0, 0.0, 0.0]}


def test_it_computes_and_leaves_nothing_behind() -> None:
    with qchive.Local(workers=1) as archive, archive.client() as client:
        data = archive.data
        _, ids = client.add_singlepoints([HELIUM], "tblite", "energy", "gfn1-xtb", None)
        record = client.wait(ids, timeout=120, progress=False)[0]
        assert record.return_result == pytest.approx(-1.62586469, abs=1e-6)
        below = psutil.Process().children(recursive=True)
    assert not data.exists()
    assert not [p for p in psutil.wait_procs(below, timeout=10)[1] if str(data) in " ".join(p.cmdline())]


def test_an_archive_that_is_kept_is_found_again(open_folder: Path) -> None:
    with qchive.Local(open_folder, workers=0) as archive, archive.client() as client:
        _, ids = client.add_singlepoints([HELIUM], "psi4", "energy", "hf", "sto-3g")
        with pytest.raises(DataInUse):
            qchive.Local(open_folder, workers=0)
    with qchive.Local(open_folder, workers=0) as archive, archive.client() as client:
        assert client.get_records(ids[0]).status is qchive.RecordStatusEnum.waiting


def test_it_runs_on_a_database_of_ones_own(database: str) -> None:
    with qchive.Local(workers=1, database_url=database) as archive, archive.client() as client:
        _, ids = client.add_singlepoints([HELIUM], "tblite", "energy", "gfn2-xtb", None)
        assert client.wait(ids, timeout=120, progress=False)[0].status is qchive.RecordStatusEnum.complete


def test_a_lost_worker_is_replaced_and_its_record_runs_again() -> None:
    with qchive.Local(workers=1) as archive, archive.client() as client:
        _, ids = client.add_singlepoints(
            [{"symbols": ["O", "H", "H"], "geometry": [0.0, 0.0, 0.0, 0.0, 1.43, 1.1, 0.0, -1.43, 1.1]}],
            "pyscf",
            "gradient",
            "b3lyp",
            "def2-svp",
        )
        while client.get_records(ids[0]).status is not qchive.RecordStatusEnum.running:
            pass
        first = client.get_records(ids[0]).manager_name
        (worker,) = [p for p in psutil.Process().children() if "worker" in p.cmdline()[3:4]]
        worker.kill()
        record = client.wait(ids, timeout=120, progress=False)[0]
        assert record.status is qchive.RecordStatusEnum.complete
        assert record.manager_name != first
