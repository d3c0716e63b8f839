"""What a worker's log tells an operator, beside jobs that end well."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from pravah.jobs import log
from tests.integration import harm
from tests.integration.workspace import Workspace


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """Gather the log as JSON."""
    logger = logging.getLogger("pravah")
    before = logger.handlers, logger.propagate, logger.level
    stream = io.StringIO()
    log.configure("DEBUG", "json", stream)
    yield stream
    logger.handlers, logger.propagate, logger.level = before


def lines(stream: io.StringIO, message: str) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in read if line["message"] == message]


def test_entry_that_crashes_its_process_is_told_until_it_is_poisoned(
    workspace: Workspace, told: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    harm.allow(monkeypatch)
    workspace.fill(5)
    workspace.write("bad.txt", b"CRASH")
    job = workspace.run(harm.STEP)
    assert job.books.counts.poisoned == 1
    died = lines(told, "the process that runs the core died")
    assert {line["kind"] for line in died} == {"runner_crashed"}
    suspected, poisoned = lines(told, "entries suspected"), lines(told, "entries poisoned")
    assert suspected
    assert [line["entries"] for line in poisoned] == [1]
    assert poisoned[0]["level"] == "ERROR"
    assert {line["job"] for line in suspected + poisoned} == {job.to_dict()["id"]}


def test_dead_workers_tasks_that_are_taken_over_are_told(
    workspace: Workspace, told: io.StringIO
) -> None:
    workspace.fill(20)
    job = workspace.submit("copy")
    killed = workspace.worker(job.id, PRAVAH_FAILPOINTS="ledger.claim.after_commit=1")
    assert killed.wait(60) != 0
    workspace.finish(job)
    (line,) = lines(told, "tasks of a dead worker are taken over")
    assert (line["tasks"], line["level"]) == (1, "WARNING")


def test_pause_that_a_worker_sees_is_told(workspace: Workspace, told: io.StringIO) -> None:
    workspace.fill(20)
    job = workspace.submit("copy")
    workspace.jobs.pause(job.id)
    assert [line["job"] for line in lines(told, "job paused")] == [job.to_dict()["id"]]


def test_task_that_can_not_be_done_is_told_with_its_error(
    workspace: Workspace, told: io.StringIO
) -> None:
    workspace.fill(3)
    job = workspace.submit("copy")
    for path in sorted(workspace.source.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    workspace.source.rmdir()
    ended = workspace.finish(job)
    assert ended.error is not None
    failed = [line for line in lines(told, "task ended") if line["how"] == "failed"]
    assert [line["error_kind"] for line in failed] == [ended.error["kind"]]
    (end,) = lines(told, "job ended")
    assert (end["status"], end["error_kind"]) == ("failed", ended.error["kind"])
