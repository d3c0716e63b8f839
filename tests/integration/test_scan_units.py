"""Jobs whose scan is killed, shared or huge: each path is listed once (protocol, rule 15)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pravah import engine
from pravah.model.job import Counts, Job
from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace

# The full figure is a million; a tenth of it takes seconds.
FLAT_FILES = int(os.environ.get("PRAVAH_TEST_FLAT_FILES", "100000"))
NESTED = 30_000
STEP = "checksum"


def _listed_once(workspace: Workspace, job: Job, files: int) -> None:
    assert (job.status, job.error) == (JobStatus.COMPLETED, None)
    assert job.books.counts == Counts(listed=files, done=files)
    paths = [line["path"] for line in workspace.lines(job)]
    assert len(paths) == len(set(paths)) == files


def _killed(workspace: Workspace, job: Job, point: str) -> None:
    worker = workspace.worker(job.id, PRAVAH_FAILPOINTS=point)
    assert worker.wait(120) == -signal.SIGKILL


@pytest.mark.parametrize(
    "point",
    ["ledger.emit.after_commit=1", "ledger.emit.before_commit=2", "ledger.claim.after_commit=1"],
)
def test_scan_killed_at_an_emission_lists_each_path_once(workspace: Workspace, point: str) -> None:
    workspace.fill(3000)
    job = workspace.submit(STEP, sink=None)
    _killed(workspace, job, point)
    _killed(workspace, job, "ledger.emit.after_commit=1")
    _listed_once(workspace, workspace.finish(job), 3000)


def test_directories_emitted_before_a_kill_are_not_listed_again(workspace: Workspace) -> None:
    for number in range(3000):
        workspace.write(f"d{number % 300:03}/f{number}")
    job = workspace.submit(STEP, sink=None)
    _killed(workspace, job, "ledger.emit.after_commit=1")
    emitted = set[bytes]()
    for task in workspace.application.ledger.blobs(job.id):
        emitted |= set(engine.manifest_directories(json.dumps(job.plan), task.manifest))
    for number in range(300):
        workspace.write(f"d{number:03}/late")
    ended = workspace.finish(job)
    late = ended.books.counts.listed - 3000
    # Of the directories that have entries in tasks only the last one may be emitted in part.
    assert late <= 300 - max(0, len(emitted) - 1)
    _listed_once(workspace, ended, 3000 + late)


def test_units_of_a_wide_directory_are_shared_by_workers(workspace: Workspace) -> None:
    for number in range(24_000):
        (workspace.source / f"directory-{number:05}").mkdir()
    for number in range(0, 24_000, 40):
        workspace.write(f"directory-{number:05}/file")
    job = workspace.submit(STEP, sink=None)
    _killed(workspace, job, "ledger.emit.after_commit=1")
    both = [workspace.worker(job.id), workspace.worker(job.id)]
    assert [worker.wait(120) for worker in both] == [0, 0]
    _listed_once(workspace, workspace.jobs.get(job.id), 600)
    events = workspace.application.ledger.events(job.id, 0, 10_000)
    # Of one unit they would be one of the scan, three or four of entries and the closing.
    assert sum(event.kind == "task_complete" for event in events) > 12


def test_flat_directory_is_listed_once_after_kills(workspace: Workspace) -> None:
    for number in range(FLAT_FILES):
        os.close(os.open(workspace.source / f"{number:07}.txt", os.O_CREAT | os.O_WRONLY))
    job = workspace.submit(STEP, sink=None)
    for _ in range(2):
        _killed(workspace, job, "ledger.emit.after_commit=1")
    _listed_once(workspace, workspace.finish(job), FLAT_FILES)


def test_tree_of_nested_directories_is_listed_to_its_bottom(nested: Workspace) -> None:
    job = nested.submit(STEP, sink=None)
    _killed(nested, job, "ledger.emit.after_commit=1")
    ended = nested.finish(job)
    assert ended.books.counts.listed == NESTED // 1000
    _listed_once(nested, ended, NESTED // 1000)


@pytest.fixture
def nested() -> Iterator[Workspace]:
    """Give a workspace with a file at each thousandth level, where 30,000 directories are cheap."""
    memory = Path("/dev/shm")  # noqa: S108 - of a disk's journal they would take half a minute
    root = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    workspace = Workspace(root)
    descriptor = os.open(workspace.source, os.O_RDONLY)
    for level in range(1, NESTED + 1):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
        if level % 1000 == 0:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    yield workspace
    workspace.application.close()
    # Too deep for the recursion of the standard library.
    subprocess.run(["rm", "-rf", str(root)], check=True)
