"""Named points at which a test can have this process killed, to prove that any instant is safe.

`PRAVAH_FAILPOINTS="ledger.window.before_commit=3"` sends SIGKILL to the process at the third
passage of that point. The variable is read once; unset, a point costs one look at an empty dict.
Nothing here ever runs a handler, raises or cleans up: a kill is a kill.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "PRAVAH_FAILPOINTS"

_remaining: dict[str, int] = {}


def passing(point: str) -> None:
    """Tell that execution passes `point`."""
    if _remaining:
        _count(point)


def read(text: str) -> dict[str, int]:
    """Read `name=N,name=N`.

    >>> read("runner.before_send=2, ledger.claim.after_commit=1")
    {'runner.before_send': 2, 'ledger.claim.after_commit': 1}
    """
    pairs = (part.split("=", 1) for part in text.split(",") if part.strip())
    return {name.strip(): int(count) for name, count in pairs}


def _count(point: str) -> None:
    left = _remaining.get(point)
    if left is None:
        return
    if left <= 1:
        os.kill(os.getpid(), signal.SIGKILL)
    _remaining[point] = left - 1


_remaining.update(read(os.environ.get(VARIABLE, "")))
