"""Units, URIs, ids, budgets and statuses."""

from __future__ import annotations

import doctest
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pravah import failpoints
from pravah.errors import SpecError
from pravah.model import budget, ids, job, report, status, units, uri
from pravah.model.status import TRANSITIONS, JobStatus, Subject, TaskStatus, change, mermaid


@pytest.mark.parametrize("module", [budget, failpoints, ids, units, uri])
def test_examples_of_the_module_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@given(st.integers(0, 1 << 50))
def test_size_written_is_read_again(size_bytes: int) -> None:
    assert units.read_size(units.write_size(size_bytes)) == size_bytes


@given(st.integers(0, 10**9))
def test_duration_written_is_read_again(duration_ms: int) -> None:
    written = units.write_duration(duration_ms / 1000)
    assert units.read_duration(written) == pytest.approx(duration_ms / 1000)


@pytest.mark.parametrize("value", [True, -1, "5", "5 parsecs", "", None, [], "1e3s", "٣s"])
def test_duration_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="is expected"):
        units.read_duration(value)


@given(st.binary(min_size=1, max_size=40).filter(lambda name: not {0, 47} & set(name)))
def test_uri_of_any_name_gives_its_path_again(name: bytes) -> None:
    if name in (b".", b".."):
        return
    made = uri.absolute_uri("./" + os.fsdecode(name), b"/base")
    assert made.isascii()
    assert uri.uri_path(made) == b"/base/" + name


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("out", "file:///base/out"),
        ("out/", "file:///base/out/"),
        ("./a/./b//", "file:///base/a/b/"),
        ("/", "file:///"),
        ("//x", "file:///x"),
        ("file:///a%20b", "file:///a%20b"),
        ("file://localhost/a", "file:///a"),
        ("C:x", "file:///base/C%3Ax"),
        ("null:", "null:"),
    ],
)
def test_uri_of_a_typed_path_is_absolute(typed: str, expected: str) -> None:
    assert uri.absolute_uri(typed, b"/base") == expected


def test_uri_of_a_way_up_behind_a_link_is_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/deep")
    made = uri.absolute_uri("link/../x", bytes(tmp_path))
    assert uri.uri_path(made) == bytes(tmp_path.resolve() / "real" / "x")
    made = uri.typed_uri(bytes(tmp_path) + b"/link/../\xff")
    assert uri.uri_path(made) == bytes(tmp_path.resolve() / "real") + b"/\xff"


@pytest.mark.parametrize("typed", ["", "a\0b", "file://host/x", "file:x", "ftp://x"])
def test_uri_that_names_no_local_path_is_refused(typed: str) -> None:
    if typed == "file:x":
        assert uri.absolute_uri(typed, b"/base") == "file:///base/file%3Ax"
        return
    with pytest.raises(SpecError):
        uri.absolute_uri(typed, b"/base")


@pytest.mark.parametrize("typed", ["s3://bucket/a b+%2F/é", "s3+lab://bucket/", "s3://b/"])
def test_uri_of_an_object_store_stays_as_it_is_typed(typed: str) -> None:
    assert uri.absolute_uri(typed, b"/base") == typed
    assert uri.shown_uri(uri.planned_uri(typed)) == typed


def test_uri_without_a_bucket_means_the_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_BUCKET_NAME", "mine")
    assert uri.absolute_uri("s3:///a/b", b"/") == "s3://mine/a/b"
    with pytest.raises(SpecError):
        uri.absolute_uri("s3+lab:///a/b", b"/")


def test_ids_sort_by_time_and_are_read_in_any_case() -> None:
    made = [ids.new_id() for _ in range(10_000)]
    assert {len(made_id) for made_id in made} == {26}
    assert made == sorted(set(made))
    assert ids.typed(ids.shown(made[0]).lower().replace("job_", "job_")) == made[0]
    assert ids.typed("JOB!") is None


def test_time_is_written_in_utc() -> None:
    assert units.write_time(0) == "1970-01-01T00:00:00.000000Z"
    assert units.write_time(None) is None


def test_every_status_can_be_reached_and_left_as_its_comment_says() -> None:
    for subject, statuses in ((Subject.JOB, JobStatus), (Subject.TASK, TaskStatus)):
        rows = [row for row in TRANSITIONS if row.subject == subject]
        reached = {"pending"} | {row.target for row in rows}
        assert reached == set(statuses)
        assert all(row.mover for row in rows)


def test_every_change_leads_to_one_status() -> None:
    for row in TRANSITIONS:
        sources, target = change(row.subject, row.name)
        assert row.source in sources
        assert row.target == target


def test_ended_statuses_are_those_that_only_a_retry_leaves() -> None:
    left = {row.source for row in TRANSITIONS if row.subject == "job" and row.name != "retry"}
    assert {status for status in JobStatus if status.ended} == set(JobStatus) - left


def test_diagram_draws_every_transition() -> None:
    for subject in Subject:
        edges = re.findall(r"^    (\w+) --> (\w+): (\w+)$", mermaid(subject), re.MULTILINE)
        rows = [row for row in TRANSITIONS if row.subject == subject]
        assert edges == [(row.source, row.target, row.name) for row in rows]


def test_books_are_closed_only_when_they_add_up() -> None:
    assert job.Counts(listed=3, done=1, failed=1, remaining=1).closed
    assert not job.Counts(listed=3, done=1).closed
    assert not job.Counts(listed=1, done=2, remaining=-1).closed


def test_failures_of_tasks_become_groups_by_kind_step_and_pattern() -> None:
    def group(pattern: str, count: int, *examples: str) -> dict[str, object]:
        shared = {"kind": "corrupt_input", "step": "decompress", "message": pattern}
        return {**shared, "pattern": pattern, "count": count, "examples": list(examples)}

    merged = report.failures(
        [
            {"failures": [group("a", 1, "1"), group("b", 2, "2", "3")]},
            {"failures": [group("a", 4, "4", "5", "6")]},
            {},
        ]
    )
    assert [(f.id, f.pattern, f.count) for f in merged] == [("F1", "a", 5), ("F2", "b", 2)]
    assert merged[0].examples == ("1", "4", "5")


def test_slowest_files_are_those_of_all_tasks() -> None:
    files = [{"path": str(n), "duration_s": n, "size_bytes": 0} for n in range(30)]
    found = report.slowest([{"slowest": files[:15]}, {"slowest": files[15:]}])
    assert [file["duration_s"] for file in found] == list(range(29, 19, -1))


def test_module_of_statuses_has_no_status_without_use() -> None:
    assert set(JobStatus) == {
        row.target for row in TRANSITIONS if row.subject == status.Subject.JOB
    }
