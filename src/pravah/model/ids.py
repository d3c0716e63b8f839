"""Identifiers that sort by the time they were made: ULIDs, shown with the prefix `job_`."""

from __future__ import annotations

import os
import re
import threading
import time

# Crockford's base 32: digits and letters without I, L, O and U.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PREFIX = "job_"
_LETTERS = 26
_TYPED = re.compile(rf"[0-9A-HJKMNP-TV-Z]{{1,{_LETTERS}}}\Z")


class _Sequence:
    """The numbers of one process's ids: each is greater than the one before.

    Where the millisecond is still the same, or the clock was set back, the next number lies a
    step behind the last. The step is random, since a process forked off may take one as well.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
        with self._lock:
            if number >> 80 <= self._last >> 80:
                number = self._last + 1 + int.from_bytes(os.urandom(8))
            self._last = number
        return number


_sequence = _Sequence()


def new_id() -> str:
    """Make a ULID: 48 bits of milliseconds and 80 random bits, as 26 letters.

    The ids of one process sort in the order in which they were made.
    """
    number = _sequence.next()
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def shown(job_id: str) -> str:
    """Write a job's id as people see it."""
    return _PREFIX + job_id


def typed(text: str) -> str | None:
    """Read an id or its beginning as people type it; None where it can't be one.

    >>> typed("job_01kab7"), typed("../x")
    ('01KAB7', None)
    """
    word = text.strip().rstrip("…").removeprefix(_PREFIX).upper()
    return word if _TYPED.match(word) else None


def is_whole(job_id: str) -> bool:
    """Tell whether an id that was typed is one, and no beginning of some."""
    return len(job_id) == _LETTERS
