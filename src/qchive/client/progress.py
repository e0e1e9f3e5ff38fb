"""Showing how far a long call is: only where a person watches, and only once it really takes a while."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 0.5
"""Seconds before a bar appears."""


class Bar:
    """A progress bar on stderr. `total` counts items; `show=False` keeps it away altogether."""

    def __init__(self, what: str, total: int, *, show: bool = True) -> None:
        self._what = what
        self._total = total
        self._show = show and is_watched()
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self._task: TaskID

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def at(self, done: int, what: str | None = None) -> None:
        """So many items are done; `what` may say more than before."""
        soon_over = done >= self._total or time.monotonic() - self._started < PATIENCE
        if not self._show or (self._progress is None and soon_over):
            return
        if self._progress is None:
            self._progress = self._begin()
        self._progress.update(self._task, completed=done, description=what or self._what)

    def _begin(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        progress = Progress(*columns, console=Console(stderr=True))
        self._task = progress.add_task(self._what, total=self._total)
        progress.start()
        return progress


def is_watched() -> bool:
    """Whether a person sees what goes to stderr: a terminal, or a notebook."""
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell is not None else None
    return sys.stderr.isatty() or type(running).__name__ == "ZMQInteractiveShell"
