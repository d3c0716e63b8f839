"""How far a job is, for whoever shows it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from pravah.model.job import Books, Counts, Job

# Rates are over so many seconds: shorter ones jump, longer ones lag behind a change of files.
RATE_OVER_S = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """A job at one moment; counts are of the ledger, `scanned` is what the scan has seen so far."""

    job_id: str
    counts: Counts
    listed_bytes: int
    bytes_in: int
    bytes_out: int
    scanned: int
    scanned_bytes: int
    scan_complete: bool
    rate_bytes_per_s: float | None
    rate_files_per_s: float | None
    eta_s: float | None
    elapsed_s: float


class Observer(Protocol):
    """Something that is told how far jobs are; it must return quickly."""

    def on_progress(self, progress: Progress) -> None:
        """Learn how far a job is; called a few times a second."""

    def on_end(self, job: Job) -> None:
        """Learn that a job has ended or paused."""


class Unobserved:
    """Looks away."""

    def on_progress(self, progress: Progress) -> None:
        """Do nothing."""

    def on_end(self, job: Job) -> None:
        """Do nothing."""


class Pace:
    """Measures the rates of one job from its books."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._samples: deque[tuple[float, int, int]] = deque()

    def progress(
        self, job_id: str, books: Books, scanned: tuple[int, int], *, scan_complete: bool
    ) -> Progress:
        """Take a sample, and tell how far the job is."""
        now_s = time.monotonic()
        counts = books.counts
        worked = counts.accounted - counts.filtered
        self._samples.append((now_s, worked, books.bytes_in))
        while self._samples[0][0] < now_s - RATE_OVER_S:
            self._samples.popleft()
        files_per_s, bytes_per_s = self._rates()
        eta_s = counts.remaining / files_per_s if files_per_s and scan_complete else None
        return Progress(
            job_id=job_id,
            counts=counts,
            listed_bytes=books.listed_bytes,
            bytes_in=books.bytes_in,
            bytes_out=books.bytes_out,
            scanned=scanned[0],
            scanned_bytes=scanned[1],
            scan_complete=scan_complete,
            rate_bytes_per_s=bytes_per_s,
            rate_files_per_s=files_per_s,
            eta_s=eta_s,
            elapsed_s=now_s - self._began_s,
        )

    def _rates(self) -> tuple[float | None, float | None]:
        (first_s, first_files, first_bytes), (last_s, files, size) = (
            self._samples[0],
            self._samples[-1],
        )
        # The first window is acknowledged after about a second; before it there is no rate.
        if last_s - first_s < 0.5 or files == first_files:
            return None, None
        took_s = last_s - first_s
        return (files - first_files) / took_s, (size - first_bytes) / took_s
