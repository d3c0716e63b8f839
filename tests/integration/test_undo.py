"""`jobs undo`: outputs that a job created go, as far as they are as it left them."""

from __future__ import annotations

import shutil

import pytest

from pravah.errors import StatusError
from tests.integration.workspace import Workspace


def test_undo_removes_what_the_job_created_and_nothing_else(each_workspace: Workspace) -> None:
    workspace = each_workspace
    workspace.fill(50)
    stranger = workspace.sink / "d1" / "mine.txt"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"mine")
    job = workspace.run("compress")
    before = workspace.outputs()
    would = workspace.jobs.undo(job.id, dry_run=True)
    assert (would.removed, workspace.outputs()) == (50, before)
    assert workspace.jobs.undo(job.id).removed == 50
    assert workspace.outputs() == {"d1/mine.txt": b"mine"}
    assert [event.kind for event in workspace.jobs.events(job.id)][-1] == "job_undone"
    assert "undone_at" not in job.to_dict()
    assert "undone_at" in workspace.jobs.get(job.id).to_dict()


def test_undo_done_again_finds_that_all_is_gone(workspace: Workspace) -> None:
    workspace.fill(5)
    job = workspace.run("copy")
    workspace.jobs.undo(job.id)
    again = workspace.jobs.undo(job.id)
    assert (again.removed, again.gone) == (0, 5)
    shutil.rmtree(workspace.sink)
    assert workspace.jobs.undo(job.id, dry_run=True).removed == 0
    assert not workspace.sink.exists()


def test_undo_leaves_what_has_changed_since(workspace: Workspace) -> None:
    workspace.write("a.txt")
    workspace.write("b.txt")
    job = workspace.run("copy")
    (workspace.sink / "a.txt").write_bytes(b"edited by hand")
    undone = workspace.jobs.undo(job.id)
    assert (undone.removed, undone.changed) == (1, 1)
    assert workspace.outputs() == {"a.txt": b"edited by hand"}


def test_job_that_was_undone_can_be_done_again(workspace: Workspace) -> None:
    workspace.fill(5)
    workspace.jobs.undo(workspace.run("copy").id)
    again = workspace.run("copy")
    assert again.books.counts.done == len(workspace.outputs()) == 5


def test_undo_removes_the_dataset_of_inspect_steps(workspace: Workspace) -> None:
    workspace.fill(3)
    job = workspace.run("checksum", "copy")
    assert (workspace.sink / "_pravah").exists()
    workspace.jobs.undo(job.id)
    assert not (workspace.sink / "_pravah").exists()


def test_undo_of_a_job_that_replaced_files_is_refused(workspace: Workspace) -> None:
    workspace.write("a.txt")
    workspace.run("copy")
    workspace.write("a.txt", b"other content")
    job = workspace.run("copy")
    with pytest.raises(StatusError) as refused:
        workspace.jobs.undo(job.id)
    assert refused.value.kind == "undo_refused"
    assert workspace.outputs() == {"a.txt": b"other content"}


@pytest.mark.parametrize("keys", [{"in_place": True, "sink": None}, {"after": "delete"}])
def test_undo_of_a_job_whose_sources_are_gone_is_refused(
    workspace: Workspace, keys: dict[str, object]
) -> None:
    workspace.write("a.txt")
    if "after" in keys:
        job = workspace.run("copy", source={"uri": str(workspace.source), **keys})
    else:
        job = workspace.run("compress", **keys)
    with pytest.raises(StatusError, match="its sources"):
        workspace.jobs.undo(job.id)


def test_undo_of_a_job_that_has_not_ended_is_refused(workspace: Workspace) -> None:
    workspace.write("a.txt")
    job = workspace.submit("copy")
    with pytest.raises(StatusError, match="not ended"):
        workspace.jobs.undo(job.id)
