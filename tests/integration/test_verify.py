"""The step `verify` against lists that the system's own tools write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pravah.errors import SourceMissingError, SpecError
from tests.integration.workspace import Workspace

NAMES = [b"a.csv", b"deep/b c.csv", b"deep/new\nline", b"deep/back\\slash", b"caf\xe9"]


@pytest.fixture(autouse=True)
def _files(workspace: Workspace) -> None:
    for name in NAMES:
        workspace.write(os.fsdecode(name), b"content of " + name)


def _sums(workspace: Workspace, *command: str, where: str = "SUMS") -> Path:
    """Have a tool of the system write a list of all sources."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]}")
    names = [p.relative_to(workspace.source) for p in workspace.source.rglob("*") if p.is_file()]
    written = subprocess.run(
        [*command, "--", *sorted(names)], cwd=workspace.source, capture_output=True, check=True
    )
    path = workspace.root / where
    path.write_bytes(written.stdout)
    return path


@pytest.mark.parametrize(
    "command",
    [
        ("sha256sum",),
        ("sha256sum", "--tag"),
        ("sha256sum", "-z"),
        ("md5sum", "-b"),
        ("sha1sum",),
        ("b3sum",),
    ],
)
def test_list_of_a_tool_verifies_each_name_that_it_writes(
    workspace: Workspace, command: tuple[str, ...]
) -> None:
    if command[0] == "b3sum":  # it writes names that are not UTF-8 as something else
        (workspace.source / os.fsdecode(b"caf\xe9")).unlink()
    path = _sums(workspace, *command, where=f"{command[0]}.txt")
    job = workspace.run({"verify": {"manifest": str(path)}}, "copy")
    files = len(path.read_bytes().split(b"\0" if "-z" in command else b"\n")) - 1
    assert (job.status, job.books.counts.done) == ("completed", files)
    assert len(workspace.outputs()) == files >= len(NAMES) - 1


def test_findings_of_checksum_are_a_list_that_verifies(workspace: Workspace) -> None:
    found = workspace.run("checksum", sink=None)
    path = workspace.root / "checksums.ndjson"
    path.write_bytes(b"".join(workspace.jobs.results(found.id)))
    job = workspace.run({"verify": {"manifest": str(path)}}, sink=None)
    assert (job.status, job.books.counts.done) == ("completed", len(NAMES))


def test_file_that_differs_or_is_not_named_fails_and_the_rest_is_done(
    workspace: Workspace,
) -> None:
    path = _sums(workspace, "sha256sum")
    workspace.write("a.csv", b"content of b.csv")
    workspace.write("unknown", b"")
    job = workspace.run({"verify": {"manifest": str(path)}}, "copy")
    assert job.status == "failed"
    failed = {line["path"]: line["error"] for line in workspace.lines(job, "failed")}
    kinds = {Path(path).name: error["kind"] for path, error in failed.items()}
    assert kinds == {"a.csv": "checksum_mismatch", "unknown": "not_in_manifest"}
    assert {"a.csv", "unknown"}.isdisjoint(workspace.outputs())
    assert len(workspace.outputs()) == len(NAMES) - 1


def test_file_that_is_not_named_may_pass_and_its_record_says_so(workspace: Workspace) -> None:
    path = _sums(workspace, "sha256sum")
    workspace.write("unknown", b"")
    job = workspace.run({"verify": {"manifest": str(path), "unlisted": "pass"}}, sink=None)
    assert job.status == "completed"
    records = [json.loads(line) for line in b"".join(workspace.jobs.results(job.id)).splitlines()]
    verified = {Path(record["path"]).name: record["verified"] for record in records}
    assert verified.pop("unknown") is False
    assert all(verified.values())


def test_list_that_has_changed_makes_another_job(workspace: Workspace) -> None:
    path = _sums(workspace, "sha256sum")
    step = {"verify": {"manifest": str(path)}}
    first = workspace.submit(step, sink=None)
    assert workspace.submit(step, sink=None).id == first.id
    path.write_bytes(path.read_bytes() + b"\n")
    assert workspace.submit(step, sink=None).id != first.id


def test_list_that_is_missing_or_no_list_is_refused(workspace: Workspace) -> None:
    with pytest.raises(SourceMissingError, match="no file"):
        workspace.submit({"verify": {"manifest": str(workspace.root / "none")}}, sink=None)
    path = workspace.root / "poem.txt"
    path.write_text("no checksums here\n")
    with pytest.raises(SpecError, match="line 1 of"):
        workspace.submit({"verify": {"manifest": str(path)}}, sink=None)
