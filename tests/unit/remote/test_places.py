"""Paths that a server can't know are refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from pravah.errors import NotYetError, SpecError
from pravah.model.spec import JobSpec
from pravah.remote.places import require_absolute

WHOLE: dict[str, Any] = {"source": {"uri": "/in"}, "sink": {"uri": "/out"}, "steps": ["copy"]}
RELATIVE: list[dict[str, Any]] = [
    {"source": {"uri": ["/in", "here/"]}},
    {"source": {"files_from": "/list"}},
    {"source": {"uri": "/in", "files_from": "list"}},
    {"source": {"uri": "/in", "after": {"move": "done/"}}},
    {"sink": {"uri": "out/"}},
    {"results": {"uri": "found/"}},
    {"steps": [{"verify": {"manifest": "SHA256SUMS"}}]},
]


@pytest.mark.parametrize("changed", RELATIVE, ids=str)
def test_relative_path_is_refused_wherever_it_stands(changed: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as error:
        require_absolute(JobSpec.parse(WHOLE | changed), "http://server")
    assert error.value.kind == "relative_path"


@pytest.mark.parametrize(
    "source", ["/in", "file:///in", "s3://bucket/prefix", {"files_from": "job:job_01/failed"}]
)
def test_whole_path_is_taken(source: Any) -> None:
    require_absolute(JobSpec.parse(WHOLE | {"source": source}), "http://server")


def test_names_from_stdin_are_refused() -> None:
    spec = JobSpec.parse(WHOLE | {"source": {"uri": "/in", "files_from": "-"}})
    with pytest.raises(NotYetError):
        require_absolute(spec, "http://server")
