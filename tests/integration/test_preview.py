"""What a job would do, told without doing it."""

from __future__ import annotations

import pytest

from pravah.errors import SourceMissingError
from tests.integration.workspace import Workspace


def test_preview_tells_entries_outputs_and_a_prediction(workspace: Workspace) -> None:
    workspace.fill(100, size_bytes=2000)
    workspace.write("skip.log")
    source = {"uri": str(workspace.source), "exclude": ["*.log"]}
    told = workspace.application.preview(workspace.spec("compress", source=source)).to_dict()
    assert (told["entries"], told["filtered"]) == (100, 1)
    assert told["bytes"] == sum(p.stat().st_size for p in workspace.source.rglob("*.txt"))
    assert told["outputs"][0].startswith(f"file://{workspace.sink}/d")
    assert told["outputs"][0].endswith(".txt.zst")
    assert 0 < told["predicted"]["output_bytes"] < told["bytes"]


def test_preview_writes_nothing(workspace: Workspace) -> None:
    workspace.fill(10)
    workspace.application.preview(workspace.spec("copy"))
    assert not workspace.sink.exists()
    assert not workspace.home.exists()


def test_preview_names_problems_of_the_first_files(workspace: Workspace) -> None:
    workspace.write("bad.gz", b"no gzip")
    told = workspace.application.preview(workspace.spec("decompress"))
    (problem,) = told.problems
    assert problem["path"].endswith("bad.gz")
    assert problem["kind"]


def test_preview_tells_whether_the_budget_would_hold(workspace: Workspace) -> None:
    workspace.write("bad.gz", b"no gzip")
    for budget, holds in ((0, False), (1, True)):
        spec = workspace.spec("decompress", on_error={"budget": budget})
        assert workspace.application.preview(spec).within_budget is holds


def test_preview_of_an_empty_source_predicts_nothing(workspace: Workspace) -> None:
    told = workspace.application.preview(workspace.spec("copy"))
    assert (told.entries, told.outputs, told.predicted) == (0, [], None)


def test_preview_of_a_missing_source_is_refused(workspace: Workspace) -> None:
    with pytest.raises(SourceMissingError):
        workspace.application.preview(workspace.spec("copy", source=str(workspace.root / "no")))
