"""How fast work goes through: claiming and returning as one client or several at once sees it, on the wall clock."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from functools import partial
from typing import Any

from qcportal import ManagerClient
from qcportal.managers import ManagerName

from benchmarks.inputs import Results, molecules
from benchmarks.measure import Figure, check, measured
from benchmarks.records import add
from benchmarks.servers import PROGRAMS, Server
from benchmarks.sizes import Sizes


def throughput(server: Server, sizes: Sizes) -> list[Figure]:
    """Claim and return everything, by one client, then by several."""
    figures: list[Figure] = []
    for clients in (1, sizes.clients):
        name = f"claim and return, {clients} client" + ("s" if clients > 1 else "")
        tag = uuid.uuid4().hex
        add(server, molecules(sizes.records), tag, sizes.chunk, server.cost(), new=True)
        workers = [_start(server, tag, sizes) for _ in range(clients)]
        for worker in workers:
            check(_line(worker) == "ready", "a client did not start")
        with measured(name, server, sizes.records, figures) as cost, cost:
            for worker in workers:
                _tell(worker, "go")
            done = [json.loads(_line(worker)) for worker in workers]
        check(sum(one["n"] for one in done) == sizes.records, f"{done} of {sizes.records}")
        # What the clients spent on making results up is theirs, not the server's.
        figures[-1].wall -= sum(one["making"] for one in done) / clients
        for worker in workers:
            worker.wait(30)
    return figures


def _start(server: Server, tag: str, sizes: Sizes) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "benchmarks.clients", server.url, tag, str(sizes.claim), str(sizes.output_bytes)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _line(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def _tell(worker: subprocess.Popen[str], word: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(word + "\n")
    worker.stdin.flush()


def _work(url: str, tag: str, claim: int, output_bytes: int) -> dict[str, Any]:
    """One client's share of the work: how many tasks, and how long it took to make up their results."""
    name = ManagerName(cluster="bench", hostname="lab", uuid=str(uuid.uuid4()))
    manager, make = ManagerClient(name, address=url), Results(output_bytes)
    manager.activate("0.71", PROGRAMS, [tag])
    print("ready", flush=True)
    sys.stdin.readline()
    n, making = 0, 0.0
    for tasks in iter(partial(manager.claim, PROGRAMS, [tag], claim), []):
        started = time.perf_counter()
        results = {task.id: make.of(task) for task in tasks}
        making += time.perf_counter() - started
        n += manager.return_finished(results).n_accepted
    return {"n": n, "making": making}


if __name__ == "__main__":
    print(json.dumps(_work(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))), flush=True)
