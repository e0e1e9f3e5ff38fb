"""Where a database is: a PostgreSQL server at a URL, or the embedded one of a data folder, running or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qchive.db import cluster
from qchive.db.embedded import EmbeddedPostgres
from qchive.db.folder import Folder
from qchive.errors import DataInUse, NoArchive


@contextmanager
def running(data: Path, *, make: bool = False, alone: bool = False) -> Iterator[str]:
    """Where to connect to the embedded PostgreSQL of a data folder: the one that runs there, or one for this context.

    `make`: also where there is none yet. `alone`: not if somebody else runs it.

    Raises:
        NoArchive: there is none in this folder.
        DataInUse: it runs, and was to be ours alone.
        LocalProblem: it does not start.
    """
    folder = Folder(data)
    if not make:
        exists(folder)
    postgres = EmbeddedPostgres(data)
    try:
        place = postgres.start()
    except DataInUse:
        socket = folder.socket_folder()
        if alone or socket is None:
            raise
        yield cluster.dsn(socket)
        return
    try:
        yield place
    finally:
        postgres.stop()


def exists(folder: Folder) -> None:
    """See that there is an archive.

    Raises:
        NoArchive: there is none.
    """
    if folder.major is None:
        raise NoArchive(f"There is no archive in {folder.data}: name its folder, or a database with --database-url")
