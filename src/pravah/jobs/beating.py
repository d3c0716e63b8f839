"""Long work of the supervisor's own, beside which its leases are renewed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from pravah.jobs.supervisor import BEAT_S, Beat

T = TypeVar("T")


def while_beating(beat: Beat, work: Callable[[], T]) -> T:
    """Do something long on another thread, and show signs of life meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        while not wait([future], BEAT_S).done:
            beat()
        return future.result()
