"""Columns, bars and styles."""

from pravah.cli.names import width
from pravah.cli.render import Column, Painter, Style, bar, ends, pairs, table

COLUMNS = [
    Column("NAME", shrink="middle"),
    Column("FILES", align="right"),
    Column("NOTE", shrink="end"),
]
ROWS = [("nightly", "1,204,311", "first"), ("東京", "7", "-")]


def test_table_aligns_by_columns_of_the_terminal() -> None:
    assert table(COLUMNS, ROWS, None) == [
        "NAME         FILES  NOTE",
        "nightly  1,204,311  first",
        "東京             7  -",
    ]


def test_table_on_a_narrow_terminal_shortens_only_what_may_shrink() -> None:
    rows = [("/data/lake/2026/01/part-00042.csv", "1,204,311", "a long remark about it")]
    lines = table(COLUMNS, rows, 40)
    assert all(width(line) <= 40 for line in lines)
    assert "1,204,311" in lines[1]
    assert "…" in lines[1]


def test_table_without_rows_keeps_its_titles() -> None:
    assert table(COLUMNS, [], 80) == ["NAME  FILES  NOTE"]


def test_pairs_align_further_lines_of_a_value() -> None:
    assert pairs([("source", "data/"), ("first", "a\nb")], indent="  ") == [
        "  source  data/",
        "  first   a",
        "          b",
    ]


def test_ends_keeps_two_columns_between_what_does_not_fit() -> None:
    assert ends("left", "right", 12) == "left   right"
    assert ends("left", "right", 3) == "left  right"


def test_bar_is_full_only_at_the_end() -> None:
    assert bar(0, 10, 5) == "─────"
    assert bar(1, 2, 5) == "━━╸──"
    assert bar(99, 100, 5) == "━━━━╸"
    assert bar(10, 10, 5) == "━━━━━"
    assert bar(0, 0, 5) == "─────"


def test_painter_without_colour_changes_nothing() -> None:
    assert Painter(colour=False).paint("x", Style.BAD) == "x"
    assert Painter(colour=True).paint("x", Style.BAD) == "\x1b[31mx\x1b[0m"
