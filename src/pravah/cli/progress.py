"""Shows how far a job is: a bar on a terminal, else one plain line every few seconds.

Everything goes to stderr. Nothing here asks the ledger; it is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TextIO

from pravah.cli.figures import count, counted, duration, rate, remaining, share, size
from pravah.cli.names import cut
from pravah.cli.render import Painter, Style, bar, ends
from pravah.model.job import Counts

# Ten frames a second look steady; more only cost the terminal's time.
FRAME_S = 0.1
# In a log of CI a line every five seconds is enough to see that it lives.
PLAIN_LINE_S = 5.0
BAR_CELLS = 37


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a job at one moment."""

    counts: Counts
    listed_bytes: int
    bytes_in: int
    scan_complete: bool
    rate_bytes_per_s: float | None
    eta_s: float | None
    elapsed_s: float


class Display(Protocol):
    """Something that shows sights of a job."""

    def show(self, sight: Sight) -> None:
        """Show this, or skip it where the last one is too recent."""

    def close(self) -> None:
        """Leave the stream as it was found."""


class Bar:
    """Redraws two lines in place."""

    def __init__(self, stream: TextIO, painter: Painter, columns: Callable[[], int]) -> None:
        self._stream = stream
        self._painter = painter
        self._columns = columns
        self._drawn = 0
        self._next_s = 0.0
        self._scanned_s: float | None = None

    def show(self, sight: Sight) -> None:
        """Draw a frame, at most ten in a second."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + FRAME_S
        if sight.scan_complete and self._scanned_s is None:
            self._scanned_s = sight.elapsed_s
        columns = self._columns()
        lines = [cut(line, columns - 1) for line in bar_lines(sight, self._scanned_s, columns - 1)]
        self._stream.write(self._home() + "\n".join(f"{self._tint(line)}\x1b[K" for line in lines))
        self._stream.flush()
        self._drawn = len(lines)

    def close(self) -> None:
        """Wipe the frame; the cursor is where the first line began."""
        if self._drawn:
            self._stream.write(self._home() + "\x1b[J")
            self._stream.flush()
        self._drawn = 0

    def _home(self) -> str:
        return "\r" + (f"\x1b[{self._drawn - 1}A" if self._drawn > 1 else "")

    def _tint(self, line: str) -> str:
        done = line.rfind("━") + 1 or line.rfind("╸") + 1
        return self._painter.paint(line[:done], Style.GOOD) + line[done:] if done else line


class PlainLines:
    """Writes a line every few seconds, for logs and pipes."""

    def __init__(self, stream: TextIO, prefix: str) -> None:
        self._stream = stream
        self._prefix = prefix
        self._next_s = time.monotonic() + PLAIN_LINE_S

    def show(self, sight: Sight) -> None:
        """Write a line, unless the last one is recent."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + PLAIN_LINE_S
        self._stream.write(f"{self._prefix}  {plain_line(sight)}\n")
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: lines stay."""


class Silence:
    """Shows nothing."""

    def show(self, sight: Sight) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def bar_lines(sight: Sight, scanned_s: float | None, columns: int) -> list[str]:
    """Lay out the two lines of the bar for a terminal of that width."""
    verb = "scanned" if sight.scan_complete else "scanning"
    listed = f"  {verb} {counted(sight.counts.listed, 'file')}, {size(sight.listed_bytes)}"
    took = duration(scanned_s) if scanned_s is not None else duration(sight.elapsed_s)
    facts = " · ".join(_facts(sight))
    if not sight.scan_complete:
        return [ends(listed, took, columns), f"  {facts}"]
    worked, all_files = _shares(sight)
    percent = f"{share(worked, all_files):>5}"
    cells = min(BAR_CELLS, columns - len(facts) - len(percent) - 7)
    drawn = f"{bar(worked, all_files, cells)}  " if cells >= 5 else ""
    return [ends(listed, took, columns), f"  {drawn}{percent}   {facts}"]


def plain_line(sight: Sight) -> str:
    """Write the same in one line without anything that moves."""
    worked, all_files = _shares(sight)
    if not sight.scan_complete:
        so_far = f"{counted(sight.counts.listed, 'file')} so far"
        return f"scanning, {so_far}, {', '.join(_facts(sight))} done"
    first, *more = _facts(sight)
    files = (
        f"{first.removesuffix('s').removesuffix(' file')} of {counted(sight.counts.listed, 'file')}"
    )
    return f"{share(worked, all_files)}  {', '.join([files, *more])}"


def _shares(sight: Sight) -> tuple[int, int]:
    """Give the worked files and all files; what a filter leaves out is no work."""
    filtered = sight.counts.filtered
    return sight.counts.accounted - filtered, sight.counts.listed - filtered


def _facts(sight: Sight) -> list[str]:
    worked, _ = _shares(sight)
    facts = [counted(worked, "file"), size(sight.bytes_in)]
    if sight.rate_bytes_per_s is not None:
        facts.append(rate(sight.rate_bytes_per_s))
    trouble = sight.counts.failed + sight.counts.poisoned
    if trouble:
        facts.append(f"{count(trouble)} failed")
    if sight.eta_s is not None and sight.scan_complete:
        facts.append(f"{remaining(sight.eta_s)} left")
    return facts
