"""`--json` of every command: one object a line on stdout, in the documented wire forms."""

from pathlib import Path

import pytest

from tests.e2e.cli.harness import Cli, assert_books_close

JOB_KEYS = (
    "id name status created_at started_at finished_at spec labels priority scan_complete counts "
    "reasons round listed_bytes bytes_in bytes_out files_per_s bytes_per_s eta_s elapsed_s error "
    "links"
)
JOB = set(JOB_KEYS.split())
FILE = {
    "path",
    "outcome",
    "outputs",
    "size_bytes",
    "output_bytes",
    "checksum",
    "attempts",
    "duration_s",
}
FAILURE = {"id", "kind", "step", "message", "count", "examples"}


def test_forms_of_jobs_files_and_failures_are_complete(cli: Cli, data: Path) -> None:
    (data / "good.gz").write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\x03\x00" + bytes(8))
    job = cli.job("data", "--to", "out", "-s", "decompress")
    assert set(job) - {"results", "rows"} == JOB
    assert cli.ok("jobs", "show", job["id"], "--json").objects() == [job]
    assert cli.ok("jobs", "list", "--json").objects() == [job]
    for file in cli.ok("jobs", "files", job["id"], "--json").objects():
        assert set(file) >= FILE
    failed = cli.ok("jobs", "files", job["id"], "--outcome", "failed", "--json").objects()
    assert {file["outcome"] for file in failed} == {"failed"}
    assert all({"kind", "message", "step"} <= set(file["error"]) for file in failed)
    for failure in cli.ok("jobs", "failures", job["id"], "--json").objects():
        assert set(failure) == FAILURE
    report = cli.ok("jobs", "report", job["id"], "--json").objects()[0]
    assert_books_close(report)


@pytest.mark.parametrize(
    "command",
    [
        ["processors", "list"],
        ["processors", "show", "compress"],
        ["config", "show", "--origin"],
        ["db", "status"],
        ["db", "upgrade"],
        ["db", "prune"],
        ["doctor"],
        ["jobs", "list"],
        ["worker", "--until-idle"],
        ["plan", "data", "--to", "out", "-s", "copy"],
        ["scan", "data"],
    ],
    ids=" ".join,
)
def test_json_of_every_command_is_objects_on_stdout(
    cli: Cli, data: Path, command: list[str]
) -> None:
    assert data.exists()
    ran = cli(*command, "--json")
    assert ran.code == 0, ran.err
    assert all(isinstance(line, dict) for line in ran.objects())


def test_secrets_are_masked_in_every_form(cli: Cli) -> None:
    secret = {"S3_SECRET_ACCESS_KEY": "hush", "DATABASE_URL": "sqlite:////tmp/x:hush@y.db"}
    ran = cli(
        "config",
        "show",
        "--origin",
        "--json",
        env={"S3_SECRET_ACCESS_KEY": secret["S3_SECRET_ACCESS_KEY"]},
    )
    assert "hush" not in ran.out
