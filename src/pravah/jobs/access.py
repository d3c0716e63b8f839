"""Whether the sink may be written: asked before a job begins, as nothing in it could succeed.

Sources are not looked at: the scan tells of each directory that can't be read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pravah.errors import ForbiddenError
from pravah.model.uri import NULL, is_object_uri, shown_path, uri_path


def check_access(plan: Mapping[str, Any]) -> None:
    """Refuse a sink, or sources that are to be replaced, where nothing can be written."""
    if plan["in_place"]:
        for root in plan["roots"]:
            if is_object_uri(root["uri"]):
                _check_reachable(root["uri"])
            else:
                check_writable(uri_path(root["uri"]), "replace files in", "change its permissions")
        return
    if (uri := target(plan)) is None:
        return
    if is_object_uri(uri):
        _check_reachable(uri)
    else:
        hint = "name another `--to`, or change its permissions"
        check_writable(uri_path(uri), "write to the sink", hint)
    after = plan["after"]
    if isinstance(after, dict) and not is_object_uri(after["move"]):
        check_writable(uri_path(after["move"]), "move sources to", "change its permissions")


def _check_reachable(uri: str) -> None:
    from pravah import engine

    engine.look_at_store(f"{uri.rstrip('/')}/")


def written_to(plan: Mapping[str, Any]) -> bytes | None:
    """Give the directory that outputs, or findings alone, are put into; None where none is."""
    uri = target(plan)
    return None if uri is None or is_object_uri(uri) else uri_path(uri)


def target(plan: Mapping[str, Any]) -> str | None:
    """Give the URI that outputs, or findings alone, are put below; None where none is."""
    uri: str = plan.get("dataset") or (plan["sink"] or {}).get("uri", NULL)
    return None if uri == NULL or plan.get("in_place") else uri


def free_bytes(plan: Mapping[str, Any]) -> int | None:
    """Give the space that is free for outputs; None where none are kept."""
    if plan["in_place"]:
        uri = plan["roots"][0]["uri"]
        place = None if is_object_uri(uri) else uri_path(uri)
    else:
        place = written_to(plan)
    if place is None:
        return None
    found = os.statvfs(_existing(place))
    return found.f_bavail * found.f_frsize


def check_writable(place: bytes, wanted: str, hint: str) -> None:
    """Refuse a directory, or one that is to be made, where nothing can be written."""
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


def _existing(place: bytes) -> Path:
    """Give the path, or what of it is there."""
    path = Path(os.fsdecode(place))
    return next(above for above in (path, *path.parents) if above.exists())
