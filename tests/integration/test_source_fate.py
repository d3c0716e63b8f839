"""Jobs that replace, remove or move their sources, from spec to report."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pravah.errors import SpecError
from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace


def names(directory: Path) -> list[str]:
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())


def test_job_in_place_replaces_each_source_and_lists_no_output(workspace: Workspace) -> None:
    workspace.fill(50)
    before = names(workspace.source)

    job = workspace.run("compress", sink=None, in_place=True)

    assert job.status == JobStatus.COMPLETED
    assert job.books.counts.listed == job.books.counts.done == 50
    assert names(workspace.source) == [f"{name}.zst" for name in before]
    back = workspace.run("decompress", sink=None, in_place=True)
    assert back.books.counts.done == 50
    assert names(workspace.source) == before


def test_job_in_place_again_leaves_its_own_outputs_alone(workspace: Workspace) -> None:
    workspace.fill(5)
    workspace.run("copy", sink=None, in_place=True)

    again = workspace.run("copy", sink=None, in_place=True)

    assert again.books.reasons == {"skipped:unchanged": 5}


def test_job_in_place_fails_what_would_take_the_name_of_another_source(
    workspace: Workspace,
) -> None:
    workspace.write("a", b"one")
    workspace.write("a.zst", b"two")

    job = workspace.run("compress", sink=None, in_place=True)

    assert job.books.reasons == {"failed:output_collision": 1}
    assert names(workspace.source) == ["a", "a.zst.zst"]
    assert (workspace.source / "a").read_bytes() == b"one"


@pytest.mark.parametrize("after", ["delete", {"move": "kept"}])
def test_after_takes_sources_away_when_the_job_ends(
    workspace: Workspace, after: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace.root)
    workspace.fill(20)
    before = names(workspace.source)

    job = workspace.run("copy", source={"uri": str(workspace.source), "after": after})

    assert job.status == JobStatus.COMPLETED
    assert names(workspace.source) == []
    assert sorted(workspace.outputs()) == before
    report = workspace.jobs.report(job.id)["after"]
    assert (report["finished"], report["changed"], report["after_failed"]) == (20, 0, 0)
    if after != "delete":
        assert names(workspace.root / "kept") == before


def test_after_that_fails_leaves_entries_done_and_the_job_failed(workspace: Workspace) -> None:
    workspace.write("a")
    workspace.write("b")
    kept = workspace.root / "kept"
    kept.mkdir()
    (kept / "a").write_bytes(b"a stranger's")
    source = {"uri": str(workspace.source), "after": {"move": str(kept)}}

    job = workspace.run("copy", source=source)

    assert job.status == JobStatus.FAILED
    assert job.books.counts.done == 2
    assert job.error is not None
    assert (job.error["kind"], job.error["message"]) == (
        "after_failed",
        "1 sources could not be moved",
    )
    assert names(workspace.source) == ["a"]
    assert (kept / "a").read_bytes() == b"a stranger's"

    (kept / "a").unlink()
    again = workspace.run("copy", source=source)

    assert again.status == JobStatus.COMPLETED
    assert names(workspace.source) == []
    assert names(kept) == ["a", "b"]


def test_after_leaves_the_sources_of_failed_entries(workspace: Workspace) -> None:
    workspace.write("bad.gz", b"not gzip")
    workspace.write("good.gz", b"\x1f\x8b\x08" + b"\0" * 6 + b"\x03\x03" + b"\0" * 9)

    job = workspace.run("decompress", source={"uri": str(workspace.source), "after": "delete"})

    assert (job.books.counts.done, job.books.counts.failed) == (1, 1)
    assert names(workspace.source) == ["bad.gz"]


@pytest.mark.parametrize(
    ("steps", "keys", "kind"),
    [
        ("copy", {"in_place": True}, "in_place_with_sink"),
        ("checksum", {"in_place": True, "sink": None}, "nothing_to_replace"),
        ("checksum", {"after": "delete", "sink": None}, "after_without_output"),
        ("checksum", {"after": "delete"}, "after_without_output"),
        ("copy", {"after": "delete", "sink": "null:"}, "after_without_output"),
        ("copy", {"after": "delete", "durability": "none"}, "after_without_durability"),
        ("copy", {"after": "delete", "in_place": True, "sink": None}, "in_place_with_after"),
    ],
)
def test_spec_that_would_lose_sources_is_refused(
    workspace: Workspace, steps: str, keys: dict[str, Any], kind: str
) -> None:
    workspace.write("a")
    more = dict(keys)
    source = {"uri": str(workspace.source), "after": more.pop("after", "keep")}
    if durability := more.pop("durability", None):
        more["sink"] = {"uri": str(workspace.sink), "durability": durability}

    with pytest.raises(SpecError) as caught:
        workspace.submit(steps, source=source, **more)

    assert caught.value.kind == kind
    assert caught.value.hint


def test_sources_that_would_move_to_where_they_are_are_refused(workspace: Workspace) -> None:
    workspace.write("a")
    source = {"uri": str(workspace.source), "after": {"move": str(workspace.source)}}
    with pytest.raises(SpecError) as caught:
        workspace.submit("copy", source=source)
    assert caught.value.kind == "move_to_source"


def test_sink_that_may_not_be_written_is_refused_before_the_job_begins(
    workspace: Workspace,
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everything")
    workspace.write("a")
    workspace.sink.mkdir(mode=0o500)
    with pytest.raises(PermissionError, match="can't write to the sink"):
        workspace.submit("copy")
    assert list(workspace.jobs.all()) == []


def test_rate_bounds_what_is_read(workspace: Workspace) -> None:
    for number in range(8):
        workspace.write(f"f{number}", bytes(250_000))

    job = workspace.run("copy", limits={"read_rate": "4MB/s"})

    assert job.books.bytes_in == 2_000_000
    assert job.elapsed_s > 0.35, "2 MB at 4 MB/s, less a tenth of a second at once"


def test_preserve_links_and_empty_dirs_keeps_the_tree(workspace: Workspace) -> None:
    workspace.write("d/a")
    (workspace.source / "d/link").symlink_to("a")
    (workspace.source / "e").mkdir()
    (workspace.source / "e/other").hardlink_to(workspace.source / "d/a")
    (workspace.source / "empty/inner").mkdir(parents=True)
    sink = {"uri": str(workspace.sink), "preserve": ["mtime", "links", "empty_dirs"]}

    job = workspace.run("copy", sink=sink)

    assert job.status == JobStatus.COMPLETED
    assert (job.books.counts.listed, job.books.counts.done) == (4, 4)
    assert (workspace.sink / "d/a").samefile(workspace.sink / "e/other")
    assert workspace.litter() == []
    assert (workspace.sink / "d/link").readlink() == Path("a")
    assert list((workspace.sink / "empty/inner").iterdir()) == []
    assert workspace.run("copy", sink=sink).books.counts.failed == 0


def test_preserve_links_of_what_is_not_copied_is_refused(workspace: Workspace) -> None:
    workspace.write("a")
    with pytest.raises(SpecError) as caught:
        workspace.submit("compress", sink={"uri": str(workspace.sink), "preserve": ["links"]})
    assert caught.value.kind == "links_need_copy"


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_descriptors")
def test_sources_in_more_directories_than_may_be_open_are_removed_and_outputs_taken_back(
    workspace: Workspace,
) -> None:
    for number in range(500):
        workspace.write(f"{number:03}/a")
    kept = workspace.run("copy")
    assert kept.status == JobStatus.COMPLETED
    undone = workspace.jobs.undo(kept.id)
    assert undone.removed == 500
    job = workspace.run("copy", source={"uri": str(workspace.source), "after": "delete"})
    assert (job.status, job.error) == (JobStatus.COMPLETED, None)
    assert not any(path.is_file() for path in workspace.source.rglob("*"))
