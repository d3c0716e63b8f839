"""Paths of a spec that a server is to work on: whole ones, as it sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pravah.errors import NotYetError, SpecError
from pravah.model.uri import shown_path

if TYPE_CHECKING:
    from pravah.model.spec import JobSpec

_ABSOLUTE = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:")


def require_absolute(spec: JobSpec, url: str) -> None:
    """Refuse a relative path: the server's working directory is not the caller's."""
    if spec.source.files_from == "-":
        raise NotYetError(
            f"names that come from stdin can't be sent to the server {url}",
            hint="put the list where the server can read it; or add `--local`",
        )
    for path in _paths(spec):
        if not _ABSOLUTE.match(path):
            raise _relative(path, url)


def require_absolute_path(path: bytes, url: str) -> None:
    """Refuse a relative path to a file that the server is asked about."""
    if not path.startswith(b"/"):
        raise _relative(shown_path(path), url)


def _relative(path: str, url: str) -> SpecError:
    return SpecError(
        f"`{path}` is relative, and the server {url} has a working directory of its own",
        kind="relative_path",
        hint="write the whole path, as the server sees it; or add `--local`",
    )


def _paths(spec: JobSpec) -> Iterator[str]:
    """Give every path and URI of a spec, as it was typed."""
    from pravah.registry import registry

    source = spec.source
    yield from source.uri
    if source.files_from is not None:
        yield source.files_from
        # What names are relative to where nothing is said; those of a job are to its sources.
        if not source.uri and not source.files_from.startswith("job:"):
            yield "."
    if not isinstance(source.after, str):
        yield source.after.move
    if spec.sink is not None:
        yield spec.sink.uri
    if spec.results is not None and spec.results.uri is not None:
        yield spec.results.uri
    for step in spec.steps:
        described = registry().find(step.name).parameters.get("properties", {})
        for name, value in step.params.items():
            if described.get(name, {}).get("format") == "path":
                yield str(value)
