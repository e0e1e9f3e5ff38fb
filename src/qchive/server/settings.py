"""What can be set about a server, once: files, the environment and flags are all read into this struct."""

from __future__ import annotations

import ipaddress
import os
from typing import Annotated, Literal

import msgspec

from qchive.api.about import LIMITS
from qchive.diagnosis import ErrorClass
from qchive.errors import BadConfiguration, LimitTooSmall, NoNetwork, NotLoopback, WeakSecret
from qchive.logged import LogFormat, LogLevel
from qchive.server.proxies import networks

SMALLEST = dict.fromkeys(LIMITS, 4) | {
    "get_records": 10,
    "add_records": 1,
    "add_molecules": 1,
    "get_dataset_entries": 1,
    "manager_tasks_claim": 1,
    "manager_tasks_return": 1,
}
"""The least that each limit may be: clients ask for a tenth of the records, and a quarter of most else."""


Times = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[int, msgspec.Meta(ge=0, extra={"unit": "seconds"})]
SomeSeconds = Annotated[int, msgspec.Meta(ge=1, extra={"unit": "seconds"})]
Bytes = Annotated[int, msgspec.Meta(ge=1, extra={"unit": "bytes"})]

SECRET = frozenset({"database_url", "jwt_secret_key"})
"""Settings that are shown to nobody."""

SHORTEST_KEY = 32
"""Bytes of a key that signs tokens: as many as the signature has."""

BY_CLASS: dict[ErrorClass, int] = {ErrorClass.input: 0, ErrorClass.convergence: 0, ErrorClass.server: 0}
"""What would fail again unchanged does not run again by itself."""


class AutoReset(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How often records that fail run again by themselves, since they were added or last reset by a person."""

    enabled: bool = False
    """Whether they do at all."""
    unknown_error: Times = 2
    """Restarts after errors of any type that is not named here, unless their class has a limit."""
    compute_lost: Times = 5
    """Restarts after the type `KilledWorker` or `ManagerLost`; attempts whose manager fell silent count too."""
    random_error: Times = 5
    """Restarts after the type `random_error`."""
    by_class: dict[ErrorClass, Times | None] = {}
    """Restarts after errors of a class, whatever their type: changes to `input`, `convergence` and `server` 0. A class
    with null has no limit of its own."""

    def of_class(self, error_class: ErrorClass) -> int | None:
        """The limit of a class; None if it has none."""
        return self.by_class.get(error_class, BY_CLASS.get(error_class))


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How a server behaves."""

    name: str = "QCHive"
    """What the archive calls itself to clients."""
    host: str = "127.0.0.1"
    """Address to listen on: one of this machine only, unless people log in."""
    port: int = 7777
    """TCP port to listen on."""
    database_url: str | None = None
    """Where PostgreSQL is: `postgresql://…`. An archive on one machine brings its own."""
    processes: Positive = 1
    """Server processes that answer requests."""
    motd: str = ""
    """Message of the day, which clients show when they connect."""
    homepage_redirect_url: str | None = None
    """Where the bare address leads. Unless given: to the page that describes the API."""
    homepage_directory: str | None = None
    """Folder of web pages for everybody, to stand at the bare address instead. Their scripts act for whoever is logged
    in, so no others may write there."""
    api_limits: dict[str, int] = {}
    """Changes to `qchive.api.about.LIMITS`."""
    strict_compute_tags: bool = False
    """Whether a manager's tag `*` stands for the literal tag only, instead of any tag."""
    heartbeat_frequency: SomeSeconds = 60
    """Seconds between signs of life of a compute manager."""
    heartbeat_jitter: float = 0.1
    """Share of that time by which managers vary it, so that they do not all report at once."""
    heartbeat_max_missed: int = 4
    """A manager silent for this many heartbeats is gone; what it ran waits again."""
    max_losses: int = 5
    """After this many lost attempts in a row a record becomes an error that a person should look at."""
    auto_reset: AutoReset = AutoReset()
    """Whether failed records run again by themselves."""
    operation_at_once: int = 5000
    """An action on more records than this, chosen by a filter, is done by a job in the background."""
    internal_job_keep: Seconds = 0
    """Seconds that internal jobs are kept after their end; 0: for ever."""
    log_access: bool = False
    """Whether every request is noted in the database, for administrators to look at."""
    access_log_keep: Seconds = 0
    """Seconds that these notes are kept; 0: for ever."""
    error_log_keep: Seconds = 0
    """Seconds that unforeseen errors are kept; 0: for ever."""
    hide_internal_errors: bool = True
    """Whether people are told of an unforeseen error by its id alone, instead of all that went wrong."""
    log_format: LogFormat = LogFormat.text
    """How lines of the log are written, `text` or `json`."""
    loglevel: LogLevel = LogLevel.INFO
    """The least important lines that are written: `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`."""
    metrics_from: list[str] = []
    """Networks that may read `/metrics` beside this machine itself, such as `10.1.0.0/16`."""
    max_body: Bytes = 256 << 20
    """Largest request body, in bytes."""
    max_result: Bytes = 512 << 20
    """Largest unpacked result, in bytes."""
    request_timeout: SomeSeconds = 60
    """Seconds that a client may take to send the head of a request; of its body, 64 KiB or the rest must arrive in each
    such time. Whoever is slower is cut off."""
    max_connections: Positive = 1000
    """Connections at the same time per server process; requests on further ones are answered with 503."""
    shutdown_timeout: SomeSeconds = 20
    """Seconds that running requests have to end when a server process is to end."""
    trusted_proxies: list[str] = []
    """Addresses and networks of reverse proxies: only these are believed when they say for whom a request is."""
    proxy_header: Literal["x-forwarded", "forwarded"] = "x-forwarded"
    """How they say it: with `X-Forwarded-For` and `X-Forwarded-Proto`, or with `Forwarded` (RFC 7239). The proxy has to
    overwrite or extend this header; the other one is ignored."""
    tls_certificate: str | None = None
    """File with the certificate (PEM, the whole chain), to serve https without a proxy."""
    tls_key: str | None = None
    """File with its private key."""
    enable_security: bool | None = None
    """Whether people log in. Unless given: yes for `qchive server`, no for an archive on one machine."""
    allow_unauthenticated_read: bool = False
    """Whether those who have not logged in may read records, molecules and what runs."""
    jwt_secret_key: str | None = None
    """Signs the tokens of those who log in, at least 32 bytes. Unless given, one is made at the first login and kept in
    the database, where all server processes find it."""
    jwt_access_token_expires: SomeSeconds = 900
    """Seconds that such a token holds; clients renew it by themselves."""
    jwt_refresh_token_expires: SomeSeconds = 86400
    """Seconds that clients can renew it without the password."""
    user_session_max_age: SomeSeconds = 86400
    """Seconds that a browser stays logged in without a request."""
    user_session_cookie_secure: bool = True
    """Whether browsers send their cookie over https only (and to this very machine)."""
    login_rate_limit_enabled: bool = True
    """Whether wrong passwords are counted, and further ones refused for a while."""
    login_rate_limit_max_attempts: Positive = 10
    """Wrong passwords for one name from one address within the window."""
    login_rate_limit_ip_max_attempts: Positive = 50
    """Wrong passwords from one address within the window, whatever the names."""
    login_rate_limit_window: SomeSeconds = 60
    """Seconds."""
    api_token_default_lifetime: SomeSeconds | None = None
    """Seconds that an API token holds if nothing is said when it is made; None: for ever."""
    api_token_max_lifetime: SomeSeconds | None = None
    """Seconds that an API token may hold at most; None: for ever."""
    database_pool: Positive = 8
    """Connections to PostgreSQL per server process."""
    database_patience: Annotated[float, msgspec.Meta(ge=0, extra={"unit": "seconds"})] = 30.0
    """Seconds that a request waits for PostgreSQL to come back."""

    @property
    def limits(self) -> dict[str, int]:
        """The limits in force."""
        return LIMITS | self.api_limits

    @property
    def secure(self) -> bool:
        """Whether people log in; what is not decided counts as no, and then only this machine is listened to."""
        return self.enable_security is True

    @property
    def silence(self) -> float:
        """Seconds without a sign of life after which a compute manager is gone."""
        return self.heartbeat_frequency * self.heartbeat_max_missed * (1 + self.heartbeat_jitter)

    def check(self) -> None:
        """Refuse what would be unsafe or could not work.

        Raises:
            NotLoopback: the address can be reached from other machines, and nobody has to log in.
            WeakSecret: `jwt_secret_key` could be guessed.
            LimitTooSmall: a limit below what existing clients can work with, or one that does not exist.
            BadConfiguration: a proxy that is no address, a certificate without a key or the other way round, or files
                that are not there.
            NoNetwork: one of `metrics_from` is none.
        """
        networks(self.trusted_proxies)
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise BadConfiguration("tls_certificate and tls_key go together: give both, or none")
        for file in filter(None, (self.tls_certificate, self.tls_key)):
            if not os.access(file, os.R_OK):
                raise BadConfiguration(f"{file}, for https, does not exist or cannot be read")
        if self.homepage_directory is not None and not os.path.isdir(self.homepage_directory):
            raise BadConfiguration(f"homepage_directory: {self.homepage_directory} is not a folder")
        for name, value in self.api_limits.items():
            if name not in SMALLEST:
                raise LimitTooSmall(f"There is no limit called {name!r}: those there are: {', '.join(SMALLEST)}")
            if value < SMALLEST[name]:
                raise LimitTooSmall(f"api_limits.{name} = {value} is too small: at least {SMALLEST[name]}")
        for network in self.metrics_from:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise NoNetwork(f"metrics_from: {error}. Write networks as 10.1.0.0/16 or fd00::/8") from None
        if not self.secure and not _is_loopback(self.host):
            raise NotLoopback(
                f"Refusing to listen on {self.host}: everybody who reaches this server may do everything. "
                "Set enable_security, or use 127.0.0.1 and an SSH tunnel."
            )
        if self.jwt_secret_key is not None and _is_weak(self.jwt_secret_key):
            raise WeakSecret(
                f"jwt_secret_key is too easy to guess: give it at least {SHORTEST_KEY} random bytes, or leave it out"
            )


def _is_weak(key: str) -> bool:
    return len(key.encode()) < SHORTEST_KEY or len(set(key)) < 10


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
