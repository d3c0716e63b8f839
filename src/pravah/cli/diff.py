"""`pravah diff`: two directory trees or prefixes of object stores, and what differs.

Each difference is a line of fields with a tab between, for people and for scripts: a mark, the
path, and where both trees have it what differs, and the values. Names are escaped, so that
nothing in them can end a line or a field.
"""

import base64
import os
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from pravah.cli.application import settings_for
from pravah.cli.console import Console, die_of_interrupts
from pravah.cli.exit_codes import ExitCode
from pravah.cli.figures import count
from pravah.cli.filter_flags import FilterFlags
from pravah.cli.names import printable
from pravah.cli.store_note import tell_note
from pravah.errors import SourceMissingError, SpecError
from pravah.model.filters import Filters
from pravah.model.uri import (
    absolute_path,
    absolute_uri,
    is_object_uri,
    object_parts,
    planned_uri,
    prefix_uri,
    uri_path,
)

if TYPE_CHECKING:
    from pravah.engine import Difference


class By(StrEnum):
    """What makes two files of one name the same."""

    SIZE = "size"
    CHECKSUM = "checksum"
    CONTENT = "content"


_MARKS = {"only_a": "-", "only_b": "+", "failed": "?"}
_COUNTED = (
    ("same", "same"),
    ("differing", "differ"),
    ("only_a", "only in A"),
    ("only_b", "only in B"),
    ("failed", "could not be compared"),
)


def diff(
    first: Annotated[str, Argument(metavar="A", help="A directory, or s3://BUCKET/PREFIX/.")],
    second: Annotated[str, Argument(metavar="B", help="What to compare it with.")],
    filters: FilterFlags,
    console: Console,
    *,
    by: Annotated[By, Option(help="What is compared of files.")] = By.SIZE,
) -> int:
    """Compare two directory trees or prefixes."""
    from pravah import engine

    wanted = Filters.read(filters.keys())
    if wanted.follow_symlinks:
        raise SpecError("diff compares links themselves: it takes no --follow-symlinks")
    rules = wanted.rules(time.time_ns())
    engine.check_filters(rules)
    trees = (_tree(first), _tree(second))
    die_of_interrupts()
    show = _show_json if console.json else _show_line

    def show_all(found: "list[Difference]") -> None:
        for difference in found:
            show(console, difference)

    threads = settings_for(console).threads
    counts = engine.diff(trees, by.value, rules, show_all, threads=threads)
    if console.json:
        console.data(dict(counts))
    else:
        console.say(_summary(counts))
    return ExitCode.OK if _is_equal(counts) else ExitCode.FILES_FAILED


def _tree(typed: str) -> bytes:
    if "://" in typed:
        uri = absolute_uri(typed, b"/")
        if is_object_uri(uri):
            return _prefix(uri)
        typed = os.fsdecode(uri_path(uri))
    path = os.fsencode(typed)
    try:
        is_directory = Path(typed).stat() is not None and Path(typed).is_dir()
    except OSError as error:
        raise SourceMissingError(
            f"can't look at `{printable(path)}`: {str(error.strerror).lower()}"
        ) from error
    if not is_directory:
        raise SpecError(
            f"`{printable(path)}` is no directory",
            kind="not_a_directory",
            hint="diff compares directories; `cmp` compares two files",
        )
    return absolute_path(path, os.getcwdb())  # noqa: PTH109 - pathlib has no paths of bytes


def _prefix(uri: str) -> bytes:
    """Give the prefix that is meant, without a slash at its end; that of a bucket may be empty."""
    from pravah import engine

    tell_note(uri)
    found, (name, bucket, key) = engine.look_at_store(planned_uri(uri)), object_parts(uri)
    if found == "object":
        raise SpecError(
            f"`{printable(uri)}` is an object",
            kind="not_a_directory",
            hint="diff compares prefixes; with a `/` at its end it means one",
        )
    if found == "nothing" and key:
        raise SourceMissingError(
            f"there is nothing below `{printable(uri)}`",
            hint="`pravah scan` lists what is there",
        )
    return prefix_uri(name, bucket, key).encode()


def _show_line(console: Console, difference: "Difference") -> None:
    path, what, one, other = difference
    mark = _MARKS.get(what, "!")
    slash = "/" if "directory" in (one, other) and what in ("only_a", "only_b") else ""
    fields = [mark, (printable(path) or ".") + slash]
    if mark == "!":
        fields += [what, *(_text(value) for value in (one, other) if value is not None)]
    if mark == "?":
        fields += [_text(one), _text(other)]
    console.line("\t".join(fields))


def _show_json(console: Console, difference: "Difference") -> None:
    path, what, one, other = difference
    form: dict[str, Any] = {**_json_name("path", path), "difference": what}
    if what == "failed":
        form["error"] = {"kind": one, "message": other}
    elif what == "content":
        form["offset_bytes"] = one
    else:
        form |= _json_value("a", one) | _json_value("b", other)
    console.data(form)


def _text(value: str | int | bytes | None) -> str:
    return printable(value) if isinstance(value, str | bytes) else str(value)


def _json_value(key: str, value: str | int | bytes | None) -> dict[str, Any]:
    return _json_name(key, value) if isinstance(value, bytes) else {key: value}


def _json_name(key: str, name: bytes) -> dict[str, str]:
    text = name.decode("utf-8", "replace")
    lossy = {f"{key}_b64": base64.b64encode(name).decode()} if text.encode() != name else {}
    return {key: text, **lossy}


def _summary(counts: Mapping[str, Any]) -> str:
    parts = [f"{count(counts[key])} {word}" for key, word in _COUNTED if counts[key]]
    return ", ".join(parts) or "both are empty"


def _is_equal(counts: Mapping[str, Any]) -> bool:
    return not any(counts[key] for key in ("differing", "only_a", "only_b", "failed"))
