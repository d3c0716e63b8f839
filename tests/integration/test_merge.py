"""`merge` end to end on the real engine: kills, failures, retries, and what its files are told."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pravah.errors import SpecError
from pravah.jobs.preview import preview
from pravah.jobs.story import End
from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace

BY_DIRECTORY = {"merge": {"group_by": "{dir}"}}


def into(workspace: Workspace, path: str, **keys: Any) -> dict[str, Any]:
    """Give the keys of a sink with a template."""
    return {"sink": {"uri": str(workspace.sink), "path": path, **keys}}


def expected(workspace: Workspace) -> dict[str, bytes]:
    """Put the lines of each directory together by hand."""
    made: dict[str, bytes] = {}
    for path in sorted(workspace.source.rglob("*"), key=os.fsencode):
        if path.is_file():
            name = f"{path.parent.relative_to(workspace.source)}.txt"
            before = made.get(name, b"")
            newline = b"\n" if before and not before.endswith(b"\n") else b""
            made[name] = before + newline + path.read_bytes()
    return made


def test_job_killed_while_it_puts_files_together_ends_as_one_that_was_not(
    workspace: Workspace,
) -> None:
    workspace.fill(2000)
    for point in ("ledger.group.before_commit", "ledger.group.after_commit"):
        job = workspace.submit(BY_DIRECTORY, **into(workspace, "{dir}.txt"))
        assert workspace.worker(job.id, PRAVAH_FAILPOINTS=f"{point}=1").wait() == -9
        assert workspace.outputs() == {}
        ended = workspace.finish(job)
        assert ended.status == JobStatus.COMPLETED
        assert ended.books.counts.done == 2000
        assert workspace.outputs() == expected(workspace)
        shutil.rmtree(workspace.sink)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
def test_job_killed_at_a_window_makes_each_output_once(
    workspace: Workspace, number: int, side: str
) -> None:
    workspace.fill(500)
    keys = into(workspace, "{dir}.txt", overwrite="error")
    job = workspace.submit(BY_DIRECTORY, **keys)
    failpoint = f"ledger.window.{side}_commit={number}"
    assert workspace.worker(job.id, PRAVAH_FAILPOINTS=failpoint).wait() == -9
    ended = workspace.finish(job)
    assert (ended.status, ended.books.counts.done) == (JobStatus.COMPLETED, 500)
    assert workspace.outputs() == expected(workspace)
    assert workspace.litter() == []


def test_retry_takes_a_group_up_again_as_a_whole(workspace: Workspace) -> None:
    workspace.fill(70)
    workspace.write("d3/bad.txt", b"\0")
    failed = workspace.run(BY_DIRECTORY, **into(workspace, "{dir}.txt"))
    assert failed.status == JobStatus.FAILED
    assert (failed.books.counts.done, failed.books.counts.failed) == (60, 11)
    assert "d3.txt" not in workspace.outputs()
    kinds = {line["error"]["kind"] for line in workspace.lines(failed, "failed")}
    assert kinds == {"not_text", "group_incomplete"}
    groups = {group.kind: group.id for group in workspace.jobs.failures(failed.id)}
    workspace.write("d3/bad.txt", b"good\n")
    # One failure group alone would leave a hole in the output.
    workspace.jobs.retry(failed.id, groups["not_text"])
    ended = workspace.finish(failed)
    assert (ended.status, ended.books.counts.done) == (JobStatus.COMPLETED, 71)
    assert workspace.outputs() == expected(workspace)


def test_story_tells_of_all_files_of_an_output(workspace: Workspace) -> None:
    workspace.fill(70)
    workspace.run(BY_DIRECTORY, **into(workspace, "{dir}.txt"))
    (mention,) = workspace.jobs.story(os.fsencode(workspace.sink / "d3.txt"), End.OUTPUT, 10)
    assert mention.inputs == 10
    source = workspace.source / "d3" / "f00010.txt"
    (mention,) = workspace.jobs.story(os.fsencode(source), End.SOURCE, 10)
    assert mention.file["outputs"] == [f"file://{workspace.sink}/d3.txt"]
    assert mention.file["output_bytes"] == (workspace.sink / "d3.txt").stat().st_size


def test_undo_removes_what_was_made_and_leaves_the_sources(workspace: Workspace) -> None:
    workspace.fill(70)
    job = workspace.run(BY_DIRECTORY, **into(workspace, "{dir}.txt"))
    assert workspace.jobs.undo(job.id).removed == 7
    assert workspace.outputs() == {}
    assert len(list(workspace.source.rglob("*.txt"))) == 70


def test_sources_are_deleted_behind_their_outputs_only(workspace: Workspace) -> None:
    workspace.fill(70)
    workspace.write("d3/bad.txt", b"\0")
    made = expected(workspace)
    source = {"uri": str(workspace.source), "after": "delete"}
    workspace.run(BY_DIRECTORY, source=source, **into(workspace, "{dir}.txt"))
    del made["d3.txt"]
    assert workspace.outputs() == made
    left = {path.parent.name for path in workspace.source.rglob("*.txt")}
    assert left == {"d3"}


def test_outputs_are_numbered_the_same_whatever_the_order_of_the_listing(
    workspace: Workspace,
) -> None:
    workspace.fill(300)
    step = {"merge": {"target_size": "2KiB"}}
    workspace.run(step, **into(workspace, "all-{index:03}.txt"))
    first = workspace.outputs()
    assert len(first) > 10
    # What the files hold, without the ends of lines between them.
    assert all(len(content.replace(b"\n", b"")) <= 2048 for content in first.values())
    paths = sorted(workspace.source.rglob("*.txt"), key=os.fsencode)
    lines = b"\n".join(path.read_bytes() for path in paths)
    assert b"\n".join(first[name] for name in sorted(first)) == lines
    copied = workspace.root / "copy"
    for path in reversed(paths):
        target = copied / path.relative_to(workspace.source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    other = workspace.root / "other"
    workspace.run(step, source=str(copied), sink={"uri": str(other), "path": "all-{index:03}.txt"})
    assert {path.name: path.read_bytes() for path in other.iterdir()} == first


def test_preview_tells_how_many_outputs_there_are(workspace: Workspace) -> None:
    workspace.fill(70)
    seen = preview(workspace.spec(BY_DIRECTORY, **into(workspace, "{dir}.txt")))
    assert (seen.output_count, seen.entries) == (7, 70)
    assert len(set(seen.outputs)) == 3
    assert not workspace.sink.exists()
    json.dumps(seen.to_dict())


@pytest.mark.parametrize(
    ("steps", "keys", "kind"),
    [
        (["merge"], {}, "invalid_template"),
        (["merge", "merge"], {}, "reduced_twice"),
        (["merge", "checksum"], {}, "inspect_behind_reduce"),
        (["merge"], {"sink": None, "in_place": True}, "in_place_with_reduce"),
        (["merge"], {"preserve": ["mode"]}, "preserve_with_reduce"),
        (["merge"], {"on_collision": "keep_ext"}, "keep_ext_with_reduce"),
        ([{"merge": {"group_by": "{dri}"}}], {}, "invalid_template"),
        ([{"merge": {"target_size": "5 parsecs"}}], {}, "invalid_parameter"),
    ],
)
def test_what_makes_no_sense_of_many_files_is_refused(
    workspace: Workspace, steps: list[Any], keys: dict[str, Any], kind: str
) -> None:
    workspace.sink.mkdir()
    if "in_place" not in keys:
        keys = {"sink": {"uri": f"{workspace.sink}/", **keys}}
    with pytest.raises(SpecError) as refused:
        workspace.submit(*steps, **keys)
    assert refused.value.kind == kind


def test_output_below_its_sources_is_not_listed(workspace: Workspace) -> None:
    workspace.fill(7)
    into_source = Path(workspace.source) / "d1" / "all.txt"
    for _ in range(2):
        job = workspace.run("merge", sink=str(into_source))
        counts = job.books.counts
        assert (job.status, counts.done + counts.skipped) == (JobStatus.COMPLETED, 7)
    assert counts.filtered == 1


@pytest.mark.parametrize("path", [None, "all.parquet"])
def test_partitions_without_a_name_that_numbers_them_are_refused_with_one(
    workspace: Workspace, path: str | None
) -> None:
    workspace.write("a.csv", b"id,day\n1,2026-01-01\n")
    steps = ({"merge": {"partition_by": ["day"]}}, {"convert": {"format": "parquet"}})
    sink = {"uri": f"{workspace.sink}/"} | ({"path": path} if path else {})
    with pytest.raises(SpecError) as refused:
        workspace.jobs.create(workspace.spec(*steps, sink=sink))
    assert "--path 'part-{part}.parquet'" in str(refused.value.hint)
