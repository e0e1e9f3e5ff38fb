"""What travels: JSON and MessagePack bodies alike, compressed values, bytes and ready-made JSON inside answers.

One set of msgspec structs describes requests and answers; this module is the only place that knows how each
encoding writes bytes, times and numbers that are none (`transport.md` §4).
"""

from __future__ import annotations

import lzma
import threading
from datetime import UTC, datetime
from typing import Any, TypeVar, overload

import msgspec

from qchive.errors import InvalidBody, TooLarge

JSON = "application/json"
MSGPACK = "application/msgpack"
CONTENT_TYPES = (JSON, MSGPACK)

DEPTH = 100
"""How deep free data (keywords, extras, properties) may be nested: far beyond need, and far from what ends a stack."""

T = TypeVar("T")
_TAG = "_bytes_base64_"
_BITE = 1 << 10
"""Four bytes of zstd unpack to 128 KiB at most, so one bite of this size to 32 MiB."""


class Bytes:
    """Bytes inside a request or an answer: native in MessagePack, a tagged base64 map in JSON."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bytes) and other.data == self.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"Bytes({len(self.data)})"


class Json:
    """Ready-encoded JSON that an answer passes through untouched (transcoded only for MessagePack)."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


def _enc_json(value: Any) -> Any:
    if isinstance(value, Json):
        return msgspec.Raw(value.text)
    if isinstance(value, Bytes):
        return {_TAG: value.data}  # in base64
    raise NotImplementedError(f"cannot send a {type(value).__name__}")


def _enc_plain(value: Any) -> Any:
    if isinstance(value, Json):
        return msgspec.json.decode(value.text)
    if isinstance(value, Bytes):
        return value.data
    raise NotImplementedError(f"cannot send a {type(value).__name__}")


def dec_hook(kind: type, value: Any) -> Any:
    """For msgspec decoders: our own types from plain objects."""
    if kind is Bytes:
        if isinstance(value, bytes):
            return Bytes(value)
        if isinstance(value, dict) and set(value) == {_TAG} and isinstance(value[_TAG], str):
            try:
                # Seven times as fast as Python's own.
                return Bytes(msgspec.convert(value[_TAG], bytes))
            except msgspec.ValidationError as e:
                raise ValueError(f"not base64: {e}") from e
        raise ValueError(f'Expected bytes, or {{"{_TAG}": "..."}}')
    if kind is Json:
        return Json(msgspec.json.encode(value))
    raise NotImplementedError(kind.__name__)


_json_encoder = msgspec.json.Encoder(enc_hook=_enc_json)


def encode(value: Any, content_type: str = JSON) -> bytes:
    """The body that carries `value`. Times are ISO text in UTC in both encodings, NaN and infinities are null."""
    if content_type == JSON:
        return _json_encoder.encode(value)
    if content_type == MSGPACK:
        plain = msgspec.to_builtins(value, builtin_types=(bytes,), enc_hook=_enc_plain)
        return msgspec.msgpack.encode(plain)
    raise ValueError(f"cannot encode {content_type}")


@overload
def decode(body: bytes, kind: type[T], content_type: str = ...) -> T: ...
@overload
def decode(body: bytes, kind: Any, content_type: str = ...) -> Any: ...
def decode(body: bytes, kind: Any, content_type: str = JSON) -> Any:
    """The value a body carries.

    Raises:
        InvalidBody: it is not well-formed, or does not fit `kind`; says where.
    """
    try:
        if content_type == JSON:
            return msgspec.json.decode(body, type=kind, dec_hook=dec_hook)
        if content_type == MSGPACK:
            return msgspec.msgpack.decode(body, type=kind, dec_hook=dec_hook, strict=True)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as e:
        raise InvalidBody(f"Invalid body: {e}") from e
    raise InvalidBody(f"Unknown Content-Type {content_type!r}: send {JSON} or {MSGPACK}")


def convert(value: Any, kind: type[T], *, strict: bool = True) -> T:
    """Plain objects as `kind`; `strict=False` also reads numbers from text, for URL parameters."""
    try:
        return msgspec.convert(value, type=kind, dec_hook=dec_hook, strict=strict)
    except (msgspec.ValidationError, ValueError, RecursionError) as e:
        raise InvalidBody(f"Invalid request arguments: {e}") from e


def too_deep(text: bytes, most: int = DEPTH) -> bool:
    """Whether JSON is nested deeper than this."""
    if text.count(b"[") + text.count(b"{") <= most:
        return False
    level = [msgspec.json.decode(text)]
    for _ in range(most):
        lists = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)]
        level = [v for inner in lists for v in inner]
    return any(isinstance(v, dict | list) for v in level)


def stored_json(value: Any) -> bytes:
    """A value as the JSON text that is stored and served: NaN and infinities are null, NUL characters are dropped
    (PostgreSQL's text and jsonb refuse them).

    Raises:
        InvalidBody: it holds what JSON cannot, or is nested too deep to be read again.
    """
    try:
        text = _stored_json(value)
    except (TypeError, NotImplementedError, OverflowError, UnicodeEncodeError, RecursionError) as e:
        raise InvalidBody(f"cannot be stored as JSON: {e}") from e
    if too_deep(text):
        raise InvalidBody(f"nested deeper than {DEPTH} levels")
    return text


def _stored_json(value: Any) -> bytes:
    text = _json_encoder.encode(value)
    if b"\\u0000" in text:
        text = _json_encoder.encode(_without_nul(value))
    return text


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {_without_nul(k): _without_nul(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nul(v) for v in value]
    return value


def utc(moment: datetime) -> datetime:
    """The moment in UTC; what comes without a zone is UTC, and what is not in the calendar there becomes its end."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return (datetime.min if moment.year == 1 else datetime.max).replace(tzinfo=UTC)


# --- compressed values: msgpack of the value, then compressed (molecules-and-files.md §5) -------------------------

_threads = threading.local()


class _Zstd:
    """What zstd works with: dear to make, cheap to use again, but only by one thread."""

    def __init__(self) -> None:
        import zstandard

        self.compressor = zstandard.ZstdCompressor(level=3, write_content_size=True)
        self.quick = zstandard.ZstdCompressor(level=-1, write_content_size=True)
        self.decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 27)

    @classmethod
    def of_this_thread(cls) -> _Zstd:
        """This thread's own."""
        found: _Zstd | None = getattr(_threads, "zstd", None)
        if found is None:
            found = _threads.zstd = cls()
        return found


def compress(value: Any) -> bytes:
    """The value as zstd(msgpack). The frame states its content size, which existing clients need."""
    return compress_bytes(msgspec.msgpack.encode(value))


def compress_quickly(value: Any) -> bytes:
    """The same for what travels once and is not kept: in a third of the time."""
    return _Zstd.of_this_thread().quick.compress(msgspec.msgpack.encode(value))


def compress_bytes(packed: bytes) -> bytes:
    """Bytes as one zstd frame with its content size in the header."""
    return _Zstd.of_this_thread().compressor.compress(packed)


def decompress_bytes(data: bytes, compression: str, limit: int) -> bytes:
    """The bytes behind a compressed blob, at most `limit` of them.

    Raises:
        TooLarge: it would unpack to more than `limit` bytes; nothing beyond the limit is kept in memory.
        InvalidBody: it does not decompress.
    """
    if compression == "none":
        unpacked = data
    elif compression == "zstd":
        unpacked = _unzstd(data, limit)
    elif compression == "lzma":
        unpacked = _unlzma(data, limit)
    else:
        raise InvalidBody(f"unknown compression {compression!r}: use zstd, lzma or none")
    if len(unpacked) > limit:
        raise TooLarge(f"unpacks to more than {limit} bytes", limit=limit)
    return unpacked


def _unlzma(data: bytes, limit: int) -> bytes:
    try:
        decompressor = lzma.LZMADecompressor(memlimit=1 << 28)
        unpacked = decompressor.decompress(data, max_length=limit + 1)
    except lzma.LZMAError as e:
        raise InvalidBody(f"not lzma data: {e}") from e
    if not decompressor.eof and len(unpacked) <= limit:
        raise InvalidBody("not lzma data: it ends too early")
    return unpacked


def _unzstd(data: bytes, limit: int) -> bytes:
    import zstandard

    try:
        # `max_output_size` is ignored when the frame states its size, so the size is read first and
        # frames without one are unpacked in small bites.
        size = zstandard.frame_content_size(data)
        if size > limit:
            raise TooLarge(f"unpacks to {size} bytes, more than {limit}", limit=limit)
        decompressor = _Zstd.of_this_thread().decompressor
        if size >= 0:
            return decompressor.decompress(data)
        return _unzstd_bounded(decompressor.decompressobj(), data, limit)
    except zstandard.ZstdError as e:
        raise InvalidBody(f"not zstd data: {e}") from e


def _unzstd_bounded(decompressor: Any, data: bytes, limit: int) -> bytes:
    unpacked = bytearray()
    for start in range(0, len(data), _BITE):
        unpacked += decompressor.decompress(data[start : start + _BITE])
        if decompressor.eof or len(unpacked) > limit:
            return bytes(unpacked)
    raise InvalidBody("not zstd data: it ends too early")


def unpacked_size(data: bytes) -> int | None:
    """How many bytes a zstd frame says it unpacks to; None if it does not say."""
    import zstandard

    try:
        size = zstandard.frame_content_size(data)
    except zstandard.ZstdError:
        return None
    return size if size >= 0 else None


def blob_as_served(data: bytes, compression: str, limit: int) -> tuple[str, bytes]:
    """A blob as received, made fit to be served: within the limit, and with the size that clients' one-shot
    decompression needs in its header. Nothing is decompressed when it already is."""
    import zstandard

    if compression == "zstd":
        try:
            size = zstandard.frame_content_size(data)
        except zstandard.ZstdError as e:
            raise InvalidBody(f"not zstd data: {e}") from e
        if 0 <= size <= limit:
            return compression, data
    return "zstd", compress_bytes(decompress_bytes(data, compression, limit))


def decompress(data: bytes, compression: str = "zstd", limit: int = 1 << 30) -> Any:
    """The value behind a compressed blob; errors as `decompress_bytes`."""
    packed = decompress_bytes(data, compression, limit)
    try:
        return msgspec.msgpack.decode(packed, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise InvalidBody(f"not MessagePack: {e}") from e
