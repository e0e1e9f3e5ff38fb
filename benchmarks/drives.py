"""Torsion drives from their addition to their end, run by a stand-in for a compute manager whose tasks take no time."""

from __future__ import annotations

import math
import statistics
import time
import uuid
from typing import Any

import msgspec
from qcportal import ManagerClient
from qcportal.record_models import RecordStatusEnum

from benchmarks import servers
from benchmarks.measure import LATE, MEDIAN, Figure, check
from benchmarks.servers import PROGRAMS, Server
from benchmarks.sizes import Sizes
from benchmarks.toy import Toy, peroxides

SCAN = {"dihedrals": [[0, 1, 2, 3]], "grid_spacing": [15]}
POINTS = 24
OPTIMIZATION = {
    "program": "geometric",
    "qc_specification": {"program": "psi4", "driver": "deferred", "method": "b3lyp", "basis": "6-31g", "keywords": {}},
    "keywords": {},
}
FASTEST = 0
"""Seconds between the peer's looks: the least that it accepts."""
SOONEST, LATEST = 0.003, 0.1
"""Seconds between two claims when there is nothing to do: a twentieth of the time waited, within these."""
PATIENCE = 600.0


class Course(msgspec.Struct):
    """How a torsion drive went."""

    wall: float = 0.0
    tasks: int = 0
    gaps: list[float] = []
    """Seconds from the answer to a batch's last result until a task of the next one is there."""
    complete: bool = False

    @property
    def batches(self) -> int:
        """How often tasks were waited for."""
        return len(self.gaps)


def drives(side: str, sizes: Sizes) -> list[Figure]:
    """One after the other on a server that does nothing else: ours with two server and two upkeep processes; the peer
    at its fastest, and at its default settings as far as there is time."""
    fast, slow = f"{POINTS}-point torsiondrive, peer at its fastest", f"{POINTS}-point torsiondrive, peer by default"
    slow += f" (from {sizes.iterations} of its batches)"
    if side == "qchive":
        with servers.ours(processes=2, upkeeps=2) as server:
            figures, _ = _run(fast, server, sizes)
        return [*figures, *([msgspec.structs.replace(figures[0], measure=slow)] if sizes.iterations else [])]
    with servers.peer(service_frequency=FASTEST) as server:
        figures, course = _run(fast, server, sizes)
    if not sizes.iterations:
        return figures
    with servers.peer() as server:
        first = one(server, sizes.iterations)
    # Waiting for the first look is left out, as it may take any part of a minute.
    wall = first.wall if first.complete else course.batches * statistics.mean(first.gaps[1:])
    return [*figures, Figure(slow, side, 1, wall)]


def _run(name: str, server: Server, sizes: Sizes) -> tuple[list[Figure], Course]:
    one(server)  # imports
    cost = server.cost()
    courses = []
    for _ in range(sizes.drives):
        with cost:
            courses.append(one(server))
    check(all(course.complete and course.tasks >= POINTS for course in courses), f"{courses[0]}")
    gaps = sorted(gap for course in courses for gap in course.gaps[1:])
    figures = [Figure(name, server.name, sizes.drives, sum(c.wall for c in courses), cost.server, cost.postgres)]
    for what, gap in ((MEDIAN, statistics.median(gaps)), (LATE, gaps[int(0.95 * (len(gaps) - 1))])):
        figures.append(Figure(what, server.name, len(gaps), gap * len(gaps)))
    return figures, courses[0]


def one(server: Server, batches: float = math.inf) -> Course:
    """Run a torsion drive, to its end or until tasks have come so often after the first time."""
    tag, course = uuid.uuid4().hex, Course()
    manager, make = server.manager(tag), Toy()
    began = since = time.perf_counter()
    _, (record_id,) = server.client.add_torsiondrives(
        [peroxides(1)], "torsiondrive", OPTIMIZATION, SCAN, compute_tag=tag
    )
    while not course.complete and course.batches <= batches:
        tasks = _wait(server, manager, tag, record_id, since)
        if not tasks:
            course.complete = True
            break
        course.gaps.append(time.perf_counter() - since)
        course.tasks += len(tasks)
        meta = manager.return_finished({task.id: make.of(task) for task in tasks})
        check(meta.n_accepted == len(tasks), f"returning: {meta.rejected_info[:1]}")
        since = time.perf_counter()
    course.wall = time.perf_counter() - began
    manager.deactivate(0, 0, 0.0, 0.0)
    return course


def _wait(server: Server, manager: ManagerClient, tag: str, record_id: int, since: float) -> list[Any]:
    """The next tasks; none if the record is complete."""
    tries = 0
    while not (tasks := claim_all(manager, tag)):
        tries += 1
        waited = time.perf_counter() - since
        if tries % 5 == 0:
            status = server.client.get_records(record_id, include=["status"]).status
            check(status in (RecordStatusEnum.waiting, RecordStatusEnum.running, RecordStatusEnum.complete), status)
            if status == RecordStatusEnum.complete:
                break
        check(waited < PATIENCE, f"record {record_id} does not go on")
        time.sleep(min(LATEST, max(SOONEST, waited / 20)))
    return tasks


def claim_all(manager: ManagerClient, tag: str) -> list[Any]:
    """All tasks there are."""
    claimed: list[Any] = []
    while some := manager.claim(PROGRAMS, [tag], 50):
        claimed += some
        if len(some) < 50:
            break
    return claimed
