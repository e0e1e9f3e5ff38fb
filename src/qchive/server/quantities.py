"""Times and sizes as people write them: `15m`, `1d2h`, `256 MiB`."""

from __future__ import annotations

import re

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_TIME = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_PREFIXES = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"(\d+)\s*(?:([kmgt]?)(i?)b)?", re.ASCII | re.IGNORECASE)


def seconds(text: str) -> int:
    """A time: `90`, `15m`, `1d2h`, the larger units first.

    Raises:
        ValueError: it is none.
    """
    plain = "".join(text.split()).lower()
    if plain.isascii() and plain.isdigit():
        return int(plain)
    found = _TIME.fullmatch(plain) if plain else None
    if found is None:
        raise ValueError(f"{text!r} is no time: write seconds, or something like 15m or 1d2h")
    return sum(int(n) * unit for n, unit in zip(found.groups("0"), _SECONDS.values(), strict=True))


def size(text: str) -> int:
    """A number of bytes: `4096`, `256 MiB`, `1 GB`.

    Raises:
        ValueError: it is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no size: write bytes, or something like 256 MiB")
    number, prefix, binary = found.groups("")
    return int(number) * int((1024 if binary else 1000) ** _PREFIXES[prefix.lower()])
