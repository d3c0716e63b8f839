"""Frames between supervisor and runner: a JSON message and the blobs that it holds.

A frame is the length of the JSON text, the number of blobs, the length of each blob, the text,
the blobs. In the text a blob is `{"blob": n}`. Both ends are of one release: no versions.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

Message = dict[str, Any]

_HEAD = struct.Struct("<II")


def encode(message: Message) -> list[bytes]:
    """Give the parts of a frame, to be sent one after the other."""
    blobs: list[bytes] = []

    def take(value: object) -> dict[str, int]:
        if not isinstance(value, bytes):
            raise TypeError(f"a message can't hold {type(value).__name__}")
        blobs.append(value)
        return {"blob": len(blobs) - 1}

    text = json.dumps(message, default=take).encode("ascii")
    sizes = struct.pack(f"<{len(blobs)}Q", *map(len, blobs))
    return [_HEAD.pack(len(text), len(blobs)) + sizes + text, *blobs]


class Decoder:
    """Puts frames together from whatever pieces arrive."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[Message]:
        """Take the next piece; give each message that it completes."""
        self._buffer += piece
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> Message | None:
        if len(self._buffer) < _HEAD.size:
            return None
        text_size, count = _HEAD.unpack_from(self._buffer)
        start = _HEAD.size + 8 * count
        if len(self._buffer) < start:
            return None
        sizes = struct.unpack_from(f"<{count}Q", self._buffer, _HEAD.size)
        end = start + text_size + sum(sizes)
        if len(self._buffer) < end:
            return None
        text = bytes(self._buffer[start : start + text_size])
        message = decode(text, self._blobs(start + text_size, sizes))
        del self._buffer[:end]
        return message

    def _blobs(self, start: int, sizes: tuple[int, ...]) -> list[bytes]:
        blobs = []
        for size in sizes:
            blobs.append(bytes(self._buffer[start : start + size]))
            start += size
        return blobs


def decode(text: bytes, blobs: list[bytes]) -> Message:
    """Read a message's text, with its blobs in their places."""

    def put(mapping: dict[str, Any]) -> Any:  # noqa: ANN401 - a blob or the mapping itself
        number = mapping.get("blob")
        return blobs[number] if len(mapping) == 1 and isinstance(number, int) else mapping

    message: Message = json.loads(text, object_hook=put)
    return message
