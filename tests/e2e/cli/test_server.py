"""The command line on a real server: the same words, the same data, the same exit codes."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from tests.api_server import serving
from tests.e2e.cli.harness import Cli, Ran, assert_books_close

LOOKING = [
    ["jobs", "list"],
    ["jobs", "list", "--status", "failed", "--limit", "1"],
    ["jobs", "show", "JOB"],
    ["jobs", "files", "JOB"],
    ["jobs", "files", "JOB", "--outcome", "failed"],
    ["jobs", "files", "JOB", "--limit", "2"],
    ["jobs", "failures", "JOB"],
    ["jobs", "report", "JOB"],
    ["jobs", "results", "JOB"],
    ["jobs", "results", "JOB", "--format", "csv"],
    ["jobs", "results", "JOB", "--drift"],
    ["jobs", "logs", "JOB"],
    ["jobs", "watch", "JOB"],
]


@pytest.fixture
def remote(cli: Cli) -> Iterator[Cli]:
    """Give the command line with a server on its own ledger, which reaches its directory."""
    own = cli.env({"PRAVAH_ALLOWED_ROOTS": str(cli.directory)})
    with serving(own, cli.directory, "--workers", "1") as url:
        cli.environment["PRAVAH_URL"] = url
        yield cli


@pytest.fixture
def failing(remote: Cli, data: Path) -> dict[str, Any]:
    """Run a job on the server of which a file fails; give it."""
    (data / "bad.gz").write_bytes(b"\x1f\x8b\x08\x00 no gzip")
    steps = ["-s", "checksum", "-s", "{decompress: {}}"]
    ran = remote("run", data, "--to", remote.directory / "out", *steps, "--json")
    (job,) = ran.objects()
    assert ran.code == 1, ran.err
    return job


def seen(ran: Ran) -> tuple[int, str, str]:
    """Give what a command showed, but for how long ago things are."""
    return ran.code, re.sub(r"\d+ ?(s|min)( ago)?\b", "T", ran.out), ran.err


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_looking_at_jobs_is_the_same_here_and_on_the_server(
    remote: Cli, failing: dict[str, Any], form: list[str]
) -> None:
    for command in LOOKING:
        words = [failing["id"] if word == "JOB" else word for word in command] + form
        there, here = remote(*words), remote(*words, "--local")
        assert seen(there) == seen(here), command


def test_run_works_on_the_server_and_ends_as_a_run_here(remote: Cli, data: Path) -> None:
    out = remote.directory / "out"
    ran = remote("run", data, "--to", out, "-s", "compress:gzip", "--json")
    (job,) = ran.objects()
    assert (ran.code, job["status"]) == (0, "completed")
    assert_books_close(job)
    assert (out / "a.csv.gz").exists()
    told = ran.err.splitlines()
    assert told[0].startswith(f"{job['id']}  compress:gzip   data → out")
    assert any(line.startswith("✓ completed") for line in told)


def test_run_prints_findings_where_there_is_no_sink(remote: Cli, data: Path) -> None:
    ran = remote("run", data, "-s", "count")
    assert ran.code == 0, ran.err
    assert {record["path"] for record in ran.objects()} == {
        str(path) for path in data.rglob("*") if path.is_file()
    }


def test_same_command_goes_on_with_an_unfinished_job(cli: Cli, data: Path) -> None:
    own = cli.env({"PRAVAH_ALLOWED_ROOTS": str(cli.directory)})
    words = ["jobs", "create", data, "--to", cli.directory / "out", "-s", "copy", "--json"]
    with serving(own, cli.directory, "--workers", "0") as url:
        cli.environment["PRAVAH_URL"] = url
        (first,) = cli.ok(*words).objects()
        assert cli.ok("jobs", "pause", first["id"], "--json").objects()[0]["status"] == "paused"
        again, new = cli.ok(*words), cli.ok(*words, "--new")
    assert (again.objects()[0]["id"], again.objects()[0]["status"]) == (first["id"], "pending")
    assert again.err.startswith(f"resuming {first['id']}")
    assert new.objects()[0]["id"] != first["id"]


def test_plan_is_the_same_here_and_on_the_server(remote: Cli, data: Path) -> None:
    words = ["plan", data, "--to", remote.directory / "out", "-s", "compress"]
    there, here = remote(*words), remote(*words, "--local")
    steady = ("steps", "sink", "first", "nothing")
    assert [line for line in there.out.splitlines() if line.startswith(steady)] == [
        line for line in here.out.splitlines() if line.startswith(steady)
    ]
    assert (there.code, here.code) == (0, 0)
    assert remote(*words, "--json").objects()[0].keys() == (
        remote(*words, "--json", "--local").objects()[0].keys()
    )


def test_job_is_steered_to_its_end(remote: Cli, failing: dict[str, Any]) -> None:
    retried = remote("jobs", "retry", failing["id"], "--group", "f1", "--json")
    assert retried.objects()[0]["round"] == 2
    assert remote("jobs", "cancel", failing["id"]).code in (0, 2)
    assert remote("jobs", "delete", failing["id"]).code == 0
    gone = remote("jobs", "show", failing["id"])
    assert gone.code == 3
    assert "no job" in gone.err


def test_workers_are_those_of_the_server(remote: Cli) -> None:
    deadline = time.monotonic() + 60
    while not (workers := remote("workers", "list", "--json").objects()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert seen(remote("workers", "list"))[0] == 0
    assert [worker["pid"] > 0 for worker in workers] == [True]


def test_relative_path_is_refused_and_local_overrides(remote: Cli, data: Path) -> None:
    assert data.exists()
    there = remote("run", "data", "--to", "out", "-s", "copy")
    assert there.code == 2
    assert "`data` is relative, and the server http://127.0.0.1" in there.err
    assert "--local" in there.err
    here = remote("run", "data", "--to", "out", "-s", "copy", "--local")
    assert here.code == 0, here.err


def test_root_that_is_not_allowed_is_forbidden(remote: Cli) -> None:
    ran = remote("run", "/etc", "--to", remote.directory / "out", "-s", "copy")
    assert ran.code == 4
    assert "hint: " in ran.err


def test_report_as_parquet_is_the_same_here_and_on_the_server(
    remote: Cli, failing: dict[str, Any]
) -> None:
    tables = []
    for where in ((), ("--local",)):
        report = remote.directory / "report.parquet"
        remote.ok("jobs", "report", failing["id"], "-o", report, *where)
        tables.append(pyarrow.parquet.read_table(report))
    assert tables[0].num_rows == failing["counts"]["listed"]
    assert tables[0].equals(tables[1])


def test_story_of_a_file_is_the_same_here_and_on_the_server(remote: Cli, data: Path) -> None:
    out = remote.directory / "out"
    odd = os.fsencode(data) + b"/\xff.csv"
    with open(odd, "wb") as file:
        file.write(b"odd")
    job = remote.job(data, "--to", out, "-s", "copy")
    for words in (["why", data / "a.csv"], ["which", out / "a.csv"], ["why", odd]):
        there, here = remote(*words, "--json"), remote(*words, "--json", "--local")
        assert seen(there) == seen(here), words
        assert [mention["job"]["id"] for mention in there.objects()] == [job["id"]]
        # What is at the path today only the server's host can tell.
        there, here = remote(*words), remote(*words, "--local")
        assert seen(there)[1].splitlines()[1:] == seen(here)[1].splitlines()[1:]
        assert here.out.startswith(there.out.splitlines()[0])
    unknown, unknown_here = (remote("why", data / "no", *local) for local in ([], ["--local"]))
    assert seen(unknown) == seen(unknown_here)
    assert unknown.code == 3
    assert remote("why", "a.csv").code == 2
    assert remote("why", "/etc/passwd").code == 4


def test_limits_are_changed_and_outputs_taken_back_on_the_server(remote: Cli, data: Path) -> None:
    out = remote.directory / "out"
    job = remote.job(data, "--to", out, "-s", "copy")
    set_there = remote("jobs", "set", job["id"], "priority=3", "limits.tasks=2", "--json")
    assert set_there.code == 2  # it has ended, as it would be said here
    assert set_there.err == remote("jobs", "set", job["id"], "priority=3", "--local").err
    count = job["counts"]["done"]
    would = remote("jobs", "undo", job["id"], "--dry-run", "--json")
    assert seen(would) == seen(remote("jobs", "undo", job["id"], "--dry-run", "--json", "--local"))
    assert (would.objects()[0]["removed"], len(list(out.rglob("*.csv")))) == (count, 3)
    undone = remote("jobs", "undo", job["id"], "-y", "--json")
    assert (undone.code, undone.objects()[0]["removed"]) == (0, count)
    assert list(out.rglob("*.csv")) == []
    assert remote("jobs", "undo", job["id"], "--dry-run", "--json").objects()[0]["gone"] == count


def test_server_that_is_not_there_is_one_line_and_exit_code_7(cli: Cli) -> None:
    ran = cli("jobs", "list", env={"PRAVAH_URL": "http://127.0.0.1:1"})
    assert ran.code == 7
    assert ran.err.splitlines() == [
        "error: can't reach the server http://127.0.0.1:1",
        "  connection refused",
        "hint: PRAVAH_URL names it; `--local` works without it",
    ]
