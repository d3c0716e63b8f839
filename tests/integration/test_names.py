"""Names of outputs: templates, collisions, and that everybody who derives a name agrees."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import zstandard

from pravah import engine
from pravah.errors import SpecError
from pravah.jobs.preview import preview
from pravah.jobs.story import End
from pravah.model.job import Job
from pravah.model.spec import JobSpec
from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace

# 2026-01-02 03:04:05 UTC
MODIFIED_S = 1767323045


def named(workspace: Workspace, path: str, *steps: str, capture: str | None = None) -> JobSpec:
    """Make a spec whose outputs are named by a template."""
    source: dict[str, Any] = {"uri": str(workspace.source)}
    if capture is not None:
        source["capture"] = capture
    sink = {"uri": str(workspace.sink), "path": path}
    return workspace.spec(*(steps or ("copy",)), source=source, sink=sink)


def run(workspace: Workspace, spec: JobSpec) -> Job:
    """Create the job of a spec and work on it until it ends."""
    return workspace.finish(workspace.jobs.create(spec).job)


@pytest.mark.parametrize(
    ("template", "step", "old", "new"),
    [
        ("{name}", "copy", "a/x", "b/x"),
        ("{index:03}", "copy", "b/x", "a/x"),
        ("{path}", "decompress", "x.gz", "x.zst"),
    ],
)
def test_output_is_never_replaced_by_that_of_another_source(
    workspace: Workspace, template: str, step: str, old: str, new: str
) -> None:
    """The first source is gone by then: its output is the only copy of it."""

    def arrive(name: str, content: bytes) -> None:
        codec = {"gz": gzip.compress, "zst": zstandard.compress}.get(name.rpartition(".")[2], bytes)
        workspace.write(name, codec(content))

    source = {"uri": str(workspace.source), "after": "delete"}
    sink = {"uri": str(workspace.sink), "path": template}
    spec = workspace.spec(step, source=source, sink=sink)
    arrive(old, b"the old one")
    assert run(workspace, spec).status == JobStatus.COMPLETED
    arrive(new, b"the new one")
    again = run(workspace, spec)
    assert (again.status, again.books.counts.failed) == (JobStatus.FAILED, 1)
    assert list(workspace.outputs().values()) == [b"the old one"]
    assert (workspace.source / new).exists()
    (failure,) = workspace.jobs.failures(again.id)
    assert failure.kind == "output_exists"


def test_form_of_a_time_that_can_not_be_written_is_refused(workspace: Workspace) -> None:
    workspace.write("a")
    with pytest.raises(SpecError) as refused:
        workspace.jobs.create(named(workspace, "{name}-{mtime:%#z}"))
    assert refused.value.kind == "invalid_template"


@pytest.mark.parametrize(
    ("template", "outputs"),
    [
        ("{path}", ["a/one.csv.zst", "a/two.csv.zst", "b/three.csv.zst"]),
        ("{dir}/{stem}.z", ["a/one.z", "a/two.z", "b/three.z"]),
        ("{name}", ["one.csv.zst", "three.csv.zst", "two.csv.zst"]),
        ("{ext}/{stem}", [".csv.zst/one", ".csv.zst/three", ".csv.zst/two"]),
        ("{root}/{name}", ["source/one.csv.zst", "source/three.csv.zst", "source/two.csv.zst"]),
        ("{index:03}{ext}", ["000.csv.zst", "001.csv.zst", "002.csv.zst"]),
        ("{mtime:%Y/%m}/{stem}", ["2026/01/one", "2026/01/three", "2026/01/two"]),
        ("{group}-{what}", ["a-one", "a-two", "b-three"]),
    ],
)
def test_job_with_each_field_names_its_outputs_and_everybody_agrees(
    workspace: Workspace, template: str, outputs: list[str]
) -> None:
    for name in ("a/one.csv", "a/two.csv", "b/three.csv"):
        os.utime(workspace.write(name, name.encode()), (MODIFIED_S, MODIFIED_S))
    capture = "{group}/{what}.csv" if "{group}" in template else None
    spec = named(workspace, template, "compress", capture=capture)
    shown = preview(spec).outputs
    job = run(workspace, spec)
    assert job.status == JobStatus.COMPLETED
    assert sorted(workspace.outputs()) == outputs
    told = [uri for line in workspace.lines(job) for uri in line["outputs"]]
    assert sorted(uri.rpartition("/sink/")[2] for uri in told) == outputs
    assert sorted(shown) == sorted(told)
    (mention,) = workspace.jobs.story(bytes(workspace.sink / outputs[0]), End.OUTPUT, 5)
    assert mention.file["outputs"][0].endswith(outputs[0])
    assert workspace.jobs.undo(job.id).removed == 3
    assert workspace.outputs() == {}


def test_job_with_hashes_names_each_content_once(workspace: Workspace) -> None:
    for name, content in (("a/x", b"one"), ("b/x", b"one"), ("c/y", b"two")):
        workspace.write(name, content)
    spec = named(workspace, "{hash:16}/{name}")
    job = run(workspace, spec)
    assert (job.status, job.books.counts.done, job.books.counts.skipped) == (
        JobStatus.COMPLETED,
        2,
        1,
    )
    assert job.books.reasons == {"skipped:same_content": 1}
    (output,) = (name for name, content in workspace.outputs().items() if content == b"two")
    assert len(output.partition("/")[0]) == 16
    (mention,) = workspace.jobs.story(bytes(workspace.sink / output), End.OUTPUT, 5)
    assert mention.file["path"].endswith("c/y")
    again = run(workspace, spec)
    assert (again.status, again.books.counts.skipped) == (JobStatus.COMPLETED, 3)
    assert workspace.litter() == []


def test_names_that_are_not_utf8_come_through_templates(workspace: Workspace) -> None:
    directory = os.fsencode(workspace.source) + b"/h\xff"
    os.mkdir(directory)
    Path(os.fsdecode(directory + b"/d\xfe.csv")).write_bytes(b"content")
    job = run(workspace, named(workspace, "{date}/{host}.out", capture="{host}/{date}.csv"))
    assert job.status == JobStatus.COMPLETED
    assert os.listdir(os.fsencode(workspace.sink)) == [b"d\xfe"]
    assert os.listdir(os.fsencode(workspace.sink) + b"/d\xfe") == [b"h\xff.out"]


def test_names_of_two_hundred_that_collide_across_directories_all_fail(
    workspace: Workspace,
) -> None:
    for number in range(200):
        workspace.write(f"d{number}/same", b"%d" % number)
    workspace.write("d0/other")
    job = run(workspace, named(workspace, "all/{name}"))
    assert (job.status, job.books.counts.failed, job.books.counts.done) == (
        JobStatus.FAILED,
        200,
        1,
    )
    assert list(workspace.outputs()) == ["all/other"]
    (failure,) = workspace.jobs.failures(job.id)
    assert failure.kind == "output_collision"
    lines = workspace.lines(job, "failed")
    assert all("collides with that of `d" in line["error"]["message"] for line in lines)


def test_keep_ext_names_colliding_outputs_by_their_sources(workspace: Workspace) -> None:
    for name in ("a.csv.gz", "b.csv", "c.csv"):
        shutil.copy(__file__, workspace.source / name)
    for directory in ("x", "y"):
        workspace.write(f"{directory}/{directory}.{directory}1")
        workspace.write(f"{directory}/same.{directory}1")
    sink = {"uri": str(workspace.sink), "path": "{stem}.out", "on_collision": "keep_ext"}
    job = workspace.run("copy", sink=sink)
    assert job.status == JobStatus.COMPLETED
    assert sorted(workspace.outputs()) == [
        "a.out",
        "b.out",
        "c.out",
        "same.x1.out",
        "same.y1.out",
        "x.out",
        "y.out",
    ]
    assert workspace.jobs.undo(job.id).removed == 7


def test_retry_keeps_the_names_of_what_is_done(workspace: Workspace) -> None:
    for name in ("a.zst", "b.zst"):
        workspace.write(name, b"not compressed")
    good = workspace.write("c")
    compressed = run(workspace, named(workspace, "{name}", "compress"))
    assert compressed.status == JobStatus.COMPLETED
    whole = (workspace.sink / "c.zst").read_bytes()
    good.unlink()
    shutil.rmtree(workspace.sink)
    (workspace.source / "b.zst").write_bytes(whole)
    job = run(workspace, named(workspace, "{index:02}-{stem}", "decompress"))
    assert list(workspace.outputs()) == ["01-b"]
    (workspace.source / "a.zst").write_bytes(whole)
    job = workspace.finish(workspace.jobs.retry(job.id))
    assert job.status == JobStatus.COMPLETED
    assert sorted(workspace.outputs()) == ["00-a", "01-b"]


def test_retry_of_a_collision_fails_again_and_replaces_nothing(workspace: Workspace) -> None:
    for name in ("x/a", "y/a", "z/b"):
        workspace.write(name, name.encode())
    job = run(workspace, named(workspace, "{name}"))
    assert job.books.counts.failed == 2
    job = workspace.finish(workspace.jobs.retry(job.id))
    assert (job.round, job.books.counts.failed, job.books.counts.done) == (2, 2, 1)
    assert workspace.outputs() == {"b": b"z/b"}


def test_several_roots_go_below_their_names_unless_the_template_says_otherwise(
    workspace: Workspace,
) -> None:
    other = workspace.root / "other"
    other.mkdir()
    (other / "x").write_bytes(b"2")
    workspace.write("x", b"1")
    source = {"uri": [str(workspace.source), str(other)]}
    for template, outputs in (
        (None, {"source/x": b"1", "other/x": b"2"}),
        ("{root}-{name}", {"source-x": b"1", "other-x": b"2"}),
        ("{name}", {}),
    ):
        shutil.rmtree(workspace.sink, ignore_errors=True)
        sink = {"uri": str(workspace.sink)} | ({"path": template} if template else {})
        run(workspace, workspace.spec("copy", source=source, sink=sink))
        assert workspace.outputs() == outputs, template


def test_job_killed_in_the_comparison_of_names_ends_as_one_that_was_not(
    workspace: Workspace,
) -> None:
    for number in range(6):
        workspace.write(f"d{number % 2}/{number // 2}", b"%d" % number)
    workspace.write("d0/alone")
    for place in ("before_commit", "after_commit"):
        shutil.rmtree(workspace.sink, ignore_errors=True)
        spec = named(workspace, "{name}")
        job = workspace.jobs.create(spec).job
        worker = workspace.worker(job.id, PRAVAH_FAILPOINTS=f"ledger.names.{place}=1")
        assert worker.wait(60) == -signal.SIGKILL
        job = workspace.finish(workspace.jobs.get(job.id))
        assert (job.books.counts.failed, job.books.counts.done) == (6, 1), place
        assert list(workspace.outputs()) == ["alone"]


@pytest.mark.parametrize(
    ("path", "capture", "words"),
    [
        ("{dir}/{stam}", None, ["unknown field `{stam}`", "did you mean `{stem}`"]),
        ("{hots}", "{host}/{day}", ["unknown field `{hots}`", "did you mean `{host}`"]),
        ("../{name}", None, ["`..` is no directory"]),
        ("/x/{name}", None, ["begins without a slash"]),
        ("{part:7}", None, ["`{part}` takes a width"]),
        ("{name}", "{name}/x", ["a field of its own"]),
        (None, "{host}/{day}", ["nothing uses"]),
    ],
)
def test_template_that_does_not_hold_is_refused_with_its_reason(
    path: str | None, capture: str | None, words: list[str]
) -> None:
    plan = {"sink": {"path": path}, "capture": capture}
    with pytest.raises(SpecError) as refused:
        engine.check_names(plan)
    text = f"{refused.value.message} {refused.value.hint}"
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("sink", "keys", "kind"),
    [
        ({"path": "{name}", "preserve": ["links"]}, {}, "preserve_needs_paths"),
        ({"path": "{hash}", "on_collision": "keep_ext"}, {}, "keep_ext_with_hash"),
        ({"path": "{name}"}, {"in_place": True}, "in_place_with_sink"),
    ],
)
def test_template_beside_what_it_contradicts_is_refused(
    workspace: Workspace, sink: dict[str, Any], keys: dict[str, Any], kind: str
) -> None:
    with pytest.raises(SpecError) as refused:
        workspace.submit("copy", sink={"uri": str(workspace.sink), **sink}, **keys)
    assert refused.value.kind == kind


def test_template_for_a_sink_that_is_one_file_is_refused(workspace: Workspace) -> None:
    source = workspace.write("a")
    sink = {"uri": str(workspace.root / "b"), "path": "{name}"}
    with pytest.raises(SpecError) as refused:
        workspace.submit("copy", source=str(source), sink=sink)
    assert refused.value.kind == "path_with_file_sink"


def test_hash_in_a_name_is_blake3_of_the_source(workspace: Workspace) -> None:
    workspace.write("a", b"")
    run(workspace, named(workspace, "{hash}", "compress"))
    empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert list(workspace.outputs()) == [empty]
