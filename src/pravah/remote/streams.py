"""Long answers: pieces as they come from the network become lines, and events of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    r"""Give whole lines, each with its end; what is behind the last end is a line, too.

    >>> list(lines([b"a\nb", b"c\n", b"d"]))
    [b'a\n', b'bc\n', b'd']
    """
    kept = b""
    for piece in pieces:
        whole, newline, rest = (kept + piece).rpartition(b"\n")
        yield from (whole + newline).splitlines(keepends=True)
        kept = rest
    if kept:
        yield kept


def server_sent(pieces: Iterable[bytes]) -> Iterator[tuple[str, Any]]:
    r"""Give name and data of each event of an event stream (HTML standard, section 9.2).

    >>> list(server_sent([b": hello\n\nid: 7\nevent: job\nda", b'ta: {"a": 1}\n\n']))
    [('job', {'a': 1})]
    """
    name, data = "message", ""
    for line in lines(pieces):
        field, _, value = line.decode().rstrip("\r\n").partition(":")
        if field == "event":
            name = value.removeprefix(" ")
        elif field == "data":
            data += value.removeprefix(" ")
        elif not field and not value:
            if data:
                yield name, json.loads(data)
            name, data = "message", ""
