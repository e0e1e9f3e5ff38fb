"""What the worker and its warm processes say to each other: MessagePack in frames, over one socket per process."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

_LENGTH = struct.Struct("<Q")


class Warm(msgspec.Struct, frozen=True, tag=True):
    """Import everything; say what can be run, if asked."""

    plugins: list[str]
    list_programs: bool


class Run(msgspec.Struct, frozen=True, tag=True):
    """Run one task. Memory in GiB for the process and all it starts, None: no limit."""

    function: str
    kwargs: bytes
    record_id: int
    cores: int
    memory: float | None


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The process is warm: program → version, if asked for."""

    programs: dict[str, str] | None


class Done(msgspec.Struct, frozen=True, tag=True):
    """The task has ended by itself."""

    success: bool
    result: bytes
    wall_time: float


ToChild = Warm | Run
FromChild = Ready | Done

T = TypeVar("T")


def frame(message: ToChild | FromChild) -> bytes:
    """The message as it goes over the socket: its length in eight bytes, then MessagePack."""
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(body)) + body


class Frames(Generic[T]):
    """Puts messages together again from whatever pieces a socket delivers."""

    def __init__(self, kind: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[T]:
        """The messages that are complete with these bytes."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield self._decoder.decode(body)
