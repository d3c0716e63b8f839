"""Sources on disk and in object stores, in one job and in one listing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.cli.bucket import Bucket
from tests.e2e.cli.test_objects import tree

FILES = {"a.csv": b"1", "deep/b.csv": b"22"}
OBJECTS = {"a.csv": b"333", "deep/é.csv": b"4444"}


@pytest.fixture
def bucket(minio_bucket: Bucket) -> Bucket:
    """Give one store: what is mixed are stores and disks, not servers."""
    return minio_bucket


@pytest.fixture
def local(bucket: Bucket) -> Path:
    """Fill a directory and a prefix; give the directory."""
    root = bucket.cli.directory / "files"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    for key, content in OBJECTS.items():
        bucket.put(f"objects/{key}", content)
    return root


def expected() -> dict[str, bytes]:
    files = {f"files/{name}": content for name, content in FILES.items()}
    return files | {f"objects/{name}": content for name, content in OBJECTS.items()}


def test_files_and_objects_are_done_by_one_job(bucket: Bucket, local: Path) -> None:
    sources = (local, bucket.uri("objects/"))
    job = bucket.cli.job(*sources, "--to", bucket.uri("out/"), "-s", "copy")
    assert (job["status"], job["counts"]["done"]) == ("completed", 4)
    assert bucket.objects("out/") == expected()
    job = bucket.cli.job(*sources, "--to", "out", "-s", "copy", "--exclude", "deep/")
    assert (job["counts"]["done"], job["counts"]["filtered"]) == (2, 2)
    assert tree(bucket.cli.directory / "out") == {
        name: content for name, content in expected().items() if "deep" not in name
    }


def test_single_files_and_globs_of_both_go_together(bucket: Bucket, local: Path) -> None:
    sources = (local / "deep" / "b.csv", bucket.uri("objects/*.csv"))
    job = bucket.cli.job(*sources, "--to", "out", "-s", "copy")
    assert (job["status"], job["counts"]["done"]) == ("completed", 2)
    assert tree(bucket.cli.directory / "out") == {"b.csv": b"22", "objects/a.csv": b"333"}


def test_names_of_a_list_lie_below_either(bucket: Bucket, local: Path) -> None:
    (bucket.cli.directory / "list").write_text(
        f"{local}/a.csv\n{bucket.uri('objects/deep/é.csv')}\n{bucket.uri('objects/none')}\n"
    )
    flags = ("--to", "out", "-s", "copy", "--files-from", "list", "--missing", "ignore")
    job = bucket.cli.job(local, bucket.uri("objects/"), *flags)
    assert (job["counts"]["done"], job["counts"]["filtered"]) == (2, 1)
    assert set(tree(bucket.cli.directory / "out")) == {"files/a.csv", "objects/deep/é.csv"}


def test_sources_are_removed_where_they_are(bucket: Bucket, local: Path) -> None:
    sources = (local, bucket.uri("objects/"))
    job = bucket.cli.job(*sources, "--to", "out", "-s", "copy", "--after", "delete")
    assert job["status"] == "completed"
    assert (tree(local), bucket.objects("objects/")) == ({}, {})
    assert tree(bucket.cli.directory / "out") == expected()
    moved = bucket.cli("run", *sources, "--to", "out", "-s", "copy", "--after", "move:done")
    assert (moved.code, "which is in another store" in moved.err) == (2, True), moved.err


@pytest.mark.parametrize("point", ["ledger.emit.after_commit=1", "ledger.window.before_commit=1"])
def test_job_over_both_goes_on_behind_a_kill(bucket: Bucket, point: str, tmp_path: Path) -> None:
    local = tmp_path / "many"
    local.mkdir()
    for number in range(60):
        (local / f"{number}").write_bytes(b"local")
        bucket.put(f"objects/{number}", b"remote")
    command = ("run", local, bucket.uri("objects/"), "--to", "out", "-s", "copy", "--json")
    assert bucket.cli(*command, env={"PRAVAH_FAILPOINTS": point}).code == -9
    ran = bucket.cli(*command)
    assert ran.code == 0, ran.err
    counts = json.loads(ran.out.splitlines()[-1])["counts"]
    assert (counts["listed"], counts["done"]) == (120, 120)
    done = tree(bucket.cli.directory / "out")
    assert len(done) == 120
    assert all(body == (b"local" if "many" in name else b"remote") for name, body in done.items())


def test_overlaps_are_seen_on_each_side(bucket: Bucket, local: Path) -> None:
    for to in (local, bucket.uri("objects/"), bucket.cli.directory, bucket.uri()):
        ran = bucket.cli("run", local, bucket.uri("objects/"), "--to", to, "-s", "copy")
        assert (ran.code, "same" in ran.err or "lies in the sink" in ran.err) == (2, True), ran.err
    # A sink below a source is left out of it.
    sources = (local, bucket.uri("objects/"))
    for to in (bucket.uri("objects/out/"), local / "out"):
        job = bucket.cli.job(*sources, "--to", to, "-s", "copy", "--overwrite", "always")
        assert job["counts"]["done"] == 4 + 4 * (to == local / "out")


def test_working_directory_is_no_sink_above_a_prefix(bucket: Bucket, local: Path) -> None:
    assert local.exists()
    job = bucket.cli.job(bucket.uri("objects/"), "--to", ".", "-s", "copy")
    assert (job["status"], job["counts"]["done"]) == ("completed", 2)
    job = bucket.cli.job(bucket.uri("objects/a.csv"), "--to", "one.csv", "-s", "copy")
    assert (bucket.cli.directory / "one.csv").read_bytes() == b"333"
    assert job["status"] == "completed"


def test_scan_lists_both(bucket: Bucket, local: Path) -> None:
    listed = bucket.cli.ok("scan", local, bucket.uri("objects/")).out.splitlines()
    names = [f"{local}/{name}" for name in FILES] + [
        bucket.uri(f"objects/{key}") for key in OBJECTS
    ]
    assert sorted(listed) == sorted(names)
    (total,) = bucket.cli.ok("scan", local, bucket.uri("objects/"), "--sum", "--json").objects()
    assert (total["files"], total["bytes"]) == (4, 10)
