"""Books that were summed a moment ago, for servers that are asked many times a second.

A job's counts are sums over its tasks, of which a large job has thousands: whoever watches it
through a server shares one sum with all the others who do. What tells where the job stands is read
anew each time, and books never outlive it: an ended job has the books of its end.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row

from pravah.db.jobs import books
from pravah.model.job import Books

# Nobody sees a tenth of a second; of 200 requests that come in a second, 10 have to sum.
AGE_S = 0.1
# Jobs that are remembered: more than people look at within that time.
_JOBS = 1000


@dataclass(slots=True)
class _Summed:
    """The latest sum of one job; its lock has others wait for it instead of doing the same."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    standing: tuple[Any, ...] = ()
    at_s: float = float("-inf")
    books: Books | None = None


class RecentBooks:
    """Sums a job's books at most every AGE_S as long as it stands where it stood."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, _Summed] = OrderedDict()

    def __call__(self, connection: Connection, row: Row[Any]) -> Books:
        """Give the books of a job's row, which was read just before."""
        summed = self._of(row.id)
        standing = (row.status, row.round, row.scan_complete, row.error)
        with summed.lock:
            is_recent = time.monotonic() - summed.at_s < AGE_S
            if summed.books is None or not is_recent or summed.standing != standing:
                summed.books = books(connection, row.id)
                summed.standing = standing
                summed.at_s = time.monotonic()
            return summed.books

    def _of(self, job_id: str) -> _Summed:
        with self._lock:
            summed = self._jobs.setdefault(job_id, _Summed())
            self._jobs.move_to_end(job_id)
            while len(self._jobs) > _JOBS:
                self._jobs.popitem(last=False)
            return summed
