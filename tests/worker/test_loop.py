"""A worker's life against a real server: real HTTP, real PostgreSQL, real programs."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from qchive.errors import ChildKeepsDying, DataInUse
from qchive.server.settings import Settings
from qchive.worker.loop import Worker
from tests.archive import Archive, prepared, running
from tests.worker.relay import Relay
from tests.worker.worker_tasks import eventually
from tests.worker.workers import Records, process, settings, working


@pytest.fixture
def archive(databases: Any) -> Iterator[Archive]:
    with prepared(databases) as conninfo, running(conninfo, Settings(heartbeat_frequency=1)) as server:
        yield server


@pytest.fixture
def relay(archive: Archive) -> Iterator[Relay]:
    line = Relay(archive.address)
    yield line
    line.close()


@pytest.fixture
def records(archive: Archive) -> Iterator[Records]:
    with contextlib.closing(Records(archive.address)) as opened:
        yield opened


def told(file: Path) -> Callable[[], list[str]]:
    return lambda: file.read_text().split() if file.exists() else []


def spooled(folder: Path) -> list[str]:
    return [file.name for file in (folder / "spool").glob("*.result")]


def test_records_are_computed_and_failures_reported(archive: Archive, records: Records, tmp_path: Path) -> None:
    good = [records.singlepoint("rdkit", "uff") for _ in range(25)]
    path = records.optimization("tblite", "gfn2-xtb")
    bad = {name: records.singlepoint("trouble", name) for name in ("segfault", "unsendable", "noise_then_failure")}
    wrong = records.singlepoint("rdkit", "nonsense")
    with working(settings(archive.address, tmp_path, workers=2)):
        assert set(records.ended(*good, path)) == {"complete"}
        assert set(records.ended(*bad.values(), wrong)) == {"error"}
    assert records.error(bad["segfault"])[0] == "worker_crashed"
    assert records.error(bad["unsendable"])[0] == "result_error"
    assert records.error(bad["noise_then_failure"])[0] == "convergence_error"
    assert records.error(wrong)[0] == "input_error"
    (manager,) = records.managers()
    assert manager["status"] == "inactive"
    assert (manager["successes"], manager["failures"], manager["rejected"]) == (26, 4, 0)
    assert spooled(tmp_path) == []


def test_the_name_on_a_record_is_the_workers(archive: Archive, records: Records, tmp_path: Path) -> None:
    record = records.singlepoint("rdkit", "uff")
    with working(settings(archive.address, tmp_path, cluster="my group")) as worker:
        records.ended(record)
    assert records.get(record)["manager_name"] == worker.name.fullname
    assert worker.name.cluster == "my group"


def test_a_cancelled_record_stops_within_a_heartbeat(archive: Archive, records: Records, tmp_path: Path) -> None:
    file = tmp_path / "told"
    hanging = records.singlepoint("trouble", "hang", tell=str(file))
    with working(settings(archive.address, tmp_path)):
        eventually(told(file), timeout=60)
        records.cancel(hanging)
        after = records.singlepoint("rdkit", "uff")
        assert records.ended(after) == ["complete"]
    assert records.status(hanging) == "cancelled"


def test_results_wait_in_the_spool_while_the_server_is_away(
    archive: Archive, relay: Relay, records: Records, tmp_path: Path
) -> None:
    record = records.singlepoint("trouble", "slow", seconds=2.0)
    with working(settings(relay.address, tmp_path)):
        eventually(lambda: records.status(record) == "running", timeout=60)
        relay.cut()
        eventually(lambda: spooled(tmp_path))
        assert relay.refused.wait(30)
        assert records.status(record) == "running"
        relay.mend()
        assert records.ended(record) == ["complete"]
        eventually(lambda: not spooled(tmp_path))


def test_a_worker_waits_for_a_server_that_is_not_there_yet(
    archive: Archive, relay: Relay, records: Records, tmp_path: Path
) -> None:
    relay.cut()
    record = records.singlepoint("rdkit", "uff")
    with working(settings(relay.address, tmp_path)):
        assert relay.refused.wait(60)
        relay.mend()
        assert records.ended(record) == ["complete"]


def test_a_killed_worker_loses_no_finished_result(
    archive: Archive, relay: Relay, records: Records, tmp_path: Path
) -> None:
    record = records.singlepoint("trouble", "slow", seconds=2.0)
    given = settings(relay.address, tmp_path)
    with process(given) as first:
        eventually(lambda: records.status(record) == "running", timeout=60)
        relay.cut()
        eventually(lambda: spooled(tmp_path))
        first.kill()
        first.wait()
    (manager,) = records.managers()
    relay.mend()
    with working(given) as second:
        assert records.ended(record) == ["complete"]
    assert records.get(record)["manager_name"] == manager["name"] != second.name.fullname
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_worker_in_good_order(
    archive: Archive, records: Records, tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "told"
    hanging = records.singlepoint("trouble", "hang", tell=str(file))
    with process(settings(archive.address, tmp_path)) as worker:
        eventually(told(file), timeout=60)
        worker.send_signal(number)
        assert worker.wait(10) == 0
    assert records.status(hanging) == "waiting"
    (manager,) = records.managers()
    assert manager["status"] == "inactive"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_signal_ends_a_worker_whose_server_is_away(
    archive: Archive, relay: Relay, records: Records, tmp_path: Path
) -> None:
    record = records.singlepoint("trouble", "slow", seconds=1.5)
    with process(settings(relay.address, tmp_path)) as worker:
        eventually(lambda: records.status(record) == "running", timeout=60)
        relay.cut()
        eventually(lambda: spooled(tmp_path))
        worker.terminate()
        assert worker.wait(15) == 0
    assert len(spooled(tmp_path)) == 1


def test_a_worker_that_the_server_has_forgotten_starts_anew(archive: Archive, records: Records, tmp_path: Path) -> None:
    with working(settings(archive.address, tmp_path)) as worker:
        assert worker.active.wait(60)
        old = worker.name
        with psycopg.connect(archive.conninfo, autocommit=True) as connection:
            connection.execute("UPDATE worker SET name = 'somebody else'")
        record = records.singlepoint("rdkit", "uff")
        assert records.ended(record) == ["complete"]
        assert worker.name != old


def test_a_result_too_large_for_the_server_is_a_failure(databases: Any, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        conninfo = stack.enter_context(prepared(databases))
        archive = stack.enter_context(running(conninfo, Settings(max_body=1 << 20)))
        records = stack.enter_context(contextlib.closing(Records(archive.address)))
        large, small = records.singlepoint("trouble", "big", mib=12), records.singlepoint("rdkit", "uff")
        with working(settings(archive.address, tmp_path)):
            assert records.ended(large, small) == ["error", "complete"]
        kind, message = records.error(large)
        assert kind == "result_error"
        assert "too large for the server" in message


def test_a_worker_ends_when_it_has_been_idle_long_enough(archive: Archive, records: Records, tmp_path: Path) -> None:
    record = records.singlepoint("rdkit", "uff")
    with process(settings(archive.address, tmp_path, stop_after_idle=1.0)) as worker:
        assert worker.wait(60) == 0
    assert records.status(record) == "complete"


def test_two_workers_on_one_spool_are_refused(archive: Archive, tmp_path: Path) -> None:
    given = settings(archive.address, tmp_path)
    with working(given) as worker:
        assert worker.active.wait(60)
        with pytest.raises(DataInUse, match="another --spool folder"):
            Worker(given).run()


def test_a_worker_whose_processes_do_not_start_says_why(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(ChildKeepsDying, match="no_such_plugin"):
        Worker(settings(archive.address, tmp_path, plugins=["no_such_plugin"])).run()


def test_a_wrong_address_is_said_at_once(archive: Archive, tmp_path: Path) -> None:
    with process(settings(f"{archive.address}/elsewhere", tmp_path)) as worker:
        assert worker.wait(60) == 1
