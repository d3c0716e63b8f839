"""A sink on a file system whose inode numbers mean nothing: overlay, as NFS and FUSE (rule 6)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.cli.harness import Cli
from tests.e2e.disks import mounted
from tests.e2e.trees import digests, litter

FILES = 40


def test_outputs_on_an_overlay_are_known_by_their_content_after_a_kill(tmp_path: Path) -> None:
    """Published and not acknowledged: the content tells, not size and time, and not the inode."""
    source, sink, cli = tmp_path / "source", tmp_path / "sink", Cli(tmp_path / "home", tmp_path)
    source.mkdir()
    for number in range(FILES):
        (source / f"{number:02}").write_bytes(os.urandom(100))
    command = ("run", source, "--to", f"{sink}/", "-s", "copy")
    with _overlay(sink):
        # The write behind the only window is the one that acknowledges it.
        killed = cli(*command, env={"PRAVAH_FAILPOINTS": "ledger.window.before_commit=2"})
        assert killed.code == -9
        assert len(digests(sink)) == FILES
    # Mounted anew the overlay is another device, and nothing has the inode that it had.
    with _overlay(sink):
        stranger = sink / "07"
        known = stranger.stat()
        stranger.write_bytes(b"x" * known.st_size)
        os.utime(stranger, ns=(known.st_atime_ns, known.st_mtime_ns))
        job = cli.job(*command[1:])
        assert job["counts"]["done"] == FILES - 1
        assert job["reasons"] == {"failed:output_exists": 1}
        assert stranger.read_bytes() == b"x" * known.st_size
        stranger.unlink()
        cli.ok("jobs", "retry", job["id"])
        assert digests(sink) == digests(source)
        assert litter(sink) == []


def test_output_on_an_overlay_is_replaced_only_if_it_is_what_was_published(tmp_path: Path) -> None:
    source, sink, cli = tmp_path / "source", tmp_path / "sink", Cli(tmp_path / "home", tmp_path)
    source.mkdir()
    for name in ("own", "stranger"):
        (source / name).write_bytes(b"first")
    command = ("run", source, "--to", f"{sink}/", "-s", "copy")
    with _overlay(sink):
        cli.ok(*command)
        known = (sink / "stranger").stat()
        (sink / "stranger").write_bytes(b"wrote")
        os.utime(sink / "stranger", ns=(known.st_atime_ns, known.st_mtime_ns))
        for name in ("own", "stranger"):
            (source / name).write_bytes(b"second")
        job = cli.job(*command[1:])
        assert job["reasons"] == {"failed:output_exists": 1}
        assert (sink / "own").read_bytes() == b"second"
        assert (sink / "stranger").read_bytes() == b"wrote"


def test_sparse_output_on_an_overlay_is_known_by_its_content(tmp_path: Path) -> None:
    """A hole counts as the zeros that it is read as."""
    source, sink, cli = tmp_path / "source", tmp_path / "sink", Cli(tmp_path / "home", tmp_path)
    source.mkdir()
    with (source / "holes").open("wb") as file:
        file.write(b"begin" * 1_000)
        file.seek(3 << 20)
        file.write(b"middle" * 1_000)
        file.truncate(5 << 20)
    before = digests(source)
    with _overlay(sink):
        killed = cli(
            "run", source, "--to", f"{sink}/", "-s", "copy", "--after", "delete",
            env={"PRAVAH_FAILPOINTS": "ledger.window.before_commit=2"},
        )  # fmt: skip
        assert killed.code == -9
        assert digests(sink) == before
        job = cli.job(source, "--to", f"{sink}/", "-s", "copy", "--after", "delete")
        assert (job["status"], job["counts"]["done"]) == ("completed", 1)
        assert list(source.iterdir()) == []
        assert digests(sink) == before


@contextmanager
def _overlay(sink: Path) -> Iterator[None]:
    lower, upper, work = (sink.parent / name for name in ("lower", "upper", "work"))
    for each in (lower, upper, work):
        each.mkdir(exist_ok=True)
    options = (f"lowerdir={lower}", f"upperdir={upper}", f"workdir={work}")
    with mounted(sink, *options, kind="overlay"):
        yield
