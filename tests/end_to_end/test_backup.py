"""A backup of an archive that computes, restored into another folder, goes on where it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from qchive import PortalClient, RecordStatusEnum
from tests.end_to_end.archive_up import archive_up
from tests.end_to_end.test_work_survives import submit, wait_until_some_run


def qchive(*args: object) -> None:
    subprocess.run([sys.executable, "-m", "qchive.cli", *map(str, args)], check=True, timeout=120)


def test_a_restored_archive_computes_what_was_not_yet_done(open_folder: Path) -> None:
    here, there, file = open_folder / "here", open_folder / "there", open_folder / "file"
    with archive_up(here, "--workers", "1") as up, PortalClient(up.address) as client:
        ids = submit(client, 4)
        wait_until_some_run(client, ids)
        qchive("backup", file, "--data", here)
        first = {r.id: r.properties for r in client.wait(ids, timeout=200, progress=False)}
    qchive("restore", file, "--data", there)
    with archive_up(there, "--workers", "1") as up, PortalClient(up.address) as client:
        records = client.wait(ids, timeout=200, progress=False)
        assert {r.status for r in records} == {RecordStatusEnum.complete}
        for record in records:
            assert abs(record.properties["return_energy"] - first[record.id]["return_energy"]) < 1e-8
