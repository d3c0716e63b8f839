"""A spec becomes a plan: sources and sink are looked at, the pipeline is named by a hash.

Whether source and sink overlap is decided by device and inode, so links and other spellings of a
path can't hide it (protocol, rule 17). Nothing is listed or written here.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pravah.errors import OverlapError, SourceMissingError, SpecError
from pravah.jobs import dataset_place, expansion, reduction, source_fate
from pravah.jobs.locality import Locality
from pravah.jobs.nested_sources import refuse_nested
from pravah.jobs.object_places import (
    findings_sink,
    object_options,
    output_sink,
    refuse_object_overlap,
    refuse_results_in_prefix,
    refuse_what_stores_lack,
    source_place,
)
from pravah.jobs.places import Identity, ancestors, identity, look
from pravah.jobs.step_files import pinned
from pravah.model.glob import as_text, split_glob
from pravah.model.uri import (
    NULL,
    is_object_uri,
    path_uri,
    planned_uri,
    quote,
    shown_path,
    uri_path,
)
from pravah.registry import registry

if TYPE_CHECKING:
    # Pydantic costs a tenth of a second, and a worker needs only the hash of a stored plan.
    from pravah.model.spec import JobSpec, Move, Sink, Source, Step

# Keys of the spec's sink that the engine is told as they are.
_SINK_OPTIONS = {"path", "on_collision", "overwrite", "durability", "verify", "preserve"}


@dataclass(frozen=True, slots=True)
class Planned:
    """A resolved spec, and what the engine is told of it."""

    spec: JobSpec
    plan: dict[str, Any]
    spec_hash: str
    pipeline_hash: str
    scope: str | None
    globs: list[str]
    host: str = ""


@dataclass(frozen=True, slots=True)
class _Root:
    """A source that is there: a directory, what globs take of one, or one file of a directory."""

    path: bytes
    only: bytes | None
    # None in an object store, whose path is its URI.
    identity: Identity | None
    globs: tuple[bytes, ...] = ()

    def to_dict(self, *, prefixed: bool) -> dict[str, Any]:
        prefix = quote(_name(self.path)) if prefixed and self.only is None else None
        only = quote(self.only) if self.only is not None else None
        globs = {"globs": [quote(glob) for glob in self.globs]} if self.globs else {}
        return {"uri": self.uri, "only": only, "prefix": prefix, **globs}

    @property
    def uri(self) -> str:
        """Its URI, as the core reads it."""
        return path_uri(self.path) if self.identity else planned_uri(self.path.decode())

    @property
    def name(self) -> bytes:
        """What its outputs are called by, among several roots."""
        return self.only if self.only is not None else _name(self.path)


def plan(spec: JobSpec, directory: bytes, job_id: str, locality: Locality | None = None) -> Planned:
    """Plan a spec that was written in `directory`."""
    resolved = spec.resolved(directory)
    refuse_what_stores_lack(resolved)
    resolved = dataset_place.settled(resolved)
    steps = [_step(step, directory) for step in resolved.steps]
    roots = _roots(resolved.source)
    reduction.refuse(resolved)
    expansion.refuse(resolved)
    if resolved.source.files_from is not None:
        _refuse_other_than_trees(roots)
    _refuse_equal_names(roots)
    refuse_nested(roots)
    sink, dataset = _sink(resolved, roots), _dataset(resolved)
    if not resolved.in_place:
        _refuse_overlaps(resolved, roots, sink, dataset)
    place = dataset_place.typed_place(resolved)
    if place is not None:
        _refuse_results_in_source(roots, place)
    refuse_results_in_prefix(resolved)
    plan: dict[str, Any] = {
        "job": job_id,
        "roots": [root.to_dict(prefixed=len(roots) > 1) for root in roots],
        "filter": resolved.source.filters.rules(time.time_ns()),
        "capture": resolved.source.capture,
        "steps": steps,
        "sink": sink,
        "pipeline_hash": pipeline_hash(steps),
        "in_place": resolved.in_place,
        "after": source_fate.after(resolved),
        "missing": resolved.source.missing,
        "listed": resolved.source.files_from is not None,
        "follow_symlinks": source_fate.follow_symlinks(resolved),
        **({"dataset": dataset} if dataset else {}),
        **live_keys(resolved),
    }
    host = locality.host_of(plan, place) if locality else ""
    return Planned(
        resolved,
        plan,
        _spec_hash(plan, resolved, host),
        plan["pipeline_hash"],
        _scope(plan, host),
        as_text(glob for root in roots for glob in root.globs),
        host,
    )


def live_keys(spec: JobSpec) -> dict[str, Any]:
    """Give the part of a plan that may change while the job is worked on."""
    return {
        "max_attempts": spec.on_error.max_attempts,
        "read_rate": spec.limits.read_rate,
        "write_rate": spec.limits.write_rate,
    }


def pipeline_hash(steps: Iterable[dict[str, Any]]) -> str:
    """Identify what steps do: processors, their versions, and every parameter."""
    known = registry()
    versions = [[s["name"], known.find(s["name"]).version, s["params"]] for s in steps]
    return _digest(versions)


def _step(step: Step, directory: bytes) -> dict[str, Any]:
    """Give a step with the defaults of its parameters: what is left out and what is said agree."""
    properties = registry().find(step.name).properties
    defaults = {name: s["default"] for name, s in properties.items() if "default" in s}
    params = pinned({**defaults, **step.params}, properties, directory)
    return {"name": step.name, "params": params}


def _roots(source: Source) -> list[_Root]:
    """Look at the sources; globs that begin at one directory are one source."""
    roots: dict[bytes | int, _Root] = {}
    for number, uri in enumerate(source.uri):
        root = _object_root(uri, source.after) if is_object_uri(uri) else _root(uri)
        known = roots.get(root.path) if root.globs else None
        if known is not None:
            root = replace(known, globs=(*known.globs, *root.globs))
        roots[root.path if root.globs else number] = root
    return list(roots.values())


def _object_root(uri: str, after: str | Move) -> _Root:
    place = source_place(uri, after)
    return _Root(place.path.encode(), place.only, None, place.globs)


def _root(uri: str) -> _Root:
    path = uri_path(uri)
    found = look(path)
    if found is None and (glob := split_glob(path)) is not None:
        below = _root(path_uri(glob[0]))
        if below.only is None:
            last = b"/" if uri.endswith("/") else b""
            return replace(below, globs=(glob[1] + last,))
    if found is None:
        raise SourceMissingError(
            f"no source `{shown_path(path)}`",
            hint="check the path; a relative one begins at the working directory",
        )
    identity = (found.st_dev, found.st_ino)
    if stat.S_ISDIR(found.st_mode):
        return _Root(path, None, identity)
    if stat.S_ISREG(found.st_mode):
        # A named link means what it leads to; links met by the scan are skipped.
        parent, name = os.path.split(os.path.realpath(path))
        return _Root(parent, name, identity)
    raise SpecError(
        f"the source `{shown_path(path)}` is neither a directory nor a regular file",
        kind="unsupported_source",
    )


def _local(roots: list[_Root]) -> list[_Root]:
    """Give the roots that are on a disk: no path of another one means anything there."""
    return [root for root in roots if root.identity is not None]


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def _refuse_other_than_trees(roots: list[_Root]) -> None:
    for root in roots:
        if root.only is not None or root.globs:
            raise SpecError(
                f"`files_from` names files below `{shown_path(root.path)}`, which is not a "
                "directory by itself",
                kind="files_from_source",
                hint="name the directory that the names are relative to",
            )


def _refuse_equal_names(roots: list[_Root]) -> None:
    names = Counter(root.name for root in roots)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise SpecError(
            f"{count} sources are called `{shown_path(name)}`, their outputs would collide",
            kind="equal_root_names",
            hint="give each a name of its own, or make them separate jobs",
        )


def _sink(spec: JobSpec, roots: list[_Root]) -> dict[str, Any] | None:
    """Plan the sink: a directory, unless one file's output is given a name."""
    if spec.in_place:
        return source_fate.sink_in_place(spec)
    sink = spec.sink
    if sink is None:
        _refuse_missing_sink(spec)
        return None
    source_fate.refuse_links(spec)
    _refuse_preserving_names(sink)
    if not source_fate.writing_steps(spec):
        return None
    options = sink.model_dump(include=_SINK_OPTIONS)
    if sink.uri == NULL:
        return {"uri": NULL, "only": None, **options}
    one_file = len(roots) == 1 and roots[0].only is not None
    if reduction.reducing_step(spec) is not None:
        one_file = sink.path is None
    if expansion.expanding_step(spec) is not None:
        one_file = False
    if is_object_uri(sink.uri):
        return {**output_sink(sink, one_file=one_file), **options, **object_options(sink)}
    path = uri_path(sink.uri)
    found = look(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        return {"uri": path_uri(path), "only": None, **options}
    if one_file and not sink.uri.endswith("/"):
        if sink.path is not None:
            raise SpecError(
                f"the sink `{shown_path(path)}` is one file, and sink.path names files in it",
                kind="path_with_file_sink",
                hint="add a `/` to `--to` to mean a directory, or leave out `--path`",
            )
        parent, name = os.path.split(path)
        return {"uri": path_uri(parent), "only": quote(name), **options}
    if found is not None:
        raise SpecError(
            f"the sink `{shown_path(path)}` is a file, and there are several outputs",
            kind="sink_not_a_directory",
            hint="name a directory after `--to`",
        )
    return {"uri": path_uri(path), "only": None, **options}


def _dataset(spec: JobSpec) -> str | None:
    """Plan the directory of what inspect steps find, where nothing else goes to the sink."""
    if spec.sink is None or spec.sink.uri == NULL or source_fate.writing_steps(spec):
        return None
    if is_object_uri(spec.sink.uri):
        return findings_sink(spec.sink.uri)
    path = uri_path(spec.sink.uri)
    found = look(path)
    if found is not None and not stat.S_ISDIR(found.st_mode):
        raise SpecError(
            f"the sink `{shown_path(path)}` is a file, and findings are put into a directory",
            kind="sink_not_a_directory",
            hint="name a directory after `--to`, or leave it out to have them printed",
        )
    return path_uri(path)


def _refuse_preserving_names(sink: Sink) -> None:
    """Refuse what only means something at the paths of the sources."""
    kept = [what for what in ("links", "empty_dirs") if what in sink.preserve]
    if kept and sink.path is not None:
        raise SpecError(
            f"`preserve: {kept[0]}` keeps the paths of the sources, and sink.path makes others",
            kind="preserve_needs_paths",
            hint=f"leave out `{kept[0]}`, or `--path`",
        )


def _refuse_missing_sink(spec: JobSpec) -> None:
    if writing := source_fate.writing_steps(spec):
        raise SpecError(
            f"no sink: {writing[0]} makes outputs",
            kind="sink_missing",
            hint="name a directory after `--to`; `--in-place` replaces each file by its output",
        )


def _refuse_overlaps(
    spec: JobSpec, roots: list[_Root], sink: dict[str, Any] | None, dataset: str | None
) -> None:
    """Refuse a place for outputs, findings or sources that overlaps with the sources."""
    put = dataset or (sink or {}).get("uri", NULL)
    if put != NULL and is_object_uri(put):
        refuse_object_overlap([root.uri for root in roots if root.only is None], put)
    elif dataset is not None:
        _refuse_overlap(roots, uri_path(dataset), is_file=False)
    elif sink is not None and sink["uri"] != NULL:
        _refuse_itself(roots, sink)
        _refuse_overlap(roots, uri_path(sink["uri"]), is_file=sink["only"] is not None)
        _refuse_moving_to_itself(roots, source_fate.after(spec))


def _refuse_itself(roots: list[_Root], sink: dict[str, Any]) -> None:
    """Refuse one file as its own output; the core sees to outputs that are named by steps."""
    if sink["only"] is None:
        return
    path = uri_path(sink["uri"] + "/" + sink["only"])
    if identity(path) in [root.identity for root in _local(roots)]:
        raise OverlapError(
            f"source and sink are the same file, `{shown_path(path)}`", hint="name another `--to`"
        )


def _refuse_overlap(roots: list[_Root], sink: bytes, *, is_file: bool) -> None:
    """Refuse a sink that is a source, or that a source lies in; below a source it is left out."""
    sink_identity = identity(sink)
    for root in (root for root in _local(roots) if root.only is None):
        if is_file or sink_identity is None:
            continue
        if root.identity == sink_identity:
            raise OverlapError(
                f"source and sink are the same directory, `{shown_path(root.path)}`",
                hint="name another `--to`; to replace each file by its output add `--in-place`",
            )
        if sink_identity in ancestors(root.path):
            raise OverlapError(
                f"the source `{shown_path(root.path)}` lies in the sink `{shown_path(sink)}`",
                kind="source_below_sink",
                hint="name a `--to` that does not contain the source",
            )


def _refuse_results_in_source(roots: list[_Root], place: bytes) -> None:
    """Refuse a place for the findings where later jobs over the source would list them."""
    above = ancestors(place)
    for root in _local(roots):
        if root.identity in above or root.identity == identity(place):
            raise OverlapError(
                f"the results `{shown_path(place)}` lie in the source `{shown_path(root.path)}`",
                kind="results_in_source",
                hint="name a `--results-to` outside of it",
            )


def _refuse_moving_to_itself(roots: list[_Root], after: str | dict[str, str]) -> None:
    """Refuse a place for the sources that is where they are."""
    if not isinstance(after, dict) or is_object_uri(after["move"]):
        return
    target = identity(uri_path(after["move"]))
    if target is not None and target in [root.identity for root in roots if root.only is None]:
        raise OverlapError(
            f"the sources are to be moved to where they are, `{shown_path(roots[0].path)}`",
            kind="move_to_source",
            hint="name another directory after `--after move:`",
        )


def _spec_hash(plan: dict[str, Any], spec: JobSpec, host: str) -> str:
    """Identify what a job is about: the same again goes on with the unfinished one."""
    sink = plan["sink"]
    return _digest(
        {
            "roots": plan["roots"],
            "filter": asdict(spec.source.filters),
            "steps": plan["steps"],
            "sink": sink and [sink["uri"], sink["only"], sink["overwrite"], sink["preserve"]],
            **({"s3": sink["s3"]} if sink and "s3" in sink else {}),
            **_names(plan),
            **({"dataset": plan["dataset"]} if "dataset" in plan else {}),
            **({"results": spec.results.model_dump()} if spec.results else {}),
            "in_place": plan["in_place"],
            "after": plan["after"],
            **({"host": host} if host else {}),
        }
    )


def _names(plan: dict[str, Any]) -> dict[str, Any]:
    """Give what is said about names; nothing where nothing is."""
    sink = plan["sink"] or {}
    on_collision = sink.get("on_collision", "fail")
    said = {"path": sink.get("path"), "capture": plan["capture"]}
    said["on_collision"] = None if on_collision == "fail" else on_collision
    return {key: value for key, value in said.items() if value is not None}


def _scope(plan: dict[str, Any], host: str) -> str | None:
    """Name whose fingerprints a job shares: the same roots into the same sink, on one host."""
    sink = plan["sink"]
    if sink is None or sink["uri"] == NULL:
        return None
    here = [host] if host else []
    return _digest([[root["uri"] for root in plan["roots"]], sink["uri"], *here])


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
