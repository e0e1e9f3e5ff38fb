"""Single points and optimizations: added, added again, claimed, returned, read."""

from __future__ import annotations

import uuid
from typing import Any

from qcportal.molecules import Molecule

from benchmarks.inputs import Results, molecules
from benchmarks.measure import Figure, check, measured
from benchmarks.servers import PROGRAMS, Server
from benchmarks.sizes import Sizes


def singlepoints(server: Server, sizes: Sizes) -> list[Figure]:
    """The life of single points, from adding them to reading all they left behind."""
    figures: list[Figure] = []
    n, tag = sizes.records, uuid.uuid4().hex
    given = molecules(n)
    with measured("add new single points", server, n, figures) as cost:
        ids = add(server, given, tag, sizes.chunk, cost, new=True)
    with measured("add duplicates", server, n, figures) as cost:
        check(add(server, given, tag, sizes.chunk, cost, new=False) == ids, "duplicates have other ids")
    done = compute(server, tag, sizes, n, figures, "claim", "return with 20 kB of output")
    check(sorted(done) == sorted(ids), f"{len(done)} of {n} computed")
    with measured("read complete records, all fields", server, n, figures) as cost, cost:
        records = server.client.get_singlepoints(ids, include=["**"])
        outputs = [record.stdout for record in records]
    check(all(text is not None and len(text) == sizes.output_bytes for text in outputs), "an output is lost")
    check([record.molecule for record in records[:5]] == given[:5], "molecules differ")
    with measured("lazy fields of one record", server, sizes.lazy, figures) as cost, cost:
        for i in ids[: sizes.lazy]:
            _read_lazily(server, i)
    return figures


def optimizations(server: Server, sizes: Sizes) -> list[Figure]:
    """Optimizations with their trajectories."""
    figures: list[Figure] = []
    n, tag = sizes.optimizations, uuid.uuid4().hex
    meta, ids = server.client.add_optimizations(
        molecules(n), "geometric", {"program": "psi4", "driver": "deferred", "method": "b3lyp", "basis": "6-31g"},
        compute_tag=tag,
    )  # fmt: skip
    check(meta.n_inserted == n, f"{meta.n_inserted} of {n} added")
    done = compute(server, tag, sizes, n, figures, "claim optimizations", "return optimizations of five steps")
    check(sorted(done) == sorted(ids), f"{len(done)} of {n} computed")
    record = server.client.get_optimizations(ids[0])
    check(len(record.trajectory) == sizes.steps and record.stdout is not None, "a trajectory is lost")
    return figures


def add(server: Server, given: list[Molecule], tag: str, chunk: int, cost: Any, *, new: bool) -> list[int]:
    """Add single points, so many at a time; their ids."""
    ids: list[int] = []
    for start in range(0, len(given), chunk):
        some = given[start : start + chunk]
        with cost:
            meta, found = server.client.add_singlepoints(
                some, "psi4", "gradient", "b3lyp", "6-31g", keywords={"run": tag}, compute_tag=tag
            )
        check((meta.n_inserted if new else meta.n_existing) == len(some), f"adding: {meta}")
        ids += found
    return ids


def compute(
    server: Server, tag: str, sizes: Sizes, n: int, figures: list[Figure], claiming: str, returning: str
) -> list[int]:
    """Claim everything with this tag, then return results for it; the records computed."""
    manager, make = server.manager(tag), Results(sizes.output_bytes, sizes.steps)
    claimed: list[list[Any]] = []
    with measured(claiming, server, n, figures) as cost, cost:
        while some := manager.claim(PROGRAMS, [tag], sizes.claim):
            claimed.append(some)
    batches = [{task.id: make.of(task) for task in some} for some in claimed]
    with measured(returning, server, n, figures) as cost, cost:
        metas = [manager.return_finished(batch) for batch in batches]
    check(sum(meta.n_accepted for meta in metas) == n, f"returning: {[meta.rejected_info for meta in metas][:1]}")
    manager.deactivate(0, 0, 0.0, 0.0)
    return [task.record_id for some in claimed for task in some]


def _read_lazily(server: Server, record_id: int) -> None:
    record = server.client.get_records(record_id)
    fields = (record.molecule, record.properties, record.stdout, record.compute_history, record.comments)
    check(all(value is not None for value in fields[:4]), f"record {record_id} lacks something: {fields}")
    check(not record.native_files and record.wavefunction is None, "files out of nowhere")
