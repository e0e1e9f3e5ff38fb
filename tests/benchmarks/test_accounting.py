"""Benchmarks count all that is spent, and say honestly what was reached."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.measure import MEDIAN, Figure

from benchmarks import accounting, table

BURN = "import time\nwhile time.process_time() < 0.3: pass"
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, '-c', {BURN!r}])
print(flush=True)
input()
"""


def test_processes_that_have_ended_are_counted_with_those_that_run() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdout.readline()
    assert 0.3 <= accounting.cpu_seconds([parent.pid]) < 5.0
    assert accounting.proportional_memory([parent.pid]) > 1e6
    parent.communicate(b"\n", timeout=30)
    assert accounting.cpu_seconds([parent.pid]) == 0.0


def test_ratios_below_the_aim_are_called_missed() -> None:

    figures = [
        Figure("claim", "qchive", 10, wall=1.0, server=0.5, postgres=0.5),
        Figure("claim", "peer", 10, wall=4.0, server=5.0, postgres=1.0),
        Figure("add duplicates", "qchive", 10, wall=1.0, server=0.1, postgres=0.1),
        Figure("add duplicates", "peer", 10, wall=4.0, server=5.0, postgres=1.0),
    ]
    lines = {line.split(" | ")[0]: line for line in table.markdown(figures, []).splitlines()}
    assert "CPU ≥ 10×: MISSED" in lines["| claim"]
    assert "| 6.0 |" in lines["| claim"]
    assert "CPU ≥ 5×: met" in lines["| add duplicates"]


def test_a_wait_is_held_against_its_aim() -> None:
    soon = Figure(MEDIAN, "qchive", 10, wall=0.5)
    assert "wall ≤ 100 ms: met" in table.markdown([soon], [])
    late = Figure(MEDIAN, "qchive", 10, wall=1.5)
    assert "wall ≤ 100 ms: MISSED" in table.markdown([late], [])
