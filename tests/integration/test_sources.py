"""What a job's sources may be: globs, and links that are followed."""

from __future__ import annotations

from typing import Any

import pytest

from pravah.errors import OverlapError, SourceMissingError, SpecError
from tests.integration.workspace import Workspace


@pytest.fixture(autouse=True)
def _files(workspace: Workspace) -> None:
    for name in ("2025/a.csv", "2026/a.csv", "2026/deep/b.csv", "2026/c.txt", "x.csv"):
        workspace.write(name)


def _outputs(workspace: Workspace, uri: str | list[str], **keys: Any) -> set[str]:
    job = workspace.run("copy", source={"uri": uri, **keys})
    assert job.status == "completed"
    return set(workspace.outputs())


@pytest.mark.parametrize(
    ("glob", "outputs"),
    [
        ("*.csv", {"x.csv"}),
        ("**/*.csv", {"2025/a.csv", "2026/a.csv", "2026/deep/b.csv", "x.csv"}),
        ("2026/*.csv", {"a.csv"}),
        ("20*/a.csv", {"2025/a.csv", "2026/a.csv"}),
        ("202[56]/*/", {"2026/deep/b.csv"}),
        ("*/d*", {"2026/deep/b.csv"}),
        ("*/", {"2025/a.csv", "2026/a.csv", "2026/deep/b.csv", "2026/c.txt"}),
        ("none/*.csv", set()),
    ],
)
def test_glob_takes_what_it_matches_below_its_literal_beginning(
    workspace: Workspace, glob: str, outputs: set[str]
) -> None:
    (workspace.source / "none").mkdir()
    assert _outputs(workspace, f"{workspace.source}/{glob}") == outputs


def test_glob_and_filters_both_have_to_take_a_file(workspace: Workspace) -> None:
    glob = f"{workspace.source}/2026/**"
    assert _outputs(workspace, glob, exclude=["deep/"], type="csv") == {"a.csv"}


def test_globs_of_one_directory_are_one_source(workspace: Workspace) -> None:
    globs = [f"{workspace.source}/*.csv", f"{workspace.source}/20*/c.txt"]
    outputs = _outputs(workspace, globs)
    assert outputs == {"x.csv", "2026/c.txt"}


@pytest.mark.parametrize(
    "names",
    [
        ("", "2026"),
        ("2026/deep", ""),
        ("2026/a.csv", ""),
        ("link", "2026"),
        ("*/a.csv", "2026/*.csv"),
        ("20*", "2026/deep"),
        ("*/a.csv", "2026/a.csv"),
    ],
)
@pytest.mark.parametrize("place", [{}, {"sink": None, "in_place": True}])
def test_source_within_another_is_refused(
    workspace: Workspace, names: tuple[str, str], place: dict[str, Any]
) -> None:
    (workspace.source / "link").symlink_to("2026")
    sources = [f"{workspace.source}/{name}".rstrip("/") for name in names]
    with pytest.raises(OverlapError, match="each file counts once") as refused:
        workspace.submit("compress", source=sources, **place)
    assert refused.value.kind == "nested_sources"


@pytest.mark.parametrize(
    ("names", "outputs"),
    [
        (("*.csv", "2026/*.csv"), {"source/x.csv", "2026/a.csv"}),
        (("2025", "2026/deep"), {"2025/a.csv", "deep/b.csv"}),
        (("*/a.csv", "2026/c.txt"), {"source/2025/a.csv", "source/2026/a.csv", "c.txt"}),
    ],
)
def test_source_of_which_an_outer_one_takes_nothing_is_another(
    workspace: Workspace, names: tuple[str, str], outputs: set[str]
) -> None:
    assert _outputs(workspace, [f"{workspace.source}/{name}" for name in names]) == outputs


def test_file_that_is_called_like_a_glob_is_meant_by_it(workspace: Workspace) -> None:
    workspace.write("*.csv", b"itself")
    workspace.run("copy", source=f"{workspace.source}/*.csv")
    assert workspace.sink.read_bytes() == b"itself"  # one file's sink is a file


def test_glob_below_nothing_is_a_missing_source(workspace: Workspace) -> None:
    with pytest.raises(SourceMissingError, match="nowhere"):
        workspace.submit("copy", source=f"{workspace.source}/nowhere/*.csv")


def test_glob_that_is_none_is_refused(workspace: Workspace) -> None:
    with pytest.raises(SpecError) as refused:
        workspace.submit("copy", source=f"{workspace.source}/[b-a]")
    assert refused.value.kind == "invalid_pattern"


def test_job_that_follows_links_does_each_path_and_counts_loops(workspace: Workspace) -> None:
    outside = workspace.root / "outside"
    outside.mkdir()
    (outside / "o.csv").write_bytes(b"outside")
    (workspace.source / "2025" / "up").symlink_to("..")
    (workspace.source / "out").symlink_to(outside)
    (workspace.source / "again.csv").symlink_to("x.csv")
    (workspace.source / "nowhere").symlink_to("missing")
    job = workspace.run("copy", source={"uri": str(workspace.source), "follow_symlinks": True})
    own = {"2025/a.csv", "2026/a.csv", "2026/deep/b.csv", "2026/c.txt", "x.csv"}
    assert set(workspace.outputs()) == own | {"again.csv", "out/o.csv"}
    assert workspace.outputs()["out/o.csv"] == b"outside"
    assert job.books.reasons == {"filtered:link_loop": 1, "skipped:symlink": 1}
    assert job.status == "completed"


def test_second_run_that_follows_links_skips_what_is_unchanged(workspace: Workspace) -> None:
    (workspace.source / "again.csv").symlink_to("x.csv")
    source = {"uri": str(workspace.source), "follow_symlinks": True}
    workspace.run("copy", source=source, sink={"uri": str(workspace.sink)})
    (workspace.source / "x.csv").write_bytes(b"changed meanwhile\n")
    again = workspace.run("copy", source=source)
    assert again.books.counts.done >= 2
    assert workspace.outputs()["again.csv"] == b"changed meanwhile\n"


@pytest.mark.parametrize("keys", [{"in_place": True, "sink": None}, {}])
def test_links_are_not_followed_where_sources_go(
    workspace: Workspace, keys: dict[str, Any]
) -> None:
    after = {} if keys else {"after": "delete"}
    source = {"uri": str(workspace.source), "follow_symlinks": True, **after}
    with pytest.raises(SpecError) as refused:
        workspace.submit("compress", source=source, **keys)
    assert refused.value.kind == "links_followed"
