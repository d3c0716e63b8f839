"""Several outputs of one file, and names that tell contents, on object stores: all or none of them.

What a job over files makes is what the same job makes in a bucket.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.cli.bucket import Bucket
from tests.e2e.cli.conftest import RACY_S
from tests.e2e.cli.harness import Cli
from tests.s3_double import S3Double, meanwhile, refuse, reset_after
from tests.s3_double.faults import FOREVER, Perform
from tests.s3_double.messages import Request, Response, S3Error
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored

MIB = 1 << 20
# Parts of which some are larger than what is put whole, and some are not.
SPLIT = "split:bytes=9MiB"
LARGE_BYTES = 20 * MIB + 5


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def lines(count: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in range(count))


def on_files(cli: Cli, source: Path, *arguments: str) -> dict[str, bytes]:
    """Run a job over files into a directory; give its outputs."""
    cli.job(source, "--to", cli.directory / "files/", *arguments)
    return tree(cli.directory / "files")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    content = random.Random(21).randbytes(LARGE_BYTES)
    return write(tmp_path / "large", {"d/a.bin": content, "d/b.bin": b"small", "empty.bin": b""})


def test_parts_are_those_of_the_same_job_over_files(bucket: Bucket, large: Path) -> None:
    expected = on_files(bucket.cli, large, "-s", SPLIT)
    assert len(expected) == 5
    job = bucket.cli.job(large, "--to", bucket.uri("out/"), "-s", SPLIT)
    assert (job["status"], job["counts"]["done"]) == ("completed", 3)
    assert bucket.objects("out/") == expected
    assert bucket.uploads([f"out/{name}" for name in expected]) == []


def test_more_parts_than_memory_holds_wait_on_the_server(
    minio_bucket: Bucket, tmp_path: Path
) -> None:
    source = write(tmp_path / "many", {"a.bin": random.Random(22).randbytes(80 * MIB + 1)})
    job = minio_bucket.cli.job(source, "--to", minio_bucket.uri("out/"), "-s", "split:bytes=1MiB")
    assert job["status"] == "completed"
    found = minio_bucket.objects("out/")
    assert len(found) == 81
    assert b"".join(found[name] for name in sorted(found)) == (source / "a.bin").read_bytes()
    assert minio_bucket.uploads([f"out/{name}" for name in found]) == []


def test_second_run_leaves_current_parts_alone_and_removes_those_that_are_no_more(
    bucket: Bucket, tmp_path: Path
) -> None:
    cli = bucket.cli
    source = write(tmp_path / "texts", {f"d/{n}.txt": lines(n) for n in range(8)})
    run = (source, "--to", bucket.uri("out/"), "-s", "split:lines=2")
    time.sleep(RACY_S)
    cli.job(*run)
    assert cli.job(*run, "--new")["counts"]["skipped"] == 8
    write(source, {"d/7.txt": lines(3)})
    time.sleep(RACY_S)
    job = cli.job(*run, "--new")
    assert (job["counts"]["done"], job["counts"]["skipped"]) == (1, 7)
    found = bucket.objects("out/")
    assert sorted(name for name in found if name.startswith("d/7")) == [
        "d/7-00000.txt",
        "d/7-00001.txt",
    ]
    assert found["d/7-00001.txt"] == b"line 2\n"


def test_partitions_of_tables_are_those_of_the_same_job_over_files(
    bucket: Bucket, tmp_path: Path
) -> None:
    rows = "".join(f"{n},city {n % 3}\n" for n in range(40))
    tables = {f"{name}.csv": f"id,city\n{rows}".encode() for name in "ab"}
    source = write(tmp_path / "tables", tables)
    step = ("-s", "merge: {partition_by: [city]}", "--path", "part-{part}.csv")
    expected = on_files(bucket.cli, source, *step)
    job = bucket.cli.job(source, "--to", bucket.uri("out/"), *step)
    assert job["status"] == "completed"
    assert bucket.objects("out/") == expected
    assert len(expected) == 3


def test_stranger_at_the_name_of_one_part_keeps_all_others_away(
    bucket: Bucket, large: Path
) -> None:
    bucket.put("out/d/a-00001.bin", b"theirs")
    job = bucket.cli.job(large, "--to", bucket.uri("out/"), "-s", SPLIT)
    assert (job["counts"]["done"], job["counts"]["failed"]) == (2, 1)
    assert bucket.objects("out/") == {
        "d/a-00001.bin": b"theirs",
        "d/b-00000.bin": b"small",
        "empty-00000.bin": b"",
    }
    assert bucket.uploads([f"out/d/a-0000{number}.bin" for number in range(4)]) == []


def test_story_and_undo_know_every_part(bucket: Bucket, tmp_path: Path) -> None:
    cli = bucket.cli
    source = write(tmp_path / "texts", {"d/a.txt": lines(5), "b.txt": lines(1)})
    job = cli.job(source, "--to", bucket.uri("out/"), "-s", "split:lines=2")
    files = {line["path"]: line["outputs"] for line in cli.ok("jobs", "files", job["id"], "--json")
             .objects()}  # fmt: skip
    assert files[str(source / "d/a.txt")] == [bucket.uri(f"out/d/a-0000{n}.txt") for n in range(3)]
    (found,) = cli.ok("which", bucket.uri("out/d/a-00001.txt"), "--json").objects()
    assert (found["job"]["id"], found["file"]["path"]) == (job["id"], str(source / "d/a.txt"))
    cli.ok("jobs", "undo", job["id"], "--yes")
    assert bucket.objects("out/") == {}


@pytest.mark.parametrize("step", ["copy", "compress:codec=zstd,level=1", SPLIT])
def test_names_that_tell_contents_are_those_of_the_same_job_over_files(
    bucket: Bucket, large: Path, step: str
) -> None:
    write(large, {"again/a.bin": (large / "d/a.bin").read_bytes(), "again/b.bin": b"small"})
    part = "-{part}" if step == SPLIT else ""
    arguments = ("-s", step, "--path", f"{{hash:2}}/{{hash}}{part}{{ext}}")
    expected = on_files(bucket.cli, large, *arguments)
    job = bucket.cli.job(large, "--to", bucket.uri("out/"), *arguments)
    assert (job["status"], job["counts"]["done"]) == ("completed", 3), job
    assert job["reasons"]["skipped:same_content"] == 2
    assert bucket.objects("out/") == expected
    assert bucket.uploads([f"out/{name}" for name in expected]) == []
    again = bucket.cli.job(large, "--to", bucket.uri("out/"), *arguments, "--new")
    assert again["reasons"]["skipped:same_content"] == 5
    assert bucket.objects("out/") == expected


def test_what_has_the_name_of_a_content_and_is_something_else_is_not_replaced(
    bucket: Bucket, large: Path
) -> None:
    arguments = ("-s", "copy", "--path", "{hash}")
    names = sorted(on_files(bucket.cli, large, *arguments))
    for name in names:
        bucket.put(f"out/{name}", b"theirs")
    job = bucket.cli.job(large, "--to", bucket.uri("out/"), *arguments)
    assert (job["status"], job["counts"]["failed"]) == ("failed", 3)
    assert set(bucket.objects("out/").values()) == {b"theirs"}
    assert bucket.uploads([f"out/{name}" for name in names]) == []


@pytest.fixture
def doubled(cli: Cli, double: S3Double) -> str:
    cli.environment |= double.settings()
    return double.create_bucket()


def test_part_that_can_not_be_put_takes_the_others_back(
    cli: Cli, double: S3Double, doubled: str, large: Path
) -> None:
    double.faults.add("PutObject", refuse(403, "AccessDenied"), key="*a-00002.bin", times=FOREVER)
    job = cli.job(large, "--to", f"s3://{doubled}/out/", "-s", SPLIT)
    assert (job["counts"]["done"], job["counts"]["failed"]) == (2, 1)
    assert sorted(double.objects(doubled)) == [b"out/d/b-00000.bin", b"out/empty-00000.bin"]
    assert double.store.buckets[doubled].uploads == {}


@pytest.mark.parametrize("operation", ["PutObject", "CompleteMultipartUpload", "UploadPart"])
def test_parts_whose_answers_are_lost_are_published_once(
    cli: Cli, double: S3Double, doubled: str, large: Path, operation: str
) -> None:
    expected = on_files(cli, large, "-s", SPLIT)
    double.faults.add(operation, reset_after(), times=3)
    job = cli.job(large, "--to", f"s3://{doubled}/out/", "-s", SPLIT, "--overwrite", "error")
    assert (job["status"], job["counts"]["done"]) == ("completed", 3)
    found = {key.removeprefix(b"out/").decode(): body for key, body in double.objects(doubled)
             .items()}  # fmt: skip
    assert found == expected
    assert double.store.buckets[doubled].uploads == {}


def test_stranger_that_takes_the_name_of_a_part_meanwhile_keeps_it_and_all_others_away(
    cli: Cli, double: S3Double, doubled: str, large: Path
) -> None:
    theirs = Stored(b"theirs", etag_of(b"theirs"))

    def take() -> None:
        double.store.buckets[doubled].put(b"out/d/a-00001.bin", theirs)

    double.faults.add("CompleteMultipartUpload", meanwhile(take), key="*a-00001.bin")
    job = cli.job(large, "--to", f"s3://{doubled}/out/", "-s", SPLIT)
    assert (job["counts"]["done"], job["counts"]["failed"]) == (2, 1)
    ours = {b"out/d/b-00000.bin": b"small", b"out/empty-00000.bin": b""}
    assert double.objects(doubled) == {b"out/d/a-00001.bin": b"theirs", **ours}
    assert double.store.buckets[doubled].uploads == {}


@pytest.mark.parametrize("names", ["parts", "hash"])
def test_uploads_whose_keys_only_reading_tells_are_found_behind_a_kill(
    cli: Cli, double: S3Double, doubled: str, large: Path, names: str
) -> None:
    named = ("--path", "{hash}") if names == "hash" else ()
    step = "copy" if names == "hash" else SPLIT
    run = ("run", large, "--to", f"s3://{doubled}/out/", "-s", step, *named, "-q")
    killed = subprocess.Popen(
        cli.command(*run), cwd=cli.directory, env=cli.env(), start_new_session=True
    )
    # A part has come, so its upload has begun; nobody hears of it.
    double.faults.add("UploadPart", meanwhile(lambda: os.killpg(killed.pid, signal.SIGKILL)))
    assert killed.wait(60) == -signal.SIGKILL
    (begun,) = {upload.id for upload in double.store.buckets[doubled].uploads.values()}
    cli.ok(*run)
    assert double.store.buckets[doubled].uploads == {}, f"begun was {begun}"
    (job,) = cli.ok("jobs", "list", "--json").objects()
    assert (job["status"], job["counts"]["done"]) == ("completed", 3)


def test_part_that_can_not_be_put_takes_the_others_back_where_they_were_looked_at_before(
    cli: Cli, double: S3Double, doubled: str, large: Path
) -> None:
    run = (large, "--to", f"s3://{doubled}/out/", "-s", SPLIT)
    cli.job(*run)
    for key in double.objects(doubled):
        double.store.buckets[doubled].remove(key)
    double.faults.add("PutObject", refuse(403, "AccessDenied"), key="*a-00002.bin", times=FOREVER)
    job = cli.job(*run, "--new")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (2, 1)
    assert sorted(double.objects(doubled)) == [b"out/d/b-00000.bin", b"out/empty-00000.bin"]


def test_part_that_somebody_has_replaced_stays_where_a_shorter_result_has_none_like_it(
    cli: Cli, double: S3Double, doubled: str, tmp_path: Path
) -> None:
    source = write(tmp_path / "texts", {"a.txt": lines(8)})
    run = (source, "--to", f"s3://{doubled}/out/", "-s", "split:lines=2")
    cli.job(*run)
    write(source, {"a.txt": lines(3)})
    theirs = Stored(b"theirs", etag_of(b"theirs"))
    bucket = double.store.buckets[doubled]
    # It comes behind every look at what was there before.
    come = meanwhile(lambda: bucket.put(b"out/a-00003.txt", theirs))
    double.faults.add("PutObject", come, key="out/a-00000.txt")
    job = cli.job(*run, "--new")
    assert (job["status"], job["counts"]["done"]) == ("completed", 1)
    assert double.objects(doubled) == {
        b"out/a-00000.txt": b"line 0\nline 1\n",
        b"out/a-00001.txt": b"line 2\n",
        b"out/a-00003.txt": b"theirs",
    }


def test_directory_of_outputs_is_listed_for_all_files_together(
    cli: Cli, double: S3Double, doubled: str, tmp_path: Path
) -> None:
    source = write(tmp_path / "texts", {f"{number:03}.txt": lines(3) for number in range(300)})
    run = (source, "--to", f"s3://{doubled}/out/", "-s", "split:lines=2")
    double.store.buckets[doubled].put(b"out/theirs", Stored(b"theirs", etag_of(b"theirs")))
    cli.job(*run)
    double.seen.clear()
    job = cli.job(*run, "--new")
    assert job["counts"]["done"] + job["counts"]["skipped"] == 300
    listings = [seen for seen in double.seen if seen.operation == "ListObjectsV2"]
    # By planning, by opening the sink, and for each task, by as many threads as ask at once.
    assert len(listings) <= 30


def put_and_refuse(request: Request, perform: Perform) -> Response:
    """Do what was asked for, and say that it went wrong, each time."""
    with contextlib.suppress(S3Error):
        perform(request)
    raise S3Error(500, "InternalError")


def test_part_that_was_put_though_nobody_heard_of_it_is_taken_back_with_the_others(
    cli: Cli, double: S3Double, doubled: str, large: Path
) -> None:
    double.faults.add("PutObject", put_and_refuse, key="*a-00002.bin", times=FOREVER)
    job = cli.job(large, "--to", f"s3://{doubled}/out/", "-s", SPLIT)
    assert (job["counts"]["done"], job["counts"]["failed"]) == (2, 1)
    assert sorted(double.objects(doubled)) == [b"out/d/b-00000.bin", b"out/empty-00000.bin"]


@pytest.mark.parametrize("times", [4, 12])  # sent again and again in one try, and in three
def test_parts_by_content_of_which_one_was_put_though_nobody_heard_of_it_are_all_there(
    cli: Cli, double: S3Double, doubled: str, large: Path, times: int
) -> None:
    arguments = ("-s", SPLIT, "--path", "{hash:8}-{part}{ext}")
    expected = on_files(cli, large, *arguments)
    double.faults.add("PutObject", put_and_refuse, key="*-00002.bin", times=times)
    job = cli.job(large, "--to", f"s3://{doubled}/out/", *arguments)
    found = {key.removeprefix(b"out/").decode(): body for key, body in double.objects(doubled)
             .items()}  # fmt: skip
    if times == 4:
        assert (job["status"], job["counts"]["done"]) == ("completed", 3)
        assert found == expected
    else:
        assert (job["counts"]["done"], job["counts"]["failed"]) == (2, 1)
        assert sorted(found.values()) == [b"", b"small"]
