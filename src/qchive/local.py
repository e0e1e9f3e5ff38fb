"""A whole archive on this machine: PostgreSQL, server, upkeep and a worker, started, watched and ended together."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from qchive.api import about, managers
from qchive.client.connection import Connection
from qchive.db.embedded import EmbeddedPostgres
from qchive.errors import ChildKeepsDying, QCHiveError, ServerUnreachable
from qchive.listening import listen
from qchive.processes import Backoff, Child, Supervised, Supervisor
from qchive.server.settings import Settings

if TYPE_CHECKING:
    from qchive.client.portal import PortalClient

CLUSTER = "local"
"""The cluster in the name of the worker that belongs to a local archive."""


class Local:
    """A whole archive in one object: for laptops, notebooks and tests.

    >>> import qchive
    >>> with qchive.Local() as archive:  # doctest: +SKIP
    ...     client = archive.client()

    Without `data` everything lies in a temporary folder and is gone after `stop`; with it, the archive is kept there
    and found again by the next `Local` (or `qchive up`) on the same folder. Any of its processes may die: it is started
    again, and what was confirmed is still there.

    Args:
        data: folder for database, logs and results that wait to be returned.
        port: where the server listens on 127.0.0.1; 0 takes a free port.
        workers: processes that compute; by default one per core, 0 starts no worker.
        cores_per_worker: threads of one computation.
        memory_per_worker: GiB that one computation may use; by default this machine's memory, shared fairly.
        tags: which compute tags the worker takes, the preferred first.
        database_url: a PostgreSQL server of yours instead of the embedded one; default: what the settings say.
        settings: how the server behaves. It listens on 127.0.0.1 whatever they say, at `port`, in one process and
            without https.
        no_migrate: refuse a database with an older schema, or an empty one, instead of changing it.

    Raises:
        OldSchema: with `no_migrate`, a database that does not fit.
        BadConfiguration: settings that make no sense.
        DataInUse: another archive runs on this folder.
        PortInUse: somebody else listens on this port.
        LocalProblem: whatever else keeps one of the processes from running; the message ends with its log.
    """

    def __init__(
        self,
        data: str | os.PathLike[str] | None = None,
        *,
        port: int = 0,
        workers: int | None = None,
        cores_per_worker: int = 1,
        memory_per_worker: float | None = None,
        tags: Iterable[str] = ("*",),
        database_url: str | None = None,
        settings: Settings | None = None,
        no_migrate: bool = False,
        start: bool = True,
    ) -> None:
        self._temporary = data is None
        self.data = Path(data).absolute() if data is not None else _temporary_folder()
        self.settings = _here(settings or Settings())
        self.settings.check()
        self.admin_password: str | None = None
        """Of the account `admin`, where people log in and this start has made it."""
        self._worker_token: str | None = None
        self._port = port
        self._workers = (os.cpu_count() or 1) if workers is None else workers
        self._resources = (cores_per_worker, memory_per_worker)
        self._tags = tuple(tags)
        self._database_url = database_url or self.settings.database_url
        self._no_migrate = no_migrate
        self._postgres: EmbeddedPostgres | None = None
        self._listening: socket.socket | None = None
        self.supervisor: Supervisor | None = None
        if start:
            self.start()

    @property
    def address(self) -> str:
        """Where the server answers."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def database(self) -> str:
        """Where the database is, as libpq writes it."""
        return self._database_url or (self._postgres.dsn if self._postgres else "")

    def start(self) -> None:
        """Start everything, and wait until the server answers. What dies from then on is started again."""
        if self.supervisor is not None:
            return
        try:
            supervised: list[Supervised] = []
            if self._database_url is None:
                self._postgres = EmbeddedPostgres(self.data)
                self._postgres.start()
                supervised.append(self._postgres)
            if self._no_migrate:
                from qchive.db.migrate import check

                check(self.database)
            if self.settings.secure:
                self._open_accounts()
            (self.data / "logs").mkdir(parents=True, exist_ok=True)
            self._listening = listen("127.0.0.1", self._port)
            self._port = self._listening.getsockname()[1]
            self.supervisor = Supervisor(
                [*supervised, self._server(), self._upkeep()], on_exit=self._on_exit, backoff=Backoff(calm=20.0)
            )
            self.supervisor.start()
            self.supervisor.watch()
            self._wait_until_it_answers()
            if self._workers:
                self._end_dead_workers()
                self.supervisor.add(self._worker())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything: the worker first, PostgreSQL last. A temporary archive is gone then."""
        if self.supervisor is not None:
            self.supervisor.stop()
            self.supervisor = None
        if self._postgres is not None:
            self._postgres.stop()
            self._postgres = None
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        if self._temporary:
            shutil.rmtree(self.data, ignore_errors=True)

    def client(self, **options: Any) -> PortalClient:
        """A client of this archive; options are those of `PortalClient`."""
        from qchive.client.portal import PortalClient

        return PortalClient(self.address, **options)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def log(self, name: str) -> Path:
        """The log of one of the processes: `server`, `upkeep`, `worker`."""
        return self.data / "logs" / f"{name}.log"

    def _child(self, name: str, *args: str, pass_fds: tuple[int, ...] = ()) -> Child:
        settings = msgspec.structs.replace(self.settings, database_url=self.database)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environment["QCHIVE_SETTINGS"] = msgspec.json.encode(settings).decode()  # arguments are for all to see
        environment.pop("QCHIVE_WORKER_TOKEN", None)  # which would be for somebody else's server
        if self._worker_token is not None and name == "worker":
            environment["QCHIVE_WORKER_TOKEN"] = self._worker_token
        argv = [sys.executable, "-m", "qchive.cli", name, *args]
        return Child(name, argv, log=self.log(name), env=environment, pass_fds=pass_fds)

    def _server(self) -> Child:
        assert self._listening is not None
        descriptor = self._listening.fileno()
        return self._child("server", "--fd", str(descriptor), *self._schema(), pass_fds=(descriptor,))

    def _upkeep(self) -> Child:
        return self._child("upkeep", *self._schema())

    def _schema(self) -> list[str]:
        return ["--no-migrate"] if self._no_migrate else []

    def _worker(self) -> Child:
        cores, memory = self._resources
        args = [self.address, "--cluster", CLUSTER, "--workers", str(self._workers), "--cores", str(cores)]
        args += ["--memory", str(memory)] if memory is not None else []
        args += [f"--tag={tag}" for tag in self._tags]
        return self._child("worker", *args, "--spool", str(self.data / "spool"))

    def _open_accounts(self) -> None:
        """See to it that there is an administrator, and that our own worker can log in."""
        from qchive.db.migrate import migrate
        from qchive.server.first import first_administrator, worker_token

        if not self._no_migrate:
            migrate(self.database)
        self.admin_password = first_administrator(self.database)
        self._worker_token = worker_token(self.database)

    def _wait_until_it_answers(self, patience: float = 60.0) -> None:
        assert self.supervisor is not None
        deadline = time.monotonic() + patience
        with Connection(self.address, retry_max=0, timeout=5.0) as connection:
            while True:
                try:
                    connection.ask(about.PING)
                    return
                except (ServerUnreachable, QCHiveError):
                    if self.supervisor.problem is not None:
                        raise self.supervisor.problem from None
                    if time.monotonic() > deadline:
                        raise ChildKeepsDying(
                            f"The server does not answer; see {self.log('server')}", name="server"
                        ) from None
                    time.sleep(0.02)

    def _on_exit(self, child: Supervised, code: int) -> None:
        if child.name == "worker":
            self._end_dead_workers()

    def _end_dead_workers(self) -> None:
        """No worker of ours runs just now: what earlier ones held is lost, and need not wait for its lease to end."""
        query = managers.ManagerQuery(
            status=[managers.ManagerStatusEnum.active], cluster=[CLUSTER], hostname=[socket.gethostname()]
        )
        gone = managers.ManagerUpdate(
            status=managers.ManagerStatusEnum.inactive,
            active_tasks=0,
            active_cores=0,
            active_memory=0.0,
            total_cpu_hours=0.0,
            lost=True,
        )
        try:
            with Connection(self.address, timeout=10.0, retry_max=2) as connection:
                for manager in connection.ask(managers.QUERY, body=query):
                    connection.ask(managers.UPDATE, body=gone, name=manager.name)
        except QCHiveError:
            # The server is restarting too: upkeep ends them when their lease is over.
            return


def _here(settings: Settings) -> Settings:
    """The settings as they hold for a server that only this machine reaches."""
    return msgspec.structs.replace(
        settings,
        enable_security=settings.secure,
        host="127.0.0.1",
        tls_certificate=None,
        tls_key=None,
    )


def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="qchive-"))
    folder.chmod(0o755)
    return folder
