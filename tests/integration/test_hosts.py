"""Workers of several hosts on one ledger: local paths are done where they are (rule 4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pravah.bootstrap import Application, application
from pravah.errors import StatusError
from pravah.jobs.supervisor import Idle
from pravah.model.status import JobStatus
from pravah.settings import Settings
from tests.integration.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, postgres_url: str) -> Iterator[Workspace]:
    made = Workspace(tmp_path, postgres_url)
    yield made
    made.application.close()


@pytest.fixture
def elsewhere(workspace: Workspace) -> Iterator[Application]:
    """Give an application as if it were another host's."""
    made = application(Settings(workspace.environment({"PRAVAH_HOST": "elsewhere"})))
    yield made
    made.close()


def test_job_is_done_by_the_workers_of_its_host_only(
    workspace: Workspace, elsewhere: Application
) -> None:
    workspace.write("a.txt")
    job = workspace.submit("copy")
    elsewhere.jobs.work(None, idle=Idle.LEAVE)
    assert workspace.jobs.get(job.id).status == JobStatus.PENDING
    workspace.jobs.work(None, idle=Idle.LEAVE)
    assert workspace.jobs.get(job.id).status == JobStatus.COMPLETED


def test_job_below_shared_roots_is_done_by_any_host(workspace: Workspace) -> None:
    workspace.write("a.txt")
    shared = {"PRAVAH_SHARED_ROOTS": f"/nowhere:{workspace.root}"}
    here = application(Settings(workspace.environment(shared)))
    there = application(Settings(workspace.environment({**shared, "PRAVAH_HOST": "elsewhere"})))
    job = here.jobs.create(workspace.spec("copy")).job
    assert there.jobs.create(workspace.spec("copy")).job.id == job.id
    there.jobs.work(job.id)
    assert here.jobs.get(job.id).status == JobStatus.COMPLETED
    here.close()
    there.close()


def test_job_of_another_host_is_refused_with_its_name(
    workspace: Workspace, elsewhere: Application
) -> None:
    job = workspace.submit("copy")
    with pytest.raises(StatusError, match="this is `elsewhere`") as refused:
        elsewhere.jobs.work(job.id)
    assert refused.value.kind == "other_host"


def test_equal_commands_on_two_hosts_are_two_jobs(
    workspace: Workspace, elsewhere: Application
) -> None:
    job = workspace.submit("copy")
    assert elsewhere.jobs.create(workspace.spec("copy")).job.id != job.id


def test_job_of_another_host_can_be_cancelled_from_here(
    workspace: Workspace, elsewhere: Application
) -> None:
    job = workspace.submit("copy")
    elsewhere.jobs.cancel(job.id)
    workspace.jobs.work(job.id, idle=Idle.LEAVE)
    assert workspace.jobs.get(job.id).status == JobStatus.CANCELLED
