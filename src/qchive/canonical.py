"""One form for equal content: canonical JSON bytes and the hash that identifies them.

Equal means: key order does not matter, everything else does. `1` and `1.0` differ, case matters, nothing is rounded.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(order="sorted")


def canonical(value: Any) -> bytes:
    """Compact JSON with sorted keys."""
    return _encoder.encode(value)


def content_hash(*parts: bytes | str) -> bytes:
    """SHA-256 over the parts, each prefixed with its length so that no two lists of parts collide."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.digest()
