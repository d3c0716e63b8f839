"""File names on a terminal."""

import pytest

from pravah.cli.names import cut, cut_middle, from_uri, printable, width


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain.txt", "plain.txt"),
        ("पानी 東京.csv", "पानी 東京.csv"),
        (b"caf\xe9", "caf\\xe9"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202etxt.exe", "abc\\u202etxt.exe"),
        ("\u2066hidden\u2069", "\\u2066hidden\\u2069"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("a\u2028b", "a\\u2028b"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_printable_escapes_what_a_terminal_would_obey(name: str | bytes, shown: str) -> None:
    assert printable(name) == shown
    assert "\x1b" not in printable(name)


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("東京", 4), ("e\u0301", 1), ("", 0)])
def test_width_counts_columns_and_not_characters(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 4, "abc…"),
        ("東京都", 5, "東京…"),
        ("東京都", 4, "東…"),
        ("ab", 1, "…"),
    ],
)
def test_cut_never_takes_more_columns_than_it_may(text: str, columns: int, expected: str) -> None:
    assert cut(text, columns) == expected
    assert width(expected) <= columns


def test_cut_middle_keeps_both_ends_of_a_path() -> None:
    path = "/data/lake/2026/01/site 003/part-00042.csv"
    short = cut_middle(path, 24)
    assert width(short) == 24
    assert short.startswith("/data/l")
    assert short.endswith("part-00042.csv")


def test_from_uri_writes_the_path_that_people_type() -> None:
    assert from_uri("file:///data/a%20b%1b") == "/data/a b\\x1b"
    assert from_uri("null:") == "null:"
