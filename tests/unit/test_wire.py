"""What travels: both encodings, bytes, ready-made JSON, compressed values and those that try to be too large."""

from __future__ import annotations

import lzma
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from qchive import wire
from qchive.errors import InvalidBody, TooLarge
from qchive.wire import JSON, MSGPACK, Bytes, Json

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


class Answer(msgspec.Struct):
    """An answer with something of everything."""

    when: datetime
    data: Bytes
    stored: Json
    number: float | None


ANSWER = Answer(datetime(2026, 1, 2, 3, 4, 5, 678, UTC), Bytes(b"\x00\xff"), Json(b'{"a":[1,null]}'), math.nan)


def test_an_answer_in_json() -> None:
    sent = wire.encode(ANSWER)
    assert msgspec.json.decode(sent) == {
        "when": "2026-01-02T03:04:05.000678Z",
        "data": {"_bytes_base64_": "AP8="},
        "stored": {"a": [1, None]},
        "number": None,
    }
    assert b'{"a":[1,null]}' in sent, "what is stored is passed through as it is"


def test_an_answer_in_messagepack() -> None:
    sent = msgspec.msgpack.decode(wire.encode(Answer(ANSWER.when, ANSWER.data, ANSWER.stored, 1.5), MSGPACK))
    assert sent == {
        "when": "2026-01-02T03:04:05.000678Z",
        "data": b"\x00\xff",
        "stored": {"a": [1, None]},
        "number": 1.5,
    }


@pytest.mark.parametrize("encoding", [JSON, MSGPACK])
def test_bytes_arrive_as_they_were_sent(encoding: str) -> None:
    assert wire.decode(wire.encode([Bytes(b"\x00\xff")], encoding), list[Bytes], encoding) == [Bytes(b"\x00\xff")]


def test_bytes_in_messagepack_may_come_in_their_json_form() -> None:
    body = msgspec.msgpack.encode({"_bytes_base64_": "AP8="})
    assert wire.decode(body, Bytes, MSGPACK) == Bytes(b"\x00\xff")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"_bytes_base64_": 1}',
        b'{"_bytes_base64_": "?"}',
        b'{"_bytes_base64_": "AP8=", "x": 1}',
        b'"AP8="',
        b"1",
    ],
)
def test_what_is_no_bytes_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidBody):
        wire.decode(body, Bytes)


@given(PLAIN)
def test_plain_values_arrive_as_they_were_sent(value: Any) -> None:
    for encoding in (JSON, MSGPACK):
        assert wire.decode(wire.encode(value, encoding), Any, encoding) == value


@given(PLAIN)
def test_stored_json_says_the_same_without_nul(value: Any) -> None:
    text = wire.stored_json(value)
    assert b"\x00" not in text
    assert msgspec.json.decode(text) == without_nul(value)


def without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {without_nul(k): without_nul(v) for k, v in value.items()}
    return [without_nul(v) for v in value] if isinstance(value, list) else value


def test_stored_json_turns_numbers_that_are_none_to_null_and_keeps_the_rest() -> None:
    value = {"a": [math.nan, math.inf, -math.inf, -0.0, 1e16, 1], "b": "\\u0000"}
    assert wire.stored_json(value) == rb'{"a":[null,null,null,-0.0,1e16,1],"b":"\\u0000"}'


@pytest.mark.parametrize("value", [{None: 1}, msgspec.msgpack.Ext(1, b"x"), "\ud800", {(1, 2): 3}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidBody):
        wire.stored_json([value])


@pytest.mark.parametrize(("depth", "fits"), [(wire.DEPTH, True), (wire.DEPTH + 1, False), (950, False)])
def test_only_so_much_nesting_is_stored(depth: int, fits: bool) -> None:
    value: Any = 1
    for n in range(depth):
        value = [value, {}] if n % 2 else {"k": value}
    assert wire.too_deep(msgspec.json.encode(value)) is not fits
    if fits:
        assert msgspec.json.decode(wire.stored_json(value)) == value
    else:
        with pytest.raises(InvalidBody, match="nested"):
            wire.stored_json(value)


def test_flat_values_are_not_too_deep_however_long() -> None:
    assert not wire.too_deep(msgspec.json.encode([[n, {"a": []}] for n in range(1000)]))


def test_a_body_of_unknown_type_is_refused() -> None:
    with pytest.raises(InvalidBody, match="text/plain"):
        wire.decode(b"{}", Any, "text/plain")
    with pytest.raises(ValueError, match="text/plain"):
        wire.encode({}, "text/plain")


def test_what_cannot_be_sent_is_a_fault_of_ours() -> None:
    for encoding in (JSON, MSGPACK):
        with pytest.raises(NotImplementedError):
            wire.encode(object(), encoding)


def test_moments_without_a_zone_are_utc() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert wire.utc(datetime(2026, 1, 1, 12)) == noon
    assert wire.utc(datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))) == noon


# --- compressed values --------------------------------------------------------------------------------------------


def unsized(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)


PACK = {"none": bytes, "lzma": lzma.compress, "zstd": zstandard.compress}
TEXT = bytes(range(256)) * 400


@given(PLAIN)
def test_a_compressed_value_comes_back(value: Any) -> None:
    packed = wire.compress(value)
    assert zstandard.frame_content_size(packed) >= 0, "clients decompress in one shot and need the size"
    assert wire.decompress(packed) == value


@pytest.mark.parametrize(("compression", "pack"), [*PACK.items(), ("zstd", unsized)])
def test_every_compression_is_read_up_to_the_limit(compression: str, pack: Any) -> None:
    assert wire.decompress_bytes(pack(TEXT), compression, len(TEXT)) == TEXT
    assert wire.decompress_bytes(pack(b""), compression, 0) == b""
    with pytest.raises(TooLarge) as refused:
        wire.decompress_bytes(pack(TEXT), compression, len(TEXT) - 1)
    assert refused.value.fields["limit"] == len(TEXT) - 1


@pytest.mark.parametrize(
    ("compression", "pack"), [("lzma", lzma.compress), ("zstd", zstandard.compress), ("zstd", unsized)]
)
@pytest.mark.parametrize("cut", [1, 5, 30, -1])
def test_what_is_cut_off_is_refused(compression: str, pack: Any, cut: int) -> None:
    with pytest.raises(InvalidBody):
        wire.decompress_bytes(pack(TEXT)[:cut], compression, len(TEXT))


@pytest.mark.parametrize("compression", ["lzma", "zstd", "gzip", ""])
def test_what_is_not_so_compressed_is_refused(compression: str) -> None:
    for data in (b"rubbish, and more of it", b""):
        with pytest.raises(InvalidBody):
            wire.decompress_bytes(data, compression, 1000)


def bomb(size: int, *, states_its_size: bool) -> bytes:
    compressor = zstandard.ZstdCompressor(write_content_size=states_its_size).compressobj(
        size=size if states_its_size else -1
    )
    block = bytes(1 << 20)
    return b"".join([compressor.compress(block) for _ in range(size >> 20)]) + compressor.flush()


@pytest.mark.parametrize("states_its_size", [True, False])
def test_a_bomb_is_refused_without_unpacking_all_of_it(states_its_size: bool) -> None:
    import tracemalloc

    packed = bomb(512 << 20, states_its_size=states_its_size)
    assert len(packed) < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            wire.decompress_bytes(packed, "zstd", 1 << 20)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100 << 20


def test_a_frame_that_lies_about_its_size_is_refused() -> None:
    honest = bytearray(zstandard.compress(bytes(100_000)))
    assert zstandard.frame_content_size(bytes(honest)) == 100_000
    honest[5:9] = (70_000).to_bytes(4, "little")  # the size stands after magic and descriptor
    assert zstandard.frame_content_size(bytes(honest)) == 70_000
    with pytest.raises(InvalidBody):
        wire.decompress_bytes(bytes(honest), "zstd", 1 << 30)


def test_a_blob_that_clients_can_read_is_kept_as_it_came() -> None:
    packed = zstandard.compress(TEXT, level=19)
    assert wire.blob_as_served(packed, "zstd", len(TEXT)) == ("zstd", packed)


@pytest.mark.parametrize(("compression", "pack"), [("none", bytes), ("lzma", lzma.compress), ("zstd", unsized)])
def test_a_blob_that_clients_could_not_read_is_packed_again(compression: str, pack: Any) -> None:
    served, packed = wire.blob_as_served(pack(TEXT), compression, len(TEXT))
    assert served == "zstd"
    assert zstandard.frame_content_size(packed) == len(TEXT)
    assert zstandard.decompress(packed) == TEXT


@pytest.mark.parametrize(("compression", "pack"), [*PACK.items(), ("zstd", unsized)])
def test_a_blob_beyond_the_limit_is_refused(compression: str, pack: Any) -> None:
    with pytest.raises(TooLarge):
        wire.blob_as_served(pack(TEXT), compression, len(TEXT) - 1)


def test_a_blob_that_is_no_messagepack_is_refused() -> None:
    for packed in (b"\xc1", b"\xa5ab", b"\xa1\xff", b"\x91" * 10_000):
        with pytest.raises(InvalidBody):
            wire.decompress(zstandard.compress(packed))
