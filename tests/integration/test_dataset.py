"""The dataset of inspect steps: its formats, its places, and that kills leave it whole."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pravah.errors import SpecError
from pravah.model.ids import shown
from tests.integration.workspace import Workspace

POINTS = [
    "closing.dataset.before_publish=1",
    "closing.dataset.after_publish=1",
    "ledger.close.before_commit=1",
    "ledger.close.after_commit=1",
]
FORMATS = ("ndjson", "csv", "parquet")


def files(directory: Path) -> list[str]:
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())


def records(path: Path) -> list[dict[str, Any]]:
    """Read a dataset by a library that is not ours."""
    if path.suffix == ".parquet":
        table: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return table
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("form", FORMATS)
def test_dataset_below_the_sink_holds_every_record(each_workspace: Workspace, form: str) -> None:
    workspace = each_workspace
    workspace.fill(300)
    job = workspace.run("count", results=form)
    path = workspace.sink / "_pravah" / shown(job.id) / f"results.{form}"
    assert files(workspace.sink) == [str(path.relative_to(workspace.sink))]
    expected = [json.loads(line) for line in workspace.jobs.results(job.id)]
    found = records(path)
    if form == "csv":
        texts = ({k: "" if v is None else str(v) for k, v in line.items()} for line in expected)
        expected = list(texts)
    assert found == expected
    results = job.to_dict()["results"]
    assert (results["count"], results["uri"]) == (300, path.as_uri())
    assert [record["path"] for record in results["first"]] == [r["path"] for r in found[:3]]


def test_directory_gets_a_file_of_each_job(workspace: Workspace) -> None:
    workspace.fill(3)
    place = workspace.root / "found"
    results = {"format": "parquet", "uri": str(place)}
    jobs = [workspace.run("count", sink=None, results=results) for _ in range(2)]
    assert files(place) == sorted(f"{shown(job.id)}.parquet" for job in jobs)


def test_file_has_the_format_of_its_extension(workspace: Workspace) -> None:
    workspace.fill(3)
    place = workspace.root / "new" / "found.csv"
    workspace.run("count", "copy", results={"uri": str(place)})
    assert len(records(place)) == 3
    assert not (workspace.sink / "_pravah").exists()


def test_place_is_refused_where_it_may_not_be(workspace: Workspace, tmp_path: Path) -> None:
    workspace.fill(3)
    taken = tmp_path / "taken.csv"
    taken.write_text("mine")
    for place, kind in (
        (workspace.source / "found.csv", "results_in_source"),
        (workspace.source / "d1", "results_in_source"),
        (taken, "output_exists"),
        (tmp_path / "source" / ".." / "taken.csv", "output_exists"),
    ):
        with pytest.raises(SpecError) as refused:
            workspace.submit("count", results={"uri": str(place)})
        assert refused.value.kind == kind
    assert taken.read_text() == "mine"
    with pytest.raises(SpecError, match="copy finds nothing"):
        workspace.submit("copy", results="parquet")
    with pytest.raises(SpecError, match="format `csv`"):
        workspace.spec("count", results={"format": "csv", "uri": "found.parquet"})


def test_file_that_came_meanwhile_is_kept_and_the_job_says_so(workspace: Workspace) -> None:
    workspace.fill(3)
    place = workspace.root / "found.csv"
    job = workspace.submit("count", results={"uri": str(place)})
    place.write_text("a stranger's")
    ended = workspace.finish(job)
    assert (str(ended.status), ended.error and ended.error["kind"]) == (
        "failed",
        "results_unwritable",
    )
    assert place.read_text() == "a stranger's"
    assert files(workspace.root / "home" / "scratch") == []


def test_another_format_is_another_job(workspace: Workspace) -> None:
    workspace.fill(3)
    first = workspace.submit("count", results="parquet")
    assert workspace.submit("count", results="parquet").id == first.id
    assert workspace.submit("count", results="csv").id != first.id


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("point", POINTS)
def test_closing_that_is_killed_leaves_the_same_dataset(
    tmp_path: Path, point: str, *, named: bool
) -> None:
    datasets = []
    for attempt, points in (("calm", ""), ("killed", point)):
        (tmp_path / attempt).mkdir()
        workspace = Workspace(tmp_path / attempt)
        for number in range(40):
            workspace.write(f"f{number}", b"line\n" * number)
        place = workspace.root / "found" / "all.parquet"
        results = {"format": "parquet"} | ({"uri": str(place)} if named else {})
        job = workspace.submit("count", results=results)
        if points:
            assert workspace.worker(job.id, PRAVAH_FAILPOINTS=points).wait() == -9
            if "after_commit" not in point:
                # The same again goes on with it, though its dataset may stand there already.
                again = workspace.jobs.create(workspace.spec("count", results=results))
                assert again.resumed
        workspace.finish(job)
        assert workspace.jobs.get(job.id).results is not None
        where = place if named else workspace.sink / "_pravah" / shown(job.id) / "results.parquet"
        assert files(where.parent) == [where.name]
        found = [record["lines"] for record in records(where)]
        datasets.append(found)
        workspace.application.close()
    assert datasets[0] == datasets[1]
    assert len(datasets[0]) == 40


def test_next_round_replaces_its_own_dataset(workspace: Workspace) -> None:
    for name in ("a.csv", "b.csv"):
        workspace.write(name, b"id,x\n1,2\n")
    broken = workspace.write("c.csv", b"\x00\x01\x02")
    place = workspace.root / "found.parquet"
    job = workspace.run("extract_headers", results={"uri": str(place)})
    assert (str(job.status), len(records(place))) == ("failed", 2)
    broken.write_bytes(b"id,x\n1,2\n")
    job = workspace.finish(workspace.jobs.retry(job.id))
    assert (str(job.status), len(records(place))) == ("completed", 3)


def test_next_round_leaves_a_file_that_took_the_place_of_its_dataset(workspace: Workspace) -> None:
    workspace.write("a.csv", b"id,x\n1,2\n")
    broken = workspace.write("c.csv", b"\x00\x01\x02")
    place = workspace.root / "found.csv"
    job = workspace.run("extract_headers", results={"uri": str(place)})
    place.rename(workspace.root / "kept.csv")
    place.write_text("somebody's own")
    broken.write_bytes(b"id,x\n1,2\n")
    job = workspace.finish(workspace.jobs.retry(job.id))
    assert place.read_text() == "somebody's own"
    assert (str(job.status), job.error and job.error["kind"]) == ("failed", "results_unwritable")


def test_undo_removes_a_named_dataset_that_is_as_it_was(workspace: Workspace) -> None:
    workspace.fill(3)
    place = workspace.root / "found" / "all.csv"
    job = workspace.run("count", "copy", results={"uri": str(place)})
    assert workspace.jobs.undo(job.id, dry_run=True).removed == 4
    assert files(place.parent) == ["all.csv"]
    assert workspace.jobs.undo(job.id).removed == 4
    assert files(place.parent) == []
    assert workspace.jobs.undo(job.id).gone == 4


@pytest.mark.parametrize("named", [False, True])
def test_undo_leaves_a_dataset_that_has_changed_since(workspace: Workspace, *, named: bool) -> None:
    workspace.fill(3)
    place = workspace.root / "found.csv"
    job = workspace.run(
        "count",
        sink=None if named else str(workspace.sink),
        results={"format": "csv", **({"uri": str(place)} if named else {})},
    )
    written = place if named else workspace.sink / "_pravah" / shown(job.id) / "results.csv"
    written.write_text("edited")
    undone = workspace.jobs.undo(job.id)
    assert (undone.removed, undone.changed) == (0, 1)
    assert written.read_text() == "edited"
