"""The pool of warm processes, with real programs and with one that fails in every way there is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from qchive.errors import ChildKeepsDying
from qchive.kinds.singlepoint import singlepoint
from qchive.wire import decompress
from tests.worker.worker_tasks import (
    Pool,
    PoolMaker,
    atomic,
    eventually,
    failure_of,
    optimization,
    task,
    trouble,
    unpacked,
)


def extras(report: Any) -> dict[str, Any]:
    assert report.success
    return singlepoint.outcome(unpacked(report)).extras


def test_programs_are_found_by_the_processes_that_will_run_them(pool: Pool) -> None:
    programs = pool.pool.programs()
    assert {"qcengine", "rdkit", "tblite", "geometric", "trouble"} <= set(programs)
    assert programs["trouble"] == "1.0"


def test_the_worker_itself_imports_no_quantum_chemistry(pool: Pool) -> None:
    import subprocess
    import sys

    heavy = "{'qcengine','qcelemental','numpy','pyscf','pydantic'} & set(sys.modules)"
    code = f"import sys, qchive.worker.executors.warm, qchive.worker.pack; print({heavy})"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_a_process_is_warm_for_the_second_task(pool: Pool) -> None:
    first, second = (extras(next(iter(pool.run(trouble("where")).values()))) for _ in range(2))
    assert first["pid"] == second["pid"]


def test_a_task_gets_cores_memory_and_a_folder_that_is_gone_afterwards(pool: Pool) -> None:
    (report,) = pool.run(trouble("where")).values()
    seen = extras(report)
    assert seen["ncores"] == 1
    assert seen["threads"] == {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    assert 1.0 <= seen["memory"] < 2.0
    assert seen["cwd"] == seen["scratch"]
    assert not Path(seen["cwd"]).exists()


def test_temporary_files_of_a_task_are_gone_with_it(
    pools: PoolMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    with pools() as pool:
        (left,) = pool.run(trouble("leave_files")).values()
        (optimized,) = pool.run(task(optimization("rdkit", "uff"))).values()
        assert optimized.success
        for where in extras(left)["files"]:
            assert not Path(where).exists()
        assert not list((tmp_path / "tmp").iterdir())


def test_a_function_called_by_name_returns_the_id_of_its_record(pool: Pool) -> None:
    given = msgspec.structs.replace(task({"info_dict": {}}, "geometric.qcf_neb.nextchain"), record_id=1234)
    (report,) = pool.run(given).values()
    assert not report.success
    assert decompress(report.result)["id"] == "1234"


def test_output_of_c_code_never_reaches_the_protocol(pool: Pool) -> None:
    (report,) = pool.run(trouble("noise")).values()
    assert report.success


def test_output_of_c_code_is_kept_with_a_failure(pool: Pool) -> None:
    kind, message, outputs = pool.failure(trouble("noise_then_failure"))
    assert kind == "convergence_error"
    assert message == "QCEngine Convergence Error: no luck"
    assert "from C 1\n" in outputs["stdout"]
    assert "from Python" in outputs["stdout"]
    assert outputs["stderr"] == "a warning\n"


@pytest.mark.parametrize(
    ("program", "method", "basis", "keywords", "said"),
    [
        ("pyscf", "hf", "sto-3g", {"max_cycle": 2}, "cycle= 2 E= -74.9"),
        ("tblite", "gfn2-xtb", None, {"max-iter": 1}, "cycle"),
    ],
)
def test_what_a_program_wrote_is_kept_with_its_failure(
    pool: Pool, program: str, method: str, basis: str | None, keywords: dict[str, Any], said: str
) -> None:
    kind, _, outputs = pool.failure(task(atomic(program, method, basis=basis, keywords=keywords)))
    assert (kind, outputs["stdout"].count(said)) == ("convergence_error", 1)


def test_what_a_program_wrote_is_kept_with_a_failed_optimization(pool: Pool) -> None:
    kind, _, outputs = pool.failure(task(optimization("tblite", "gfn2-xtb", qc_keywords={"max-iter": 1})))
    assert kind == "convergence_error"
    assert "cycle" in outputs["stdout"]
    assert "Internal coordinate system" in outputs["stdout"]


def test_what_a_program_wrote_before_it_was_stopped_is_kept(pools: PoolMaker) -> None:
    with pools(wall_time=4) as pool:
        kind, _, outputs = pool.failure(task(atomic("pyscf", "b3lyp", basis="def2-qzvppd", keywords={"grid_level": 9})))
    assert kind == "wall_time_error"
    assert "initial guess = minao" in outputs["stdout"]


def test_output_does_not_leak_into_the_next_task(pool: Pool) -> None:
    pool.run(trouble("noise"), trouble("noise"))
    _, _, outputs = pool.failure(trouble("system_exit"))
    assert "stdout" not in outputs


def test_a_program_that_exits_fails_and_its_process_goes_on(pool: Pool) -> None:
    kind, message, _ = pool.failure(trouble("system_exit"))
    assert kind == "unknown_error"
    assert message.startswith("SystemExit: I prefer to go")


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("segfault", "crashed with signal 11"),
        ("leave", "exited with code 3"),
        ("kill_me", "was killed from outside (signal 9)"),
    ],
)
def test_a_crash_is_a_failure_of_that_task_alone(pool: Pool, deed: str, said: str) -> None:
    good, bad = trouble("slow", seconds=1), trouble(deed)
    reports = pool.run(good, bad)
    assert reports[good.id].success
    kind, message, outputs = failure_of(reports[bad.id])
    assert kind == "worker_crashed"
    assert said in message
    if deed == "segfault":
        assert outputs["stdout"] == "about to crash\n"


def test_a_task_that_outgrows_its_memory_is_stopped(pools: PoolMaker) -> None:
    with pools(slots=2, memory=0.75) as pool:
        good, bad = trouble("slow", seconds=2), trouble("eat", gib=1.0)
        reports = pool.run(good, bad)
        assert reports[good.id].success
        kind, message, _ = failure_of(reports[bad.id])
        assert kind == "resource_error"
        assert "a task may hold 0.75 GiB" in message


def test_a_process_that_does_not_give_its_memory_back_is_replaced(pools: PoolMaker) -> None:
    with pools(memory=2.0) as pool:
        before, kept, after = (pool.run(task).popitem()[1] for task in map(trouble_with, ("where", "keep", "where")))
        assert kept.success
        assert extras(before)["pid"] != extras(after)["pid"]


def trouble_with(deed: str) -> Any:
    return trouble(deed, gib=1.1)


@pytest.mark.parametrize("own_session", [False, True])
def test_a_task_that_hangs_is_stopped_with_all_it_started(pools: PoolMaker, tmp_path: Path, own_session: bool) -> None:
    told = tmp_path / "told"
    with pools(wall_time=1.5) as pool:
        kind, message, _ = pool.failure(trouble("hang", tell=str(told), own_session=own_session))
        assert kind == "wall_time_error"
        assert "a task may run 1.5 s" in message
        eventually(lambda: not any(map(alive, map(int, told.read_text().split()))))
        (report,) = pool.run(trouble("noise")).values()
        assert report.success


def test_a_cancelled_task_is_stopped_and_never_reported(pools: PoolMaker, tmp_path: Path) -> None:
    told = tmp_path / "told"
    with pools() as pool:
        hanging, waiting = trouble("hang", tell=str(told)), trouble("noise")
        pool.pool.submit(hanging)
        pool.pool.submit(waiting)
        pids = [int(pid) for pid in eventually(lambda: told.exists() and told.read_text().split())]
        assert [held.id for held in pool.pool.held()] == [hanging.id, waiting.id]
        pool.pool.cancel(waiting.id)
        pool.pool.cancel(hanging.id)
        last = trouble("noise")
        assert list(pool.run(last)) == [last.id]
        assert not any(map(alive, pids))
        assert pool.pool.held() == []


def test_cancelling_what_nobody_knows_changes_nothing(pool: Pool) -> None:
    pool.pool.cancel(10**9)
    (report,) = pool.run(trouble("noise")).values()
    assert report.success


def test_a_result_that_cannot_be_sent_is_a_failure(pool: Pool) -> None:
    kind, message, _ = pool.failure(trouble("unsendable"))
    assert kind == "result_error"
    assert "result.extras.thing is a object" in message


def test_an_unknown_function_is_an_input_error(pool: Pool) -> None:
    kind, message, _ = pool.failure(task(atomic("rdkit", "uff"), "os.system"))
    assert kind == "input_error"
    assert "os.system" in message


def test_arguments_that_cannot_be_read_are_an_input_error(pool: Pool) -> None:
    import msgspec

    kind, _, _ = pool.failure(msgspec.structs.replace(task(atomic("rdkit", "uff")), kwargs=b"no zstd"))
    assert kind == "input_error"


def test_many_tasks_share_the_processes(pool: Pool) -> None:
    tasks = [task(atomic("rdkit", "uff", record=i)) for i in range(100)]
    reports = pool.run(*tasks)
    assert all(report.success for report in reports.values())
    assert len(pool.pool.held()) == 0


def test_a_plugin_that_cannot_be_imported_is_said_at_once(pools: PoolMaker) -> None:
    with pools(plugins=["no_such_plugin"]) as pool:
        with pytest.raises(ChildKeepsDying, match="No module named 'no_such_plugin'"):
            pool.pool.programs()
        assert isinstance(pool.pool.problem(), ChildKeepsDying)


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs the parent-death signal of Linux")
@pytest.mark.parametrize("deed", ["hang", "hold_the_lock"])
def test_nothing_outlives_a_worker_that_was_killed(tmp_path: Path, deed: str) -> None:
    import subprocess
    import sys

    told = tmp_path / "told"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from tests.worker.worker_tasks import PLUGIN, Pool, trouble\n"
        "pool = Pool(Path(sys.argv[2]).parent, plugins=[PLUGIN])\n"
        f"pool.pool.submit(trouble({deed!r}, tell=sys.argv[2]))\n"
        "pool.finished(600)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", code, str(Path(__file__).parents[2]), str(told)])
    try:
        pids = [int(pid) for pid in eventually(lambda: told.exists() and told.read_text().split()) if int(pid)]
        assert all(map(alive, pids))
    finally:
        worker.kill()
        worker.wait()
    eventually(lambda: not any(map(alive, pids)))


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_stopping_ends_all_processes(pools: PoolMaker, tmp_path: Path) -> None:
    told = tmp_path / "told"
    with pools() as pool:
        pool.pool.submit(trouble("hang", tell=str(told)))
        pids = [int(pid) for pid in eventually(lambda: told.exists() and told.read_text().split())]
    assert not any(map(alive, pids))
    assert all(pid != os.getpid() for pid in pids)
