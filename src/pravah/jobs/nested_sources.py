"""Refuses sources of which one has files of another: each file counts once (protocol, rule 15).

Which directories lie in each other is decided by device and inode, as links and mounts have other
paths; prefixes by their keys. Globs are no reason where the outer one takes nothing of the inner.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Protocol

from pravah.errors import OverlapError
from pravah.jobs.object_places import key_below
from pravah.jobs.places import Identity, identity
from pravah.model.glob import as_text
from pravah.model.uri import shown_path


class Source(Protocol):
    """A source that is there: a directory, what globs take of one, or one file of a directory."""

    @property
    def path(self) -> bytes:
        """The directory; in an object store its URI."""

    @property
    def only(self) -> bytes | None:
        """The name of the one file in it that is meant."""

    @property
    def identity(self) -> Identity | None:
        """What stands there; None in an object store."""

    @property
    def globs(self) -> Sequence[bytes]:
        """What of the directory is meant; empty: all of it."""


def refuse_nested(sources: Sequence[Source]) -> None:
    """Refuse a source of which another one has files."""
    trees = [source for source in sources if source.only is None]
    if not trees or len(sources) == 1:
        return  # thousands of named files, or one directory: nothing to look for
    local = {tree.identity: tree for tree in trees if tree.identity is not None}
    remote = [tree for tree in trees if tree.identity is None]
    identify = cache(identity)  # files of one directory have the same ones above them
    for source in sources:
        if source.identity is None:
            outer = _prefixes_above(source, remote)
        else:
            outer = _directories_above(source, local, identify)
        for tree, path in outer:
            if tree is not source and _takes(tree, path, source):
                raise OverlapError(
                    f"the source `{shown_path(_place(source))}` lies in the source "
                    f"`{shown_path(tree.path)}`, and each file counts once",
                    kind="nested_sources",
                    hint="name the outer one alone; `--include` says what of it counts",
                )


def _place(source: Source) -> bytes:
    return source.path if source.only is None else source.path + b"/" + source.only


def _directories_above(
    source: Source,
    trees: Mapping[Identity, Source],
    identify: Callable[[bytes], Identity | None],
) -> Iterator[tuple[Source, bytes]]:
    """Give the trees that a source lies in, or is, and its path relative to each."""
    place = above = os.path.realpath(_place(source))
    while True:
        found = identify(above)
        if found is not None and found in trees:
            yield trees[found], place[len(above) :].strip(b"/")
        if above == b"/":
            return
        above = os.path.split(above)[0]


def _prefixes_above(source: Source, trees: Sequence[Source]) -> Iterator[tuple[Source, bytes]]:
    place = _place(source).decode()
    for tree in trees:
        if (path := key_below(place, tree.path.decode())) is not None:
            yield tree, path.encode()


def _takes(tree: Source, path: bytes, source: Source) -> bool:
    """Tell whether a tree has something of a source at this path; in doubt it has."""
    if not tree.globs or not path:
        return True
    from pravah import engine

    return engine.globs_take(as_text(tree.globs), path, is_directory=source.only is None)
