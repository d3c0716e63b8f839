"""What a scan lists: directories, globs and prefixes of object stores, each looked at before."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping

from pravah.engine import Scanner, check_filters, translated
from pravah.errors import SourceMissingError, SpecError
from pravah.model.filters import Filters
from pravah.model.glob import as_text, split_glob, split_key_glob
from pravah.model.uri import absolute_uri, is_object_uri, object_parts, prefix_uri, shown_path

# Directories or prefixes to list, each with its globs; those of one directory are one place.
Places = Mapping[tuple[bytes, int], list[bytes]]

# In place of the number of a root: what several globs share.
_GLOBS = -1


def places(roots: Iterable[str | bytes | os.PathLike[str]]) -> Places:
    """Look at what shall be listed; SourceMissingError where it is not there."""
    found: dict[tuple[bytes, int], list[bytes]] = {}
    for number, given in enumerate(roots):
        root = os.fspath(given)
        if isinstance(root, str) and "://" in root:
            place, globs = _object_place(root)
        else:
            place, globs = _local_place(os.fsencode(root))
        found.setdefault((place, _GLOBS if globs else number), []).extend(globs)
    return found


def scanner(places: Places, filters: Filters, *, stat: bool) -> Scanner:
    """Prepare to list places, sizes and times included with `stat`."""
    rules = filters.rules(time.time_ns())
    globs = [as_text(patterns) for patterns in places.values()]
    check_filters(rules, [pattern for patterns in globs for pattern in patterns])
    with translated():
        return Scanner(
            [path for path, _ in places],
            globs=globs,
            rules=json.dumps(rules),
            stat=stat,
            follow_symlinks=filters.follow_symlinks,
        )


def _local_place(path: bytes) -> tuple[bytes, list[bytes]]:
    """Give the directory to list, and the glob below it."""
    glob = None if os.path.lexists(path) else split_glob(path)
    above, globs = (path, []) if glob is None else (glob[0], [glob[1]])
    try:
        os.stat(above)  # noqa: PTH116 - pathlib has no paths of bytes
    except FileNotFoundError as error:
        raise SourceMissingError(f"there is no file or directory `{shown_path(above)}`") from error
    except OSError as error:
        reason = str(error.strerror).lower()
        raise SourceMissingError(f"can't look at `{shown_path(above)}`: {reason}") from error
    return above, globs


def _object_place(root: str) -> tuple[bytes, list[bytes]]:
    """Give the prefix to list, without a slash at its end, and the glob below it."""
    uri = absolute_uri(root, b"/")
    if not is_object_uri(uri):
        raise SpecError(f"`{root}` is no place that can be listed", kind="unknown_scheme")
    name, bucket, key = object_parts(uri)
    glob = split_key_glob(key)
    if glob is None:
        return prefix_uri(name, bucket, key).encode(), []
    return prefix_uri(name, bucket, glob[0]).encode(), [glob[1]]
