"""One form for equal content, and nothing else equal."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from qchive.canonical import canonical, content_hash

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=12,
)


def reordered(value: Any) -> Any:
    """The same with all keys the other way round."""
    if isinstance(value, dict):
        return {k: reordered(v) for k, v in reversed(value.items())}
    return [reordered(v) for v in value] if isinstance(value, list) else value


@given(PLAIN)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    assert canonical(value) == canonical(reordered(value))
    assert msgspec.json.decode(canonical(value)) == value


def test_everything_else_matters() -> None:
    values: list[Any] = [1, 1.0, "1", True, None, [1], {"1": 1}, "A", "a", 0.0, -0.0, 1e16, 10**16, "", [], {}]
    assert len({canonical(v) for v in values}) == len(values)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_no_two_lists_of_parts_have_one_hash(one: list[str], other: list[str]) -> None:
    assert (content_hash(*one) == content_hash(*other)) is (one == other)


def test_text_is_hashed_as_utf_8() -> None:
    assert content_hash("ä") == content_hash("ä".encode())
    assert content_hash("ab", "c") != content_hash("a", "bc")
    assert len(content_hash()) == 32
