"""A small renderer: aligned columns, bars and styles. It writes text, never to a stream.

It exists because importing a rendering library costs more than most commands take.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from pravah.cli.names import cut, cut_middle, width

_GAP = "  "


class Style(Enum):
    """The few ways in which a text can stand out, by its SGR parameters."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    GOOD = "32"
    BAD = "31"
    WARN = "33"


@dataclass(frozen=True, slots=True)
class Painter:
    """Adds colour where a terminal shows it; colour never carries meaning."""

    colour: bool

    def paint(self, text: str, style: Style) -> str:
        """Give the text in a style, or as it is where there is no colour."""
        if not self.colour or style is Style.PLAIN or not text:
            return text
        return f"\x1b[{style.value}m{text}\x1b[0m"


@dataclass(frozen=True, slots=True)
class Column:
    """How one column of a table behaves when the terminal is narrow."""

    title: str = ""
    align: Literal["left", "right"] = "left"
    shrink: Literal["never", "end", "middle"] = "never"


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], columns_wide: int | None
) -> list[str]:
    """Lay out rows in aligned columns, with titles if any column has one.

    Columns that may shrink share what is missing to the given width; None: nothing is missing.
    """
    titles = [column.title for column in columns]
    lines = [titles, *rows] if any(titles) else list(rows)
    if not lines:
        return []
    widths = [max(width(line[i]) for line in lines) for i in range(len(columns))]
    if columns_wide is not None:
        _shrink(widths, columns, columns_wide)
    return [_line(line, columns, widths) for line in lines]


def pairs(rows: Iterable[tuple[str, str]], indent: str = "") -> list[str]:
    """Lay out names and what belongs to them; further lines of a value are aligned too."""
    listed = list(rows)
    longest = max((width(name) for name, _ in listed), default=0)
    lines = []
    for name, value in listed:
        first, *more = value.split("\n")
        lines.append(f"{indent}{_pad(name, longest)}{_GAP}{first}".rstrip())
        lines += [f"{indent}{' ' * longest}{_GAP}{line}" for line in more]
    return lines


def ends(left: str, right: str, columns_wide: int) -> str:
    """Put one text at the left border and one at the right, two columns apart at least."""
    gap = columns_wide - width(left) - width(right)
    return f"{left}{' ' * gap if gap >= len(_GAP) else _GAP}{right}"


def bar(part: float, whole: float, cells: int) -> str:
    """Draw a bar: full cells, a half one at its end, empty cells.

    >>> bar(1, 2, 5)
    '━━╸──'
    """
    halves = int(2 * cells * min(1.0, part / whole)) if whole > 0 else 0
    full, half = divmod(halves, 2)
    return "━" * full + "╸" * half + "─" * (cells - full - half)


def _shrink(widths: list[int], columns: Sequence[Column], columns_wide: int) -> None:
    missing = sum(widths) + len(_GAP) * (len(widths) - 1) - columns_wide
    shrinkable = [i for i, column in enumerate(columns) if column.shrink != "never"]
    while missing > 0 and shrinkable:
        widest = max(shrinkable, key=lambda i: widths[i])
        if widths[widest] <= max(4, width(columns[widest].title)):
            return
        widths[widest] -= 1
        missing -= 1


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    fitted = []
    for cell, column, columns_wide in zip(cells, columns, widths, strict=True):
        shorten = cut_middle if column.shrink == "middle" else cut
        text = shorten(cell, columns_wide) if column.shrink != "never" else cell
        pad = " " * (columns_wide - width(text))
        fitted.append(pad + text if column.align == "right" else text + pad)
    return _GAP.join(fitted).rstrip()


def _pad(text: str, columns_wide: int) -> str:
    return text + " " * (columns_wide - width(text))
