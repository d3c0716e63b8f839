"""Places in object stores, as sources and sinks: what is there, and what can't be asked of them.

The store itself is asked, once, before a job is created: a wrong bucket, key or endpoint is an
error of one line, and no job that fails later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pravah.errors import OverlapError, SourceMissingError, SpecError
from pravah.model.glob import split_key_glob
from pravah.model.uri import (
    NULL,
    is_object_uri,
    object_parts,
    planned_uri,
    prefix_uri,
    quote,
    shown_uri,
)
from pravah.settings import Settings
from pravah.stores.connections import connection

if TYPE_CHECKING:
    from pravah.model.spec import JobSpec, Move, Sink


# What only objects have, and an output keeps of another one.
_OBJECTS_KEEP = ("metadata", "tags")


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """A source: a prefix, what globs take below one, or one object (`only`) of a prefix."""

    path: str
    only: bytes | None
    globs: tuple[bytes, ...] = ()


def source_place(uri: str, after: str | Move) -> ObjectPlace:
    """Look at a source; SourceMissingError where nothing is there.

    Unless jobs remove what they have done: one that was killed at its end is asked for again when
    its sources are gone.
    """
    # Loads the core, which a plan of local files does without.
    from pravah import engine

    name, bucket, key = object_parts(uri)
    found = engine.look_at_store(planned_uri(uri))
    if found == "object":
        above, _, last = key.rpartition("/")
        return ObjectPlace(prefix_uri(name, bucket, above), last.encode())
    if found == "nothing" and (glob := split_key_glob(key)) is not None:
        return ObjectPlace(prefix_uri(name, bucket, glob[0]), None, (glob[1],))
    if found == "nothing" and key and after == "keep":
        raise SourceMissingError(
            f"no source `{uri}`",
            hint="there is neither such a key nor one below it; `pravah scan` lists what is there",
        )
    return ObjectPlace(prefix_uri(name, bucket, key), None)


def output_sink(sink: Sink, *, one_file: bool) -> dict[str, Any]:
    """Plan the sink: a prefix, unless one file's output is given a key."""
    name, bucket, key = object_parts(sink.uri)
    if not one_file or sink.uri.endswith("/") or not key:
        return {"uri": planned_uri(prefix_uri(name, bucket, key)), "only": None}
    if sink.path is not None:
        raise SpecError(
            f"the sink `{sink.uri}` is one object, and sink.path names some below it",
            kind="path_with_file_sink",
            hint="add a `/` to `--to` to mean a prefix, or leave out `--path`",
        )
    above, _, last = key.rpartition("/")
    return {"uri": planned_uri(prefix_uri(name, bucket, above)), "only": quote(last.encode())}


def object_options(sink: Sink) -> dict[str, Any]:
    """Plan how objects are kept; nothing where nothing is said."""
    said = sink.s3.model_dump(exclude_none=True, exclude_defaults=True) if sink.s3 else {}
    return {"s3": said} if said else {}


def findings_sink(uri: str) -> str:
    """Plan the prefix of what inspect steps find, where nothing else goes to the sink."""
    return planned_uri(prefix_uri(*object_parts(uri)))


def bucket_of_all(uris: list[str]) -> str:
    """Give the bucket in which sources are replaced; SpecError where they lie in several."""
    buckets = {object_parts(uri)[:2] if is_object_uri(uri) else None: uri for uri in uris}
    if len(buckets) > 1:
        one, other = list(buckets.values())[:2]
        raise SpecError(
            f"`in_place`, and the sources `{shown_uri(one)}` and `{shown_uri(other)}` lie in "
            "different stores",
            kind="in_place_in_several_stores",
            hint="make it a job for each bucket",
        )
    ((name, bucket),) = filter(None, buckets)
    return planned_uri(prefix_uri(name, bucket, ""))


def refuse_what_stores_lack(spec: JobSpec) -> None:
    """Refuse what means nothing in the stores that are named, before anything is looked at."""
    sources = [is_object_uri(uri) for uri in spec.source.uri]
    sink = spec.sink.uri if spec.sink else NULL
    _refuse_moving_elsewhere(spec.source.uri, spec.source.after)
    if spec.sink is None:
        return
    _refuse_options_of_others(spec.sink, is_remote=is_object_uri(sink))
    if not is_object_uri(sink):
        return
    if lost := [what for what in spec.sink.preserve if what not in ("mtime", *_OBJECTS_KEEP)]:
        raise SpecError(
            f"`preserve: {lost[0]}`, and the sink is an object store, which has no such thing",
            kind="preserve_needs_files",
            hint="objects keep `mtime`, and `metadata` and `tags` of other objects",
        )
    if (kept := _of_objects(spec.sink)) and not all(sources):
        raise SpecError(
            f"`preserve: {kept[0]}`, and the sources are files, which have no such thing",
            kind="preserve_needs_objects",
            hint="`sink.s3` gives objects tags and a content type",
        )


def _refuse_options_of_others(sink: Sink, *, is_remote: bool) -> None:
    """Refuse what only objects have, where outputs are files."""
    if is_remote:
        return
    if kept := _of_objects(sink):
        raise SpecError(
            f"`preserve: {kept[0]}`, and the sink is no object store: files have no such thing",
            kind="preserve_needs_objects",
            hint="files keep `mtime`, `mode` and `owner`",
        )
    if sink.s3 is not None:
        raise SpecError(
            f"`sink.s3` is given, and the sink `{shown_uri(sink.uri)}` is no object store",
            kind="s3_options_need_objects",
            hint="leave out `sink.s3`, or name an `s3://BUCKET/PREFIX/`",
        )


def _of_objects(sink: Sink) -> list[str]:
    return [what for what in sink.preserve if what in _OBJECTS_KEEP]


def _refuse_moving_elsewhere(sources: list[str], after: str | Move) -> None:
    """Refuse a move that is none within one store, or to where a later job would list it again."""
    if isinstance(after, str):
        return
    target = after.move
    for source in sources:
        if not is_object_uri(source) and not is_object_uri(target):
            continue
        if not (is_object_uri(source) and is_object_uri(target)) or (
            _identity(source)[0] != _identity(target)[0]
        ):
            raise SpecError(
                f"the sources `{source}` can't be moved to `{target}`, which is in another store",
                kind="move_to_other_store",
                hint="objects are moved below another prefix of their own connection, files to "
                "another directory; `copy` and `--after delete` move to any other store",
            )
        if _lies_in(_identity(target), _identity(source)):
            raise SpecError(
                f"the sources `{source}` are to be moved to `{target}`, which lies in them",
                kind="move_to_source",
                hint="name another prefix after `--after move:`",
            )


def _lies_in(place: tuple[str, str, str], other: tuple[str, str, str]) -> bool:
    return place[:2] == other[:2] and place[2].startswith(other[2])


def key_below(place: str, prefix: str) -> str | None:
    """Give the key of a place relative to a prefix that it lies in, or is; None: it does not."""
    found, above = _identity(place), _identity(prefix)
    return found[2][len(above[2]) :].removesuffix("/") if _lies_in(found, above) else None


def refuse_object_overlap(sources: list[str], sink: str) -> None:
    """Refuse a sink that is a source, or that a source lies in; below a source it is left out."""
    wanted = _identity(sink)
    for source in filter(is_object_uri, sources):
        found = _identity(source)
        if found == wanted:
            raise OverlapError(
                f"source and sink are the same prefix, `{source}`", hint="name another `--to`"
            )
        if _lies_in(found, wanted):
            raise OverlapError(
                f"the source `{source}` lies in the sink `{sink}`",
                kind="source_below_sink",
                hint="name a `--to` that does not contain the source",
            )


def refuse_results_in_prefix(spec: JobSpec) -> None:
    """Refuse a place for the findings where later jobs over the source would list them."""
    place = spec.results.uri if spec.results else None
    if place is None or not is_object_uri(place):
        return
    for source in filter(is_object_uri, spec.source.uri):
        if _lies_in(_identity(place), _identity(source)):
            raise OverlapError(
                f"the results `{place}` lie in the source `{source}`",
                kind="results_in_source",
                hint="name a `--results-to` outside of it",
            )


def _identity(uri: str) -> tuple[str, str, str]:
    """Tell places apart: endpoint, bucket and prefix, whatever the connections are called."""
    name, bucket, key = object_parts(uri)
    found = connection(name, Settings())
    prefix = f"{key.removesuffix('/')}/" if key else ""
    return (found.endpoint or found.region, bucket, prefix)
