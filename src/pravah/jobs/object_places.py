"""Places in object stores, as sources and sinks: what is there, and what can't be asked of them.

The store itself is asked, once, before a job is created: a wrong bucket, key or endpoint is an
error of one line, and no job that fails later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pravah.errors import NotYetError, OverlapError, SourceMissingError, SpecError
from pravah.jobs import expansion
from pravah.model.glob import split_glob
from pravah.model.uri import (
    NULL,
    is_object_uri,
    object_parts,
    object_uri,
    planned_uri,
    quote,
)
from pravah.settings import Settings
from pravah.stores.connections import connection

if TYPE_CHECKING:
    from pravah.model.spec import JobSpec, Sink


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """A source: a prefix, what globs take below one, or one object (`only`) of a prefix."""

    path: str
    only: bytes | None
    globs: tuple[bytes, ...] = ()


def source_place(uri: str) -> ObjectPlace:
    """Look at a source; SourceMissingError where nothing is there."""
    # Loads the core, which a plan of local files does without.
    from pravah import engine

    name, bucket, key = object_parts(uri)
    found = engine.look_at_store(planned_uri(uri))
    if found == "object":
        above, _, last = key.rpartition("/")
        return ObjectPlace(_shown(name, bucket, above), last.encode())
    if found == "nothing" and (glob := split_glob(key.encode())) is not None:
        above = glob[0].decode().removeprefix(".")
        return ObjectPlace(_shown(name, bucket, above), None, (glob[1],))
    if found == "nothing" and key.strip("/"):
        raise SourceMissingError(
            f"no source `{uri}`",
            hint="there is neither such a key nor one below it; `pravah scan` lists what is there",
        )
    return ObjectPlace(_shown(name, bucket, key), None)


def output_sink(sink: Sink, *, one_file: bool) -> dict[str, Any]:
    """Plan the sink: a prefix, unless one file's output is given a key."""
    name, bucket, key = object_parts(sink.uri)
    if not one_file or sink.uri.endswith("/") or not key:
        return {"uri": planned_uri(_shown(name, bucket, key)), "only": None}
    if sink.path is not None:
        raise SpecError(
            f"the sink `{sink.uri}` is one object, and sink.path names some below it",
            kind="path_with_file_sink",
            hint="add a `/` to `--to` to mean a prefix, or leave out `--path`",
        )
    above, _, last = key.rpartition("/")
    return {"uri": planned_uri(_shown(name, bucket, above)), "only": quote(last.encode())}


def findings_sink(uri: str) -> str:
    """Plan the prefix of what inspect steps find, where nothing else goes to the sink."""
    return planned_uri(_shown(*object_parts(uri)))


def refuse_unknown_to_objects(spec: JobSpec) -> None:
    """Refuse what this release can't do with objects, before anything is looked at."""
    sources = [is_object_uri(uri) for uri in spec.source.uri]
    sink = spec.sink.uri if spec.sink else NULL
    results = (spec.results.uri if spec.results else None) or NULL
    if any(sources) and not all(sources):
        raise _later("sources in object stores and local ones in one job")
    if any(sources) and spec.in_place:
        raise _later("`in_place` in an object store")
    if any(sources) and spec.source.files_from is not None:
        raise _later("`files_from` of objects")
    if (any(sources) or is_object_uri(sink)) and spec.source.after != "keep":
        raise _later("`source.after` with an object store")
    if is_object_uri(results):
        raise _later("`results.uri` in an object store (without it they go below the sink)")
    if spec.sink is None or not is_object_uri(sink):
        return
    if expansion.expanding_step(spec) is not None:
        raise _later("several outputs of one file in an object store")
    if spec.sink.path is not None and "{hash}" in spec.sink.path:
        raise _later("`{hash}` in the names of objects")
    if lost := [what for what in spec.sink.preserve if what != "mtime"]:
        raise SpecError(
            f"`preserve: {lost[0]}`, and the sink is an object store, which has no such thing",
            kind="preserve_needs_files",
            hint="objects keep `mtime`",
        )


def refuse_object_overlap(sources: list[str], sink: str) -> None:
    """Refuse a sink that is a source, or that a source lies in; below a source it is left out."""
    wanted = _identity(sink)
    for source in filter(is_object_uri, sources):
        found = _identity(source)
        if found == wanted:
            raise OverlapError(
                f"source and sink are the same prefix, `{source}`", hint="name another `--to`"
            )
        if found[:2] == wanted[:2] and found[2].startswith(wanted[2]):
            raise OverlapError(
                f"the source `{source}` lies in the sink `{sink}`",
                kind="source_below_sink",
                hint="name a `--to` that does not contain the source",
            )


def _identity(uri: str) -> tuple[str, str, str]:
    """Tell places apart: endpoint, bucket and prefix, whatever the connections are called."""
    name, bucket, key = object_parts(uri)
    found = connection(name, Settings())
    prefix = f"{key.rstrip('/')}/" if key.rstrip("/") else ""
    return (found.endpoint or found.region, bucket, prefix)


def _shown(name: str, bucket: str, key: str) -> str:
    return object_uri(name, bucket, key.rstrip("/")).rstrip("/")


def _later(what: str) -> NotYetError:
    hint = "the user guide's part about object stores tells what works with them"
    return NotYetError(f"{what}: not in this release", hint=hint)
