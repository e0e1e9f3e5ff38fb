"""Composite records: adding them, and what one costs when many are under way."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil
from qcportal import PortalClient
from qcportal.molecules import Molecule

from benchmarks import drives, servers
from benchmarks.accounting import cpu_seconds, wait_until_quiet
from benchmarks.inputs import molecules
from benchmarks.measure import Figure, check, measured
from benchmarks.servers import Server
from benchmarks.sizes import Sizes
from benchmarks.toy import Toy, peroxides

QC = {"program": "psi4", "driver": "gradient", "method": "b3lyp", "basis": "6-31g", "keywords": {}}
OPTIMIZATION = {"program": "geometric", "qc_specification": {**QC, "driver": "deferred"}, "keywords": {}}
SCAN = {"type": "distance", "indices": [0, 1], "steps": [-0.1, 0.0, 0.1], "step_type": "relative"}
IMAGES = 7
TURNS = 3
"""How often each of many records is advanced."""
WARM = 5
"""Records added before the clock starts."""

Adding = Callable[[], tuple[Any, list[int]]]


def services(server: Server, sizes: Sizes) -> list[Figure]:
    """All there is to say of them. Each part has servers of its own: its settings differ, and what it leaves behind
    would be in the way of others."""
    if not sizes.services:
        return []
    return [*adding(server.name, sizes), *drives.drives(server.name, sizes), *crowded(server.name, sizes)]


# --- adding -------------------------------------------------------------------------------------------------------


def _torsiondrives(client: PortalClient, n: int) -> Adding:
    scan = {"dihedrals": [[0, 1, 2, 8]], "grid_spacing": [15]}
    given = [[molecule] for molecule in molecules(n)]
    return lambda: client.add_torsiondrives(given, "torsiondrive", OPTIMIZATION, scan)


def _gridoptimizations(client: PortalClient, n: int) -> Adding:
    given = molecules(n)
    return lambda: client.add_gridoptimizations(given, "gridoptimization", OPTIMIZATION, {"scans": [SCAN]})


def _nebs(client: PortalClient, n: int) -> Adding:
    given = [molecules(IMAGES) for _ in range(n)]
    return lambda: client.add_nebs(given, "geometric", QC, None, {"images": IMAGES})


def _reactions(client: PortalClient, n: int) -> Adding:
    given = [[(-1.0, before), (1.0, after)] for before, after in zip(molecules(n), molecules(n), strict=True)]
    return lambda: client.add_reactions(given, "reaction", QC, None, {})


def _manybodys(client: PortalClient, n: int) -> Adding:
    apart = np.random.default_rng().uniform(5.0, 9.0, n)
    given = [Molecule(symbols=["He"] * 2, geometry=[0, 0, 0, 0, 0, z], fragments=[[0], [1]]) for z in apart]
    return lambda: client.add_manybodys(given, "qcmanybody", {1: QC, 2: QC}, "nocp", {})


KINDS: Mapping[str, Callable[[PortalClient, int], Adding]] = {
    "torsiondrives": _torsiondrives,
    "gridoptimizations": _gridoptimizations,
    "nebs": _nebs,
    "reactions": _reactions,
    "manybodys": _manybodys,
}


def adding(side: str, sizes: Sizes) -> list[Figure]:
    """Add each kind while nobody takes them on: one side would begin at once, the other a minute later."""
    figures: list[Figure] = []
    with _unattended(side) as server:
        for kind, make in KINDS.items():
            make(server.client, WARM)()
            add = make(server.client, sizes.services)
            with measured(f"add {kind}", server, sizes.services, figures) as cost, cost:
                meta, ids = add()
            check(meta.success and meta.n_inserted == len(set(ids)) == sizes.services, f"adding {kind}: {meta}")
    return figures


@contextmanager
def _unattended(side: str) -> Iterator[Server]:
    if side == "peer":
        with servers.peer(internal_job_processes=0) as server:
            yield server
        return
    with servers.ours() as server:
        (upkeep,) = (p for p in map(psutil.Process, server.processes) if "upkeep" in p.cmdline())
        upkeep.suspend()
        try:
            yield server
        finally:
            upkeep.resume()


# --- many at once -------------------------------------------------------------------------------------------------


def crowded(side: str, sizes: Sizes) -> list[Figure]:
    """Advance some torsion drives, alone and among many others that wait for their tasks; ours only, as the peer runs
    twenty at a time."""
    if side != "qchive":
        return []
    figures: list[Figure] = []
    some, many = sizes.running
    with servers.ours() as server:
        _advance("", server, some, [])  # plans, caches, imports
        _advance(f"advance of {some} running", server, some, figures)
        _start(server, many - some)
        _advance(f"advance of {some} among {many} running", server, some, figures)
    return figures


def _start(server: Server, n: int) -> str:
    """Torsion drives whose first tasks wait; their tag."""
    tag = uuid.uuid4().hex
    for start in range(0, n, 500):
        given = [[molecule] for molecule in peroxides(min(500, n - start))]
        server.client.add_torsiondrives(given, "torsiondrive", OPTIMIZATION, drives.SCAN, compute_tag=tag)
    while server.query("SELECT FROM flow WHERE ready LIMIT 1"):
        time.sleep(0.2)
    wait_until_quiet(lambda: cpu_seconds([*server.processes, server.postgres]))
    return tag


def _advance(name: str, server: Server, n: int, figures: list[Figure]) -> None:
    tag = _start(server, n)
    manager, make = server.manager(tag), Toy()
    with measured(name, server, TURNS * n, figures) as cost:
        for _ in range(TURNS):
            tasks = drives.claim_all(manager, tag)
            check(len(tasks) >= n, f"{len(tasks)} tasks of {n} torsion drives")
            batches = [tasks[start : start + 50] for start in range(0, len(tasks), 50)]
            made = [{task.id: make.of(task) for task in batch} for batch in batches]
            with cost:  # which ends when nothing has happened for a while: when all are advanced
                for results in made:
                    manager.return_finished(results)
    manager.deactivate(0, 0, 0.0, 0.0)
