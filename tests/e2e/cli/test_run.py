"""`pravah run` from the first command to the account, with its files."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.cli.harness import Cli


def test_run_writes_its_account_to_stderr_and_nothing_to_stdout(cli: Cli, data: Path) -> None:
    assert data.exists()
    ran = cli.ok("run", "data", "--to", "out", "-s", "compress")
    assert ran.out == ""
    head, *account = ran.err.splitlines()
    assert re.fullmatch(r"job_\w{26}  compress   data → out/?", head)
    text = "\n".join(account)
    assert re.search(r"^✓ completed in [\d.]+ m?s +job_\w{26}$", text, re.MULTILINE)
    assert re.search(r"^  listed +5   \d+ B|^  listed +5   [\d.]+ KiB", text, re.MULTILINE)
    assert re.search(r"^  done +5   .* → ", text, re.MULTILINE)
    assert re.search(
        r"^  report +pravah jobs report job_\w{26} -o report.parquet$", text, re.MULTILINE
    )
    assert "\x1b" not in ran.err


def test_run_quiet_prints_nothing_when_all_is_well(cli: Cli, data: Path) -> None:
    assert data.exists()
    ran = cli.ok("run", "data", "--to", "out", "-s", "copy", "-q")
    assert (ran.out, ran.err) == ("", "")


def test_run_again_skips_what_is_unchanged(cli: Cli, settled: Path) -> None:
    cli.ok("run", "data", "--to", "out", "-s", "copy")
    (settled / "new.csv").write_text("id\n")
    ran = cli.ok("run", "data", "--to", "out", "-s", "copy")
    assert re.search(r"^  done +1 ", ran.err, re.MULTILINE)
    assert re.search(r"^  skipped +5   unchanged$", ran.err, re.MULTILINE)


def test_run_of_failing_files_groups_them_and_says_how_to_retry(cli: Cli, data: Path) -> None:
    assert data.exists()
    ran = cli("run", "data", "--to", "out", "-s", "decompress")
    assert ran.code == 1
    assert "✗ failed in" in ran.err
    assert re.search(r"failures \(5 files, \d causes?\)", ran.err)
    assert "not_compressed" in ran.err
    assert re.search(r"retry: pravah jobs retry job_\w{26} --group F1", ran.err)


def test_failures_off_a_terminal_are_whole_and_without_rows_of_blanks(cli: Cli, data: Path) -> None:
    assert data.exists()
    job = cli.job("data", "--to", "out", "-s", "decompress")
    told = cli.ok("jobs", "failures", job["id"])
    assert "retry: pravah jobs retry " in told.out
    assert "…" not in told.out
    assert " " * 100 not in told.out


def test_failures_within_the_budget_are_no_failure_of_the_job(cli: Cli, data: Path) -> None:
    import gzip

    (data / "whole.gz").write_bytes(gzip.compress(b"x"))
    ran = cli("run", "data", "--to", "out", "-s", "decompress", "--budget", "5")
    assert ran.code == 0, ran.err
    assert re.search(r"^  failed +5   within the budget of 5$", ran.err, re.MULTILINE)


def test_retry_of_a_group_does_what_has_become_possible(cli: Cli, data: Path) -> None:
    import gzip

    job = cli.job("data", "--to", "out", "-s", "decompress")
    for path in data.rglob("*"):
        if path.is_file():
            path.write_bytes(gzip.compress(b"now it is one"))
    first, *others = cli.ok("jobs", "failures", job["id"], "--json").objects()
    assert first["count"] + sum(group["count"] for group in others) == 5
    retried = cli("jobs", "retry", job["id"], "--group", "F1", "--json")
    assert retried.objects()[0]["counts"]["done"] == first["count"]
    for _ in others:
        # What is left is numbered anew.
        cli("jobs", "retry", job["id"], "--group", "F1")
    (after,) = cli.ok("jobs", "show", job["id"], "--json").objects()
    assert after["counts"]["done"] == 5
    assert after["status"] == "completed"


def test_run_of_inspect_steps_prints_what_they_found(cli: Cli, data: Path) -> None:
    assert data.exists()
    ran = cli.ok("run", "data", "-s", "checksum:sha256")
    found = {
        os.path.relpath(record["path"], cli.directory / "data"): record for record in ran.objects()
    }
    assert list(found) == sorted(found)
    assert set(found) == {"a.csv", "b.csv", "deep/c.csv", "deep/d.txt", "empty"}
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert empty in json.dumps(found["empty"])


def test_run_of_one_file_writes_one_file(cli: Cli, data: Path) -> None:
    assert data.exists()
    cli.ok("run", "data/a.csv", "-s", "compress:gzip", "--to", "one.gz")
    assert (cli.directory / "one.gz").is_file()
    cli.ok("run", "data/a.csv", "-s", "compress:gzip", "--to", "many/")
    assert (cli.directory / "many" / "a.csv.gz").is_file()
    (cli.directory / "there").mkdir()
    cli.ok("run", "data/a.csv", "-s", "compress:gzip", "--to", "there")
    assert (cli.directory / "there" / "a.csv.gz").is_file()


def test_run_of_several_roots_puts_each_below_its_name(cli: Cli, data: Path) -> None:
    other = cli.directory / "other"
    other.mkdir()
    (other / "z").touch()
    assert data.exists()
    cli.ok("run", "data", "other", "--to", "out", "-s", "copy")
    assert (cli.directory / "out" / "data" / "deep" / "c.csv").is_file()
    assert (cli.directory / "out" / "other" / "z").is_file()


def test_documented_flags_are_aliases(cli: Cli, data: Path) -> None:
    assert data.exists()
    documented = "jobs create --source-path data --destination-path out --processor copy"
    ran = cli.ok(*documented.split(), "--wait")
    assert "completed" in ran.err
    assert (cli.directory / "out" / "a.csv").is_file()


def test_run_from_a_spec_file_and_set_agree_with_the_flags(cli: Cli, settled: Path) -> None:
    assert settled.exists()
    (cli.directory / "spec.yaml").write_text(
        "version: 1\nname: nightly\nsource: {uri: data, include: ['*.csv']}\n"
        "steps:\n  - compress: {codec: gzip}\nsink: out\n"
    )
    ran = cli("run", "-f", "spec.yaml", "--set", "steps.0.compress.level=9", "--json")
    assert ran.code == 0, ran.err
    (job,) = ran.objects()
    assert job["name"] == "nightly"
    assert job["spec"]["steps"] == [{"compress": {"codec": "gzip", "level": 9}}]
    assert job["counts"]["done"] == 3
    flags = cli(
        "run",
        "data",
        "--to",
        "out",
        "--include",
        "*.csv",
        "-s",
        "compress:codec=gzip,level=9",
        "--json",
    )
    assert flags.objects()[0]["counts"]["skipped"] == 3


def test_created_job_waits_for_a_worker(cli: Cli, data: Path) -> None:
    assert data.exists()
    (job,) = cli.ok("jobs", "create", "data", "--to", "out", "-s", "copy", "--json").objects()
    assert job["status"] == "pending"
    assert not (cli.directory / "out").exists()
    cli.ok("worker", "--until-idle")
    (after,) = cli.ok("jobs", "show", job["id"][:12], "--json").objects()
    assert (after["id"], after["status"]) == (job["id"], "completed")
    assert cli("jobs", "watch", job["id"]).code == 0


def test_cancelled_job_says_so_by_status_and_exit_code(cli: Cli, data: Path) -> None:
    assert data.exists()
    (job,) = cli.ok("jobs", "create", "data", "--to", "out", "-s", "copy", "--json").objects()
    cli.ok("jobs", "cancel", job["id"])
    cli("worker", "--until-idle")
    assert cli("jobs", "watch", job["id"]).code == 5
    cli.ok("jobs", "delete", job["id"])
    assert cli("jobs", "show", job["id"]).code == 3


def test_retry_of_a_job_that_listed_nothing_yet_goes_on_with_that(cli: Cli, data: Path) -> None:
    assert data.exists()
    (job,) = cli.ok("jobs", "create", "data", "--to", "out", "-s", "copy", "--json").objects()
    cli.ok("jobs", "cancel", job["id"])
    ran = cli.ok("jobs", "retry", job["id"])
    assert ran.err.startswith(f"{job['id']}: going on with the listing, round 2\n")
    assert re.search(r"^  done +5 ", ran.err, re.MULTILINE)


def test_new_starts_another_job_where_one_is_unfinished(cli: Cli, data: Path) -> None:
    assert data.exists()
    create = ("jobs", "create", "data", "--to", "out", "-s", "copy", "--json")
    (first,) = cli.ok(*create).objects()
    (same,) = cli.ok(*create).objects()
    (other,) = cli.ok(*create, "--new").objects()
    assert same["id"] == first["id"] != other["id"]


@pytest.mark.parametrize("suffix", ["json", "ndjson", "parquet"])
def test_report_is_written_in_the_form_its_name_asks_for(cli: Cli, data: Path, suffix: str) -> None:
    import pyarrow.parquet as pq

    assert data.exists()
    job = cli.job("data", "--to", "out", "-s", "copy")
    path = cli.directory / f"report.{suffix}"
    cli.ok("jobs", "report", job["id"], "-o", path)
    if suffix == "json":
        assert json.loads(path.read_text())["counts"]["done"] == 5
    elif suffix == "ndjson":
        assert len(path.read_text().splitlines()) == 5
    else:
        assert pq.read_table(path).num_rows == 5


def test_plan_shows_what_would_happen_and_writes_nothing(cli: Cli, data: Path) -> None:
    assert data.exists()
    before = set(cli.directory.rglob("*"))
    ran = cli.ok("plan", "data", "--to", "out", "-s", "compress")
    assert re.search(r"^source +data", ran.out, re.MULTILINE)
    assert re.search(r"5 files", ran.out)
    assert re.search(r"^sink +out   \{path\} \+ \.zst ", ran.out, re.MULTILINE)
    assert re.search(r"^access +list ✓   write ✓   room ✓ ", ran.out, re.MULTILINE)
    assert re.search(r"^first +data/a\.csv → out/a\.csv\.zst$", ran.out, re.MULTILINE)
    assert "nothing was written" in ran.out
    assert set(cli.directory.rglob("*")) == before
    plan = cli.ok("plan", "data", "--to", "out", "-s", "compress", "--json").objects()[0]
    assert plan["entries"] == 5
    assert {"bytes", "outputs", "problems"} <= set(plan)


def test_plan_of_files_that_would_fail_ends_as_the_job_would(cli: Cli, data: Path) -> None:
    assert data.exists()
    ran = cli("plan", "data", "--to", "out", "-s", "decompress")
    assert ran.code == 1
    assert "not_compressed" in ran.out


def test_sink_named_twice_is_refused(cli: Cli, data: Path) -> None:
    assert data.exists()
    ran = cli("run", "data", "--to", "out", "--to", "other", "-s", "copy")
    assert ran.code == 2
    assert "`--to` names 2 sinks, `out` and `other`: a job has one" in ran.err


def test_progress_without_a_terminal_is_plain_lines(cli: Cli, data: Path) -> None:
    """One line every few seconds; a job this short has none, and no control characters."""
    assert data.exists()
    ran = cli.ok("run", "data", "--to", "out", "-s", "copy")
    assert "━" not in ran.err
    assert "\r" not in ran.err


def test_no_color_takes_colour_from_the_terminal(cli: Cli, data: Path) -> None:
    from tests.e2e.cli.terminal import Terminal

    assert data.exists()
    cli.environment["NO_COLOR"] = "1"
    shown = Terminal(cli, "run", "data", "--to", "out", "-s", "copy").finish()
    assert "completed in" in shown
    assert "\x1b[3" not in shown


def test_jobs_list_has_a_line_a_job_the_latest_first(cli: Cli, data: Path) -> None:
    assert data.exists()
    first = cli.job("data", "--to", "one", "-s", "copy", "--name", "first")
    second = cli.job("data", "--to", "two", "-s", "copy")
    title, *rows = cli.ok("jobs", "list").out.splitlines()
    assert title.split() == ["ID", "STATUS", "PROGRESS", "FILES", "FAILED", "RATE", "AGE", "NAME"]
    assert [row.split()[0] for row in rows] == [second["id"], first["id"]]
    assert [row.split()[-1] for row in rows] == ["-", "first"]
    assert cli.ok("jobs", "list", "--status", "failed").out == ""


def test_results_of_a_job_with_a_sink_are_a_file_of_it(cli: Cli, data: Path) -> None:
    assert data.exists()
    job = cli.job("data", "--to", "out", "-s", "checksum", "-s", "copy")
    lines = cli.ok("jobs", "results", job["id"]).objects()
    written = (
        (cli.directory / "out" / "_pravah" / job["id"] / "results.ndjson").read_text().splitlines()
    )
    assert [json.loads(line) for line in written] == lines
    assert len(lines) == 5


def test_nothing_that_matches_is_an_error_only_where_that_was_asked(cli: Cli, data: Path) -> None:
    assert data.exists()
    command = ("run", "data", "--to", "out", "-s", "copy", "--include", "*.none")
    assert cli(*command).code == 0
    assert cli(*command, "--fail-if-empty").code == 6


def test_reader_of_a_list_that_goes_away_ends_it_quietly(cli: Cli) -> None:
    source = cli.directory / "data"
    source.mkdir()
    for number in range(2000):
        (source / f"{number:04}").touch()
    job = cli.job("data", "--to", "out", "-s", "copy")
    command = cli.command("jobs", "files", job["id"])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=cli.env(), cwd=cli.directory
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 141
