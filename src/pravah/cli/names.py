"""File names on a terminal: what can't be printed is escaped, and columns are counted right.

A name is bytes that somebody else chose: it may move the cursor, set the window's title or
reverse the line. Whatever people read goes through `printable`; data for programs does not.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

# C0, DEL, C1, line and paragraph separators, format characters (among them the
# bidirectional overrides), lone surrogates, unassigned and private code points.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(name: str | bytes) -> str:
    r"""Escape whatever a terminal would not simply show.

    >>> printable(b"a\x1b[31m\n\xff")
    'a\\x1b[31m\\n\\xff'
    """
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(letter) for letter in text)


def from_uri(uri: str) -> str:
    """Write a `file://` URI as the path that people type; others stay as they are.

    >>> from_uri("file:///data/a%20b")
    '/data/a b'
    """
    if not uri.startswith("file://"):
        return printable(uri)
    return from_path(unquote_to_bytes(uri.removeprefix("file://")))


def from_uris(uris: Sequence[str]) -> str:
    """Write the outputs of one file: the first, and how many there are beside it.

    >>> from_uris(["file:///a-00000", "file:///a-00001", "file:///a-00002"])
    '/a-00000 and 2 more'
    """
    first, *others = uris or [""]
    more = f" and {len(others):,} more" if others else ""
    return f"{from_uri(first)}{more}" if first else ""


def from_path(path: str | bytes) -> str:
    """Write an absolute path; what is below the working directory is written from there."""
    here = os.path.join(os.getcwdb(), b"")  # noqa: PTH109, PTH118 - pathlib has no paths of bytes
    return printable(os.fsencode(path).removeprefix(here) or b"./")


def width(text: str) -> int:
    """Count the columns that a printable text takes: wide letters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_letter_width(letter) for letter in text)


def cut(text: str, columns: int) -> str:
    """Shorten a text to so many columns, with an ellipsis in place of its end."""
    if width(text) <= columns:
        return text
    kept, used = [], 0
    for letter in text:
        used += _letter_width(letter)
        if used > columns - 1:
            break
        kept.append(letter)
    return "".join(kept) + "…" if columns > 0 else ""


def cut_middle(text: str, columns: int) -> str:
    """Shorten a path to so many columns by its middle: both ends tell most."""
    if width(text) <= columns:
        return text
    tail_columns = max(0, (columns - 1) * 2 // 3)
    tail, used = [], 0
    for letter in reversed(text):
        used += _letter_width(letter)
        if used > tail_columns:
            break
        tail.append(letter)
    head = cut(text, columns - width("".join(tail)))
    return head + "".join(reversed(tail))


def _escaped(letter: str) -> str:
    if unicodedata.category(letter) not in _UNPRINTABLE:
        return letter
    if letter in _SHORT:
        return _SHORT[letter]
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _letter_width(letter: str) -> int:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
