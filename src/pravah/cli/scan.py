"""`pravah scan`: list the files below directories, as fast as the disk gives them.

The core writes to stdout by itself. Only when stdout is a terminal do names pass through
Python, so that none of them can move the cursor.
"""

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from pravah.cli.console import Console, die_of_interrupts
from pravah.cli.exit_codes import ExitCode
from pravah.cli.figures import count
from pravah.cli.filter_flags import FilterFlags
from pravah.cli.names import printable
from pravah.cli.store_note import tell_note
from pravah.cli.totals import GroupBy, groups_of, print_groups, print_totals
from pravah.errors import SpecError
from pravah.model.filters import Filters, read_depth

if TYPE_CHECKING:
    from pravah.engine import Scanner


class Format(StrEnum):
    """How listed files are written."""

    PATHS = "paths"
    NDJSON = "ndjson"
    CSV = "csv"
    ARROW = "arrow"


# Enough unreadable directories to see a pattern; the count tells the rest.
MOST_ERRORS = 20


def scan(
    roots: Annotated[
        list[str],
        Argument(metavar="PLACE...", help="Directories, s3://BUCKET/PREFIX/, globs in quotes."),
    ],
    filters: FilterFlags,
    console: Console,
    *,
    form: Annotated[
        Format | None, Option("--format", help="How to write (default: paths).")
    ] = None,
    null: Annotated[bool, Option("--null", "-0", help="End each path with NUL.")] = False,
    totals: Annotated[bool, Option("--count", help="Print totals only.")] = False,
    total: Annotated[bool, Option("--sum", help="Print totals with sizes.")] = False,
    by: Annotated[GroupBy | None, Option(help="Sum up by extension or by directory.")] = None,
    depth: Annotated[
        str | None,
        Option(metavar="N", help="With --by dir: levels below the source (default: 1)."),
    ] = None,
    stat: Annotated[
        bool, Option("--stat", help="Sizes and times too, in all formats but paths.")
    ] = False,
) -> int:
    """List the files below directories."""
    levels = _levels(by, depth)

    chosen = form or (Format.NDJSON if console.json else Format.PATHS)
    if null and chosen is not Format.PATHS:
        raise SpecError(f"-0 goes with paths, not with --format {chosen}")
    if chosen is Format.ARROW and sys.stdout.isatty() and not totals:
        raise SpecError(
            "Arrow is no text for a terminal",
            hint="write it to a file or a pipe: `… > files.arrow`",
        )
    sized = stat or total or by is not None
    from pravah.engine import translated

    with translated():
        scanner = _scanner(roots, filters, sized=sized)
        die_of_interrupts()
        if by is not None:
            summed = scanner.totals(by.value, levels)
            counted = summed[2]
            print_groups(console, list(groups_of(summed)), by)
        elif totals or total:
            counted = scanner.count()
            print_totals(console, counted, sized=sized)
        else:
            with _stdout() as descriptor:
                counted = scanner.write_to(descriptor, chosen.value, terminator=0 if null else 10)
    return _tell_errors(counted)


def _scanner(roots: list[str], filters: FilterFlags, *, sized: bool) -> "Scanner":
    from pravah.library import listing

    places = listing.places(roots)
    for place, _ in places:
        tell_note(os.fsdecode(place))
    return listing.scanner(places, Filters.read(filters.keys()), stat=sized)


def _levels(by: GroupBy | None, depth: str | None) -> int:
    if depth is None:
        return 1
    if by is not GroupBy.DIR:
        raise SpecError("--depth goes with --by dir")
    try:
        return read_depth(depth)
    except ValueError as error:
        raise SpecError(f"--depth {error}") from None


def _tell_errors(counted: Mapping[str, Any]) -> int:
    shown = counted["errors"][:MOST_ERRORS]
    for error in shown:
        sys.stderr.write(f"error: {printable(error['path'])}: {printable(error['message'])}\n")
    if more := counted["error_count"] - len(shown):
        sys.stderr.write(f"error: {count(more)} more could not be read\n")
    return ExitCode.FILES_FAILED if counted["error_count"] else ExitCode.OK


@contextmanager
def _stdout() -> Iterator[int]:
    """Give the descriptor to write to: stdout, or a pipe that is made harmless for a terminal."""
    sys.stdout.flush()
    if not sys.stdout.isatty():
        yield sys.stdout.fileno()
        return
    reading, writing = os.pipe()
    reader = threading.Thread(target=_copy_printable, args=(reading,))
    reader.start()
    try:
        yield writing
    finally:
        os.close(writing)
        reader.join()
        sys.stdout.flush()


def _copy_printable(descriptor: int) -> None:
    with open(descriptor, "rb") as pipe:
        for line in pipe:
            for path in line.removesuffix(b"\n").split(b"\0"):
                sys.stdout.write(f"{printable(path)}\n" if path else "")
