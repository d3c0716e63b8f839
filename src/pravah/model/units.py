"""Sizes, durations and times as people write them: `64MiB`, `5min`, `2026-01-31T12:00:00Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# KiB is 1,024 and kB is 1,000 (IEC 80000-13); a bare number is bytes.
_SIZES = {
    "B": 1,
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}B": 1000**power for power, letter in enumerate("kMGT", 1)},
}
_DURATIONS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
# What is counted, bytes or nanoseconds, is a signed number of 64 bits to the core and the ledger.
_MOST = (1 << 63) - 1
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\Z")


class QuantityError(ValueError):
    """A text that is no quantity; `hint` names the units that there are."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class ExcessError(QuantityError):
    """A quantity beyond what can be counted."""


def read_size(value: object) -> int:
    """Read a size in bytes.

    >>> read_size("1.5KiB"), read_size("2kB"), read_size(7)
    (1536, 2000, 7)
    """
    return round(_quantity(value, _SIZES, bare="B", example="64MiB", most=_MOST))


def read_rate(value: object) -> int:
    """Read a rate in bytes a second.

    >>> read_rate("200MB/s"), read_rate("1MiB/s")
    (200000000, 1048576)
    """
    text = str(value).strip()
    size = text.removesuffix("/s")
    try:
        rate = read_size(size) if size != text else 0
    except ValueError:
        rate = 0
    if rate <= 0:
        raise ValueError(f"is `{value}`, a size a second such as `200MB/s` is expected")
    return rate


def write_rate(bytes_per_s: int) -> str:
    """Write a rate with the largest unit that divides it.

    >>> write_rate(1 << 20), write_rate(1000)
    ('1MiB/s', '1000B/s')
    """
    return f"{write_size(bytes_per_s)}/s"


def read_duration(value: object) -> float:
    """Read a duration in seconds.

    >>> read_duration("5min"), read_duration("250ms")
    (300.0, 0.25)
    """
    return float(_quantity(value, _DURATIONS, bare=None, example="5min", most=_MOST / 1e9))


def read_moment(value: str, now_ns: int) -> int:
    """Read an age before `now_ns`, or a time, in nanoseconds since 1970; without a zone UTC.

    >>> read_moment("2min", 200 * 10**9), read_moment("1970-01-01T00:01Z", 0)
    (80000000000, 60000000000)
    """
    text = value.strip()
    try:
        return now_ns - round(read_duration(text) * 1e9)
    except ExcessError:
        raise
    except ValueError:
        pass
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        message = f"is `{value}`, an age such as `2d` or a time such as `2026-01-31` is expected"
        raise ValueError(message) from None
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    since_ns = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
    if abs(since_ns) > _MOST:
        raise ValueError(f"is `{value}`, a time from 1678 to 2261 is expected")
    return since_ns


def write_size(size_bytes: int) -> str:
    """Write a size with the largest unit that divides it.

    >>> write_size(1 << 30), write_size(1000)
    ('1GiB', '1000B')
    """
    units = [(factor, unit) for unit, factor in _SIZES.items() if unit == "B" or "i" in unit]
    fitting = [(f, u) for f, u in units if size_bytes >= f and size_bytes % f == 0]
    factor, unit = max(fitting, default=(1, "B"))
    return f"{size_bytes // factor}{unit}"


def write_duration(duration_s: float) -> str:
    """Write a duration with the largest unit that divides it.

    >>> write_duration(300), write_duration(0.25)
    ('5min', '250ms')
    """
    duration_ms = round(duration_s * 1000)
    units = [(round(factor * 1000), unit) for unit, factor in _DURATIONS.items()]
    fitting = [(f, u) for f, u in units if duration_ms >= f and duration_ms % f == 0]
    factor, unit = max(fitting, default=(1, "ms"))
    return f"{duration_ms // factor}{unit}"


def write_time(time_us: int | None) -> str | None:
    """Write microseconds since 1970 as RFC 3339 in UTC.

    >>> write_time(1_500_000)
    '1970-01-01T00:00:01.500000Z'
    """
    if time_us is None:
        return None
    seconds, microseconds = divmod(time_us, 1_000_000)
    time = datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _quantity(
    value: object, units: dict[str, float], *, bare: str | None, example: str, most: float
) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and bare and value >= 0:
        quantity = value * units[bare]
    else:
        found = _QUANTITY.match(value.strip()) if isinstance(value, str) else None
        unit = (found.group(2) or bare) if found else None
        if found is None or unit not in units:
            raise QuantityError(
                f"is `{value}`, a number with a unit such as `{example}` is expected",
                hint=f"units are {', '.join(units)}",
            )
        quantity = float(found.group(1)) * units[unit]
    if quantity > most:
        unit, factor = max(units.items(), key=lambda each: each[1])
        raise ExcessError(
            f"is `{value}`, more than can be counted",
            hint=f"the most is {most // factor:.0f}{unit}",
        )
    return quantity
