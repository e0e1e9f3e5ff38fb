"""Values in PostgreSQL's binary format, by the type that PostgreSQL itself gave a parameter.

Lists are the point: one pass over each, where psycopg asks for every element what it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from struct import Struct
from typing import Any

Pack = Callable[[Any], bytes]

_length = Struct("!i").pack
_head = Struct("!5i").pack
_NULL = _length(-1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DAY, _SECOND = 86_400_000_000, 1_000_000


def _time(value: datetime) -> bytes:
    """Microseconds since the start of 2000."""
    since = value - _EPOCH
    return _bigint(since.days * _DAY + since.seconds * _SECOND + since.microseconds)


_bigint = Struct("!q").pack
_SCALARS: Mapping[int, tuple[int, Pack]] = {
    16: (1000, Struct("!?").pack),  # boolean
    17: (1001, bytes),  # bytea
    20: (1016, _bigint),
    21: (1005, Struct("!h").pack),  # smallint
    23: (1007, Struct("!i").pack),  # integer
    25: (1009, str.encode),  # text
    701: (1022, Struct("!d").pack),  # double precision
    1184: (1185, _time),  # timestamptz
}
"""Type → the type of its arrays, and how a value is packed. These numbers are the same in every PostgreSQL."""


def _array(element: int, pack: Pack) -> Pack:
    def packed(values: Sequence[Any]) -> bytes:
        if not values:
            return _head(0, 0, element, 0, 0)[:12]
        parts = [b""]
        nulls = 0
        for value in values:
            if value is None:
                nulls = 1
                parts.append(_NULL)
            else:
                data = pack(value)
                parts.append(_length(len(data)))
                parts.append(data)
        parts[0] = _head(1, nulls, element, len(values), 1)
        return b"".join(parts)

    return packed


PACKS: Mapping[int, Pack] = {
    **{scalar: pack for scalar, (_, pack) in _SCALARS.items()},
    **{array: _array(scalar, pack) for scalar, (array, pack) in _SCALARS.items()},
}
"""How the values of a parameter are packed, by its type."""
