"""Real trees and the standard tools: what goes in comes out again, in their eyes too.

`PRAVAH_REAL_INPUT=full` takes all of /usr/share and the system's Python libraries; by default a
part of /usr/share that is large enough to hold links, empty files and odd names.
"""

import gzip
import os
import shutil
import stat
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.cli.harness import Cli

FULL = os.environ.get("PRAVAH_REAL_INPUT") == "full"
BOUND_BYTES = 150 << 20
TEXT = b"the quick brown fox jumps over the lazy dog\n" * 40_000


def roots() -> list[Path]:
    """Give the directories to work on, the whole of them or up to BOUND_BYTES."""
    share = Path("/usr/share")
    if FULL:
        return [share, *sorted(Path("/usr/lib").glob("python3*"))]
    chosen, total = [], 0
    for directory in sorted(path for path in share.iterdir() if is_plain_directory(path)):
        size = sum(path.lstat().st_size for path in directory.rglob("*"))
        if size and total + size <= BOUND_BYTES:
            chosen.append(directory)
            total += size
    return chosen


def is_plain_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def kinds(root: Path) -> Counter[str]:
    """Count what `root` holds, by kind of entry; directories are not entries."""
    counted = Counter[str]()
    for parent, directories, names in os.walk(os.fsencode(root)):
        for name in (*directories, *names):
            mode = os.lstat(os.path.join(parent, name)).st_mode
            if stat.S_ISREG(mode):
                counted["regular"] += 1
            elif not stat.S_ISDIR(mode):
                counted["other"] += 1
    return counted


def regular_files_differ(left: Path, right: Path) -> list[str]:
    """Give the lines in which `diff -r` finds a difference of regular files."""
    compared = subprocess.run(
        ["diff", "--recursive", "--no-dereference", "--brief", str(left), str(right)],
        capture_output=True,
        text=True,
        errors="surrogateescape",
    )
    assert compared.returncode < 2, compared.stderr
    return [line for line in compared.stdout.splitlines() if not is_left_out(line)]


def is_left_out(line: str) -> bool:
    """Say whether a line of `diff` names something that is no regular file, or holds none."""
    prefix, found, name = line.partition(": ")
    if not (prefix.startswith("Only in ") and found):
        return False
    path = Path(prefix.removeprefix("Only in "), name)
    if path.is_symlink():
        return True
    return path.is_dir() and kinds(path)["regular"] == 0


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "home", tmp_path)


@pytest.mark.timeout(3600 if FULL else 300)
def test_system_files_compressed_and_decompressed_are_the_same(cli: Cli, tmp_path: Path) -> None:
    packed, unpacked = tmp_path / "packed", tmp_path / "unpacked"
    there = cli.job(*roots(), "--to", f"{packed}/", "-s", "compress:zstd")
    back = cli.job(packed, "--to", f"{unpacked}/", "-s", "decompress")

    counted = sum(map(kinds, roots()), Counter[str]())
    assert there["status"] == back["status"] == "completed"
    assert there["counts"]["listed"] == counted.total()
    assert there["counts"]["done"] == counted["regular"]
    assert there["counts"]["skipped"] == counted["other"]
    assert sum(there["reasons"].values()) == counted["other"]
    assert back["counts"]["done"] == counted["regular"]
    for root in roots():
        (unpacked / root.name).mkdir(exist_ok=True)  # one that holds no regular file has no output
        assert regular_files_differ(root, unpacked / root.name) == []


def test_compressed_files_are_accepted_by_standard_tools(cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "text").write_bytes(TEXT)
    (source / "empty").write_bytes(b"")
    for codec, suffix, tool in (("gzip", ".gz", "gzip"), ("zstd", ".zst", "zstd")):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
        sink = tmp_path / codec
        cli.ok("run", source, "--to", f"{sink}/", "-s", f"compress:{codec}")
        for name, content in (("text", TEXT), ("empty", b"")):
            packed = sink / f"{name}{suffix}"
            subprocess.run([tool, "--test", "--quiet", str(packed)], check=True)
            assert subprocess.check_output([tool, "-dc", str(packed)]) == content


def concatenated(tool: str, *parts: bytes) -> bytes:
    """Compress each part by a standard tool, and join what it wrote."""
    return b"".join(subprocess.check_output([tool, "-c"], input=part) for part in parts)


@pytest.mark.parametrize(("tool", "suffix"), [("gzip", ".gz"), ("zstd", ".zst")])
def test_files_of_standard_tools_in_several_members_are_decompressed_whole(
    tool: str, suffix: str, cli: Cli, tmp_path: Path
) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    source, sink = tmp_path / "source", tmp_path / "sink"
    source.mkdir()
    (source / f"one{suffix}").write_bytes(concatenated(tool, TEXT))
    (source / f"many{suffix}").write_bytes(concatenated(tool, TEXT, b"", b"end\n"))

    cli.ok("run", source, "--to", f"{sink}/", "-s", "decompress")

    assert (sink / "one").read_bytes() == TEXT
    assert (sink / "many").read_bytes() == TEXT + b"end\n"


def test_gzip_with_extra_fields_and_name_is_decompressed(cli: Cli, tmp_path: Path) -> None:
    source, sink = tmp_path / "source", tmp_path / "sink"
    source.mkdir()
    with (source / "named.gz").open("wb") as raw, gzip.GzipFile("inner", "wb", 9, raw) as packed:
        packed.write(TEXT)

    cli.ok("run", source, "--to", f"{sink}/", "-s", "decompress")

    assert (sink / "named").read_bytes() == TEXT


@pytest.mark.parametrize("codec", ["lz4", "xz", "bzip2", "brotli", "zstd", "gzip"])
def test_system_tools_and_we_read_each_other(cli: Cli, tmp_path: Path, codec: str) -> None:
    if shutil.which(codec) is None:
        pytest.skip(f"{codec} is not installed")
    source, packed = tmp_path / "source", tmp_path / "packed"
    source.mkdir()
    contents = {"empty": b"", "text": TEXT * 50, "noise": os.urandom(4_300_000)}
    for name, content in contents.items():
        (source / name).write_bytes(content)

    cli.ok("run", source, "--to", f"{packed}/", "-s", f"compress:{codec}")

    for ours in packed.iterdir():
        told = subprocess.run([codec, "-dc", ours], capture_output=True, check=True).stdout
        assert told == contents[ours.stem]
    theirs, unpacked = tmp_path / "theirs", tmp_path / "unpacked"
    theirs.mkdir()
    for name, content in contents.items():
        packing = subprocess.run([codec, "-c"], input=content, capture_output=True, check=True)
        (theirs / (name + ours.suffix)).write_bytes(packing.stdout)
    cli.ok("run", theirs, "--to", f"{unpacked}/", "-s", "decompress")
    assert {path.name: path.read_bytes() for path in unpacked.iterdir()} == contents


def test_non_regular_entries_are_each_accounted_for(cli: Cli, tmp_path: Path) -> None:
    source, sink = tmp_path / "source", tmp_path / "sink"
    source.mkdir()
    (source / "file").write_bytes(TEXT)
    (source / "link").symlink_to("file")
    (source / "dangling").symlink_to("nowhere")
    os.mkfifo(source / "fifo")

    job = cli.job(source, "--to", f"{sink}/", "-s", "compress:zstd")
    files = {
        Path(file["path"]).name: file
        for file in cli.ok("jobs", "files", job["id"], "--json").objects()
    }

    assert job["counts"]["listed"] == len(files) == 4
    assert {name: file["outcome"] for name, file in files.items()} == {
        "file": "done",
        "link": "skipped",
        "dangling": "skipped",
        "fifo": "skipped",
    }
    assert all(file.get("reason") for name, file in files.items() if name != "file")
