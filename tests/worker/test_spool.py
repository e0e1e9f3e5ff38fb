"""Finished results on disk: what survives what."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qchive.api.managers import ManagerName
from qchive.errors import DataInUse
from qchive.worker.executors.executor import Finished
from qchive.worker.spool import Spool, SpoolUnusable

NAME = ManagerName(cluster="c", hostname="h", uuid="u")


def finished(task_id: int, result: bytes = b"result", wall_time: float = 0.0) -> Finished:
    return Finished(task_id=task_id, claimed_as=NAME, success=True, result=result, wall_time=wall_time)


def test_what_was_put_is_there_for_the_next_worker(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.put(finished(7, b"seven", wall_time=5.0))
    spool.put(finished(3, b"three"))
    spool.close()
    again = Spool(tmp_path / "spool")
    assert [(one.task_id, one.claimed_as) for one in again.waiting()] == [(7, NAME), (3, NAME)]
    assert again.results([3, 7]) == {3: b"three", 7: b"seven"}
    again.close()


def test_what_was_confirmed_is_gone(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put(finished(1))
    spool.put(finished(2))
    spool.confirmed([1])
    assert [one.task_id for one in spool.waiting()] == [2]
    assert [file.name for file in tmp_path.glob("*.result")] == ["2.result"]
    spool.close()


@pytest.mark.parametrize("damage", [b"", b"half", None])
def test_a_damaged_file_is_set_aside_and_blocks_nothing(tmp_path: Path, damage: bytes | None) -> None:
    spool = Spool(tmp_path)
    spool.put(finished(1, b"x" * 1000))
    spool.put(finished(2, b"good"))
    spool.close()
    file = tmp_path / "1.result"
    whole = file.read_bytes()
    file.write_bytes(whole[:-10] if damage is None else damage)
    again = Spool(tmp_path)
    assert [one.task_id for one in again.waiting()] == [2]
    assert (tmp_path / "unreadable" / "1.result").exists()
    again.close()


def test_a_file_damaged_while_it_waits_is_left_out(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put(finished(1))
    spool.put(finished(2))
    (tmp_path / "1.result").write_bytes(b"oops")
    assert spool.results([1, 2]) == {2: b"result"}
    assert [one.task_id for one in spool.waiting()] == [2]
    spool.close()


def test_a_file_under_another_name_is_set_aside(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put(finished(1))
    spool.close()
    (tmp_path / "1.result").rename(tmp_path / "9.result")
    again = Spool(tmp_path)
    assert again.waiting() == []
    again.close()


def test_a_half_written_file_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "1.unfinished").write_bytes(b"half")
    spool = Spool(tmp_path)
    assert spool.waiting() == []
    assert not (tmp_path / "1.unfinished").exists()
    spool.close()


def test_two_workers_cannot_share_a_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(DataInUse, match=f"process {os.getpid()}"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()


def test_a_killed_worker_leaves_the_spool_free(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal; from pathlib import Path; from qchive.worker.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    Spool(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_said_clearly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SpoolUnusable, match="Give another --spool folder"):
        Spool(tmp_path / "file" / "spool")


def test_a_result_that_the_disk_does_not_take_is_kept_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path)
    (tmp_path / "1.unfinished").mkdir()  # stands for a full disk
    spool.put(finished(1, b"dear"))
    assert "only in memory" in caplog.text
    assert spool.results([1]) == {1: b"dear"}
    spool.confirmed([1])
    assert spool.waiting() == []
    spool.close()


def test_refused_results_are_kept_out_of_the_way(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.put(finished(1))
    spool.set_aside(1, "nobody wants it")
    assert spool.waiting() == []
    assert (tmp_path / "refused" / "1.result").exists()
    spool.close()


def test_postponed_results_go_last(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for task in (1, 2, 3):
        spool.put(finished(task))
    spool.postpone([1])
    assert [one.task_id for one in spool.waiting()] == [2, 3, 1]
    spool.close()
