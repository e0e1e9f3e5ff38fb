"""Our worker, fed by the peer's server."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from tests.worker.workers import ROOT, Records, settings, working

TAG = "our-worker"
"""The peer's server is shared with other tests, which leave tasks of theirs waiting."""


@pytest.fixture(autouse=True)
def plugin_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_the_peers_records_are_computed(peer_server: Any, tmp_path: Path) -> None:
    with contextlib.closing(Records(peer_server.url, TAG)) as records:
        good = [records.singlepoint("rdkit", "uff") for _ in range(12)]
        path = records.optimization("tblite", "gfn2-xtb")
        crash = records.singlepoint("trouble", "segfault")
        with working(settings(peer_server.url, tmp_path, tags=[TAG])) as worker:
            assert set(records.ended(*good, path)) == {"complete"}
            assert records.ended(crash) == ["error"]
        assert records.error(crash)[0] == "worker_crashed"
        assert records.get(good[0])["properties"]["return_energy"] > 0
        assert records.get(path)["manager_name"] == worker.name.fullname
        (manager,) = (m for m in records.managers() if m["name"] == worker.name.fullname)
    assert manager["status"] == "inactive"
    assert (manager["successes"], manager["failures"], manager["rejected"]) == (13, 1, 0)


def test_results_of_a_worker_that_the_peer_gave_up_are_put_away(peer_server: Any, tmp_path: Path) -> None:
    """The peer never takes anything from a manager that it has called inactive once."""
    from qchive.api.managers import ManagerName
    from qchive.worker.executors.executor import Finished
    from qchive.worker.spool import Spool

    with contextlib.closing(Records(peer_server.url, TAG)) as records:
        with working(settings(peer_server.url, tmp_path, tags=[TAG])) as worker:
            assert worker.active.wait(60)
            gone: ManagerName = worker.name
        spool = Spool(tmp_path / "spool")
        spool.put(Finished(task_id=10**6, claimed_as=gone, success=True, result=b"x", wall_time=1.0))
        spool.close()
        record = records.singlepoint("rdkit", "uff")
        with working(settings(peer_server.url, tmp_path, tags=[TAG])):
            assert records.ended(record) == ["complete"]
    assert (tmp_path / "spool" / "refused" / "1000000.result").exists()
