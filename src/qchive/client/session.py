"""One client's view of one server: how to reach it, what it said about itself, and how much it takes at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from qchive import errors, wire
from qchive.api import about, accounts
from qchive.client.connection import Connection

T = TypeVar("T")


class _Me(msgspec.Struct):
    """What a client needs to know of its own account."""

    id: int
    username: str


class _OfConnection:
    """An attribute of the session's connection, to read and to set."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, session: Session | None, owner: type) -> Any:
        return self if session is None else getattr(session.connection, self._name)

    def __set__(self, session: Session, value: Any) -> None:
        setattr(session.connection, self._name, value)


class Session:
    """A connection and what everything else needs of it. Keyword arguments beyond those named are `Connection`'s."""

    timeout = _OfConnection()
    retry_max = _OfConnection()
    retry_delay = _OfConnection()
    retry_backoff = _OfConnection()
    retry_jitter_fraction = _OfConnection()

    download_target_time = 0.5
    """Seconds that one request for many objects should take; their number adapts to it."""

    def __init__(
        self,
        address: str,
        username: str | None = None,
        password: str | None = None,
        verify: bool | str = True,
        show_motd: bool = True,
        *,
        api_token: str | None = None,
        cache_dir: str | Path | None = None,
        cache_max_size: int = 0,
        **connection: Any,
    ) -> None:
        if api_token is not None and (username is not None or password is not None):
            raise ValueError("give either an API token or a name and a password, not both")
        self.connection = Connection(address, verify=verify, **connection)
        self.username = username
        self.user_id: int | None = None
        self.cache_dir = cache_dir
        self.cache_max_size = cache_max_size
        try:
            self._introduce(password, api_token)
            self.server_info = self.get_server_information()
        except BaseException:
            self.close()
            raise
        motd = self.server_info.get("motd")
        if motd and show_motd:
            print(motd)

    def _introduce(self, password: str | None, api_token: str | None) -> None:
        if self.username is not None and password is not None:
            self._log_in(self.username, password)
        elif api_token is not None:
            self._use_token(api_token)

    def _log_in(self, username: str, password: str) -> None:
        from qchive.client.login import PasswordLogin

        flow = PasswordLogin(self.connection.address, username, password)
        self.connection.log_in(flow)
        self.connection.ask(about.PING)  # a wrong password is told before anything else
        self.user_id = flow.user_id

    def _use_token(self, token: str) -> None:
        from qchive.client.login import TokenLogin

        self.connection.log_in(TokenLogin(token))
        try:
            me = self.connection.ask(accounts.ME, answer=_Me)
        except errors.QCHiveError as e:
            if isinstance(e, errors.ServerUnreachable):
                raise
            if "security disabled" in e.msg or isinstance(e, errors.NoSuchPath):
                return  # a server without accounts takes everybody
            raise errors.AuthenticationRequired(e.msg, **e.fields) from e
        self.user_id, self.username = me.id, me.username

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name}(server_name={self.server_name!r}, address={self.address!r}, username={self.username!r})"

    def _repr_html_(self) -> str:
        facts = {"Server": self.server_name, "Address": self.address, "Username": self.username}
        items = "".join(f"<li><b>{k}:</b> {escape(str(v))}</li>" for k, v in facts.items())
        return f"<h3>{type(self).__name__}</h3><ul>{items}</ul>"

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the server."""
        self.connection.close()

    @property
    def address(self) -> str:
        """Where the server is."""
        return self.connection.address

    @property
    def server_name(self) -> str:
        """What the server calls itself."""
        return str(self.server_info["name"])

    @property
    def api_limits(self) -> dict[str, int]:
        """How many items the server takes in one request; longer lists are sent in several."""
        limits: dict[str, int] = self.server_info["api_limits"]
        return limits

    @property
    def encoding(self) -> str:
        """How bodies travel in both directions: `application/json` or `application/msgpack`."""
        return self.connection.encoding

    @encoding.setter
    def encoding(self, encoding: str) -> None:
        if encoding not in wire.CONTENT_TYPES:
            raise ValueError(f"no encoding {encoding!r}: use {' or '.join(wire.CONTENT_TYPES)}")
        self.connection.encoding = encoding

    def ping(self) -> bool:
        """Whether the server answers."""
        try:
            return bool(self.connection.ask(about.PING).success)
        except errors.ServerUnreachable:
            return False

    def get_server_information(self) -> dict[str, Any]:
        """What the server says about itself: name, version, limits, message of the day."""
        info: dict[str, Any] = msgspec.to_builtins(self.connection.ask(about.INFORMATION))
        return info

    def get_server_openapi_spec(self) -> dict[str, Any]:
        """The OpenAPI document of the server."""
        document: dict[str, Any] = self.connection.ask(about.OPENAPI)
        return document

    def in_chunks(self, ids: Sequence[Any], limit: int, ask: Callable[[list[Any]], list[T]]) -> Iterator[T]:
        """What `ask` answers for the ids, asked in chunks whose size adapts to how long the answers take."""
        size, start = max(limit // 10, 1), 0
        while start < len(ids):
            began = time.monotonic()
            yield from ask(list(ids[start : start + size]))
            start += size
            factor = self.download_target_time / max(time.monotonic() - began, 1e-3)
            size = min(max(int(size * min(factor, 4.0)), 1), limit)
