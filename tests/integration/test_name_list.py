"""Jobs over the names of a list, in place of what would be found."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from pravah.errors import SpecError
from pravah.model.job import Job
from tests.integration.workspace import Workspace

NAMES_OF_A_UNIT = 8192
FILES = ("a.csv", "deep/b.csv", "deep/er/c.csv", "deep/d.txt", "other/e.csv")


@pytest.fixture(autouse=True)
def _files(workspace: Workspace) -> None:
    for name in FILES:
        workspace.write(name)


def _list(workspace: Workspace, content: bytes, name: str = "list.txt") -> str:
    path = workspace.root / name
    path.write_bytes(content)
    return str(path)


def _submit(workspace: Workspace, listed: str, **keys: Any) -> Job:
    source = {"uri": str(workspace.source), "files_from": listed, **keys}
    return workspace.submit("copy", source=source)


def _run(workspace: Workspace, listed: str, **keys: Any) -> Job:
    return workspace.finish(_submit(workspace, listed, **keys))


def test_names_are_done_once_each_and_nothing_else(workspace: Workspace) -> None:
    whole = os.fsencode(workspace.source / "other" / "e.csv")
    job = _run(workspace, _list(workspace, b"a.csv\n./deep//b.csv\na.csv\n" + whole))
    assert set(workspace.outputs()) == {"a.csv", "deep/b.csv", "other/e.csv"}
    assert (job.status, job.books.counts.listed) == ("completed", 3)


def test_names_that_end_in_nul_may_hold_newlines_and_any_byte(workspace: Workspace) -> None:
    odd = [b"new\nline", b"caf\xe9", b"100%", b" space "]
    for name in odd:
        workspace.write(os.fsdecode(name))
    _run(workspace, _list(workspace, b"\0".join([*odd, b"a.csv"])))
    assert {os.fsencode(name) for name in workspace.outputs()} == {*odd, b"a.csv"}


def test_directory_in_a_list_is_listed_once_with_what_is_below(workspace: Workspace) -> None:
    job = _run(workspace, _list(workspace, b"deep\ndeep/b.csv\na.csv\n"))
    assert set(workspace.outputs()) == {n for n in FILES if n != "other/e.csv"}
    assert job.books.counts.listed == 4


def test_filters_hold_for_named_files(workspace: Workspace) -> None:
    names = "\n".join(FILES).encode()
    job = _run(workspace, _list(workspace, names), include=["*.csv"], exclude=["er/"])
    assert set(workspace.outputs()) == {"a.csv", "deep/b.csv", "other/e.csv"}
    assert job.books.reasons == {"filtered:include": 1, "filtered:exclude": 1}


def test_name_that_is_missing_fails_by_default(workspace: Workspace) -> None:
    job = _run(workspace, _list(workspace, b"a.csv\nnone\ngone/none\n"))
    assert (job.status, job.books.counts.done, job.books.counts.failed) == ("failed", 1, 2)
    kinds = {line["error"]["kind"] for line in workspace.lines(job, "failed")}
    assert kinds == {"source_missing"}


def test_name_that_was_missing_is_done_by_a_retry(workspace: Workspace) -> None:
    job = _run(workspace, _list(workspace, b"a.csv\nlate.csv\n"))
    assert job.books.counts.failed == 1
    workspace.write("late.csv", b"late")
    retried = workspace.finish(workspace.jobs.retry(job.id))
    assert (retried.status, retried.books.counts.done) == ("completed", 2)
    assert workspace.outputs()["late.csv"] == b"late"


def test_name_below_a_file_is_missing(workspace: Workspace) -> None:
    job = _run(workspace, _list(workspace, b"a.csv\na.csv/below\n"))
    assert (job.books.counts.done, job.books.counts.failed) == (1, 1)
    (line,) = workspace.lines(job, "failed")
    assert line["error"]["kind"] == "source_missing"


def test_list_without_ends_of_lines_is_refused(workspace: Workspace) -> None:
    with pytest.raises(SpecError) as refused:
        _run(workspace, _list(workspace, b"x" * 70_000))
    assert refused.value.kind == "invalid_list"


def test_name_that_is_missing_may_be_ignored(workspace: Workspace) -> None:
    job = _run(workspace, _list(workspace, b"a.csv\nnone\ngone/none\n"), missing="ignore")
    assert (job.status, job.books.counts.done) == ("completed", 1)
    assert job.books.reasons == {"filtered:missing": 2}


def test_names_that_collide_across_units_fail_and_name_each_other(workspace: Workspace) -> None:
    names = [f"{number:05}.gz" for number in range(NAMES_OF_A_UNIT)]
    names.append(names[-1].replace(".gz", ".zst"))
    for name in names[-2:]:
        workspace.write(name)
    listed = _list(workspace, "\n".join(names).encode())
    source = {"uri": str(workspace.source), "files_from": listed, "missing": "ignore"}
    job = workspace.finish(workspace.submit("decompress", source=source))
    assert (job.books.counts.failed, job.books.counts.filtered) == (2, NAMES_OF_A_UNIT - 1)
    (failure,) = workspace.jobs.failures(job.id)
    assert failure.kind == "output_collision"


def test_list_without_names_is_a_job_without_files(workspace: Workspace) -> None:
    job = _run(workspace, _list(workspace, b"\n\n"))
    assert (job.status, job.books.counts.listed) == ("completed", 0)


@pytest.mark.parametrize("name", [b"../outside", b"deep/../../x", b"/etc/passwd"])
def test_name_outside_of_the_source_is_refused(workspace: Workspace, name: bytes) -> None:
    with pytest.raises(SpecError, match="line 2 names") as refused:
        _submit(workspace, _list(workspace, b"a.csv\n" + name + b"\n"))
    assert refused.value.kind == "invalid_list"


def test_account_of_a_job_is_a_list_in_each_form(workspace: Workspace) -> None:
    first = workspace.run("copy", source={"uri": str(workspace.source), "type": "csv"})
    lines = b"".join(workspace.jobs.files(first.id))
    ndjson = _list(workspace, lines, "account.ndjson")
    parquet = workspace.root / "account.parquet"
    workspace.jobs.write_account(first.id, parquet)
    for listed in (ndjson, str(parquet), f"job:{first.id}", f"job:{first.id}/done"):
        job = _run(workspace, listed)
        assert (job.status, job.books.counts.listed) == ("completed", 4)
    assert _run(workspace, f"job:{first.id}/failed").books.counts.listed == 0


def test_files_of_a_job_have_the_sources_of_that_job(workspace: Workspace) -> None:
    first = workspace.run("decompress")
    assert first.books.counts.failed == len(FILES)
    job = workspace.run("copy", source={"files_from": f"job:{first.id}/failed"})
    assert (job.status, set(workspace.outputs())) == ("completed", set(FILES))


def test_same_names_go_on_with_an_unfinished_job(workspace: Workspace) -> None:
    listed = _list(workspace, b"a.csv\ndeep/b.csv\n")
    job = _submit(workspace, listed)
    _list(workspace, b"deep/b.csv\0a.csv\0a.csv")
    assert _submit(workspace, listed).id == job.id
    _list(workspace, b"a.csv\n")
    assert _submit(workspace, listed).id != job.id
    Path(listed).unlink()
    workspace.finish(job)  # the list itself is needed no more
    assert set(workspace.outputs()) == {"a.csv", "deep/b.csv"}


@pytest.mark.parametrize("side", ["before", "after"])
def test_many_names_are_each_done_once_through_a_kill(workspace: Workspace, side: str) -> None:
    names = [f"n/{number:05}" for number in range(9_000)]
    for name in names[::10]:
        workspace.write(name)
    listed = _list(workspace, "\n".join(names).encode())
    job = _submit(workspace, listed, missing="ignore")
    killed = workspace.worker(job.id, PRAVAH_FAILPOINTS=f"ledger.emit.{side}_commit=2")
    assert killed.wait(timeout=120) == -signal.SIGKILL
    ended = workspace.finish(job)
    assert (ended.status, ended.books.counts.done) == ("completed", 900)
    assert ended.books.reasons == {"filtered:missing": 8_100}
    assert len(workspace.outputs()) == 900
