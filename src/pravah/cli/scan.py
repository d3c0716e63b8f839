"""`pravah scan`: list the files below directories, as fast as the disk gives them.

The core writes to stdout by itself. Only when stdout is a terminal do names pass through
Python, so that none of them can move the cursor.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

from typer import Argument, Option

from pravah.cli.console import Console, die_of_interrupts
from pravah.cli.exit_codes import ExitCode
from pravah.cli.figures import count, size
from pravah.cli.filter_flags import FilterFlags
from pravah.cli.names import printable
from pravah.cli.render import pairs
from pravah.errors import NotYetError, SourceMissingError, SpecError
from pravah.model.filters import Filters


class Format(StrEnum):
    """How listed files are written."""

    PATHS = "paths"
    NDJSON = "ndjson"
    CSV = "csv"
    ARROW = "arrow"


# Enough unreadable directories to see a pattern; the count tells the rest.
MOST_ERRORS = 20


def scan(
    roots: Annotated[list[str], Argument(metavar="DIRECTORY...", help="Where to list.")],
    filters: FilterFlags,
    console: Console,
    *,
    form: Annotated[
        Format | None, Option("--format", help="How to write (default: paths).")
    ] = None,
    null: Annotated[bool, Option("--null", "-0", help="End each path with NUL.")] = False,
    totals: Annotated[bool, Option("--count", help="Print totals only.")] = False,
    stat: Annotated[bool, Option("--stat", help="Look up sizes and times too.")] = False,
) -> int:
    """List the files below directories."""
    from pravah.engine import Scanner, check_filters

    chosen = form or (Format.NDJSON if console.json else Format.PATHS)
    if null and chosen is not Format.PATHS:
        raise SpecError(f"-0 goes with paths, not with --format {chosen}")
    if chosen is Format.ARROW and sys.stdout.isatty() and not totals:
        raise SpecError(
            "Arrow is no text for a terminal",
            hint="write it to a file or a pipe: `… > files.arrow`",
        )
    rules = Filters.read(filters.keys()).rules(time.time_ns())
    check_filters(rules)
    die_of_interrupts()
    scanner = Scanner([_root(root) for root in roots], rules=json.dumps(rules), stat=stat)
    if totals:
        counted = scanner.count()
        _print_totals(console, counted, sized=stat)
    else:
        with _stdout() as descriptor:
            counted = scanner.write_to(descriptor, chosen.value, terminator=0 if null else 10)
    return _tell_errors(counted)


def _root(root: str) -> bytes:
    path = os.fsencode(root)
    if "://" in root:
        raise NotYetError(f"can't list `{root}`: this release works on local files only")
    try:
        os.stat(path)  # noqa: PTH116 - pathlib has no paths of bytes
    except FileNotFoundError as error:
        raise SourceMissingError(f"there is no file or directory `{printable(path)}`") from error
    except OSError as error:
        raise SourceMissingError(
            f"can't look at `{printable(path)}`: {str(error.strerror).lower()}"
        ) from error
    return path


def _print_totals(console: Console, counted: Mapping[str, Any], *, sized: bool) -> None:
    if console.json:
        numbers = {name: counted[name] for name in ("files", "directories", "other")}
        sizes = {"bytes": counted["bytes"]} if sized else {}
        console.data({**numbers, **sizes, "errors": counted["error_count"]})
        return
    rows = [("files", count(counted["files"])), ("directories", count(counted["directories"]))]
    rows.append(("other", count(counted["other"])))
    if sized:
        rows.append(("size", size(counted["bytes"])))
    console.lines(pairs(rows))


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
