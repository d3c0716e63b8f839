"""What the planner refuses, and what links and spellings can't hide from it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pravah.errors import OverlapError, SourceMissingError, SpecError
from pravah.jobs import planner, source_fate
from pravah.jobs.object_places import refuse_object_overlap
from pravah.jobs.planner import Planned
from pravah.model.spec import JobSpec


def _plan(
    directory: Path, source: str | list[str], sink: str | None, step: str = "copy"
) -> Planned:
    mapping = {"source": source, "sink": sink, "steps": [step]}
    spec = JobSpec.parse({k: v for k, v in mapping.items() if v is not None})
    return planner.plan(spec, bytes(directory), "01K")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "in" / "below").mkdir(parents=True)
    (tmp_path / "in" / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("in")
    return tmp_path


def test_missing_source_is_an_error_that_names_it(place: Path) -> None:
    with pytest.raises(SourceMissingError, match=r"no source `.*/nowhere`") as caught:
        _plan(place, "nowhere", "out")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("sink", ["in", "in/", "./in/../in", "link", "link/below/.."])
def test_sink_that_is_the_source_is_refused_however_it_is_spelled(place: Path, sink: str) -> None:
    with pytest.raises(OverlapError, match="are the same directory") as caught:
        _plan(place, "in", sink)
    assert caught.value.kind == "source_is_sink"


@pytest.mark.parametrize(
    ("source", "sink"), [("in/below", "in"), ("link/below", "in"), ("in/below", "link")]
)
def test_source_below_the_sink_is_refused(place: Path, source: str, sink: str) -> None:
    with pytest.raises(OverlapError) as caught:
        _plan(place, source, sink)
    assert caught.value.kind == "source_below_sink"


def test_sink_below_the_source_is_planned(place: Path) -> None:
    sink = _plan(place, "in", "in/out").plan["sink"]
    assert sink["uri"] == f"file://{place}/in/out"


def test_sources_of_one_name_are_refused(place: Path) -> None:
    (place / "other" / "in").mkdir(parents=True)
    with pytest.raises(SpecError, match="2 sources are called `in`"):
        _plan(place, ["in", "other/in"], "out")


def test_fifo_as_a_source_is_refused(place: Path) -> None:
    os.mkfifo(place / "fifo")
    with pytest.raises(SpecError, match="neither a directory nor a regular file"):
        _plan(place, "fifo", "out")


def test_sink_of_a_tree_that_is_a_file_is_refused(place: Path) -> None:
    with pytest.raises(SpecError) as caught:
        _plan(place, "in/below", "in/file")
    assert caught.value.kind == "sink_not_a_directory"


def test_step_that_makes_outputs_without_a_sink_is_refused(place: Path) -> None:
    with pytest.raises(SpecError) as caught:
        _plan(place, "in", None)
    assert caught.value.kind == "sink_missing"


@pytest.mark.parametrize(
    ("sink", "only"), [("new", "new"), ("new/", None), ("in", None), ("in/below", None)]
)
def test_sink_of_one_file_is_a_directory_only_where_it_looks_like_one(
    place: Path, sink: str, only: str | None
) -> None:
    assert _plan(place, "in/file", sink).plan["sink"]["only"] == only


def test_several_directories_are_prefixed_by_their_names(place: Path) -> None:
    (place / "b").mkdir()
    roots = _plan(place, ["in/", "b"], "out").plan["roots"]
    assert [root["prefix"] for root in roots] == ["in", "b"]


def test_named_link_to_a_file_means_the_file(place: Path) -> None:
    (place / "alias").symlink_to("in/file")
    (root,) = _plan(place, "alias", "out/").plan["roots"]
    assert (root["uri"], root["only"]) == (f"file://{place}/in", "file")


def test_hash_of_a_spec_ignores_spelling_and_said_defaults(place: Path) -> None:
    first = _plan(place, "in", "out", "compress")
    again = _plan(place, "in/", "./out/", "compress")
    assert first.spec_hash == again.spec_hash
    assert first.pipeline_hash == again.pipeline_hash
    assert _plan(place, "in", "out2", "compress").spec_hash != first.spec_hash


def test_prefix_that_is_source_and_sink_is_refused() -> None:
    for source in ("s3://b/a", "s3://b/a/deep", "s3+same://b/a"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("S3_ENDPOINT_URL", "http://h:1")
            patch.setenv("PRAVAH_S3_SAME_ENDPOINT_URL", "http://h:1")
            with pytest.raises(OverlapError):
                refuse_object_overlap([source], "s3://b/a")
    # A sink below the source is left out of the scan; another name is another prefix.
    refuse_object_overlap(["s3://b", "s3://b/ab", "s3://c/a"], "s3://b/a")


@pytest.mark.parametrize("other", ["in", "s3://c/a", "s3+lab://b/a"])
def test_sources_in_several_stores_are_not_replaced_in_place(other: str) -> None:
    mapping = {"source": ["s3://b/a", other], "steps": ["copy"], "in_place": True}
    with pytest.raises(SpecError) as caught:
        source_fate.sink_in_place(JobSpec.parse(mapping))
    assert caught.value.kind == "in_place_in_several_stores"
    assert "`s3://b/a`" in str(caught.value)


def test_objects_that_are_replaced_in_place_keep_what_they_have_beside_their_content() -> None:
    mapping = {"source": ["s3+lab://b/a/", "s3+lab://b/c"], "steps": ["copy"], "in_place": True}
    sink = source_fate.sink_in_place(JobSpec.parse(mapping))
    assert (sink["uri"], sink["preserve"]) == ("s3+lab://b/", ["mtime", "metadata", "tags"])


def test_unknown_scheme_is_refused(place: Path) -> None:
    with pytest.raises(SpecError) as caught:
        _plan(place, "ftp://host/x", "out")
    assert caught.value.kind == "unknown_scheme"
