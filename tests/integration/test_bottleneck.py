"""The report names what a job waited for most, measured on the real engine."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import Any

from pravah.errors import StatusError
from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace

RATE_BYTES_PER_S = 200_000


def bottleneck_of(workspace: Workspace, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = workspace.jobs.report(job_id)["bottleneck"]
    assert 0.0 <= found["share"] <= 1.0
    assert found["disk_share"] is None or 0.0 <= found["disk_share"] <= 1.0
    return found


def test_job_of_a_slow_codec_is_bound_by_cpu_and_its_step(workspace: Workspace) -> None:
    numbers = random.Random(1)
    for number in range(24):
        text = " ".join(str(numbers.random()) for _ in range(12_000))
        workspace.write(f"{number}.txt", text.encode())
    job = workspace.run({"compress": {"codec": "xz", "level": 9}})
    found = bottleneck_of(workspace, job.id)
    assert (found["name"], found["what"]) == ("cpu", "compress"), found
    assert 0.0 < found["cpu_share"] <= 1.0
    assert found["cores"] >= 1.0


def test_job_with_a_limit_is_bound_by_it(workspace: Workspace) -> None:
    workspace.fill(60, size_bytes=20_000)
    job = workspace.run("copy", limits={"read_rate": "300kB/s"})
    assert bottleneck_of(workspace, job.id)["name"] == "read_rate"


def test_time_before_a_pause_counts_too(workspace: Workspace) -> None:
    workspace.fill(60, size_bytes=20_000)
    job = workspace.submit("copy", limits={"read_rate": f"{RATE_BYTES_PER_S}B/s"})
    worker = workspace.worker(job.id)
    until_s = time.monotonic() + 60
    while not any(w.tasks for w in workspace.jobs.workers()) and time.monotonic() < until_s:
        time.sleep(0.05)
    time.sleep(1.5)
    with suppress(StatusError):  # so slow a machine that it is done
        workspace.jobs.pause(job.id)
    assert worker.wait(60) == 0
    if workspace.jobs.get(job.id).status == JobStatus.PAUSED:
        workspace.finish(workspace.jobs.resume(job.id))
    ended = workspace.jobs.get(job.id)
    assert (ended.status, ended.books.counts.done) == (JobStatus.COMPLETED, 60)
    # At that rate nothing is faster, whoever has the CPU meanwhile.
    least_s = 0.8 * ended.books.bytes_in / RATE_BYTES_PER_S
    assert sum(bottleneck_of(workspace, job.id)["seconds"].values()) >= least_s


def test_job_without_work_is_bound_by_nothing_that_could_be_better(workspace: Workspace) -> None:
    job = workspace.run("copy")
    assert bottleneck_of(workspace, job.id)["name"] in ("start_up", "listing")
