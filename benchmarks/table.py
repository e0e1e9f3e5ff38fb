"""The figures of a run as a table, against what is aimed at."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.measure import MEDIAN, Figure

CPU_TARGETS = {
    "add new single points": 5.0,
    "add duplicates": 5.0,
    "claim": 10.0,
    "return with 20 kB of output": 20.0,
    "return optimizations of five steps": 20.0,
    "read complete records, all fields": 4.0,
    "lazy fields of one record": 5.0,
    "end to end, GFN2": 50.0,
    **dict.fromkeys(("reset", "uncancel", "undelete", "uninvalidate"), 50.0),
    **dict.fromkeys(("cancel", "invalidate", "soft delete"), 8.0),
    **dict.fromkeys(("hard delete", "modify", "comment"), 1.0),
    **dict.fromkeys(("add torsiondrives", "add gridoptimizations", "add nebs"), 20.0),
}
WALL_MOST = {MEDIAN: 100.0}
"""Milliseconds."""
CLAIM = "claim of "
BASELINE = "before the million"
QUEUE_MOST, SNAPSHOT_MOST = 1.5, 2.0
GROWN = (" records", " others", " running")
GROWN_MOST, FILTER_MOST = 1.2, 10.0
_GROWN_HEAD = [
    "| measure | server CPU, ms for each | PostgreSQL CPU, ms for each | wall, s in all | CPU against first | aim |",
    "|---|---:|---:|---:|---:|---|",
]
_HEAD = [
    "| measure | n | QCHive CPU, ms (server + PostgreSQL) | peer CPU, ms | bare SQL CPU, ms | CPU ratio "
    "| QCHive wall, ms | peer wall, ms | wall ratio | statements, QCHive / peer | aim |",
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
]
_QUEUE_HEAD = [
    "| measure | server CPU, ms | PostgreSQL CPU, ms | buffers | CPU against first | buffers against first | aim |",
    "|---|---:|---:|---:|---:|---:|---|",
]
_IDLE_HEAD = ["| idle | QCHive | peer | aim |", "|---|---:|---:|---|"]
WALL_TARGETS = {"claim and return, 1 client": 5.0, "claim and return, 4 clients": 5.0, "end to end, GFN2": 20.0}


def typical(figures: Sequence[Figure]) -> dict[str, dict[str, Figure]]:
    """By measure and side the figure with the median CPU of all rounds."""
    rounds: dict[str, dict[str, list[Figure]]] = {}
    for one in figures:
        rounds.setdefault(one.measure, {}).setdefault(one.side, []).append(one)
    return {measure: {side: _median(several) for side, several in sides.items()} for measure, sides in rounds.items()}


def _median(several: Sequence[Figure]) -> Figure:
    middle = statistics.median_low([one.cpu for one in several])
    chosen = next(one for one in several if one.cpu == middle)
    best = min(one.wall / one.n for one in several)
    return Figure(**{f: getattr(chosen, f) for f in Figure.__struct_fields__} | {"wall": best * chosen.n})


def heading(about: Mapping[str, Any]) -> str:
    """When and on what the figures were measured."""
    return (
        f"{about['when']}; {about['cores']} cores, load {about['load']:.1f} at the end, Python {about['python']}, "
        f"PostgreSQL {about['postgres']['server_version']}; median of {about['sizes']['rounds']} rounds (wall: the "
        "best). All per operation; two n are QCHive's and the peer's."
    )


def markdown(figures: Sequence[Figure], idle: Sequence[Mapping[str, Any]]) -> str:
    """The tables: costs per operation and how many times less ours are, claims by length of the queue, idling."""
    found = typical(figures)
    queue = {measure: sides["qchive"] for measure, sides in found.items() if measure.startswith(CLAIM)}
    grown = {measure: sides["qchive"] for measure, sides in found.items() if measure.endswith(GROWN)}
    others = {measure: sides for measure, sides in found.items() if measure not in queue and measure not in grown}
    tables = [[*_HEAD, *(_line(measure, sides) for measure, sides in others.items())]] if others else []
    if queue:
        tables.append([*_QUEUE_HEAD, *_queue(queue)])
    if grown:
        tables.append([*_GROWN_HEAD, *_scaled(grown)])
    tables.append([*_IDLE_HEAD, *map(_idle, idle)])
    return "\n\n".join("\n".join(lines) for lines in tables)


def _queue(figures: Mapping[str, Figure]) -> list[str]:
    lines: list[str] = []
    first = next(iter(figures.values()))
    for measure, one in figures.items():
        if measure.endswith(BASELINE):
            first = one
        buffers = (one.buffers or 0) / one.n
        ratios = one.cpu / first.cpu, (one.buffers or 0) / (first.buffers or 1) * first.n / one.n
        most = SNAPSHOT_MOST if "snapshot" in measure else QUEUE_MOST
        aim = "" if one is first else f"≤ {most:g}×: {'met' if max(ratios) <= most else 'MISSED'}"
        numbers = [f"{1e3 * one.server / one.n:.2f}", f"{1e3 * one.postgres / one.n:.2f}", f"{buffers:.0f}"]
        lines.append(f"| {' | '.join([measure, *numbers, *(f'{r:.2f}' for r in ratios), aim])} |")
    return lines


def _scaled(figures: Mapping[str, Figure]) -> list[str]:
    lines: list[str] = []
    first: dict[str, Figure] = {}
    for measure, one in figures.items():
        action = measure.partition(" of ")[0]
        base = first.setdefault(action, one)
        numbers = [f"{1e3 * one.server / one.n:.4f}", f"{1e3 * one.postgres / one.n:.4f}", f"{one.wall:.2f}"]
        ratio = one.cpu / base.cpu
        aim = "" if one is base else f"≤ {GROWN_MOST:g}×: {'met' if ratio <= GROWN_MOST else 'MISSED'}"
        if measure.startswith("vacuum"):
            aim = ""
        if "filter" in measure:
            aim = f"wall ≤ {FILTER_MOST:g} s: {'met' if one.wall <= FILTER_MOST else 'MISSED'}"
        lines.append(f"| {' | '.join([measure, *numbers, f'{ratio:.2f}', aim])} |")
    return lines


def _idle(row: Mapping[str, Any]) -> str:
    met = "met" if row["amount"] < row["aim"] else "MISSED"
    peer = "" if row["peer"] is None else f"{row['peer']:.3g} {row['unit']}"
    return f"| {row['what']} | {row['amount']:.3g} {row['unit']} | {peer} | < {row['aim']:g} {row['unit']}: {met} |"


def _line(measure: str, sides: Mapping[str, Figure]) -> str:
    our, peer, floor = sides.get("qchive"), sides.get("peer"), sides.get("floor")
    cpu_ratio = peer.cpu / our.cpu if our and peer and our.cpu and peer.cpu else None
    wall_ratio = peer.wall_ms / our.wall_ms if our and peer else None
    cells = [
        measure,
        " / ".join(map(str, dict.fromkeys(one.n for one in (our, peer) if one))),
        f"{our.cpu:.3f} ({1e3 * our.server / our.n:.3f} + {1e3 * our.postgres / our.n:.3f})" if our and our.cpu else "",
        f"{peer.cpu:.3f}" if peer and peer.cpu else "",
        f"{floor.cpu:.3f}" if floor else "",
        f"{cpu_ratio:.1f}" if cpu_ratio else "",
        f"{our.wall_ms:.3f}" if our else "",
        f"{peer.wall_ms:.3f}" if peer else "",
        f"{wall_ratio:.1f}" if wall_ratio else "",
        " / ".join(_statements(one) for one in (our, peer)),
        _aims(measure, cpu_ratio, wall_ratio, our),
    ]
    return f"| {' | '.join(cells)} |"


def _statements(one: Figure | None) -> str:
    return f"{one.statements / one.n:.2f}" if one and one.statements is not None else "–"


def _aims(measure: str, cpu: float | None, wall: float | None, our: Figure | None) -> str:
    said = []
    for what, ratio, targets in (("CPU", cpu, CPU_TARGETS), ("wall", wall, WALL_TARGETS)):
        if ratio is not None and measure in targets:
            met = "met" if ratio >= targets[measure] else "MISSED"
            said.append(f"{what} ≥ {targets[measure]:g}×: {met}")
    if our and measure in WALL_MOST:
        most = WALL_MOST[measure]
        said.append(f"wall ≤ {most:g} ms: {'met' if our.wall_ms <= most else 'MISSED'}")
    return "; ".join(said)
