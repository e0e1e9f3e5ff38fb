"""For whom a reverse proxy asks: believed only from proxies that are configured."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence

from starlette.types import Scope

from qchive.errors import BadConfiguration

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PAIR = re.compile(r'\s*(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*(?=;|,|$)|([;,])')
_BRACKETS = re.compile(r"\[([^]]*)\](?::\d+)?")
_PORT = re.compile(r"([^:]+):\d+")

Hop = tuple[str, str | None]
"""From which address a proxy had the request, and by which scheme."""


def networks(names: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks as they are written in the settings.

    Raises:
        BadConfiguration: one is neither.
    """
    try:
        return tuple(ipaddress.ip_network(name) for name in names)
    except ValueError as error:
        raise BadConfiguration(f"trusted_proxies: {error}. Write 10.0.0.5 or 10.0.0.0/24") from None


class Proxies:
    """The proxies that are believed, and the header in which they say it."""

    def __init__(self, trusted: Sequence[str], header: str) -> None:
        self._trusted = networks(trusted)
        self._standard = header == "forwarded"

    def see_through(self, scope: Scope) -> None:
        """Put the client and the scheme that a trusted proxy names in the place of the proxy's own."""
        client = scope.get("client")
        if not self._trusted or client is None or not self._trusts(client[0]):
            return
        # Each proxy appends whom it had the request from: what is left of one that is not ours may be made up.
        for address, scheme in reversed(list(self._hops(scope))):
            if scheme in ("http", "https"):
                scope["scheme"] = scheme
            if (plain := _plain(address)) is None:
                return
            scope["client"] = (plain, 0)
            if not self._trusts(plain):
                return

    def _trusts(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in network for network in self._trusted)

    def _hops(self, scope: Scope) -> Iterator[Hop]:
        if self._standard:
            yield from _standard_hops(_header(scope, b"forwarded"))
            return
        scheme = _header(scope, b"x-forwarded-proto").rpartition(",")[2].strip().lower()
        for address in _header(scope, b"x-forwarded-for").split(","):
            yield address.strip(), scheme


def _header(scope: Scope, name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == name)


def _standard_hops(text: str) -> Iterator[Hop]:
    """The elements of a header `Forwarded` (RFC 7239)."""
    parts: dict[str, str] = {}
    for found in _PAIR.finditer(text):
        name, quoted, plain, separator = found.groups()
        if name:
            parts[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        elif separator == ",":
            yield parts.get("for", ""), parts.get("proto", "").lower()
            parts = {}
    yield parts.get("for", ""), parts.get("proto", "").lower()


def _plain(address: str) -> str | None:
    """The address without brackets and port; None if it is none."""
    found = _BRACKETS.fullmatch(address) or _PORT.fullmatch(address)
    try:
        return str(ipaddress.ip_address(found[1] if found else address))
    except ValueError:
        return None
