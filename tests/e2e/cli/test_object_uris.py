"""What a URI names in an object store: one place and no other, and no output of the job's own."""

from __future__ import annotations

import pytest

from tests.e2e.cli.harness import Cli
from tests.s3_double import S3Double
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored


@pytest.fixture
def bucket(cli: Cli, double: S3Double) -> str:
    cli.environment |= double.settings()
    return double.create_bucket()


def put(double: S3Double, bucket: str, *keys: str) -> dict[bytes, bytes]:
    for key in keys:
        content = f"a\n{key}\n".encode()
        double.store.buckets[bucket].put(key.encode(), Stored(content, etag_of(content)))
    return double.objects(bucket)


@pytest.mark.parametrize("key", ["a//b", "logs//", "/lead", "/", "a//*.csv"])
def test_slashes_that_are_part_of_a_key_are_refused_and_lead_nowhere_else(
    cli: Cli, double: S3Double, bucket: str, key: str
) -> None:
    before = put(
        double, bucket, "a/b", "a//b", "logs/keep", "logs//new", "lead", "/lead", "a/c.csv"
    )
    for command in (
        ("run", f"s3://{bucket}/{key}", "--to", "out/", "-s", "copy", "--after", "delete"),
        ("run", f"s3://{bucket}/a/", "--to", f"s3://{bucket}/{key}", "-s", "copy"),
        ("run", f"s3://{bucket}/a/", "--to", "out/", "-s", "copy", "--after",
         f"move:s3://{bucket}/{key}"),
        ("scan", f"s3://{bucket}/{key}"),
        ("diff", f"s3://{bucket}/{key}", f"s3://{bucket}/a/"),
        ("doctor", f"s3://{bucket}/{key}"),
    ):  # fmt: skip
        ran = cli(*command)
        assert ran.code == 2, (command, ran.err)
        assert f"s3://{bucket}/{key}" in ran.err
        assert "hint: " in ran.err
    assert double.objects(bucket) == before


def test_glob_below_a_prefix_that_begins_with_a_dot_takes_what_lies_there(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    put(double, bucket, ".stage/a.csv", "stage/a.csv")
    pattern = f"s3://{bucket}/.stage/*.csv"
    assert cli.ok("scan", pattern).out == f"s3://{bucket}/.stage/a.csv\n"
    job = cli.job(pattern, "--to", "out", "-s", "copy", "--after", "delete")
    assert (job["status"], job["counts"]["done"]) == ("completed", 1)
    assert [*double.objects(bucket)] == [b"stage/a.csv"]


@pytest.mark.parametrize("sources", ["listing", "list"])
def test_one_output_below_its_sources_is_none_of_them(
    cli: Cli, double: S3Double, bucket: str, sources: str
) -> None:
    place = "merged/all.csv"
    names = ["dir/0.csv", "dir/1.csv", place]
    put(double, bucket, *names[:2])
    (cli.directory / "list").write_text("\n".join(names))
    flags = ["-s", "merge", "--overwrite", "always", "--new", "--missing", "ignore"]
    flags += ["--files-from", "list"] if sources == "list" else []
    for filtered in (0, 1):
        job = cli.job(f"s3://{bucket}/", "--to", f"s3://{bucket}/{place}", *flags)
        assert (job["status"], job["counts"]["done"]) == ("completed", 2)
        assert job["counts"]["filtered"] >= filtered
        assert double.objects(bucket)[place.encode()] == b"a\ndir/0.csv\ndir/1.csv\n"


def test_story_of_an_object_is_told_from_either_end(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    put(double, bucket, "in/d/a %20b.csv")
    source, output = (f"s3://{bucket}/{role}/d/a %20b.csv" for role in ("in", "out"))
    job = cli.job(f"s3://{bucket}/in/", "--to", f"s3://{bucket}/out/", "-s", "copy")
    (made,) = cli.ok("why", source, "--json").objects()
    assert (made["job"]["id"], made["file"]["outcome"]) == (job["id"], "done")
    (found,) = cli.ok("which", output, "--json").objects()
    assert (found["job"]["id"], found["file"]["path"]) == (job["id"], source)
    assert cli.ok("why", source).out.startswith(f"{source}\n")
    ran = cli("which", source)
    assert (ran.code, f"no job knows of the output `{source}`" in ran.err) == (3, True)
