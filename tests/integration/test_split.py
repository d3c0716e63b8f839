"""`split` end to end on the real engine: kills, retries, names, and what is told of its outputs."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

from pravah.errors import SpecError
from pravah.jobs.preview import preview
from pravah.jobs.story import End
from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace

BY_LINES = {"split": {"lines": 3}}


def fill(workspace: Workspace, files: int) -> None:
    """Write texts of no line, one, two and so on."""
    for number in range(files):
        lines = "".join(f"{number} {line}\n" for line in range(number % 11))
        workspace.write(f"d{number % 7}/f{number:03}.txt", lines.encode())


def expected(workspace: Workspace) -> dict[str, bytes]:
    """Cut each file by hand."""
    made: dict[str, bytes] = {}
    for path in workspace.source.rglob("*.txt"):
        lines = path.read_bytes().splitlines(keepends=True)
        place = path.relative_to(workspace.source)
        for number, start in enumerate(range(0, max(len(lines), 1), 3)):
            name = place.with_name(f"{path.stem}-{number:05}.txt")
            made[str(name)] = b"".join(lines[start : start + 3])
    return made


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
def test_job_killed_at_a_window_makes_each_part_once(
    workspace: Workspace, number: int, side: str
) -> None:
    fill(workspace, 200)
    job = workspace.submit(BY_LINES, sink={"uri": str(workspace.sink), "overwrite": "error"})
    failpoint = f"ledger.window.{side}_commit={number}"
    assert workspace.worker(job.id, PRAVAH_FAILPOINTS=failpoint).wait() == -9
    ended = workspace.finish(job)
    assert (ended.status, ended.books.counts.done) == (JobStatus.COMPLETED, 200)
    assert workspace.outputs() == expected(workspace)
    assert workspace.litter() == []


def test_account_and_story_tell_of_all_parts(workspace: Workspace) -> None:
    fill(workspace, 30)
    job = workspace.run(BY_LINES)
    lines = {os.path.basename(line["path"]): line for line in workspace.lines(job)}
    outputs = [f"file://{workspace.sink}/d3/f010-{number:05}.txt" for number in range(4)]
    assert lines["f010.txt"]["outputs"] == outputs
    part = workspace.sink / "d3" / "f010-00002.txt"
    (mention,) = workspace.jobs.story(os.fsencode(part), End.OUTPUT, 10)
    assert mention.file["path"] == str(workspace.source / "d3" / "f010.txt")
    assert workspace.jobs.undo(job.id).removed == len(expected(workspace))
    assert workspace.outputs() == {}


def test_second_run_skips_what_is_current_and_removes_parts_that_are_no_more(
    workspace: Workspace,
) -> None:
    fill(workspace, 30)
    workspace.run(BY_LINES)
    workspace.write("d3/f010.txt", b"short\n")
    ended = workspace.run(BY_LINES)
    assert ended.status == JobStatus.COMPLETED
    assert workspace.outputs() == expected(workspace)
    ended = workspace.run({"split": {"lines": 50}})
    assert ended.books.counts.done == 30
    assert sorted(workspace.outputs()) == sorted(f"d{n % 7}/f{n:03}-00000.txt" for n in range(30))


def test_retry_cuts_a_file_that_failed(workspace: Workspace) -> None:
    fill(workspace, 10)
    workspace.write("d0/bad.txt", bytes.fromhex("1f8b0800000000000003"))
    failed = workspace.run(BY_LINES)
    assert (failed.status, failed.books.counts.failed) == (JobStatus.FAILED, 1)
    assert not list(workspace.sink.rglob("bad*"))
    workspace.write("d0/bad.txt", b"good\n")
    workspace.jobs.retry(failed.id, None)
    assert workspace.finish(failed).status == JobStatus.COMPLETED
    assert workspace.outputs() == expected(workspace)


def test_sources_are_deleted_behind_their_parts(workspace: Workspace) -> None:
    fill(workspace, 10)
    made = expected(workspace)
    workspace.run(BY_LINES, source={"uri": str(workspace.source), "after": "delete"})
    assert workspace.outputs() == made
    assert not list(workspace.source.rglob("*.txt"))


def test_one_file_is_cut_into_a_directory(workspace: Workspace) -> None:
    source = workspace.write("big.csv", b"id\n1\n2\n3\n")
    sink = workspace.root / "parts"
    workspace.run({"split": {"rows": 2}}, source=str(source), sink=str(sink))
    found = {path.name: path.read_text() for path in sink.iterdir()}
    assert found == {"big-00000.csv": "id\n1\n2\n", "big-00001.csv": "id\n3\n"}


def test_plan_shows_the_first_parts(workspace: Workspace) -> None:
    workspace.write("a.txt", b"1\n2\n3\n4\n")
    seen = preview(workspace.spec(BY_LINES))
    assert seen.outputs[:2] == [f"file://{workspace.sink}/a-0000{n}.txt" for n in range(2)]
    shutil.rmtree(workspace.sink, ignore_errors=True)


@pytest.mark.parametrize(
    ("steps", "keys", "kind"),
    [
        ([BY_LINES], {"in_place": True, "sink": None}, "in_place_with_expand"),
        ([BY_LINES, "count"], {}, "inspect_behind_expand"),
        ([BY_LINES, {"split": {"rows": 3}}], {}, "expanded_twice"),
        ([BY_LINES, "merge"], {"path": "all"}, "reduce_behind_expand"),
        ([BY_LINES], {"path": "{dir}/{stem}"}, "invalid_template"),
        (["copy"], {"path": "{stem}-{part}"}, "invalid_template"),
        ([{"split": {}}], {}, "invalid_parameter"),
    ],
)
def test_job_that_can_not_be_cut_is_refused(
    workspace: Workspace, steps: list[Any], keys: dict[str, Any], kind: str
) -> None:
    workspace.write("a.txt")
    if "path" in keys:
        keys = {"sink": {"uri": str(workspace.sink), "path": keys["path"]}}
    with pytest.raises(SpecError) as refused:
        workspace.submit(*steps, **keys)
    assert refused.value.kind == kind
