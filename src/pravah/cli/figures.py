"""Numbers as people read them: counts, sizes, rates, durations, shares and ages.

Sizes are binary (1 KiB = 1,024 bytes). Nothing here knows a terminal.
"""

from __future__ import annotations

from datetime import UTC, datetime

_BINARY = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def count(number: int) -> str:
    """Write a count with thousands separators.

    >>> count(128402)
    '128,402'
    """
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """Write a count and its noun, in the singular where it is one.

    >>> counted(1, "file"), counted(2, "cause")
    ('1 file', '2 causes')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {_plural(noun)}"


def size(size_bytes: float) -> str:
    """Write a size with three significant figures at most below 100.

    >>> size(0), size(48_100), size(41.3 * 1024**3)
    ('0 B', '47.0 KiB', '41.3 GiB')
    """
    if size_bytes < 1024:
        return f"{size_bytes:,.0f} B"
    value = float(size_bytes)
    for unit in _BINARY:
        value /= 1024
        # Half a last digit below 1,024, so that 1,023.96 KiB is written 1.0 MiB.
        if value < 1023.95 or unit == _BINARY[-1]:
            return f"{value:,.1f} {unit}"
    raise AssertionError("the last unit ends the loop")


def rate(rate_bytes_per_s: float) -> str:
    """Write a throughput.

    >>> rate(1.1 * 1024**3)
    '1.1 GiB/s'
    """
    return f"{size(rate_bytes_per_s)}/s"


def duration(duration_s: float) -> str:
    """Write a duration with the one or two units that matter.

    >>> duration(0.024), duration(0.24), duration(38.2), duration(187), duration(72_000)
    ('24 ms', '0.2 s', '38.2 s', '3 min 7 s', '20 h')
    """
    if duration_s < 0.0995:  # below, the tenth of a second would say nothing
        return f"{duration_s * 1000:.0f} ms"
    if duration_s < 59.95:
        return f"{duration_s:.1f} s"
    seconds = round(duration_s)
    for unit, length, smaller, smaller_length in (
        ("d", 86_400, "h", 3_600),
        ("h", 3_600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= length:
            whole, rest = divmod(seconds, length)
            part = rest // smaller_length
            return f"{whole} {unit} {part} {smaller}" if part else f"{whole} {unit}"
    raise AssertionError("sixty seconds are a minute")


def remaining(duration_s: float) -> str:
    """Write an estimate, which never deserves more than a second of precision.

    >>> remaining(11.4), remaining(0.2)
    ('11 s', '1 s')
    """
    return f"{max(1, round(duration_s))} s" if duration_s < 59.5 else duration(duration_s)


def age(since: datetime, now: datetime | None = None) -> str:
    """Write how long ago something was, in its largest unit.

    >>> age(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 2, tzinfo=UTC))
    '2h'
    """
    seconds = max(0, int(((now or datetime.now(UTC)) - since).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def ago(since: datetime, now: datetime | None = None) -> str:
    """Write how long ago something was, within a sentence.

    >>> ago(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 3, tzinfo=UTC))
    '3 min ago'
    """
    seconds = max(0, int(((now or datetime.now(UTC)) - since).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit} ago"
    return f"{seconds} s ago"


def share(part: float, whole: float) -> str:
    """Write a part as whole per cent, rounded down so that 100 % means all of it.

    >>> share(91_166, 128_402), share(999, 1000), share(0, 0)
    ('71 %', '99 %', '0 %')
    """
    return f"{int(100 * part / whole) if whole else 0} %"


def moment(text: str) -> datetime:
    """Read an RFC 3339 time of the wire forms."""
    return datetime.fromisoformat(text)


def _plural(noun: str) -> str:
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
