"""`why` and `which`: one file's story, from its source and from its output."""

from __future__ import annotations

import os

from pravah.jobs.story import End, Mention
from pravah.model.ids import shown
from tests.integration.workspace import Workspace


def _why(workspace: Workspace, path: object) -> list[Mention]:
    return list(workspace.jobs.story(os.fsencode(str(path)), End.SOURCE, 10))


def _which(workspace: Workspace, path: object) -> list[Mention]:
    return list(workspace.jobs.story(os.fsencode(str(path)), End.OUTPUT, 10))


def test_source_is_told_of_by_each_job_that_listed_it_the_latest_first(
    each_workspace: Workspace,
) -> None:
    workspace = each_workspace
    workspace.fill(30)
    path = workspace.write("d/a.txt", b"no gzip")
    first = workspace.run("copy")
    second = workspace.run("decompress", sink=str(workspace.root / "other"))
    told = _why(workspace, path)
    assert [mention.job["id"] for mention in told] == [shown(second.id), shown(first.id)]
    assert [mention.file["outcome"] for mention in told] == ["failed", "done"]
    assert told[0].file["error"]["kind"] == "not_compressed"


def test_output_is_told_of_with_its_source(workspace: Workspace) -> None:
    path = workspace.write("d/a.txt")
    job = workspace.run("compress")
    workspace.jobs.delete(workspace.run("copy", sink=str(workspace.root / "other")).id)
    never = {"uri": str(workspace.sink), "overwrite": "never"}
    assert workspace.run("compress", sink=never).books.counts.skipped == 1
    (told,) = _which(workspace, workspace.sink / "d" / "a.txt.zst")
    assert told.job["id"] == shown(job.id)
    assert told.file["path"] == str(path)
    assert _which(workspace, path) == []


def test_file_of_a_retried_job_is_told_of_once(workspace: Workspace) -> None:
    path = workspace.write("a.gz", b"no gzip")
    job = workspace.run("decompress")
    workspace.finish(workspace.jobs.retry(job.id))
    (told,) = _why(workspace, path)
    assert told.file["outcome"] == "failed"


def test_name_that_is_not_utf8_is_found_by_its_bytes(workspace: Workspace) -> None:
    name = os.fsdecode(b"\xff\n.txt")
    path = workspace.write(name)
    workspace.run("copy")
    (told,) = _why(workspace, path)
    assert told.file["path_b64"]


def test_file_that_nobody_listed_has_no_story(workspace: Workspace) -> None:
    workspace.write("a.txt")
    workspace.run("copy")
    assert _why(workspace, workspace.source / "b.txt") == []
    assert _why(workspace, workspace.source) == []
    assert _why(workspace, "/nowhere/at all") == []
