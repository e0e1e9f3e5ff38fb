"""End to end with real work: GFN2-xTB single points of small molecules, from the submission to the last result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psycopg
from qcportal.molecules import Molecule

from benchmarks.accounting import Cost
from benchmarks.measure import Figure, check, figure
from benchmarks.servers import Server
from benchmarks.sizes import Sizes

MANAGER = Path(os.environ.get("BENCH_MANAGER", ".venv-manager"))
"""The environment of the peer's manager: `qcfractalcompute`, and `xtb`, whose last wheel is of 2022."""
PATIENCE = 7200.0
# Bohr
_SHAPES = {
    "water": (["O", "H", "H"], [[0, 0, 0.2217], [0, 1.4309, -0.8867], [0, -1.4309, -0.8867]]),
    "ammonia": (
        ["N", "H", "H", "H"],
        [[0, 0, 0.2190], [0, 1.7721, -0.5110], [1.5347, -0.8861, -0.5110], [-1.5347, -0.8861, -0.5110]],
    ),
    "methane": (
        ["C", "H", "H", "H", "H"],
        [[0, 0, 0], [1.189, 1.189, 1.189], [-1.189, -1.189, 1.189], [-1.189, 1.189, -1.189], [1.189, -1.189, -1.189]],
    ),
    "formaldehyde": (["O", "C", "H", "H"], [[0, 0, 1.27], [0, 0, -1.0], [0, 1.77, -2.1], [0, -1.77, -2.1]]),
}
_RECORDS = {"qchive": "record", "peer": "base_record"}
_PROGRAM = {"qchive": "tblite", "peer": "xtb"}


def end_to_end(server: Server, sizes: Sizes) -> list[Figure]:
    """All submitted at once to a server with an idle worker; over when the last is complete."""
    n = sizes.gfn2 if server.name == "qchive" else sizes.gfn2_peer
    if not n:
        return []
    tag = uuid.uuid4().hex
    with _worker(server, tag) as worker:
        # Both have run one already: neither is timed while it looks for its programs.
        _wait(server, _submit(server, _molecules(1), tag), worker)
        cost = Cost([*server.processes, worker.pid], [server.postgres])
        with cost:
            _wait(server, _submit(server, _molecules(n), tag), worker)
    return [figure("end to end, GFN2", server.name, n, cost)]


def _molecules(n: int) -> list[Molecule]:
    rng = np.random.default_rng()
    shapes = list(_SHAPES.values())
    return [
        Molecule(symbols=symbols, geometry=np.array(xyz) + rng.normal(scale=0.05, size=(len(symbols), 3)))
        for symbols, xyz in (shapes[i % len(shapes)] for i in range(n))
    ]


def _submit(server: Server, molecules: list[Molecule], tag: str) -> list[int]:
    meta, ids = server.client.add_singlepoints(
        molecules, _PROGRAM[server.name], "energy", "GFN2-xTB", None, keywords={"accuracy": 1.0}, compute_tag=tag
    )
    check(meta.n_inserted == len(molecules), f"adding: {meta}")
    return list(ids)


def _wait(server: Server, ids: list[int], worker: subprocess.Popen[bytes]) -> None:
    """Until all are complete; looked up in the database, so that asking costs next to nothing."""
    text = f"SELECT status::text, count(*) FROM {_RECORDS[server.name]} WHERE id = ANY(%s) GROUP BY 1"
    deadline = time.monotonic() + PATIENCE
    found: dict[str, int] = {}
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        while found.get("complete", 0) < len(ids):
            check("error" not in found, f"computations failed: {found}")
            check(worker.poll() is None, "the worker ended")
            check(time.monotonic() < deadline, f"not done: {found}")
            time.sleep(0.1)
            found = dict(conn.execute(text.encode(), (ids,)).fetchall())


@contextmanager
def _worker(server: Server, tag: str) -> Iterator[subprocess.Popen[bytes]]:
    """What computes: one process tree, one task for each core at a time."""
    folder = Path(tempfile.mkdtemp(prefix="bench-worker-"))
    cores = os.cpu_count() or 1
    if server.name == "qchive":
        argv = [sys.executable, "-m", "qchive.cli", "worker", server.url, "--workers", str(cores), "--tag", tag]
        argv += ["--spool", str(folder / "spool")]
        path = os.environ["PATH"]
    else:
        config = folder / "manager.yaml"
        config.write_text(json.dumps(_peer_settings(server, tag, cores)))  # JSON is YAML
        bin_folder = MANAGER.absolute() / "bin"
        argv = [str(bin_folder / "qcfractal-compute-manager"), "--config", str(config)]
        path = f"{bin_folder}:{os.environ['PATH']}"  # it computes with the first python3 there
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(argv, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield process
        except AssertionError as error:
            error.add_note((folder / "log.txt").read_text()[-3000:])
            raise
        finally:
            process.terminate()
            process.wait(60)


def _peer_settings(server: Server, tag: str, cores: int) -> dict[str, object]:
    executor = {
        "type": "local", "max_workers": cores, "cores_per_worker": 1, "memory_per_worker": 1, "compute_tags": [tag],
    }  # fmt: skip
    return {
        "cluster": "bench",
        "update_frequency": 1,
        "server": {"fractal_uri": server.url},
        "executors": {"local": executor},
    }
