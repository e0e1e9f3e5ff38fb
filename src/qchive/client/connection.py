"""Requests over HTTP: one method that asks what an `Endpoint` row describes, and tries again where that can help."""

from __future__ import annotations

import logging
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import msgspec

from qchive import errors, wire
from qchive._version import __version__
from qchive.api.endpoint import Endpoint

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

_PART = re.compile(r"\{(\w+)(?::(\w+))?\}")
_AS_DECLARED: Any = object()


class Connection:
    """A server, and how to reach it. Any number of threads may share one.

    Connection errors and timeouts are tried again up to `retry_max` times, after `retry_delay` seconds that grow by
    `retry_backoff` each time, give or take `retry_jitter_fraction`; so is an answer that says the server's database is
    away for a moment. `verify` is what TLS trusts: True, False, or the path of a certificate.
    """

    def __init__(
        self,
        address: str,
        *,
        encoding: str = wire.JSON,
        timeout: float = 60.0,
        retry_max: int = 5,
        retry_delay: float = 0.5,
        retry_backoff: float = 2.0,
        retry_jitter_fraction: float = 0.05,
        verify: bool | str = True,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        import httpx  # 0.1 s of CPU that `import qchive` does not pay

        self.address = normalised(address)
        self.encoding = encoding
        self.timeout = timeout
        self.retry_max = retry_max
        self.retry_delay = retry_delay
        self.retry_backoff = retry_backoff
        self.retry_jitter_fraction = retry_jitter_fraction
        self._http = httpx.Client(
            verify=ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify,
            headers={"User-Agent": f"qchive/{__version__}", **(headers or {})},
            trust_env=not is_loopback(urlsplit(self.address).hostname or ""),  # no proxy leads to this machine
        )

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the server."""
        self._http.close()

    def log_in(self, auth: httpx.Auth) -> None:
        """From now on, requests carry what this flow puts on them."""
        self._http.auth = auth

    def ask(
        self,
        endpoint: Endpoint,
        /,
        *,
        body: Any = None,
        query: Any = None,
        answer: Any = _AS_DECLARED,
        retries: bool = True,
        repeatable: bool = True,
        files: Mapping[str, bytes] | None = None,
        **path: Any,
    ) -> Any:
        """What the server answers, decoded as `endpoint.answer` (or as `answer`, if that is given).

        `path` fills the variable parts of the address. `query` is a struct or mapping; lists become repeated keys.
        `files` (name → content) go beside the body. With `retries=False` nothing is tried again; with
        `repeatable=False` only what cannot have reached the server.

        Raises:
            QCHiveError: the class that the server raised; `RequestFailed` for servers that do not name theirs.
            ServerUnreachable: no answer, after all retries.
        """
        encoding = self.encoding
        send = partial(
            self._http.request,
            endpoint.method,
            self.address + filled(endpoint.path, path).lstrip("/"),
            params=parameters(query),
            headers={"Accept": encoding, "Content-Type": encoding},
        )
        if files is not None:
            send = partial(send, files=_multipart(body, files, encoding), headers={"Accept": encoding})
        elif body is not None:
            send = partial(send, content=wire.encode(body, encoding))
        response = self._persist(endpoint.name, send, self.retry_max if retries else 0, repeatable)
        return _decoded(response, endpoint.answer if answer is _AS_DECLARED else answer)

    def _persist(
        self, what: str, send: Callable[..., httpx.Response], retries: int, repeatable: bool
    ) -> httpx.Response:
        import httpx

        pauses = self._pauses(retries)
        while True:
            try:
                response = send(timeout=self.timeout)
                if response.status_code == 200:
                    return response
                error = _refusal(response)
                hopeless = not isinstance(error, errors.Unavailable)
            except httpx.TransportError as e:
                error = errors.ServerUnreachable(f"No answer from {self.address} ({_said(e)})", address=self.address)
                error.__cause__ = e
                arrived = not isinstance(e, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                hopeless = _is_tls(e) or (arrived and not repeatable)
            pause = None if hopeless else next(pauses, None)
            if pause is None:
                raise error
            log.warning("%s: %s; trying again in %.1f s", what, error.msg, pause)
            time.sleep(pause)

    def _pauses(self, n: int) -> Iterator[float]:
        for i in range(n):
            jitter = 1 + random.uniform(-1, 1) * self.retry_jitter_fraction
            yield self.retry_delay * self.retry_backoff**i * jitter


def normalised(address: str) -> str:
    """The address with a scheme (https, or http for this very machine) and one slash at its end.

    Raises:
        ValueError: it names no host, or is not http.
    """
    address = address.strip()
    if "://" not in address:
        host = urlsplit(f"//{address}").hostname or ""
        address = f"{'http' if is_loopback(host) else 'https'}://{address}"
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{address!r} is no address of a server: write it as https://host or http://host:port")
    return address.rstrip("/") + "/"


def is_loopback(host: str) -> bool:
    """Whether a host name means this very machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def filled(path: str, values: Mapping[str, Any]) -> str:
    """An endpoint's path with its variable parts filled in and quoted; `:path` parts keep their slashes.

    Raises:
        TypeError: a part without a value, or a value without a part.
    """
    names = {m[1] for m in _PART.finditer(path)}
    if names != set(values):
        raise TypeError(f"{path} wants {sorted(names)}, not {sorted(values)}")
    return _PART.sub(lambda m: quote(str(values[m[1]]), safe="/" if m[2] == "path" else ""), path)


def parameters(query: Any) -> dict[str, list[str]]:
    """URL parameters: None is left out, lists become repeated keys."""
    plain = msgspec.to_builtins(query) if query is not None else {}
    given = {k: v if isinstance(v, list) else [v] for k, v in plain.items() if v is not None}
    return {k: [str(v).lower() if isinstance(v, bool) else str(v) for v in values] for k, values in given.items()}


def _multipart(body: Any, files: Mapping[str, bytes], encoding: str) -> list[tuple[str, tuple[str, bytes, str]]]:
    parts: list[tuple[str, tuple[str, bytes, str]]] = [
        ("files", (name, content, "application/octet-stream")) for name, content in files.items()
    ]
    return [*parts, ("body_data", ("body_data", wire.encode(body, encoding), encoding))]


def _decoded(response: httpx.Response, kind: Any) -> Any:
    try:
        return wire.decode(response.content, kind, _content_type(response))
    except errors.InvalidBody as e:
        url = response.request.url
        raise errors.RequestFailed(f"Cannot read what {url} answers: {e.msg}", status=response.status_code) from e


def _refusal(response: httpx.Response) -> errors.QCHiveError:
    if response.is_redirect:
        target = response.headers.get("Location", "elsewhere")
        return errors.RequestFailed(
            f"{response.request.url} redirects to {target}: use that server's own address", status=response.status_code
        )
    try:
        reply = wire.decode(response.content, dict[str, Any], _content_type(response))
    except errors.InvalidBody:
        reply = None  # a proxy's page, say; the status tells all there is
    return errors.from_reply(response.status_code, reply)


def _content_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
