"""How much memory a process and all its descendants hold, and who they are.

On Linux straight from /proc, following `children` links: walking every process of a busy node twice a second for each
task, as psutil does, would cost more than many tasks do. Elsewhere psutil does it.
"""

from __future__ import annotations

import os
from pathlib import Path

GIB = 1 << 30
_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGESIZE")
_HAS_CHILDREN = (_PROC / "self/task" / str(os.getpid()) / "children").exists()


def tree(pid: int) -> list[int]:
    """The process and all its descendants, parents first. Processes that have ended are left out."""
    if not _HAS_CHILDREN:
        return _tree_by_psutil(pid)
    found = [pid]
    for parent in found:
        found.extend(_children(parent))
    return found


def resident(pid: int) -> int:
    """Bytes of physical memory that the process and its descendants hold; what they share is counted for each."""
    if not _HAS_CHILDREN:
        return _resident_by_psutil(pid)
    return sum(_resident(p) for p in tree(pid))


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for thread in (_PROC / str(pid) / "task").iterdir():
            children.extend(map(int, (thread / "children").read_text().split()))
    except OSError:
        return children  # the process, or one of its threads, has ended meanwhile
    return children


def _resident(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _tree_by_psutil(pid: int) -> list[int]:
    import psutil

    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.Error:
        return [pid]


def _resident_by_psutil(pid: int) -> int:
    import psutil

    total = 0
    for each in _tree_by_psutil(pid):
        try:
            total += psutil.Process(each).memory_info().rss
        except psutil.Error:
            continue
    return total
