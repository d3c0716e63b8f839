"""Totals of a scan for people and programs: of everything, or of groups of files."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pravah.cli.console import Console
from pravah.cli.figures import count, size
from pravah.cli.names import printable
from pravah.cli.render import Column, pairs, table


class GroupBy(StrEnum):
    """What files have in common that are counted together."""

    EXT = "ext"
    DIR = "dir"


@dataclass(frozen=True, slots=True)
class Group:
    """Files that are counted together; without a name those for which no group was left."""

    name: bytes | None
    files: int
    size_bytes: int


def print_totals(console: Console, counted: Mapping[str, Any], *, sized: bool) -> None:
    """Print how much a scan found."""
    if console.json:
        numbers = {name: counted[name] for name in ("files", "directories", "other")}
        sizes = {"bytes": counted["bytes"]} if sized else {}
        loops = {"loops": counted["loops"]} if counted["loops"] else {}
        console.data({**numbers, **sizes, **loops, "errors": counted["error_count"]})
        return
    rows = [("files", count(counted["files"])), ("directories", count(counted["directories"]))]
    rows.append(("other", count(counted["other"])))
    if counted["loops"]:
        rows.append(("link loops", count(counted["loops"])))
    if sized:
        rows.append(("size", size(counted["bytes"])))
    console.lines(pairs(rows))


def print_groups(console: Console, groups: list[Group], by: GroupBy) -> None:
    """Print groups of files, those of most bytes first."""
    groups.sort(key=lambda group: (-group.size_bytes, -group.files, group.name or b""))
    if console.json:
        for group in groups:
            sums = {"files": group.files, "bytes": group.size_bytes}
            console.data({**_name(group.name, by), **sums})
        return
    columns = [Column("size", "right"), Column("files", "right"), Column(by.value, shrink="middle")]
    rows = [[size(group.size_bytes), count(group.files), _label(group.name)] for group in groups]
    files, size_bytes = sum(g.files for g in groups), sum(g.size_bytes for g in groups)
    rows.append([size(size_bytes), count(files), "(total)"])
    console.lines(table(columns, rows, console.columns))


def groups_of(
    totals: tuple[list[tuple[bytes, int, int]], tuple[int, int], Mapping[str, Any]],
) -> Iterator[Group]:
    """Read what the core has counted."""
    named, (files, size_bytes), _ = totals
    for name, number, total_bytes in named:
        yield Group(name, number, total_bytes)
    if files:
        yield Group(None, files, size_bytes)


def _label(name: bytes | None) -> str:
    if name is None:
        return "(others)"
    return printable(name) or "(none)"


def _name(name: bytes | None, by: GroupBy) -> dict[str, str | None]:
    key = "ext" if by is GroupBy.EXT else "path"
    if name is None:
        return {key: None}
    text = name.decode("utf-8", "replace")
    lossy = {f"{key}_b64": base64.b64encode(name).decode()} if text.encode() != name else {}
    return {key: text, **lossy}
