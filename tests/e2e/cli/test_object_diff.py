"""`pravah diff` of prefixes: with each other, and with trees on disk."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.e2e.cli.bucket import Bucket
from tests.e2e.cli.harness import Cli
from tests.e2e.cli.test_objects import write
from tests.s3_double import S3Double, refuse, reset_before
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored

# More than a page, twice; the full figure is 20,000.
KEYS = int(os.environ.get("PRAVAH_TEST_COMPARED_KEYS", "1200"))
LARGE_BYTES = (9 << 20) + 7


def lines(bucket: Bucket, *arguments: str | Path) -> list[str]:
    ran = bucket.cli("diff", *arguments)
    assert ran.code == (1 if ran.out else 0), ran.err
    return ran.out.splitlines()


@pytest.fixture
def sides(bucket: Bucket) -> tuple[Path, str]:
    """Make a tree, and a prefix that is equal to it."""
    root = bucket.cli.directory / "tree"
    for name, content in write(root).items():
        bucket.put(f"p/{name}", content)
    return root, bucket.uri("p/")


@pytest.mark.parametrize("by", ["size", "checksum", "content"])
def test_equal_sides_print_nothing_and_end_with_0(
    bucket: Bucket, sides: tuple[Path, str], by: str
) -> None:
    tree, prefix = sides
    (tree / "empty directory").mkdir()
    for key in bucket.keys("p/"):
        bucket.put(key.replace("p/", "q/", 1), bucket.get(key))
    bucket.put("q/marker/", b"")
    other = bucket.uri("q")
    for one, two in ((tree, prefix), (prefix, tree), (prefix, other), (tree, other)):
        ran = bucket.cli("diff", one, two, "--by", by)
        assert (ran.code, ran.out, ran.err) == (0, "", "7 same\n")


def test_what_differs_is_told_in_order_of_the_keys(bucket: Bucket, sides: tuple[Path, str]) -> None:
    tree, prefix = sides
    (tree / "only" / "deep").mkdir(parents=True)
    for name in ("only/deep/x", "only/y", "d/a", "d-a", "d.txt"):
        (tree / name).write_bytes(b"x")
    (tree / "d" / "link").symlink_to("a")
    for key in ("p/d/zz/1", "p/d/zz/2", "p/d-b", "p/a.txt2", "p/d/link"):
        bucket.put(key, b"1")
    bucket.put("p/a.txt", b"longer than it was, or shorter")
    expected = [
        f"!\ta.txt\tsize\t{(tree / 'a.txt').stat().st_size}\t30",
        "+\ta.txt2",
        "-\td-a",
        "+\td-b",
        "-\td.txt",
        "-\td/a",
        "!\td/link\tkind\tsymlink\tfile",
        "+\td/zz/",
        "-\tonly/",
    ]
    assert lines(bucket, tree, prefix) == expected
    ran = bucket.cli("diff", tree, prefix)
    assert ran.err == "6 same, 2 differ, 4 only in A, 3 only in B\n"
    swapped = lines(bucket, prefix, tree)
    assert [line[1:] for line in swapped if line[0] != "!"] == [
        line[1:] for line in expected if line[0] != "!"
    ]


def test_prefix_that_is_an_object_on_the_other_side_is_told_on_each(
    minio_bucket: Bucket,
) -> None:
    bucket, tree = minio_bucket, minio_bucket.cli.directory / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "a" / "x").write_bytes(b"x")
    (tree / "a-b").write_bytes(b"x")
    bucket.put("p/a", b"x")
    bucket.put("p/a-b", b"x")
    assert lines(bucket, tree, bucket.uri("p/")) == ["+\ta", "-\ta/"]


def test_contents_are_compared_by_what_is_told_and_by_reading(
    bucket: Bucket, sides: tuple[Path, str]
) -> None:
    tree, prefix = sides
    content = random.Random(3).randbytes(LARGE_BYTES)
    changed = bytearray(content)
    changed[LARGE_BYTES - 5] ^= 1
    (tree / "large").write_bytes(content)
    bucket.put("p/large", bytes(changed), ChecksumAlgorithm="CRC32C")
    bucket.put("q/large", content, ChecksumAlgorithm="CRC32C")
    assert lines(bucket, tree, prefix) == []
    by_content = lines(bucket, tree, prefix, "--by", "content")
    assert by_content == [f"!\tlarge\tcontent\t{LARGE_BYTES - 5}"]
    (found, counts) = bucket.cli("diff", tree, prefix, "--by", "checksum", "--json").objects()
    assert (found["path"], found["difference"]) == ("large", "checksum")
    assert found["a"] != found["b"]
    assert {found["a"].split(":")[0], found["b"].split(":")[0]} == {"crc32c"}
    assert (counts["same"], counts["differing"]) == (7, 1)
    (found, _) = bucket.cli(
        "diff", "--by", "checksum", bucket.uri("q/"), prefix, "--include", "large", "--json"
    ).objects()
    assert found["difference"] == "checksum"


def test_many_keys_are_merged_in_the_order_of_their_bytes(bucket: Bucket) -> None:
    names = [f"{n // 7:03}{('-x', '/y', '.z', '/a/b', '0', '_', '~')[n % 7]}" for n in range(KEYS)]
    tree = bucket.cli.directory / "tree"
    for number, name in enumerate(names):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(b"x")
        if number % 100:
            bucket.put(f"p/{name}", b"x")
    missing = sorted(name.encode() for name in names[::100])
    told = [line.removeprefix("-\t").encode() for line in lines(bucket, tree, bucket.uri("p/"))]
    # A directory of which nothing else is there is told as one.
    assert told == [name.removesuffix(b"/b") + b"/" * name.endswith(b"/b") for name in missing]
    ran = bucket.cli("diff", tree, bucket.uri("p/"))
    assert ran.err == f"{KEYS - len(missing):,} same, {len(missing)} only in A\n"


def test_filters_hold_on_both_sides(bucket: Bucket, sides: tuple[Path, str]) -> None:
    tree, prefix = sides
    bucket.put("p/d/new.tmp", b"")
    bucket.put("p/deep/er/new.csv", b"")
    assert lines(bucket, tree, prefix, "--exclude", "*.tmp") == ["+\tdeep/"]
    assert lines(bucket, tree, prefix, "--exclude", "deep/") == ["+\td/new.tmp"]
    assert lines(bucket, tree, prefix, "--include", "d/") == ["+\td/new.tmp"]
    assert lines(bucket, tree, prefix, "--max-depth", "1") == []


def test_keys_that_are_no_paths_cannot_be_compared(cli: Cli, double: S3Double) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    for key in ("p/a", "p/a//b", "p/../c", "q/a", "q/a//b"):
        double.store.buckets[bucket].put(key.encode(), Stored(b"x", etag_of(b"x")))
    ran = cli("diff", f"s3://{bucket}/p/", f"s3://{bucket}/q/")
    assert ran.code == 1
    told = [line.split("\t")[:3] for line in ran.out.splitlines()]
    assert told == [["-", "../"], ["?", "a//b", "unsupported_name"]]


def test_directory_that_cannot_be_listed_is_one_failure(
    bucket: Bucket, sides: tuple[Path, str]
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    tree, prefix = sides
    (tree / "d").chmod(0)
    try:
        ran = bucket.cli("diff", tree, prefix)
    finally:
        (tree / "d").chmod(0o755)
    assert [line.split("\t")[:3] for line in ran.out.splitlines()] == [
        ["?", "d", "permission_denied"]
    ]


def test_what_cannot_be_compared_is_refused_with_a_hint(
    minio_bucket: Bucket, tmp_path: Path
) -> None:
    minio_bucket.put("p/a", b"x")
    for typed, code, told in (
        (minio_bucket.uri("p/a"), 2, "is an object"),
        (minio_bucket.uri("none/"), 3, "there is nothing below"),
        ("s3://nobody-has-this-bucket/p/", 7, "NoSuchBucket"),
        ("ftp://host/p", 2, "no store knows"),
    ):
        ran = minio_bucket.cli("diff", tmp_path, typed)
        assert (ran.code, told in ran.err, "\nhint: " in ran.err) == (code, True, True), ran.err
    assert minio_bucket.cli("diff", tmp_path / "none", minio_bucket.uri("p/")).code == 3


def test_listing_survives_what_passes_and_tells_what_does_not(cli: Cli, double: S3Double) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    for number in range(30):
        for prefix in ("p", "q"):
            key = f"{prefix}/{number:02}".encode()
            double.store.buckets[bucket].put(key, Stored(b"x", etag_of(b"x")))
    double.quirks.page_size = 10
    double.faults.add("ListObjectsV2", reset_before(), times=3)
    command = ("diff", f"s3://{bucket}/p/", f"s3://{bucket}/q/", "--by", "checksum")
    ran = cli(*command)
    assert (ran.code, ran.err) == (0, "30 same\n")
    double.quirks.lists_in_order = False
    ran = cli(*command)
    assert (ran.code, "in another order" in ran.err) == (7, True), ran.err
    double.quirks.lists_in_order = True
    double.faults.add("ListObjectsV2", refuse(403, "AccessDenied"), times=10_000)
    ran = cli(*command)
    assert (ran.code, "AccessDenied" in ran.err) == (7, True), ran.err
