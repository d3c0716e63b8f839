"""`jobs set`: what may change of a job that is worked on, and that its workers follow."""

from __future__ import annotations

import pytest

from pravah.errors import SpecError, StatusError
from pravah.jobs import supervisor
from pravah.jobs.observer import Progress
from pravah.model.job import Job
from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace


def test_settings_are_stored_with_an_event(workspace: Workspace) -> None:
    job = workspace.submit("copy")
    settings = {"priority": 7, "limits": {"tasks": 2}, "on_error": {"max_attempts": 9}}
    changed = workspace.jobs.change(job.id, settings)
    assert changed.priority == 7
    assert changed.spec["limits"] == {**job.spec["limits"], "tasks": 2}
    assert changed.plan["max_attempts"] == 9
    (event,) = [e for e in workspace.jobs.events(job.id) if e.kind == "job_changed"]
    assert event.detail == settings


@pytest.mark.parametrize(
    "settings",
    [
        {"sink": {"uri": "/elsewhere"}},
        {"steps": ["copy"]},
        {"limits": {"memory": "2GiB"}},
        {"limits": {"taks": 2}},
        {"limits": {"tasks": 0}},
        {"limits": None},
    ],
)
def test_settings_that_would_make_another_job_are_refused(
    workspace: Workspace, settings: dict[str, object]
) -> None:
    job = workspace.submit("copy")
    with pytest.raises(SpecError):
        workspace.jobs.change(job.id, settings)
    assert workspace.jobs.get(job.id) == job


def test_settings_of_an_ended_job_are_refused(workspace: Workspace) -> None:
    job = workspace.run("copy")
    with pytest.raises(StatusError):
        workspace.jobs.change(job.id, {"priority": 1})


def test_budget_changed_meanwhile_stops_the_running_job(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Looked at between any two windows, however fast they come.
    monkeypatch.setattr(supervisor, "PROGRESS_S", 0.0)
    workspace.fill(16_000)
    job = workspace.submit("decompress")
    other = workspace.beside()

    class Narrow:
        """Allows no failures any more when the first ones are known."""

        changed = False

        def on_progress(self, progress: Progress) -> None:
            if progress.counts.listed and not self.changed:
                self.changed = True
                other.jobs.change(job.id, {"on_error": {"when_exceeded": "abort"}})

        def on_end(self, job: Job) -> None:
            """Do nothing."""

    ended = workspace.jobs.work(job.id, observer=Narrow()).job
    other.application.close()
    assert ended is not None
    assert ended.status == JobStatus.FAILED
    assert ended.error is not None
    assert ended.error["kind"] == "budget_exceeded"
    assert ended.books.counts.remaining > 0
