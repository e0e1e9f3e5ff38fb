"""Child processes of ours: noticed when they die, restarted, ended in order, and never left behind."""

from __future__ import annotations

import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from qchive.errors import ChildKeepsDying
from qchive.processes import Backoff, Child, Supervised, Supervisor

SOURCE = Path(__file__).parents[2] / "src"
SOON = Backoff(first=0.01, most=0.02, limit=3)
SLEEPER = "import sys, signal; print('up', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
)


@pytest.fixture
def ends() -> Iterator[list[Supervisor]]:
    """Supervisors to stop when the test is over."""
    started: list[Supervisor] = []
    yield started
    for supervisor in started:
        supervisor.stop(5)


def python(name: str, code: str, folder: Path, **options: object) -> Child:
    return Child(name, [sys.executable, "-c", code], log=folder / f"{name}.log", **options)  # type: ignore[arg-type]


def said(child: Supervised, word: str) -> None:
    """Wait until the child's log has that word."""
    deadline = threading.Event()
    for _ in range(1000):
        if word in child.log.read_text():
            return
        deadline.wait(0.01)
    raise AssertionError(f"{child.name} never said {word}: {child.log.read_text()}")


def ended(pid: int, seconds: float = 10) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def test_a_child_runs_with_its_own_environment_and_says_all_to_its_log(tmp_path: Path) -> None:
    code = "import os, sys; print(dict(os.environ)['WHO'], len(os.environ) < 4, file=sys.stderr)"
    child = python("one", code, tmp_path, env={"WHO": "me"})
    child.start()
    assert child.wait(10) == 0
    assert child.log.read_text() == "me True\n"


def test_a_child_inherits_the_descriptors_it_is_given_and_no_other(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    other = os.dup2(reading, 200)
    code = f"import os; os.write({writing}, b'hello'); os.fstat(200)"
    child = python("one", code, tmp_path, pass_fds=[writing])
    child.start()
    os.close(writing)
    assert os.read(reading, 10) == b"hello"
    assert child.wait(10) == 1
    assert "Bad file descriptor" in child.log.read_text()
    os.close(reading)
    os.close(other)


def test_a_child_starts_with_the_signals_a_program_expects(tmp_path: Path) -> None:
    child = Child("status", ["cat", "/proc/self/status"], log=tmp_path / "log")
    child.start()
    assert child.wait(10) == 0
    status = dict(line.split(":\t", 1) for line in child.log.read_text().splitlines() if ":\t" in line)
    # Signals from 32 on belong to the C library, and are as our own parent left them.
    assert int(status["SigIgn"], 16) & 0x7FFFFFFF == 0
    assert int(status["SigBlk"], 16) == 0


def test_a_program_that_does_not_exist_says_so_in_the_log(tmp_path: Path) -> None:
    child = Child("none", ["/no/such/program"], log=tmp_path / "log")
    child.start()
    assert child.wait(10) == 1
    assert "cannot start /no/such/program: [Errno 2]" in child.log.read_text()


def test_a_child_that_will_not_end_is_killed_with_all_of_its_group(tmp_path: Path) -> None:
    code = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {STUBBORN!r}])\n{STUBBORN}"
    child = python("stubborn", code, tmp_path)
    child.start()
    said(child, "up\nup")
    assert child.pid is not None
    group = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and os.getpgid(int(p.name)) == child.pid]
    assert len(group) == 2
    child.stop(timeout=0.1)
    assert child.poll() == -signal.SIGKILL
    assert all(ended(pid) for pid in group)


def test_a_child_that_was_never_started_can_be_stopped(tmp_path: Path) -> None:
    child = python("never", SLEEPER, tmp_path)
    child.stop()
    assert child.pid is None
    assert child.wait() is None


def test_a_killed_child_is_reported_and_started_again(tmp_path: Path, ends: list[Supervisor]) -> None:
    exits: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    one, two = (python(name, SLEEPER, tmp_path) for name in ("one", "two"))
    supervisor = Supervisor([one, two], on_exit=lambda child, code: exits.put((child.name, code)), backoff=SOON)
    ends.append(supervisor)
    supervisor.start()
    supervisor.watch()
    first, neighbour = one.pid, two.pid
    assert first is not None
    said(one, "up\n")  # the whole line: the next child's begins where this one's ends
    os.kill(first, signal.SIGKILL)
    assert exits.get(timeout=10) == ("one", -signal.SIGKILL)
    said(one, "up\nup")
    assert one.pid not in (None, first)
    assert two.pid == neighbour


def test_a_child_added_later_is_looked_after_as_well(tmp_path: Path, ends: list[Supervisor]) -> None:
    supervisor = Supervisor([], backoff=SOON)
    ends.append(supervisor)
    supervisor.start()
    supervisor.watch()
    late = python("late", SLEEPER, tmp_path)
    supervisor.add(late)
    said(late, "up")
    assert late.pid is not None
    os.kill(late.pid, signal.SIGKILL)
    said(late, "up\nup")
    supervisor.ask_to_stop()
    supervisor.join()
    supervisor.stop()
    assert late.pid is None


def test_children_end_in_the_reverse_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import signal, sys; print('up', flush=True); signal.sigwait([signal.SIGTERM]); print('{}', flush=True)"
    block = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]);"
    children = [Child(n, [sys.executable, "-c", block + code.format(n)], log=log) for n in ("database", "server")]
    supervisor = Supervisor(children)
    supervisor.start()
    said(children[0], "up\nup")
    supervisor.stop()
    assert log.read_text().split() == ["up", "up", "server", "database"]


def test_a_child_that_keeps_dying_ends_the_supervision_with_its_log(tmp_path: Path) -> None:
    child = python("broken", "raise SystemExit('the port is taken')", tmp_path)
    supervisor = Supervisor([child], backoff=SOON)
    supervisor.start()
    with pytest.raises(ChildKeepsDying, match=r"broken ended with code 1, 4 times in a row") as problem:
        supervisor.run_forever()
    assert "the port is taken" in problem.value.msg
    assert child.log.read_text().count("taken") == 4
    supervisor.stop()


def test_a_supervision_in_the_background_keeps_its_problem(tmp_path: Path) -> None:
    given_up = threading.Event()
    exits: list[int] = []

    def on_exit(_: object, code: int) -> None:
        exits.append(code)
        if len(exits) == 2:
            given_up.set()

    child = python("broken", "raise SystemExit(3)", tmp_path)
    supervisor = Supervisor([child], on_exit=on_exit, backoff=Backoff(first=0.01, limit=1))
    supervisor.start()
    supervisor.watch()
    assert given_up.wait(10)
    supervisor.stop()
    assert isinstance(supervisor.problem, ChildKeepsDying)
    assert exits == [3, 3]


def test_a_long_life_ends_a_row_of_deaths(tmp_path: Path) -> None:
    seen: list[int] = []

    def on_exit(_: object, code: int) -> None:
        seen.append(code)
        if len(seen) == 5:
            supervisor.ask_to_stop()

    backoff = Backoff(first=0.01, calm=0.0, limit=1)
    supervisor = Supervisor([python("short", "raise SystemExit(7)", tmp_path)], on_exit=on_exit, backoff=backoff)
    supervisor.start()
    supervisor.run_forever()
    supervisor.stop()
    assert seen == [7] * 5


def test_when_one_child_cannot_be_started_the_others_are_ended(tmp_path: Path) -> None:
    good, bad = python("good", SLEEPER, tmp_path), python("bad", SLEEPER, tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        Supervisor([good, bad]).start()
    assert good.pid is None


def test_waits_grow_up_to_the_most() -> None:
    backoff = Backoff(first=0.5, most=3)
    assert [backoff.delay(deaths) for deaths in (1, 2, 3, 4, 9)] == [0.5, 1, 2, 3, 3]


PARENT = """
import sys, threading
from pathlib import Path
from qchive.processes import Child
child = Child("sleeper", [sys.executable, "-c", "import signal; signal.pause()"], log=Path(sys.argv[1]))
starter = threading.Thread(target=child.start)
starter.start()
starter.join()
print(child.pid, child.wait(0.3), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, None])
def test_a_child_ends_with_its_parent_but_not_with_the_thread_that_started_it(
    tmp_path: Path, end: signal.Signals | None
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert parent.stdout is not None
    pid, code = parent.stdout.readline().split()
    assert code == "None"
    if end is not None:
        parent.send_signal(end)
    parent.communicate("")
    assert ended(int(pid))


def test_a_log_grown_large_is_set_aside(tmp_path: Path) -> None:
    child = python("one", "print('new')", tmp_path)
    with child.log.open("wb") as log:
        log.truncate(30_000_000)
    child.start()
    assert child.wait(10) == 0
    assert child.log.read_text() == "new\n"
    assert (tmp_path / "one.log.1").stat().st_size == 30_000_000


def test_a_killed_postgresql_is_started_again_with_what_was_confirmed(
    open_folder: Path, ends: list[Supervisor]
) -> None:
    import psycopg

    from qchive.db.embedded import EmbeddedPostgres

    database = EmbeddedPostgres(open_folder, settings={"fsync": "off"})
    supervisor = Supervisor([database], backoff=SOON)
    ends.append(supervisor)
    supervisor.start()
    supervisor.watch()
    with psycopg.connect(database.dsn) as connection:
        connection.execute("CREATE TABLE thing AS SELECT 1 AS id")
    first = database.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    said(database, "automatic recovery in progress")
    for _ in range(1000):
        try:
            with psycopg.connect(database.dsn) as connection:
                assert connection.execute("SELECT id FROM thing").fetchone() == (1,)
            break
        except psycopg.OperationalError:
            threading.Event().wait(0.01)
    assert database.pid not in (None, first)
