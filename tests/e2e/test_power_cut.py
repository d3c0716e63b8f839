"""A power cut, as the shutdown ioctl of ext4 makes one: its log is not flushed, then a remount."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.e2e.cli.harness import Cli, assert_books_close
from tests.e2e.trees import digests, litter, make_source

# linux/ext4.h: EXT4_IOC_SHUTDOWN, and its flag that leaves the log unflushed.
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2
_IMAGE_BYTES = 400 << 20


class Disk:
    """An ext4 file system in a file, whose power can be cut."""

    def __init__(self, directory: Path) -> None:
        self._image = directory / "disk.img"
        self.path = directory / "disk"
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        _run("mkfs.ext4", "-q", str(self._image))

    def mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.path))

    def cut(self) -> None:
        directory = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, _SHUTDOWN, _NO_LOG_FLUSH.to_bytes(4, "little"))
        finally:
            os.close(directory)

    def unmount(self) -> None:
        until_s = time.monotonic() + 20
        while subprocess.run(["umount", str(self.path)], capture_output=True).returncode:
            assert time.monotonic() < until_s, "somebody keeps the file system busy"
            time.sleep(0.1)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("a power cut needs root, and mkfs.ext4")
    made = Disk(tmp_path)
    try:
        made.mount()
    except AssertionError as error:
        pytest.skip(f"no loop devices here: {error}")
    yield made
    with suppress(AssertionError):
        made.unmount()


@pytest.mark.parametrize("published", [1, 700, 2_000])
@pytest.mark.parametrize("ledger", ["beside", "elsewhere"])
def test_what_is_acknowledged_before_a_power_cut_is_on_disk_behind_it(
    disk: Disk, tmp_path: Path, ledger: str, published: int
) -> None:
    source, sink = tmp_path / "source", disk.path / "sink"
    make_source(source, small_files=3_000, large_bytes=4_000_000)
    home = disk.path / "home" if ledger == "beside" else tmp_path / "home"
    cli = Cli(home, tmp_path)
    arguments = ("run", source, "--to", f"{sink}/", "-s", "copy", "--write-rate", "4MB/s", "-q")
    running = subprocess.Popen(
        cli.command(*arguments),
        env=cli.env(),
        cwd=tmp_path,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until_s = time.monotonic() + 60
    while len(digests(sink)) < published:
        assert running.poll() is None
        assert time.monotonic() < until_s
        time.sleep(0.02)
    disk.cut()
    running.kill()
    running.wait()
    disk.unmount()
    disk.mount()

    expected = digests(source)
    listed = cli("jobs", "list", "--json")
    if listed.code == 0 and listed.out:
        (job,) = listed.objects()
        on_disk = digests(sink) if sink.exists() else {}
        acknowledged = cli.ok("jobs", "files", job["id"], "--outcome", "done", "--json").objects()
        assert published < 2_000 or acknowledged
        for file in acknowledged:
            output = unquote(file["outputs"][0].removeprefix("file://"))
            name = os.fsencode(os.path.relpath(output, sink))
            assert on_disk.get(name) == expected[name]
    job = cli.job(*arguments[1:-3])
    assert_books_close(job)
    assert job["status"] == "completed"
    assert digests(sink) == expected
    assert litter(sink) == []


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
