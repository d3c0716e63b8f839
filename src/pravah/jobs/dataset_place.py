"""Where the dataset of a job's inspect steps goes: below the sink, or to the place that was named.

A named directory gets a file of each job, a named file is one job's own. What stands there already
is never replaced, unless an earlier closing of the same job has put it there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pravah.errors import SpecError
from pravah.jobs.access import check_writable, target, written_to
from pravah.jobs.places import look
from pravah.model.dataset import EXTENSIONS, dataset_format
from pravah.model.ids import shown
from pravah.model.uri import is_object_uri, planned_uri, shown_path, shown_uri, uri_path
from pravah.registry import registry

if TYPE_CHECKING:
    from pravah.model.job import Job
    from pravah.model.spec import JobSpec

_HINT = "name another `--results-to`; in a directory each job gets a file of its own"


def settled(spec: JobSpec) -> JobSpec:
    """Give a resolved spec whose results have a URI that tells directories by a slash."""
    results = spec.results
    if results is None:
        _refuse_losing_rows(spec)
        return spec
    if not registry().finds(_steps(spec)):
        raise SpecError(
            f"`results`, and {spec.steps[0].name} finds nothing",
            kind="nothing_to_find",
            hint="add an inspect step such as `extract_headers`, or leave out `--results`",
        )
    if results.uri is None:
        _refuse_losing_rows(spec)
    if results.uri is None or results.uri.endswith("/"):
        return spec
    found = None if is_object_uri(results.uri) else look(uri_path(results.uri))
    is_directory = found is not None and stat.S_ISDIR(found.st_mode)
    if not is_directory and dataset_format(results.uri):
        return spec
    if found is not None and not is_directory:
        raise SpecError(
            f"the results `{shown_path(uri_path(results.uri))}` are a file without the extension "
            "of a dataset",
            kind="results_not_a_directory",
            hint=f"name a directory, or a file that ends in {', '.join(EXTENSIONS)}",
        )
    return spec.model_copy(
        update={"results": results.model_copy(update={"uri": f"{results.uri}/"})}
    )


def _refuse_losing_rows(spec: JobSpec) -> None:
    """Refuse to replace sources by outputs without rows that only the ledger would have then."""
    known = registry()
    losing = [
        step["name"]
        for step in _steps(spec)
        if known.finds([step]) and known.find(step["name"]).shape != "inspect"
    ]
    if spec.in_place and losing:
        raise SpecError(
            f"{losing[0]} leaves rows out of files that are replaced in place, and what it tells "
            "of them would only be in the ledger",
            kind="results_need_a_place",
            hint="`--results-to DIRECTORY` keeps them",
        )


def _steps(spec: JobSpec) -> list[dict[str, Any]]:
    return [{"name": step.name, "params": step.params} for step in spec.steps]


def typed_place(spec: JobSpec) -> bytes | None:
    """Give the local file or directory that a settled spec names; None: it names none."""
    uri = spec.results.uri if spec.results else None
    return None if uri is None or is_object_uri(uri) else uri_path(uri)


def check_place(spec: JobSpec, begun: Iterable[Job]) -> None:
    """Refuse a named place that can't be written, or where a file stands.

    Jobs that were `begun` may have put theirs there already, when they were killed.
    """
    if spec.results is None or spec.results.uri is None:
        return
    uri = spec.results.uri
    is_taken = _is_taken(uri) if is_object_uri(uri) else _is_taken_on_disk(uri)
    if is_taken and not any((job.spec.get("results") or {}).get("uri") == uri for job in begun):
        raise SpecError(
            f"the results go to `{shown_uri(uri)}`, and a file stands there",
            kind="output_exists",
            hint=_HINT,
        )


def _is_taken(uri: str) -> bool:
    """Look at a place in an object store, which has to be within reach."""
    # Loads the core, which a plan of local files does without.
    from pravah import engine

    return engine.look_at_store(planned_uri(uri)) == "object"


def _is_taken_on_disk(uri: str) -> bool:
    place = uri_path(uri)
    directory = place if uri.endswith("/") else os.path.dirname(place)  # noqa: PTH120 - bytes
    what = "write the results to"
    check_writable(directory, what, "name another `--results-to`, or change its permissions")
    return not uri.endswith("/") and look(place) is not None


def place(job: Job) -> Path | None:
    """Give the file that a job's findings go to; None where they stay in the ledger."""
    if not registry().finds(job.plan["steps"]):
        return None
    if (uri := named(job.spec)) is not None:
        if is_object_uri(uri):
            return None
        path = Path(os.fsdecode(uri_path(uri)))
        return path / f"{shown(job.id)}.{form(job.spec)}" if uri.endswith("/") else path
    sink = written_to(job.plan)
    if sink is None:
        return None
    return Path(os.fsdecode(sink)) / "_pravah" / shown(job.id) / f"results.{form(job.spec)}"


def object_place(job: Job) -> str | None:
    """Give the URI that a job's findings go to in an object store, as the core reads it."""
    if not registry().finds(job.plan["steps"]):
        return None
    if (uri := named(job.spec)) is not None:
        if not is_object_uri(uri):
            return None
        return planned_uri(f"{uri}{shown(job.id)}.{form(job.spec)}" if uri.endswith("/") else uri)
    sink = target(job.plan)
    if sink is None or not is_object_uri(sink):
        return None
    return f"{sink.rstrip('/')}/_pravah/{shown(job.id)}/results.{form(job.spec)}"


def form(spec: Mapping[str, Any]) -> str:
    """Give the format of a job's dataset."""
    return str((spec.get("results") or {}).get("format", "ndjson"))


def named(spec: Mapping[str, Any]) -> str | None:
    """Give the URI of the place that was named for a job's dataset."""
    uri: str | None = (spec.get("results") or {}).get("uri")
    return uri
