"""Jobs from submission to their end, on the real engine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pravah.errors import NotFoundError, OverlapError, SpecError, StatusError
from pravah.jobs import attempt
from pravah.jobs.service import Reuse
from pravah.jobs.supervisor import Ending, Idle
from pravah.model.ids import shown
from pravah.model.job import Counts
from pravah.model.ledger import TaskKind
from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace


def test_copy_of_a_tree_completes_with_equal_outputs(workspace: Workspace) -> None:
    workspace.fill(300)
    job = workspace.run("copy")
    assert job.status == JobStatus.COMPLETED
    assert job.books.counts == Counts(listed=300, done=300)
    sources = {
        str(p.relative_to(workspace.source)): p.read_bytes()
        for p in workspace.source.rglob("*")
        if p.is_file()
    }
    assert workspace.outputs() == sources
    assert workspace.litter() == []


def test_running_job_is_deserted_once_its_last_worker_has_left(workspace: Workspace) -> None:
    job = workspace.submit("copy")
    ledger = workspace.application.ledger
    assert not workspace.jobs.deserted(job)
    ledger.join()
    assert ledger.claim(job.id, {TaskKind.SCAN: 1})
    assert not workspace.jobs.deserted(workspace.jobs.get(job.id))
    ledger.leave()
    assert workspace.jobs.deserted(workspace.jobs.get(job.id))


def test_job_over_an_empty_directory_completes(workspace: Workspace) -> None:
    job = workspace.run("copy")
    assert (job.status, job.books.counts) == (JobStatus.COMPLETED, Counts())


def test_entries_that_are_no_files_are_accounted_for(workspace: Workspace) -> None:
    workspace.write("file")
    os.mkfifo(workspace.source / "fifo")
    (workspace.source / "link").symlink_to("file")
    job = workspace.run("copy")
    assert job.books.counts == Counts(listed=3, done=1, skipped=2)
    assert job.books.reasons == {"skipped:fifo": 1, "skipped:symlink": 1}


def test_filtered_entries_are_counted_and_not_named(workspace: Workspace) -> None:
    workspace.write("a.csv")
    workspace.write("b.txt")
    source = {"uri": str(workspace.source), "include": ["*.csv"]}
    job = workspace.run("copy", source=source)
    assert job.books.counts == Counts(listed=2, done=1, filtered=1)
    assert [line["outcome"] for line in workspace.lines(job)] == ["done"]


def test_second_run_over_unchanged_files_skips_them(workspace: Workspace) -> None:
    workspace.fill(20)
    # Times within two seconds of a read are racy, and such files are done again.
    for path in workspace.source.rglob("*.txt"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    workspace.run("copy")
    workspace.write("d0/f00000.txt", b"changed")
    job = workspace.run("copy")
    assert job.status == JobStatus.COMPLETED
    assert job.books.counts.done >= 1
    assert job.books.counts.done + job.books.counts.skipped == 20
    assert workspace.outputs()["d0/f00000.txt"] == b"changed"


def test_strangers_file_is_never_replaced(workspace: Workspace) -> None:
    workspace.write("a")
    workspace.sink.mkdir()
    (workspace.sink / "a").write_bytes(b"a stranger's")
    job = workspace.run("copy")
    assert job.status == JobStatus.FAILED
    (failure,) = workspace.jobs.failures(job.id)
    assert (failure.id, failure.kind, failure.count) == ("F1", "output_exists", 1)
    assert workspace.outputs() == {"a": b"a stranger's"}


def test_budget_of_failures_lets_a_job_complete(workspace: Workspace) -> None:
    workspace.write("good", b"x")
    workspace.write("bad.gz", b"no gzip")
    spec = {"on_error": {"budget": 2}}
    job = workspace.run("decompress", **spec)
    assert job.status == JobStatus.COMPLETED
    assert job.books.counts.failed == 2


def test_retry_of_failed_files_ends_the_next_round(workspace: Workspace) -> None:
    workspace.write("a")
    workspace.write("b")
    workspace.sink.mkdir()
    (workspace.sink / "a").write_bytes(b"a stranger's")
    job = workspace.run("copy")
    (workspace.sink / "a").unlink()
    job = workspace.finish(workspace.jobs.retry(job.id))
    assert (job.status, job.round) == (JobStatus.COMPLETED, 2)
    assert job.books.counts == Counts(listed=2, done=2)
    assert sorted(workspace.outputs()) == ["a", "b"]
    assert len(workspace.lines(job)) == 2


def test_retry_of_one_group_leaves_the_others_failed(workspace: Workspace) -> None:
    workspace.write("a.gz", b"no gzip at all")
    workspace.write("b.zst", b"no zstd at all")
    job = workspace.run("decompress")
    groups = workspace.jobs.failures(job.id)
    job = workspace.finish(workspace.jobs.retry(job.id, "f1"))
    assert job.books.counts == Counts(listed=2, failed=2)
    assert len(workspace.jobs.failures(job.id)) == len(groups)


def test_retry_of_an_unknown_group_is_not_found(workspace: Workspace) -> None:
    workspace.write("a.gz", b"no gzip at all")
    job = workspace.run("decompress")
    with pytest.raises(NotFoundError, match="no failure group `F9`"):
        workspace.jobs.retry(job.id, "F9")


def test_retry_after_a_directory_became_readable_lists_it(workspace: Workspace) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    workspace.write("open/a")
    closed = workspace.write("closed/b").parent
    closed.chmod(0o000)
    job = workspace.run("copy")
    assert job.books.counts == Counts(listed=2, done=1, failed=1)
    closed.chmod(0o755)
    job = workspace.finish(workspace.jobs.retry(job.id))
    assert job.books.counts == Counts(listed=2, done=2)


def test_inspect_without_a_sink_keeps_its_records_in_path_order(workspace: Workspace) -> None:
    workspace.fill(50)
    job = workspace.run("checksum", sink=None)
    records = [json.loads(line) for line in workspace.jobs.results(job.id)]
    paths = [record["path"] for record in records]
    assert len(paths) == 50
    assert paths == sorted(paths)
    assert job.results is None


def test_inspect_with_a_sink_writes_its_dataset_there(workspace: Workspace) -> None:
    workspace.fill(50)
    job = workspace.run("checksum", "copy")
    dataset = workspace.sink / "_pravah" / shown(job.id) / "results.ndjson"
    assert dataset.read_bytes() == b"".join(workspace.jobs.results(job.id))
    assert job.results is not None
    assert job.results["count"] == 50
    assert len(job.results["first"]) == 3
    assert [entry.name for entry in dataset.parent.iterdir()] == ["results.ndjson"]


def test_inspect_alone_publishes_nothing_but_its_dataset(workspace: Workspace) -> None:
    workspace.fill(5)
    job = workspace.run("checksum")
    assert job.books.counts.done == 5
    found = [path for path in workspace.sink.rglob("*") if path.is_file()]
    assert found == [workspace.sink / "_pravah" / shown(job.id) / "results.ndjson"]
    assert job.books.bytes_out == 0
    workspace.jobs.undo(job.id)
    assert not list(workspace.sink.rglob("*"))


def test_dataset_does_not_go_where_a_sink_may_not_be(workspace: Workspace) -> None:
    workspace.write("a")
    for sink, kind in ((workspace.source, "source_is_sink"), (workspace.root, "source_below_sink")):
        with pytest.raises(OverlapError) as refused:
            workspace.submit("checksum", sink=str(sink))
        assert refused.value.kind == kind


def test_dataset_below_the_source_is_left_out_of_the_scan(workspace: Workspace) -> None:
    workspace.write("a")
    sink = workspace.source / "found"
    workspace.run("checksum", sink=str(sink))
    (sink / "stranger").write_bytes(b"not of this job")
    job = workspace.run("checksum", sink=str(sink))
    assert job.books.counts.done == 1


def test_next_job_does_not_list_the_sink_below_its_source(workspace: Workspace) -> None:
    workspace.write("a")
    sink = str(workspace.source / "out")
    workspace.run("copy", sink=sink)
    job = workspace.run("copy", sink=sink)
    assert job.books.counts.listed <= 2
    assert job.books.counts.failed == 0
    assert not (workspace.source / "out" / "out").exists()


def test_one_file_to_one_file_works_like_a_tree(workspace: Workspace) -> None:
    workspace.write("big.txt", b"text\n" * 1000)
    workspace.write("other.txt")
    target = workspace.root / "packed.zst"
    job = workspace.run("compress", source=str(workspace.source / "big.txt"), sink=str(target))
    assert job.books.counts == Counts(listed=1, done=1)
    assert target.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"


def test_several_roots_keep_their_names_in_the_sink(workspace: Workspace) -> None:
    for root in ("a", "b"):
        workspace.write(f"{root}/same.txt", root.encode())
    sources = [str(workspace.source / root) for root in ("a", "b")]
    job = workspace.run("copy", source=sources)
    assert job.status == JobStatus.COMPLETED
    assert workspace.outputs() == {"a/same.txt": b"a", "b/same.txt": b"b"}


def test_name_that_is_no_utf8_comes_through(workspace: Workspace) -> None:
    name = os.fsdecode(b"na\xffme\n")
    workspace.write(name, b"bytes")
    job = workspace.run("copy")
    assert job.status == JobStatus.COMPLETED
    assert workspace.outputs() == {name: b"bytes"}


def test_source_whose_path_is_no_utf8_comes_through(workspace: Workspace) -> None:
    root = os.fsdecode(b"r\xffoot")
    workspace.write(f"{root}/a", b"bytes")
    job = workspace.run("copy", source=str(workspace.source / root))
    assert job.status == JobStatus.COMPLETED
    assert workspace.outputs() == {"a": b"bytes"}


def test_same_spec_over_an_unfinished_job_goes_on_with_it(workspace: Workspace) -> None:
    workspace.fill(10)
    first = workspace.submit("copy")
    again = workspace.jobs.create(workspace.spec("copy"))
    assert (again.job.id, again.resumed) == (first.id, True)
    other = workspace.jobs.create(workspace.spec("copy"), reuse=Reuse.NOTHING)
    assert (other.job.id == first.id, other.resumed) == (False, False)
    filtered = {"uri": str(workspace.source), "exclude": ["x"]}
    assert not workspace.jobs.create(workspace.spec("copy", source=filtered)).resumed


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"sink": {"durability": "always"}}, "sink.durability is none, not always"),
        ({"sink": {"verify": "content"}}, "sink.verify is size, not content"),
        ({"on_error": {"budget": 0}}, "on_error.budget is 100, not 0"),
        ({"limits": {"tasks": 1}}, "limits.tasks is unset, not 1"),
        ({"priority": 5}, "priority is 0, not 5"),
    ],
)
def test_same_spec_with_other_settings_does_not_go_on_under_the_old_ones(
    workspace: Workspace, asked: dict[str, Any], told: str
) -> None:
    workspace.write("a.txt")
    has = {"on_error": {"budget": 100}}
    sink = {"uri": str(workspace.sink), "durability": "none"}
    first = workspace.jobs.create(workspace.spec("copy", sink=sink, **has)).job
    workspace.jobs.pause(first.id)
    again = workspace.spec("copy", **{**has, **asked, "sink": {**sink, **asked.get("sink", {})}})
    with pytest.raises(SpecError) as caught:
        workspace.jobs.create(again)
    assert caught.value.kind == "other_settings"
    assert told in caught.value.message
    assert workspace.jobs.get(first.id).status == JobStatus.PAUSED
    assert not workspace.jobs.create(again, reuse=Reuse.NOTHING).resumed


def test_same_spec_goes_on_with_a_job_whose_settings_were_changed_to_it(
    workspace: Workspace,
) -> None:
    workspace.write("a.txt")
    first = workspace.submit("copy")
    workspace.jobs.change(first.id, {"on_error": {"budget": 5}})
    again = workspace.jobs.create(workspace.spec("copy", on_error={"budget": 5}))
    assert (again.job.id, again.resumed) == (first.id, True)
    unsaid = workspace.jobs.create(workspace.spec("copy"))
    assert (unsaid.job.id, unsaid.job.spec["on_error"]["budget"]) == (first.id, 5)


def test_same_spec_over_a_paused_job_resumes_it(workspace: Workspace) -> None:
    workspace.fill(10)
    job = workspace.jobs.pause(workspace.submit("copy").id)
    assert job.status == JobStatus.PAUSED
    again = workspace.jobs.create(workspace.spec("copy"))
    assert again.job.id == job.id
    assert workspace.finish(again.job).status == JobStatus.COMPLETED


def test_cancel_of_a_job_that_nobody_works_on_ends_it_at_once(workspace: Workspace) -> None:
    workspace.fill(10)
    job = workspace.jobs.cancel(workspace.submit("copy").id)
    assert job.status == JobStatus.CANCELLED
    assert workspace.jobs.report(job.id)["status"] == "cancelled"
    with pytest.raises(StatusError):
        workspace.jobs.cancel(job.id)


def test_retry_of_a_cancelled_job_completes_it(workspace: Workspace) -> None:
    workspace.fill(10)
    job = workspace.jobs.cancel(workspace.submit("copy").id)
    job = workspace.finish(workspace.jobs.retry(job.id))
    assert job.books.counts == Counts(listed=10, done=10)


def test_worker_that_leaves_when_idle_finishes_every_job(workspace: Workspace) -> None:
    workspace.write("a/x")
    workspace.write("b/y")
    for root in ("a", "b"):
        source, sink = str(workspace.source / root), str(workspace.sink / root)
        workspace.submit("copy", source=source, sink=sink)
    end = workspace.jobs.work(None, idle=Idle.LEAVE)
    assert end.ending is Ending.IDLE
    assert {job.status for job in workspace.jobs.all()} == {JobStatus.COMPLETED}


def test_delete_of_an_ended_job_keeps_outputs_and_memory_of_them(workspace: Workspace) -> None:
    workspace.fill(10)
    job = workspace.run("copy")
    workspace.jobs.delete(job.id)
    with pytest.raises(NotFoundError):
        workspace.jobs.get(job.id)
    assert len(workspace.outputs()) == 10
    # Its fingerprints stay: the next job knows these outputs as Pravah's own.
    assert workspace.run("copy").status == JobStatus.COMPLETED


def test_account_of_each_file_can_be_written_as_parquet(
    workspace: Workspace, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")

    workspace.fill(30)
    job = workspace.run("copy")
    workspace.jobs.write_account(job.id, tmp_path / "account.parquet")
    assert parquet.read_table(tmp_path / "account.parquet").num_rows == 30


def test_account_of_a_job_that_is_deleted_meanwhile_is_not_cut_short(
    each_workspace: Workspace,
) -> None:
    workspace = each_workspace
    workspace.fill(20)
    job = workspace.run("copy")
    lines = workspace.jobs.files(job.id)
    next(lines)
    workspace.jobs.delete(job.id)
    with pytest.raises(NotFoundError, match="no job"):
        list(lines)


def test_unknown_processor_is_refused_before_anything_is_stored(workspace: Workspace) -> None:
    with pytest.raises(SpecError) as caught:
        workspace.submit("compres")
    assert caught.value.kind == "unknown_processor"
    assert list(workspace.jobs.all()) == []


def test_parameter_out_of_range_is_refused_before_anything_is_stored(workspace: Workspace) -> None:
    with pytest.raises(SpecError) as caught:
        workspace.submit({"compress": {"codec": "zstd", "level": 99}})
    assert caught.value.kind == "invalid_parameter"
    assert list(workspace.jobs.all()) == []


def test_sink_that_cannot_be_made_ends_the_job_with_an_error_that_names_it(
    workspace: Workspace,
) -> None:
    workspace.fill(10)
    # Nothing can be made below /proc, not even by root.
    job = workspace.run("copy", sink="/proc/pravah")
    assert job.status == JobStatus.FAILED
    assert job.error is not None
    assert "the sink `/proc/pravah`: no such file or directory" in job.error["message"]
    assert job.books.counts.remaining == 10


def test_job_of_other_versions_of_its_steps_does_not_go_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.fill(10)
    job = workspace.submit("copy")
    monkeypatch.setattr(attempt, "pipeline_hash", lambda _steps: "another release's")
    ended = workspace.finish(job)
    assert ended.status == JobStatus.FAILED
    assert ended.error is not None
    assert ended.error["kind"] == "pipeline_changed"
