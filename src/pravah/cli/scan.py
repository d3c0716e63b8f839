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
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from pravah.cli.console import Console, die_of_interrupts
from pravah.cli.exit_codes import ExitCode
from pravah.cli.figures import count
from pravah.cli.filter_flags import FilterFlags
from pravah.cli.names import printable
from pravah.cli.store_note import tell_note
from pravah.cli.totals import GroupBy, groups_of, print_groups, print_totals
from pravah.errors import SourceMissingError, SpecError
from pravah.model.filters import Filters, read_depth
from pravah.model.glob import as_text, split_glob, split_key_glob
from pravah.model.uri import absolute_uri, is_object_uri, object_parts, prefix_uri

if TYPE_CHECKING:
    from pravah.engine import Scanner


class Format(StrEnum):
    """How listed files are written."""

    PATHS = "paths"
    NDJSON = "ndjson"
    CSV = "csv"
    ARROW = "arrow"


# In place of the number of an argument: what several of them share.
_GLOBS = -1

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
    from pravah.engine import Scanner, check_filters

    wanted = Filters.read(filters.keys())
    rules, places = wanted.rules(time.time_ns()), _places(roots)
    globs = [as_text(patterns) for patterns in places.values()]
    check_filters(rules, [pattern for patterns in globs for pattern in patterns])
    return Scanner(
        [path for path, _ in places],
        globs=globs,
        rules=json.dumps(rules),
        stat=sized,
        follow_symlinks=wanted.follow_symlinks,
    )


def _levels(by: GroupBy | None, depth: str | None) -> int:
    if depth is None:
        return 1
    if by is not GroupBy.DIR:
        raise SpecError("--depth goes with --by dir")
    try:
        return read_depth(depth)
    except ValueError as error:
        raise SpecError(f"--depth {error}") from None


def _places(roots: list[str]) -> dict[tuple[bytes, int], list[bytes]]:
    """Give the directories to list, each with its globs; those of one directory are one place."""
    places: dict[tuple[bytes, int], list[bytes]] = {}
    for number, root in enumerate(roots):
        if "://" in root:
            place, patterns = _object_place(root)
            places.setdefault((place, _GLOBS if patterns else number), []).extend(patterns)
            continue
        path = os.fsencode(root)
        glob = None if os.path.lexists(path) else split_glob(path)
        if glob is None:
            places[_root(path), number] = []
        else:
            places.setdefault((_root(glob[0]), _GLOBS), []).append(glob[1])
    return places


def _object_place(root: str) -> tuple[bytes, list[bytes]]:
    """Give the prefix to list, without a slash at its end, and the glob below it."""
    uri = absolute_uri(root, b"/")
    if not is_object_uri(uri):
        raise SpecError(f"`{root}` is no place that can be listed", kind="unknown_scheme")
    tell_note(uri)
    name, bucket, key = object_parts(uri)
    glob = split_key_glob(key)
    if glob is None:
        return prefix_uri(name, bucket, key).encode(), []
    return prefix_uri(name, bucket, glob[0]).encode(), [glob[1]]


def _root(path: bytes) -> bytes:
    try:
        os.stat(path)  # noqa: PTH116 - pathlib has no paths of bytes
    except FileNotFoundError as error:
        raise SourceMissingError(f"there is no file or directory `{printable(path)}`") from error
    except OSError as error:
        raise SourceMissingError(
            f"can't look at `{printable(path)}`: {str(error.strerror).lower()}"
        ) from error
    return path


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
