"""Arguments become a job spec: the words are those of the spec and of the command line's flags.

A key of a section stands by itself, as its flag does: `overwrite="never"` is `sink.overwrite`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from typing import Any, TypeAlias, TypedDict

from pravah.errors import SpecError
from pravah.model import spec_file
from pravah.model.part import Part
from pravah.model.spec import JobSpec, Limits, OnError, Sink, Source
from pravah.model.uri import typed_uri
from pravah.registry import registry

Path: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"
Paths: TypeAlias = "Path | Sequence[Path]"
Step: TypeAlias = "str | Mapping[str, Any]"
Steps: TypeAlias = "Step | Sequence[Step]"

_SECTIONS: dict[str, type[Part]] = {
    "source": Source,
    "sink": Sink,
    "on_error": OnError,
    "limits": Limits,
}
# Each key of a section, and the section that has it; `uri` has names of its own.
SECTION_OF = {
    key: name for name, part in _SECTIONS.items() for key in part.model_fields if key != "uri"
}
_NAMED_URIS = {"results_to": "results"}


class Keys(TypedDict, total=False):
    """Further keys of a job spec; see the user guide for each."""

    name: str
    in_place: bool
    results: str | Mapping[str, Any]
    results_to: Path
    priority: int
    labels: Mapping[str, str]
    sink: Mapping[str, Any]
    on_error: Mapping[str, Any]
    limits: Mapping[str, Any]
    # Of the source
    files_from: str
    missing: str
    include: Sequence[str]
    exclude: Sequence[str]
    ignore_case: bool
    type: str | Sequence[str]
    min_size: str | int
    max_size: str | int
    newer_than: str
    older_than: str
    max_depth: int
    follow_symlinks: bool
    after: str | Mapping[str, Any]
    capture: str
    # Of the sink
    path: str
    on_collision: str
    overwrite: str
    durability: str
    verify: str
    preserve: Sequence[str]
    s3: Mapping[str, Any]
    # Of `on_error`
    max_attempts: int
    budget: int | str
    when_exceeded: str
    # Of `limits`
    memory: str | int
    stall_timeout: str
    read_rate: str
    write_rate: str
    tasks: int


def job_spec(
    source: Paths | Mapping[str, Any] | None = None,
    to: Path | None = None,
    steps: Steps | None = None,
    *,
    spec: Path | Mapping[str, Any] | None = None,
    **keys: Any,  # noqa: ANN401  `Keys`, which callers see
) -> JobSpec:
    """Make the job spec that these arguments describe, checked as far as no file is touched.

    What stands beside `spec`, a mapping or the path of a YAML file, wins over it.

    >>> job_spec("data/", "out/", "compress", overwrite="never").sink.overwrite
    'never'
    """
    mapping = _base(spec)
    if isinstance(source, Mapping):
        mapping["source"] = dict(source)
    elif source is not None:
        _section(mapping, "source")["uri"] = _uris(source)
    if to is not None:
        _section(mapping, "sink")["uri"] = typed_uri(os.fspath(to))
    if steps is not None:
        mapping["steps"] = list(_listed(steps))
    for key, value in keys.items():
        _set(mapping, key, value)
    if isinstance(mapping.get("steps"), list):
        mapping["steps"] = [registry().spec_form(step) for step in mapping["steps"]]
    described = JobSpec.parse(mapping)
    registry().check([(step.name, step.params) for step in described.steps])
    return described


def _base(spec: Path | Mapping[str, Any] | None) -> dict[str, Any]:
    if spec is None:
        return {}
    if isinstance(spec, Mapping):
        mapping = deepcopy(dict(spec))
        if isinstance(mapping.get("steps"), str):
            mapping["steps"] = [mapping["steps"]]
        return mapping
    return spec_file.load(os.fsdecode(spec))


def _set(mapping: dict[str, Any], key: str, value: object) -> None:
    """Put an argument where the spec has it; a map of a section's keys joins what is there."""
    if key in _NAMED_URIS:
        _section(mapping, _NAMED_URIS[key])["uri"] = typed_uri(os.fspath(value))  # type: ignore[call-overload]
    elif key in _SECTIONS and isinstance(value, Mapping):
        _section(mapping, key).update(value)
    elif key in JobSpec.model_fields:
        mapping[key] = value
    elif key in SECTION_OF:
        _section(mapping, SECTION_OF[key])[key] = value
    else:
        known = [*JobSpec.model_fields, *SECTION_OF, *_NAMED_URIS, "to", "spec"]
        meant = get_close_matches(key, known, n=1)
        raise SpecError(
            f"unknown argument `{key}`",
            hint=f"did you mean `{meant[0]}`?" if meant else "arguments are keys of the job spec",
        )


def _section(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    """Give a section as a map of its own; a bare string stands for its URI, or its format."""
    section = mapping.get(name)
    if isinstance(section, Mapping):
        section = dict(section)
    else:
        only = "format" if name == "results" else "uri"
        section = {} if section is None else {only: section}
    mapping[name] = section
    return section


def _uris(source: Paths) -> str | list[str]:
    if isinstance(source, str | bytes | os.PathLike):
        return typed_uri(os.fspath(source))
    return [typed_uri(os.fspath(each)) for each in source]


def _listed(steps: Steps) -> Sequence[Step]:
    return [steps] if isinstance(steps, str | Mapping) else steps
