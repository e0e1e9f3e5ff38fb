"""Running an archive, whole or in parts: `up`, `server`, `upkeep`, `worker`."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qchive.cli.configuring import ConfigFile, Database, Set, configured, database_of
from qchive.logged import set_up

if TYPE_CHECKING:
    from qchive.server.settings import Settings

Given = Annotated[
    str | None,
    typer.Option(
        "--settings", envvar="QCHIVE_SETTINGS", help="All settings as JSON, for our own children.", hidden=True
    ),
]
NoMigrate = Annotated[
    bool, typer.Option("--no-migrate", help="Refuse a database with an older schema, instead of upgrading it.")
]
Cores = Annotated[int, typer.Option(min=1, help="Threads of one computation.")]
Memory = Annotated[float | None, typer.Option(min=0.5, help="GiB that one computation may use.")]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="Compute tag to take, the preferred first; default: all.")
]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    group = "Running an archive"
    for command in (up, server, upkeep, worker):
        app.command(rich_help_panel=group)(command)


def up(
    data: Annotated[Path | None, typer.Option(help="Folder of the archive; default: your data folder.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Where to listen on 127.0.0.1; 0: any free port; default: 7777.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that compute; default: one per core.")] = None,
    cores: Cores = 1,
    memory: Memory = None,
    tag: Tags = None,
    database_url: Annotated[
        str | None, typer.Option("--database-url", help="A PostgreSQL of yours instead of the embedded one.")
    ] = None,
    security: Annotated[
        bool | None,
        typer.Option("--security/--no-security", help="Whether people log in; default: what the settings say, or no."),
    ] = None,
    config: ConfigFile = None,
    more: Set = None,
    no_migrate: NoMigrate = False,
) -> None:
    """Start a whole archive on this machine: database, server, upkeep and a worker. Ctrl-C ends it. Settings are read
    as by `qchive server`; those for other machines (host, processes, https) do not count."""
    from qchive.db.folder import default_data
    from qchive.local import Local

    flags = {"database_url": database_url, "port": port, "enable_security": security}
    settings = configured(config, more, **flags).settings
    # To the end a signal ends the archive in order, not in the middle of something.
    with _waiting(signal.SIGINT, signal.SIGTERM) as stop:
        archive = Local(
            data or default_data(),
            port=settings.port,
            workers=workers,
            cores_per_worker=cores,
            memory_per_worker=memory,
            tags=tag or ["*"],
            settings=settings,
            no_migrate=no_migrate,
        )
        try:
            if archive.admin_password is not None:
                tell_administrator(archive.admin_password)
            _announce(archive.address, archive.data, settings.database_url is not None)
            _run_until_signal(archive, stop)
        finally:
            typer.echo("Ending …")
            archive.stop()


@contextmanager
def _waiting(*numbers: signal.Signals) -> Iterator[set[signal.Signals]]:
    """Hold these signals back, so that none is lost before somebody asks for it. Afterwards all is as it was before,
    and those that still wait are dropped: what they ask for is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield set(numbers)
    finally:
        while late := signal.sigpending() & set(numbers):
            signal.sigwait(late)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _announce(address: str, data: Path, elsewhere: bool) -> None:
    from rich.console import Console

    console = Console()
    console.print(f"[bold green]The archive is up[/] at [link={address}]{address}[/link]")
    console.print(f"  {'spool and logs' if elsewhere else 'data and logs '}  {data}", highlight=False)
    if elsewhere:
        console.print("  data            in the PostgreSQL that the settings name", highlight=False)
    console.print(f"  from Python     [cyan]qchive.PortalClient({address!r})[/]", highlight=False)
    console.print(f"  API, to try     {address}/api/docs", highlight=False)
    console.print("Ctrl-C ends it; nothing that was confirmed is lost.")


def _run_until_signal(archive: object, stop: set[signal.Signals]) -> None:
    from qchive.local import Local

    assert isinstance(archive, Local)
    assert archive.supervisor is not None
    supervisor = archive.supervisor
    for number in stop:
        signal.signal(number, lambda *_: supervisor.ask_to_stop())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stop)
    supervisor.join()
    if supervisor.problem is not None:
        raise supervisor.problem


def server(
    config: ConfigFile = None,
    database_url: Database = None,
    host: Annotated[
        str | None, typer.Option(help="Where to listen; other addresses than this machine's only with --security.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="TCP port to listen on; 0: any free one.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes that answer requests.")] = None,
    security: Annotated[
        bool | None,
        typer.Option("--security/--no-security", help="Whether people log in; default: what the settings say, or yes."),
    ] = None,
    more: Set = None,
    no_migrate: NoMigrate = False,
    settings: Given = None,
    fd: Annotated[int | None, typer.Option(help="A socket that listens already.", hidden=True)] = None,
    ready_fd: Annotated[int | None, typer.Option(help="Written to as soon as it answers.", hidden=True)] = None,
) -> None:
    """Run the server of an archive's database, until SIGTERM; SIGHUP reads the settings again and replaces its
    processes, while requests go on. The first start makes the account `admin`, and says the password on stderr, this
    once."""
    flags = {"database_url": database_url, "host": host, "port": port, "processes": processes}

    def read() -> Settings:
        chosen = _settings(settings, config, more, **flags, enable_security=security)
        chosen.enable_security = chosen.enable_security is not False
        chosen.check()
        return chosen

    chosen = read()
    set_up(chosen.log_format, chosen.loglevel)
    if fd is None:
        _serve_with_several(read, no_migrate)
    else:
        _serve_alone(chosen, no_migrate, fd, ready_fd)


def _serve_alone(chosen: Settings, no_migrate: bool, fd: int, ready_fd: int | None) -> None:
    """Be one of the processes."""
    from qchive.server.run import serve

    database = database_of(chosen)
    _fit(database, no_migrate)
    serve(database, chosen, socket.socket(fileno=fd), ready_fd)


def _serve_with_several(read: Callable[[], Settings], no_migrate: bool) -> None:
    """Start the processes, and look after them."""
    from qchive.fleet import Fleet
    from qchive.server.first import first_administrator

    with _waiting(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        chosen = read()
        database = database_of(chosen)
        _fit(database, no_migrate)
        if chosen.secure and (password := first_administrator(database)):
            tell_administrator(password)
        with Fleet(chosen, ["--no-migrate"] if no_migrate else []) as fleet:
            typer.echo(f"The server answers at {fleet.address}", err=True)
            fleet.run(read, signals)


def tell_administrator(password: str) -> None:
    """Say the password of the account that was just made."""
    from qchive.server.first import NAME

    text = f"The administrator's account is {NAME!r}, its password {password} . It is not shown again: change it soon."
    typer.secho(text, fg="yellow", err=True)


def upkeep(
    config: ConfigFile = None,
    database_url: Database = None,
    more: Set = None,
    no_migrate: NoMigrate = False,
    settings: Given = None,
) -> None:
    """Run the loops that keep an archive going: rescue of lost work, counts, jobs of the server. Any number may run,
    one leads. SIGHUP reads the settings again; what it was at goes on with the new ones."""
    from qchive.errors import BadConfiguration
    from qchive.server.upkeep.run import keep_up

    def read() -> Settings:
        try:
            found = _settings(settings, config, more, database_url=database_url)
            database_of(found)
        except typer.BadParameter as problem:
            raise BadConfiguration(problem.message) from None
        return found

    chosen: Settings | None = _settings(settings, config, more, database_url=database_url)
    with _waiting(signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        while chosen is not None:
            set_up(chosen.log_format, chosen.loglevel)
            database = database_of(chosen)
            _fit(database, no_migrate)
            chosen = keep_up(database, chosen, read=read)


def worker(
    address: Annotated[str, typer.Argument(help="The server's address.")] = "http://127.0.0.1:7777",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that compute; default: one per core.")] = None,
    api_token: Annotated[
        str | None,
        typer.Option(envvar="QCHIVE_WORKER_TOKEN", help="Opens a server where one logs in."),
    ] = None,
    cores: Cores = 1,
    memory: Memory = None,
    wall_time: Annotated[float | None, typer.Option(min=1, help="Seconds that one computation may take.")] = None,
    tag: Tags = None,
    cluster: Annotated[str | None, typer.Option(help="First part of the worker's name; default: worker.")] = None,
    spool: Annotated[Path | None, typer.Option(help="Where results wait until the server has confirmed them.")] = None,
    scratch: Annotated[str | None, typer.Option(help="Where programs put temporary files; $VARIABLES work.")] = None,
    plugin: Annotated[
        list[str] | None, typer.Option(help="Module that registers further programs with QCEngine.")
    ] = None,
    stop_after_idle: Annotated[float | None, typer.Option(min=1, help="Seconds without work; then end.")] = None,
) -> None:
    """Claim tasks from a server, run them with the programs installed here, and return the results."""
    import msgspec

    from qchive.worker import loop
    from qchive.worker.settings import WorkerSettings

    given = {
        "address": address,
        "api_token": api_token,
        "workers": workers,
        "cores_per_worker": cores,
        "memory_per_worker": memory,
        "wall_time": wall_time,
        "tags": tag or None,
        "cluster": cluster,
        "spool": str(spool) if spool is not None else None,
        "scratch": scratch,
        "plugins": plugin or None,
        "stop_after_idle": stop_after_idle,
    }
    set_up()
    try:
        settings = msgspec.convert({name: value for name, value in given.items() if value is not None}, WorkerSettings)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(str(error)) from None
    raise typer.Exit(loop.run(settings))


def _fit(database_url: str, no_migrate: bool) -> None:
    """See that the database has the schema of this release."""
    from qchive.db import migrate

    if no_migrate:
        migrate.check(database_url)
    else:
        migrate.migrate(database_url)


def _settings(given: str | None, config: Path | None, more: list[str] | None, **flags: Any) -> Settings:
    """The settings: those of the process that started this one, or from all sources."""
    import msgspec

    from qchive.server.settings import Settings

    if given is not None:
        return msgspec.json.decode(given, type=Settings)
    return configured(config, more, **flags).settings
