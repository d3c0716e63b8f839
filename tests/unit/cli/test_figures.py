"""Numbers as people read them; the common cases are the module's own examples."""

import doctest
from datetime import UTC, datetime, timedelta

import pytest

from pravah.cli import figures


def test_examples_of_the_module_hold() -> None:
    assert doctest.testmod(figures, extraglobs={"UTC": UTC, "datetime": datetime}).failed == 0


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (1024**3 - 1, "1.0 GiB"),
        (9.8 * 1024**3, "9.8 GiB"),
        (2**70, "1,024.0 EiB"),
    ],
)
def test_size_changes_its_unit_where_the_number_would_round_up(
    size_bytes: float, text: str
) -> None:
    assert figures.size(size_bytes) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0.0, "0 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.1 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (3599.6, "1 h"),
        (3660, "1 h 1 min"),
        (86_400, "1 d"),
        (90_000, "1 d 1 h"),
    ],
)
def test_duration_has_one_or_two_units(duration_s: float, text: str) -> None:
    assert figures.duration(duration_s) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(1, 3, "33 %"), (999, 1000, "99 %"), (5, 5, "100 %"), (0, 0, "0 %")]
)
def test_share_is_a_hundred_only_when_nothing_is_left(part: int, whole: int, text: str) -> None:
    assert figures.share(part, whole) == text


def test_age_of_a_clock_that_went_back_is_nothing() -> None:
    now = datetime.now(UTC)
    assert figures.age(now + timedelta(hours=1), now) == "0s"
    assert figures.ago(now - timedelta(minutes=59, seconds=59), now) == "59 min ago"
