"""What can be set about a worker, once: files, the environment and flags are all read into this struct."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class WorkerSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a worker gets its tasks, which ones, and what each may use."""

    address: str = "http://127.0.0.1:7777"
    """The server's address."""
    api_token: Annotated[str, Meta(pattern=r"^qcf_[A-Za-z0-9_-]{1,124}$")] | None = None
    """Opens a server where one logs in: of an account that may compute, for instance of the scope `compute`."""
    cluster: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00/]*$")] = "worker"
    """First part of the name this worker goes by; free text."""
    tags: Annotated[list[str], Meta(min_length=1)] = msgspec.field(default_factory=lambda: ["*"])
    """Tags it takes tasks from, the most wanted first; `*` is any."""
    workers: Count | None = None
    """Tasks at the same time; as many as the cores allow if not given."""
    cores_per_worker: Count = 1
    """Threads of one task."""
    memory_per_worker: Annotated[float, Meta(ge=0.5)] | None = None
    """GiB that one task may hold, its process included; nine tenths of what is free, divided, if not given."""
    wall_time: Positive | None = None
    """Seconds that one task may run; None: as long as it takes."""
    spool: str | None = None
    """Folder for finished results that the server has not confirmed yet, one per worker on a machine; kept with the
    user's other state if not given."""
    scratch: str | None = None
    """Folder for the programs' temporary files; the system's own if not given."""
    plugins: list[str] = []
    """Modules to import in the processes that run tasks; they register further programs with QCEngine."""
    poll: Positive = 0.5
    """Seconds until the server is asked again after it had nothing."""
    poll_longest: Positive = 2.0
    """To which that time grows while it still has nothing."""
    stop_after_idle: Positive | None = None
    """End after so many seconds without work; None: never."""

    @property
    def slots(self) -> int:
        """Tasks at the same time."""
        return self.workers or max(1, usable_cores() // self.cores_per_worker)

    @property
    def memory(self) -> float:
        """GiB that one task may hold."""
        return self.memory_per_worker or max(0.5, round(0.9 * free_memory() / self.slots, 2))

    @property
    def spool_folder(self) -> Path:
        """Where finished results wait."""
        if self.spool is not None:
            return Path(self.spool).expanduser()
        import platformdirs

        server = re.sub(r"[^\w.-]+", "_", self.address.partition("://")[2] or self.address).strip("_")
        return platformdirs.user_state_path("qchive") / "worker" / server

    @property
    def scratch_folder(self) -> Path | None:
        """Where temporary files go, environment variables and `~` replaced; None: wherever the system puts them."""
        return Path(os.path.expandvars(self.scratch)).expanduser() if self.scratch else None


def usable_cores() -> int:
    """Cores that this process may run on, which a batch system may have narrowed."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> float:
    """GiB of memory that are free on this machine now."""
    import psutil

    return float(psutil.virtual_memory().available) / 2**30
