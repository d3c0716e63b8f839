"""Named points at which a test can have this process killed, to prove that any instant is safe.

`PRAVAH_FAILPOINTS="ledger.window.before_commit=3"` sends SIGKILL to the process at the third
passage of that point, `…=3:STOP` another signal. The variable is read once; unset, a point costs
one look at an empty dict. Nothing here runs a handler, raises or cleans up: a kill is a kill.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "PRAVAH_FAILPOINTS"

Point = tuple[int, str]


def passing(point: str) -> None:
    """Tell that execution passes `point`."""
    if _remaining:
        _count(point)


def read(text: str) -> dict[str, Point]:
    """Read `name=N,name=N:SIGNAL`.

    >>> read("runner.window.before_send=2, ledger.claim.after_commit=1:STOP")
    {'runner.window.before_send': (2, 'KILL'), 'ledger.claim.after_commit': (1, 'STOP')}
    """
    points = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, passage = part.split("=", 1)
        count, _, word = passage.partition(":")
        points[name] = (int(count), word or "KILL")
    return points


def _count(point: str) -> None:
    count, word = _remaining.get(point, (0, ""))
    if count == 1:
        os.kill(os.getpid(), signal.Signals[f"SIG{word}"])
    if count:
        _remaining[point] = (count - 1, word)


_remaining: dict[str, Point] = read(os.environ.get(VARIABLE, ""))
