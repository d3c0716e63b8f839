"""Whether the sink may be written: asked before a job begins, as nothing in it could succeed.

Sources are not looked at: the scan tells of each directory that can't be read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pravah.errors import ForbiddenError
from pravah.model.uri import NULL, shown_path, uri_path


def check_access(plan: Mapping[str, Any]) -> None:
    """Refuse a sink, or sources that are to be replaced, where nothing can be written."""
    sink = plan["sink"]
    if sink is None or sink["uri"] == NULL:
        return
    if plan["in_place"]:
        for root in plan["roots"]:
            _check(uri_path(root["uri"]), "replace files in", "change its permissions")
        return
    _check(
        uri_path(sink["uri"]), "write to the sink", "name another `--to`, or change its permissions"
    )
    if isinstance(plan["after"], dict):
        _check(uri_path(plan["after"]["move"]), "move sources to", "change its permissions")


def free_bytes(plan: Mapping[str, Any]) -> int | None:
    """Give the space that is free for outputs; None where none are kept."""
    sink = plan["sink"]
    if sink is None or sink["uri"] == NULL:
        return None
    place = plan["roots"][0]["uri"] if plan["in_place"] else sink["uri"]
    found = os.statvfs(_existing(uri_path(place)))
    return found.f_bavail * found.f_frsize


def _existing(place: bytes) -> Path:
    """Give the path, or what of it is there."""
    path = Path(os.fsdecode(place))
    return next(above for above in (path, *path.parents) if above.exists())


def _check(place: bytes, wanted: str, hint: str) -> None:
    existing = _existing(place)
    if os.statvfs(existing).f_flag & os.ST_RDONLY:
        raise ForbiddenError(
            f"can't {wanted} `{shown_path(place)}`",
            causes=(f"read-only file system at `{shown_path(bytes(existing))}`",),
            hint=hint,
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ForbiddenError(
            f"can't {wanted} `{shown_path(place)}`",
            causes=(f"permission denied: `{shown_path(bytes(existing))}` is not writable",),
            hint=hint,
        )
