"""Writes the dataset of a job's inspect steps: whole or not at all, and the same after a kill.

It is written beside its place, synced, and given its name; what dead closings have left there is
removed. Where somebody has named the place, a file that stands there is only replaced where it is
this job's: of an earlier round, or equal.
"""

from __future__ import annotations

import filecmp
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pravah import engine
from pravah.failpoints import passing
from pravah.jobs.dataset_place import form, named, object_place, place
from pravah.model.ids import shown
from pravah.model.uri import path_uri, shown_path, shown_uri

if TYPE_CHECKING:
    from pravah.model.dataset import DatasetFormat
    from pravah.model.job import Job
    from pravah.model.ledger import Ledger


def gathered(ledger: Ledger, job: Job, scratch: Path) -> engine.Results:
    """Gather the acknowledged records of a job; what memory has no room for goes to `scratch`."""
    scratch.mkdir(parents=True, exist_ok=True)
    results = engine.Results(json.dumps(job.plan), bytes(scratch))
    for task in ledger.blobs(job.id):
        results.add(task)
    return results


def write_dataset(ledger: Ledger, job: Job, scratch: Path) -> dict[str, Any] | None:
    """Write the findings to their place, and tell of them; None where they have none."""
    if (uri := object_place(job)) is not None:
        return _put_dataset(ledger, job, scratch, uri)
    path = place(job)
    if path is None:
        return None
    directory = path.parent
    to_sync = _to_sync(directory)
    directory.mkdir(parents=True, exist_ok=True)
    _remove_litter(directory, job)
    fresh = directory / f"{_litter(job)}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with fresh.open("xb") as file:
            records = gathered(ledger, job, scratch)
            count, first = records.write(file.fileno(), _format(job))
            os.fsync(file.fileno())
        passing("closing.dataset.before_publish")
        uri = path_uri(bytes(path))
        if named(job.spec) is None or uri in _written_before(ledger, job):
            fresh.rename(path)
        else:
            _publish_new(fresh, path)
        passing("closing.dataset.after_publish")
    finally:
        fresh.unlink(missing_ok=True)
    for above in to_sync:
        with suppress(PermissionError):  # others' directory, which this user may not open
            _sync(above)
    return {"count": count, "uri": uri, "first": [json.loads(line) for line in first]}


def remove_dataset(ledger: Ledger, job: Job, scratch: Path) -> None:
    """Remove what `write_dataset` has put below the sink, or elsewhere where it is unchanged."""
    if (uri := object_place(job)) is not None and job.results is not None:
        engine.remove_object(uri, job.id)
        return
    path = place(job)
    if path is None or job.results is None:
        return
    if named(job.spec) is not None:
        if path.is_file() and _is_what_would_be_written(ledger, job, scratch, path):
            path.unlink()
        return
    path.unlink(missing_ok=True)
    for directory in (path.parent, path.parent.parent):
        with suppress(OSError):  # others' datasets are in it
            directory.rmdir()


def _put_dataset(ledger: Ledger, job: Job, scratch: Path, uri: str) -> dict[str, Any]:
    """Write the findings to scratch, and put them whole; an earlier closing's are replaced."""
    records = gathered(ledger, job, scratch)
    with tempfile.TemporaryFile(dir=scratch) as file:
        count, first = records.write(file.fileno(), _format(job))
        passing("closing.dataset.before_publish")
        options = (job.spec.get("sink") or {}).get("s3") or {}
        engine.put_object(uri, file.fileno(), job.id, options)
        passing("closing.dataset.after_publish")
    return {"count": count, "uri": shown_uri(uri), "first": [json.loads(line) for line in first]}


def _is_what_would_be_written(ledger: Ledger, job: Job, scratch: Path, path: Path) -> bool:
    fresh = scratch / f"{_litter(job)}{os.getpid()}-{secrets.token_hex(4)}"
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        with fresh.open("xb") as file:
            gathered(ledger, job, scratch).write(file.fileno(), _format(job))
        return filecmp.cmp(fresh, path, shallow=False)
    finally:
        fresh.unlink(missing_ok=True)


def _publish_new(fresh: Path, path: Path) -> None:
    """Give a file its name, unless another has it; equal bytes are those of a killed closing."""
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        if not (path.is_file() and filecmp.cmp(fresh, path, shallow=False)):
            raise FileExistsError(
                f"another file stands at `{shown_path(bytes(path))}` since the job was created"
            ) from None
    except OSError:
        # A file system without hard links; who looks first and renames then is a little late.
        if path.exists():
            raise
        fresh.rename(path)


def _written_before(ledger: Ledger, job: Job) -> Iterator[str]:
    """Give the places of the datasets of earlier rounds."""
    for number in range(1, job.round):
        results = (ledger.report(job.id, number) or {}).get("results")
        if results:
            yield results["uri"]


def _format(job: Job) -> DatasetFormat:
    formats: dict[str, DatasetFormat] = {"parquet": "parquet", "csv": "csv"}
    return formats.get(form(job.spec), "ndjson")


def _litter(job: Job) -> str:
    """Give the beginning of the names of temporaries, which no scan lists."""
    return f".pravah-{shown(job.id)}-results-"


def _remove_litter(directory: Path, job: Job) -> None:
    for left in directory.glob(f"{_litter(job)}*"):
        left.unlink(missing_ok=True)


def _to_sync(directory: Path) -> set[Path]:
    """Give the directories that a dataset's name depends on: a power cut shall not lose them.

    Those that a closing before this one has made may not be on disk either: all up to the place
    where the sink lies, and whatever is made here above it.
    """
    missing = {above.parent for above in (directory, *directory.parents) if not above.exists()}
    return {directory, *directory.parents[:3], *missing}


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
