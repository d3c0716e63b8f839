"""Which files count: the source's keys end to end, and what the books say of the rest."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from pravah.errors import SpecError
from pravah.model.job import Job
from tests.integration.workspace import Workspace


@pytest.fixture(autouse=True)
def _files(workspace: Workspace) -> None:
    workspace.write("a.csv", b"x" * 10)
    workspace.write("B.CSV.gz", b"x" * 2_000)
    workspace.write("deep/c.txt", b"x" * 2_000)
    workspace.write("deep/er/d.json", b"x" * 3_000)
    week_ago_s = time.time() - 7 * 86_400
    os.utime(workspace.source / "deep" / "c.txt", (week_ago_s, week_ago_s))


def _run(workspace: Workspace, **keys: Any) -> Job:
    return workspace.run("copy", source={"uri": str(workspace.source), **keys})


@pytest.mark.parametrize(
    ("keys", "left", "reasons"),
    [
        ({"min_size": "1kB"}, {"B.CSV.gz", "deep/c.txt", "deep/er/d.json"}, {"filtered:size": 1}),
        ({"max_size": "2kB"}, {"a.csv", "B.CSV.gz", "deep/c.txt"}, {"filtered:size": 1}),
        ({"newer_than": "1d"}, {"a.csv", "B.CSV.gz", "deep/er/d.json"}, {"filtered:time": 1}),
        ({"older_than": "1d"}, {"deep/c.txt"}, {"filtered:time": 3}),
        ({"max_size": 0}, set(), {"filtered:size": 4}),
        ({"older_than": "2001-01-01"}, set(), {"filtered:time": 4}),
        ({"older_than": "1970-01-01"}, set(), {"filtered:time": 4}),
        ({"type": "csv"}, {"a.csv", "B.CSV.gz"}, {"filtered:type": 2}),
        ({"type": ["json", "text"]}, {"deep/c.txt", "deep/er/d.json"}, {"filtered:type": 2}),
        ({"max_depth": 1}, {"a.csv", "B.CSV.gz"}, {"filtered:max_depth": 1}),
        ({"include": ["*.csv.GZ"], "ignore_case": True}, {"B.CSV.gz"}, {"filtered:include": 3}),
    ],
)
def test_key_of_the_source_decides_what_is_listed(
    workspace: Workspace, keys: dict[str, Any], left: set[str], reasons: dict[str, int]
) -> None:
    job = _run(workspace, **keys)
    assert set(workspace.outputs()) == left
    assert job.books.reasons == reasons
    assert job.books.counts.filtered == sum(reasons.values())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"type": "cvs"}, "type is `cvs`"),
        ({"min_size": "2kB", "max_size": "1kB"}, "min_size"),
        ({"newer_than": "yesterday"}, "`yesterday`"),
        ({"max_depth": 0}, "max_depth"),
        ({"min_size": "big"}, "`big`"),
    ],
)
def test_filter_that_can_not_be_meant_is_refused(
    workspace: Workspace, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        _run(workspace, **keys)


def test_type_that_is_misspelt_is_answered_with_the_one_that_is_meant(workspace: Workspace) -> None:
    with pytest.raises(SpecError) as refused:
        _run(workspace, type="parqet")
    assert refused.value.hint == "did you mean `parquet`?"


def test_same_command_with_an_age_goes_on_with_the_unfinished_job(workspace: Workspace) -> None:
    source = {"uri": str(workspace.source), "newer_than": "1d"}
    first = workspace.submit("copy", source=source)
    assert workspace.submit("copy", source=source).id == first.id
    other = {**source, "newer_than": "2d"}
    assert workspace.submit("copy", source=other).id != first.id


def test_spec_with_filters_is_written_as_it_was_read(workspace: Workspace) -> None:
    keys = {"min_size": "1KiB", "older_than": "2026-01-31", "type": ["csv"], "max_depth": 3}
    spec = workspace.spec("copy", source={"uri": "data/", **keys})
    assert {k: spec.to_dict()["source"][k] for k in keys} == keys
