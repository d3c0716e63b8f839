"""How many requests a key may send: a bucket each, which fills as time goes by.

The buckets are this process's own. There are never more of them than of keys that were used in the
last seconds.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict

from pravah.api.callers import Caller
from pravah.api.problems import Problem

# Far above what people and programs need, and far below what wears the server down.
REQUESTS_PER_S = 500.0
# A key may be behind by what it may send in so long.
_BURST_S = 2.0
_BUCKETS = 10_000


class Rates:
    """One bucket for each key; used on the event loop only."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: Caller, now_s: float | None = None) -> None:
        """Count a request; 429 where the key has sent too many."""
        now_s = time.monotonic() if now_s is None else now_s
        rate = caller.limits.requests_per_s or REQUESTS_PER_S
        most = max(1.0, rate * _BURST_S)
        seen_s, left = self._buckets.pop(caller.key_id, (now_s, most))
        left = min(most, left + (now_s - seen_s) * rate)
        self._buckets[caller.key_id] = (now_s, max(0.0, left - 1) if left >= 1 else left)
        while len(self._buckets) > _BUCKETS:
            self._buckets.popitem(last=False)
        if left < 1:
            wait_s = math.ceil((1 - left) / rate)
            raise Problem(
                429,
                "too_many_requests",
                f"the key may send {rate:g} requests a second",
                hint=f"come again in {wait_s} s",
                headers={"Retry-After": str(wait_s)},
            )
