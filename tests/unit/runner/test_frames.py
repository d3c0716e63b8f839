"""Frames: whatever pieces arrive, the same messages come out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pravah.runner.frames import Decoder, encode

MESSAGES = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=99),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
).filter(lambda message: list(message) != ["blob"])


@given(st.lists(MESSAGES, max_size=4), st.integers(1, 50))
def test_messages_in_pieces_of_any_size_come_out_whole(
    messages: list[dict[str, Any]], piece: int
) -> None:
    stream = b"".join(part for message in messages for part in encode(message))
    decoder, decoded = Decoder(), []
    for start in range(0, len(stream), piece):
        decoded += list(decoder.feed(stream[start : start + piece]))
    assert decoded == messages


def test_message_of_something_else_is_refused() -> None:
    with pytest.raises(TypeError, match="can't hold set"):
        encode({"value": set()})
