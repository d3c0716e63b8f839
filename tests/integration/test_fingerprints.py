"""What is remembered of outputs stays short, and a task gets the part that concerns it."""

from __future__ import annotations

import pytest

from pravah import engine
from pravah.jobs import fingerprints
from pravah.model.job import Job
from tests.integration.workspace import Workspace

FILES = 200


@pytest.fixture(autouse=True)
def _small_blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have some twenty outputs fill a blob, instead of 30,000."""
    monkeypatch.setattr(fingerprints, "_WHOLE_BYTES", 2_000)
    monkeypatch.setattr(fingerprints, "_SMALL_BYTES", 1_000)


@pytest.fixture
def job(workspace: Workspace) -> Job:
    """Run a job for each twenty files of one directory, and each other one twice."""
    for number in range(FILES):
        workspace.write(f"f{number:03}")
    for tens in range(0, FILES // 10, 2):
        for some in ([tens], [tens, tens + 1]):
            rules = [f"f{ten:02}?" for ten in some]
            source = {"uri": str(workspace.source), "include": rules}
            job = workspace.run("copy", source=source)
            assert (job.status, job.books.counts.failed) == ("completed", 0)
    return job


def _blobs(workspace: Workspace, job: Job) -> list[bytes]:
    found = workspace.application.ledger.directory_fingerprints(job.id, b"")
    return [blob for _, blob in found]


def test_directory_of_more_outputs_than_a_blob_has_is_known_whole(
    workspace: Workspace, job: Job
) -> None:
    blobs = _blobs(workspace, job)
    assert len(blobs) > 2
    whole = workspace.run("copy")
    assert (whole.status, whole.books.counts.done + whole.books.counts.skipped) == (
        "completed",
        FILES,
    )


def test_fingerprints_that_later_ones_know_better_are_dropped(
    workspace: Workspace, job: Job
) -> None:
    later = engine.Later()
    blobs = _blobs(workspace, job)
    assert [later.rest(blob) for blob in blobs] == blobs
    assert sum(len(blob) < 1_000 for blob in blobs) < 3


def test_task_is_told_of_the_outputs_of_its_entries_only(
    workspace: Workspace, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    concerning = fingerprints.concerning
    monkeypatch.setattr(
        fingerprints, "concerning", lambda *given: told.append(concerning(*given)) or told[-1]
    )
    source = {"uri": str(workspace.source), "include": ["f000"]}
    again = workspace.run("copy", source=source)
    assert (again.status, again.books.counts.failed) == ("completed", 0)
    (fingerprints_told,) = told
    assert sum(len(blob) for _, blob in fingerprints_told) < sum(map(len, _blobs(workspace, job)))
