"""Writes the dataset of a job's inspect steps: whole or not at all, and the same after a kill.

It is written beside its place, synced, and given its name; what dead closings have left there is
removed. Where somebody has named the place, a file that stands there is only replaced where it is
this job's: as an earlier round left it, or equal. Its length and SHA-256 are kept for that.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pravah import engine
from pravah.failpoints import passing
from pravah.jobs.dataset_place import form, named, object_place, place
from pravah.model.ids import shown
from pravah.model.ledger import TaskCounts
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
        with fresh.open("x+b") as file:
            records = gathered(ledger, job, scratch)
            count, first = records.write(file.fileno(), _format(job))
            os.fsync(file.fileno())
            known_by = _known_by(file)
        passing("closing.dataset.before_publish")
        uri = path_uri(bytes(path))
        before = _written_before(ledger, job, uri)
        if named(job.spec) is None or any(_is_as_written(path, results) for results in before):
            fresh.rename(path)
        else:
            _publish_new(fresh, path)
        passing("closing.dataset.after_publish")
    finally:
        fresh.unlink(missing_ok=True)
    for above in to_sync:
        with suppress(PermissionError):  # others' directory, which this user may not open
            _sync(above)
    return {"count": count, "uri": uri, **known_by, "first": [json.loads(line) for line in first]}


def remove_dataset(job: Job, *, remove: bool) -> TaskCounts:
    """Remove what `write_dataset` has written, or only look; one that was changed since stays.

    It is counted as outputs are: done, skipped where it stays, vanished where it is gone already.
    """
    if job.results is None:
        return TaskCounts()
    if (uri := object_place(job)) is not None:
        known = engine.remove_object if remove else _is_there
        return TaskCounts(done=1) if known(uri, job.id) else TaskCounts(vanished=1)
    path = place(job)
    if path is None or not path.exists():
        return TaskCounts(vanished=1)
    if not _is_as_written(path, job.results):
        return TaskCounts(skipped=1)
    if remove:
        path.unlink(missing_ok=True)
        if named(job.spec) is None:
            for directory in (path.parent, path.parent.parent):
                with suppress(OSError):  # others' datasets are in it
                    directory.rmdir()
    return TaskCounts(done=1)


def _put_dataset(ledger: Ledger, job: Job, scratch: Path, uri: str) -> dict[str, Any]:
    """Write the findings to scratch, and put them whole; an earlier closing's are replaced."""
    records = gathered(ledger, job, scratch)
    with tempfile.TemporaryFile(dir=scratch) as file:
        count, first = records.write(file.fileno(), _format(job))
        passing("closing.dataset.before_publish")
        options = (job.spec.get("sink") or {}).get("s3") or {}
        engine.put_object(uri, file.fileno(), job.id, options)
        passing("closing.dataset.after_publish")
        told = {"count": count, "uri": shown_uri(uri), **_known_by(file)}
    return {**told, "first": [json.loads(line) for line in first]}


def _known_by(file: BufferedRandom | BufferedReader) -> dict[str, Any]:
    """Give what a dataset is known by."""
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size_bytes": file.tell(), "sha256": sha256}


def _is_as_written(path: Path, results: Mapping[str, Any]) -> bool:
    """Tell whether a file is the dataset that was told of, as it was written."""
    if not path.is_file() or path.stat().st_size != results.get("size_bytes"):
        return False
    with path.open("rb") as file:
        return bool(_known_by(file)["sha256"] == results.get("sha256"))


def _is_there(uri: str, _job_id: str) -> bool:
    return engine.look_at_store(uri) == "object"


def _publish_new(fresh: Path, path: Path) -> None:
    """Give a file its name, unless another has it; equal bytes are those of a killed closing."""
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        if not (path.is_file() and filecmp.cmp(fresh, path, shallow=False)):
            raise FileExistsError(
                f"a file stands at `{shown_path(bytes(path))}` that this job has not written, or "
                "that was changed since"
            ) from None
    except OSError:
        # A file system without hard links; who looks first and renames then is a little late.
        if path.exists():
            raise
        fresh.rename(path)


def _written_before(ledger: Ledger, job: Job, uri: str) -> Iterator[Mapping[str, Any]]:
    """Give what earlier rounds told of the datasets that they wrote to a place."""
    for number in range(1, job.round):
        results = (ledger.report(job.id, number) or {}).get("results")
        if results and results["uri"] == uri:
            yield results


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
