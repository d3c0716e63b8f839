"""Where a page ends, as a text that means nothing to whoever sends it back.

It holds a place in an order that does not change, never a count of rows: what is added or removed
meanwhile moves nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from pravah.api.problems import Problem

# No place needs more.
_LONGEST = 2000


def write(name: str, *place: int | str) -> str:
    """Write the cursor of a list that is called `name`.

    >>> read("jobs", write("jobs", "01KAB7"), str)
    ['01KAB7']
    """
    text = json.dumps([name, *place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(name: str, cursor: str | None, *kinds: type) -> list[Any] | None:
    """Read a cursor of that list; None where there is none."""
    if cursor is None:
        return None
    try:
        if len(cursor) > _LONGEST:
            raise ValueError  # noqa: TRY301 - one answer for all that is wrong
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = json.loads(text)
        place = found[1:]
        right = found[0] == name and len(place) == len(kinds)
        if not right or not all(map(_fits, place, kinds)):
            raise ValueError  # noqa: TRY301
    except (ValueError, binascii.Error, KeyError, IndexError, TypeError, RecursionError):
        raise Problem(
            422,
            "invalid_cursor",
            "`cursor` is no cursor of this list",
            hint="send back `next_cursor` as it came, or leave it out to begin anew",
        ) from None
    return list(place)


def _fits(value: object, kind: type) -> bool:
    if kind is int:
        # Ids are signed 64-bit numbers; true is an int in Python.
        return type(value) is int and 0 <= value < 1 << 62
    return isinstance(value, kind) and "\0" not in str(value) and str(value).isascii()
