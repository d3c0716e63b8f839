"""Object stores as a user meets them: listed, read, published to, on real MinIO and versitygw."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.cli.bucket import Bucket
from tests.e2e.cli.conftest import RACY_S
from tests.e2e.cli.harness import Cli
from tests.object_servers import ObjectServer

# Keys that both servers take, and that programs which paste URLs together break.
NAMES = ("a.txt", "b c.txt", "d/e+f.txt", "d/g%2Fh.txt", "d/é/ü😀.txt", "d/é/#?&=.txt", "empty")
# More than one part, and not a whole number of them.
LARGE_BYTES = (20 << 20) + 12_345


def write(root: Path, names: tuple[str, ...] = NAMES) -> dict[str, bytes]:
    """Write a tree; give its files."""
    files = {name: b"" if name == "empty" else f"{name}\n".encode() * 30 for name in names}
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1_700_000_000, 1_700_000_000.25))
    return files


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_scan_of_prefix_gives_what_boto3_lists(bucket: Bucket) -> None:
    keys = [f"p/{name}" for name in NAMES] + [f"p/many/{number:04}" for number in range(1_003)]
    for key in [*keys, "other/x"]:
        bucket.put(key, key.encode())
    listed = bucket.cli.ok("scan", bucket.uri("p/")).out.splitlines()
    assert sorted(listed) == sorted(bucket.uri(key) for key in bucket.keys("p/"))
    sizes = {
        line["path"]: line["size_bytes"]
        for line in bucket.cli.ok("scan", bucket.uri("p"), "--stat", "--json").objects()
    }
    assert sizes == {bucket.uri(key): len(key.encode()) for key in keys}
    (total,) = bucket.cli.ok("scan", bucket.uri("p/"), "--sum", "--json").objects()
    assert (total["files"], total["bytes"]) == (len(keys), sum(sizes.values()))
    filtered = ("--exclude", "many/", "--include", "*.txt")
    found = bucket.cli.ok("scan", bucket.uri("p/"), *filtered).out.splitlines()
    assert len(found) == sum(name.endswith(".txt") for name in NAMES)
    found = bucket.cli.ok("scan", bucket.uri("p/d/*.txt")).out.splitlines()
    assert sorted(found) == sorted(bucket.uri(f"p/{name}") for name in ("d/e+f.txt", "d/g%2Fh.txt"))


def test_round_trip_by_two_prefixes_gives_equal_files(bucket: Bucket) -> None:
    cli, source = bucket.cli, bucket.cli.directory / "source"
    files = write(source)
    job = cli.job(source, "--to", bucket.uri("one/"), "-s", "copy")
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    assert bucket.objects("one/") == files
    job = cli.job(bucket.uri("one/"), "--to", bucket.uri("two/"), "-s", "copy")
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    job = cli.job(bucket.uri("two/"), "--to", cli.directory / "back", "-s", "copy")
    assert job["status"] == "completed"
    assert tree(cli.directory / "back") == files
    # What an object keeps of the file that it was made from comes back with it.
    assert (cli.directory / "back" / "a.txt").stat().st_mtime == 1_700_000_000.25


def test_steps_run_over_objects_as_over_files(bucket: Bucket) -> None:
    for number in range(40):
        bucket.put(f"in/{number}.csv", f"id,name\n{number},x\n".encode())
    job = bucket.cli.job(bucket.uri("in/"), "--to", bucket.uri("out/"), "-s", "compress:gzip")
    assert job["counts"]["done"] == 40
    unpacked = {key: gzip.decompress(body) for key, body in bucket.objects("out/").items()}
    assert unpacked == {f"{n}.csv.gz": f"id,name\n{n},x\n".encode() for n in range(40)}


def test_large_object_goes_in_parts_and_comes_back(bucket: Bucket) -> None:
    cli, content = bucket.cli, random.Random(1).randbytes(LARGE_BYTES)
    (cli.directory / "large").write_bytes(content)
    flags = ("-s", "copy", "--verify", "content")
    assert cli.job("large", "--to", bucket.uri("in/large"), *flags)["status"] == "completed"
    assert bucket.get("in/large") == content
    job = cli.job(bucket.uri("in/"), "--to", bucket.uri("out/"), "-s", "compress:zstd")
    assert job["status"] == "completed"
    cli.job(bucket.uri("out/"), "--to", cli.directory / "back", "-s", "decompress")
    assert (cli.directory / "back" / "large").read_bytes() == content
    assert bucket.uploads(["in/large", "out/large.zst"]) == []


def test_second_run_skips_what_has_not_changed(minio_bucket: Bucket) -> None:
    bucket, source = minio_bucket, minio_bucket.cli.directory / "source"
    write(source)
    time.sleep(RACY_S)
    command = (source, "--to", bucket.uri("out/"), "-s", "copy")
    bucket.cli.job(*command)
    again = bucket.cli.job(*command)
    assert (again["counts"]["done"], again["counts"]["skipped"]) == (0, len(NAMES))
    (source / "a.txt").write_bytes(b"other\n")
    again = bucket.cli.job(*command)
    assert (again["counts"]["done"], again["counts"]["skipped"]) == (1, len(NAMES) - 1)
    assert bucket.get("out/a.txt") == b"other\n"


def test_second_run_over_objects_replaces_what_has(minio_bucket: Bucket) -> None:
    bucket = minio_bucket
    bucket.put("in/a", b"1")
    bucket.put("in/b", b"2")
    time.sleep(RACY_S)
    command = (bucket.uri("in/"), "--to", bucket.uri("out/"), "-s", "copy")
    bucket.cli.job(*command)
    bucket.put("in/a", b"3")
    again = bucket.cli.job(*command)
    assert (again["counts"]["done"], again["counts"]["skipped"]) == (1, 1)
    assert bucket.objects("out/") == {"a": b"3", "b": b"2"}


@pytest.mark.parametrize(
    ("overwrite", "outcome", "left"),
    [
        ("changed", "failed", b"theirs"),
        ("error", "failed", b"theirs"),
        ("never", "skipped", b"theirs"),
        ("newer", "skipped", b"theirs"),
        ("always", "done", b"ours"),
    ],
)
def test_object_of_somebody_else_is_dealt_with_as_overwrite_says(
    bucket: Bucket, overwrite: str, outcome: str, left: bytes
) -> None:
    source = bucket.cli.directory / "source"
    source.mkdir()
    (source / "a").write_bytes(b"ours")
    (source / "b").write_bytes(b"ours")
    os.utime(source / "a", (1_000_000_000, 1_000_000_000))
    bucket.put("out/a", b"theirs")
    flags = ("-s", "copy", "--overwrite", overwrite)
    job = bucket.cli.job(source, "--to", bucket.uri("out/"), *flags)
    assert job["counts"][outcome] == (2 if outcome == "done" else 1)
    assert bucket.objects("out/") == {"a": left, "b": b"ours"}


def test_keys_that_are_no_paths_fail_and_markers_are_left_out(bucket: Bucket, cli: Cli) -> None:
    """MinIO refuses such keys by itself; what versitygw stores them as is its own business."""
    bucket.put("in/a")
    bucket.client.put_object(Bucket=bucket.name, Key="in/marker/", Body=b"")
    job = cli.job(bucket.uri("in/"), "--to", cli.directory / "out", "-s", "copy")
    assert (job["counts"]["listed"], job["counts"]["done"]) == (1, 1)
    assert tree(cli.directory / "out") == {"a": b"content\n"}


def test_dataset_of_documented_example_is_read_by_boto3(bucket: Bucket) -> None:
    source = bucket.cli.directory / "input"
    source.mkdir()
    (source / "a.csv").write_bytes(b"id,name\n1,x\n")
    created = bucket.cli.ok(
        "jobs", "create", "--source-path", source, "--destination-path", bucket.uri(),
        "--processor", "extract_headers", "--wait", "--json",
    )  # fmt: skip
    (job,) = created.objects()
    assert job["status"] == "completed", created.err
    key = f"_pravah/{job['id']}/results.ndjson"
    assert job["results"]["uri"] == bucket.uri(key)
    (line,) = map(json.loads, bucket.get(key).splitlines())
    assert line["path"] == str(source / "a.csv")
    # It is no source of a later job.
    assert bucket.cli.ok("scan", bucket.uri()).out == ""


@pytest.mark.parametrize(
    "point",
    [
        "ledger.window.before_commit=1",
        "ledger.window.after_commit=1",
        "ledger.window.after_commit=2",
        "runner.window.before_send=2",
    ],
)
def test_killed_job_ends_with_the_same_objects(minio_bucket: Bucket, point: str) -> None:
    bucket, cli = minio_bucket, minio_bucket.cli
    source = cli.directory / "source"
    files = write(source, tuple(f"{n % 7}/{n}.txt" for n in range(500)))
    files["large"] = random.Random(2).randbytes(LARGE_BYTES)
    (source / "large").write_bytes(files["large"])
    # `error` would fire at any output of its own that it does not know again.
    command = ("run", source, "--to", bucket.uri("out/"), "-s", "copy", "--overwrite", "error")
    ran = cli(*command, "--json", env={"PRAVAH_FAILPOINTS": point})
    if "ledger" in point:
        assert ran.code == -9
        ran = cli(*command, "--json")
    assert ran.code == 0, ran.err
    (job,) = ran.objects()
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    assert bucket.objects("out/") == files
    assert bucket.uploads(["out/large"]) == []


def test_killed_process_group_leaves_no_upload_behind(minio_bucket: Bucket) -> None:
    bucket, cli = minio_bucket, minio_bucket.cli
    (cli.directory / "large").write_bytes(random.Random(3).randbytes(4 * LARGE_BYTES))
    # Slow enough to be met between two parts.
    spec = {
        "source": str(cli.directory / "large"),
        "sink": bucket.uri("out/"),
        "steps": ["copy"],
        "limits": {"read_rate": "20MB/s"},
    }
    (cli.directory / "spec.json").write_text(json.dumps(spec))
    command = cli.command("run", "-f", "spec.json")
    process = subprocess.Popen(
        command, cwd=cli.directory, env=cli.env(), stderr=subprocess.DEVNULL, process_group=0
    )
    deadline = time.monotonic() + 60
    while not bucket.uploads(["out/large"]) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, 9)
    process.wait()
    assert bucket.uploads(["out/large"]), "it was killed before it had begun an upload"
    assert bucket.keys("out/") == []
    (job,) = cli.ok("jobs", "list", "--json").objects()
    cli.ok("jobs", "set", job["id"], "limits.read_rate=2GB/s")
    cli.ok("jobs", "resume", job["id"])
    assert bucket.get("out/large") == (cli.directory / "large").read_bytes()
    assert bucket.uploads(["out/large"]) == []


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"S3_SECRET_ACCESS_KEY": "wrong-secret-word"}, "SignatureDoesNotMatch"),
        ({"S3_ACCESS_KEY_ID": "nobody"}, "InvalidAccessKeyId"),
        ({"S3_ENDPOINT_URL": "http://127.0.0.1:9"}, "connection refused"),
    ],
)
def test_store_that_refuses_is_one_line_with_a_hint(
    minio_bucket: Bucket, settings: dict[str, str], kind: str
) -> None:
    bucket = minio_bucket
    for command in (
        ("scan", bucket.uri()),
        ("run", bucket.uri(), "--to", "out", "-s", "copy"),
        ("run", ".", "--to", bucket.uri("out/"), "-s", "copy"),
        ("doctor", bucket.uri()),
    ):
        ran = bucket.cli(*command, env=settings)
        assert ran.code == 7, ran.err
        assert kind in ran.err + ran.out
        assert "hint: " in ran.err + ran.out
        assert "wrong-secret-word" not in ran.err + ran.out


def test_bucket_that_is_not_there_is_told(bucket: Bucket) -> None:
    ran = bucket.cli("scan", "s3://no-such-bucket-here/")
    assert ran.code == 7
    assert "can't list s3://no-such-bucket-here/: NoSuchBucket (404)" in ran.err


def test_doctor_tries_every_right_and_leaves_nothing(bucket: Bucket) -> None:
    tried = {line["name"]: line["verdict"] for line in
             bucket.cli.ok("doctor", bucket.uri("p/"), "--json").objects()}  # fmt: skip
    rights = ("s3", "list", "put", "get", "conditional", "uploads", "delete")
    assert tried == dict.fromkeys(rights, "ok")
    assert bucket.keys() == []


def test_secrets_are_in_no_output_ledger_or_process(minio_bucket: Bucket) -> None:
    bucket, cli = minio_bucket, minio_bucket.cli
    bucket.put("in/a")
    ran = cli("run", bucket.uri("in/"), "--to", bucket.uri("out/"), "-s", "copy", "-v", "--json")
    assert ran.code == 0
    shown = cli.ok("config", "show", "--origin").out
    secret = bucket.server.secret_key
    assert secret not in ran.out + ran.err + shown
    kept = b"".join(path.read_bytes() for path in cli.home.rglob("*") if path.is_file())
    assert secret.encode() not in kept


def test_connections_are_named_and_the_default_bucket_is_meant(
    minio_bucket: Bucket, versitygw: ObjectServer
) -> None:
    bucket, cli = minio_bucket, minio_bucket.cli
    other = versitygw.create_bucket()
    cli.environment["S3_BUCKET_NAME"] = bucket.name
    for name, value in versitygw.settings().items():
        cli.environment[f"PRAVAH_S3_LAB_{name.removeprefix('S3_')}"] = value
    bucket.put("in/a", b"far")
    job = cli.job("s3:///in/", "--to", f"s3+lab://{other}/out/", "-s", "copy")
    assert job["status"] == "completed"
    with versitygw.client() as client:
        assert client.get_object(Bucket=other, Key="out/a")["Body"].read() == b"far"
    assert cli("scan", "s3+moon://x/").code == 2


def test_host_with_an_underscore_is_resolved_by_us(minio_bucket: Bucket) -> None:
    bucket = minio_bucket
    bucket.put("a")
    port = bucket.server.endpoint.rpartition(":")[2]
    ran = bucket.cli("scan", bucket.uri(), env={"S3_ENDPOINT_URL": f"http://pravah_minio:{port}"})
    assert ran.out.splitlines() == [bucket.uri("a")]
    assert ran.err.count("pravah_minio") == 1


def test_findings_and_reports_go_to_the_prefix_that_is_named(minio_bucket: Bucket) -> None:
    bucket, source = minio_bucket, minio_bucket.cli.directory / "input"
    source.mkdir()
    (source / "a.csv").write_bytes(b"id,name\n1,x\n")
    flags = ("-s", "extract_headers", "--results-to", bucket.uri("found/"))
    job = bucket.cli.job(source, *flags)
    key = f"found/{job['id']}.ndjson"
    assert job["results"]["uri"] == bucket.uri(key)
    (line,) = map(json.loads, bucket.get(key).splitlines())
    assert line["path"] == str(source / "a.csv")
    for suffix in (".json", ".ndjson", ".parquet"):
        for _ in range(2):  # the job's own is replaced
            bucket.cli.ok("jobs", "report", job["id"], "-o", bucket.uri(f"report{suffix}"))
    assert json.loads(bucket.get("report.json"))["job"] == job["id"]
    bucket.put("theirs.json", b"theirs")
    ran = bucket.cli("jobs", "report", job["id"], "-o", bucket.uri("theirs.json"))
    assert (ran.code != 0, "another object has the key" in ran.err) == (True, True)
    assert bucket.get("theirs.json") == b"theirs"
    named = ("--results-to", bucket.uri("theirs.ndjson"))
    bucket.put("theirs.ndjson", b"theirs")
    ran = bucket.cli("run", source, "-s", "extract_headers", *named)
    assert (ran.code, "a file stands there" in ran.err) == (2, True)
    ran = bucket.cli("run", bucket.uri("found/"), "-s", "extract_headers", "--results-to",
                     bucket.uri("found/more/"))  # fmt: skip
    assert (ran.code, "lie in the source" in ran.err) == (2, True)
