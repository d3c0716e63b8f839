"""Disks that are full, limited or broken: the job says so, loses nothing and goes on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli.harness import Cli, Ran, assert_books_close
from tests.e2e.disks import Injection, mounted, resize
from tests.e2e.trees import digests, litter

SMALL, SMALL_BYTES = 120, 50_000
LARGE_BYTES = 3_000_000


@dataclass
class Case:
    """A source with small files and a large one, and a place for outputs."""

    cli: Cli
    source: Path
    sink: Path

    def run(self, *arguments: str, prefix: tuple[str, ...] = ()) -> Ran:
        return self.cli("run", self.source, "--to", f"{self.sink}/", *arguments, prefix=prefix)

    def job(self) -> dict[str, Any]:
        """Give the only job, whose books close."""
        (job,) = self.cli.ok("jobs", "list", "--json").objects()
        assert_books_close(job)
        return job

    def file(self, job: dict[str, Any], name: str) -> dict[str, Any]:
        """Give what became of one file."""
        files = self.cli.ok("jobs", "files", job["id"], "--json").objects()
        (found,) = [file for file in files if os.path.basename(file["path"]) == name]
        return found

    def assert_whole(self, *missing: str) -> None:
        """Check that the outputs are the source's files but for some, without litter."""
        expected = digests(self.source)
        for name in missing:
            del expected[os.fsencode(name)]
        assert digests(self.sink) == expected
        assert litter(self.sink) == []


# On SQLite outputs wait without names, on PostgreSQL under names.
on_each_ledger = pytest.mark.parametrize("case", ["sqlite", "postgresql"], indirect=True)
on_postgresql = pytest.mark.parametrize("case", ["postgresql"], indirect=True)


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    """Make a case, on an embedded ledger unless the test asks for another."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(SMALL):
        (source / f"small-{number:03}").write_bytes(os.urandom(SMALL_BYTES))
    (source / "large").write_bytes(os.urandom(LARGE_BYTES))
    environment = {}
    if getattr(request, "param", "sqlite") == "postgresql":
        environment["DATABASE_URL"] = request.getfixturevalue("postgres_url")
    return Case(Cli(tmp_path / "home", tmp_path, environment), source, tmp_path / "disk" / "sink")


@pytest.fixture
def disk(case: Case) -> Path:
    """Give the directory of the disk that outputs go to."""
    case.sink.parent.mkdir()
    return case.sink.parent


# Full disks


@on_each_ledger
@pytest.mark.parametrize(
    ("limit", "enough", "step"),
    [
        ("size=4m", "size=40m", "copy"),
        ("size=4m", "size=40m", "compress"),
        ("nr_inodes=60", "nr_inodes=600", "copy"),
    ],
)
def test_full_disk_pauses_the_job_that_goes_on_when_there_is_room(
    case: Case, disk: Path, limit: str, enough: str, step: str
) -> None:
    with mounted(disk, limit):
        ran = case.run("-s", step)
        paused = case.job()
        assert paused["status"] == "paused"
        assert paused["error"]["kind"] == "sink_full"
        assert f"the sink `{case.sink}` is full: no space left on device" in ran.err
        assert "hint: make room" in ran.err
        assert paused["counts"]["failed"] == 0
        assert paused["counts"]["remaining"] > 0
        assert paused["counts"]["done"] == len(digests(case.sink))
        assert litter(case.sink) == []
        resize(disk, enough)
        case.cli.ok("jobs", "resume", paused["id"])
        completed = case.job()
        assert completed["status"] == "completed"
        assert completed["counts"]["done"] == SMALL + 1
        if step == "copy":
            case.assert_whole()


def test_file_beyond_the_limit_of_sizes_fails_alone(case: Case) -> None:
    (case.source / "huge").write_bytes(os.urandom(9 << 20))
    ran = case.run("-s", "copy", prefix=("prlimit", f"--fsize={8 << 20}"))
    assert ran.code == 1
    assert "file_too_big" in ran.err
    job = case.job()
    assert job["status"] == "failed"
    assert (job["counts"]["done"], job["counts"]["failed"]) == (SMALL + 1, 1)
    huge = case.file(job, "huge")
    assert huge["error"]["kind"] == "file_too_big"
    assert "file too large" in huge["error"]["message"]
    case.assert_whole("huge")


@pytest.mark.parametrize(
    ("call", "fault", "below"),
    [
        ("copy_file_range", "error=EDQUOT", ""),
        ("write", "error=EDQUOT:when=20+", ""),
        ("openat", "error=EDQUOT:when=12+", "sink"),
    ],
)
def test_used_up_quota_pauses_the_job_that_goes_on_when_it_is_raised(
    case: Case, tmp_path: Path, call: str, fault: str, below: str
) -> None:
    case.sink.mkdir(parents=True)
    path = case.sink.parent / below if below else None
    quota = Injection(tmp_path / "log", fault, (call,), path)
    ran = case.run("-s", "copy", prefix=quota.prefix)
    assert quota.injected
    paused = case.job()
    assert paused["status"] == "paused", ran.err
    assert paused["error"]["kind"] == "sink_full"
    assert "disk quota exceeded" in ran.err
    assert litter(case.sink) == []
    case.run("-s", "copy", "-q")
    assert case.job()["status"] == "completed"
    case.assert_whole()


# Broken disks


@pytest.mark.parametrize("name", ["small-007", "large"])
def test_file_that_can_not_be_read_is_tried_again_and_fails_alone(
    case: Case, tmp_path: Path, name: str
) -> None:
    calls = ("read", "pread64", "copy_file_range")
    broken = Injection(tmp_path / "log", "error=EIO", calls, case.source / name)
    ran = case.run("-s", "copy", prefix=broken.prefix)
    assert ran.code == 1
    assert name in ran.err
    assert "can't read the source: input/output error" in ran.err
    job = case.job()
    assert job["counts"]["done"] == SMALL
    file = case.file(job, name)
    assert file["error"]["kind"] == "io_error"
    assert file["attempts"] == 3
    case.assert_whole(name)
    case.cli.ok("jobs", "retry", job["id"])
    case.assert_whole()


def test_read_that_fails_for_a_while_is_made_good(case: Case, tmp_path: Path) -> None:
    # Once for each thread: three come in touch with the file at most.
    calls, name = ("read", "pread64"), "small-007"
    shaky = Injection(tmp_path / "log", "error=EIO:when=1", calls, case.source / name)
    ran = case.run("-s", "copy", "--set", "on_error.max_attempts=5", prefix=shaky.prefix)
    assert ran.code == 0, ran.err
    assert shaky.injected
    assert case.file(case.job(), name)["attempts"] == shaky.injected + 1
    case.assert_whole()


@pytest.mark.parametrize(
    ("name", "step"), [("small-007", "copy"), ("large", "copy"), ("large", "compress")]
)
def test_read_that_ends_early_without_an_error_fails_the_file_and_keeps_its_source(
    case: Case, tmp_path: Path, name: str, step: str
) -> None:
    calls = ("read", "copy_file_range")
    cut = Injection(tmp_path / "log", "retval=0", calls, case.source / name)
    ran = case.run("-s", step, "--after", "delete", prefix=cut.prefix)
    assert ran.code == 1
    assert cut.injected
    job = case.job()
    assert job["counts"]["done"] == SMALL
    file = case.file(job, name)
    assert file["error"]["kind"] == "changed_while_read"
    size = (case.source / name).stat().st_size
    assert f"it has {size} bytes, 0 of them could be read" in file["error"]["message"]
    assert file["attempts"] == 3
    assert os.listdir(case.source) == [name]


def test_copy_by_the_system_that_copies_nothing_is_made_by_reading(
    case: Case, tmp_path: Path
) -> None:
    nothing = Injection(tmp_path / "log", "retval=0", ("copy_file_range",))
    ran = case.run("-s", "copy", prefix=nothing.prefix)
    assert ran.code == 0, ran.err
    assert nothing.injected
    case.assert_whole()


@on_each_ledger
def test_flush_that_fails_once_throws_away_what_it_covered(case: Case, tmp_path: Path) -> None:
    """A failed flush is never done again: the pages are clean by then, and not on the disk."""
    also = ("openat", "linkat", "renameat2", "renameat", "rename")
    flush = Injection(tmp_path / "log", "error=EIO:when=1", ("syncfs",), also=also)
    ran = case.run("-s", "copy", prefix=flush.prefix)
    if not flush.injected:
        pytest.skip("outputs are not flushed as a whole here")
    assert ran.code == 0, ran.err
    begun = 0
    for calls in flush.of_each_thread():
        begun += sum(is_begun(call) for call in calls)
        flushed = [call for call in calls if "syncfs" in call and "unfinished" not in call]
        if flushed and "INJECTED" in flushed[0]:
            behind = calls[calls.index(flushed[0]) + 1 :]
            first_name = next(n for n, call in enumerate(behind) if is_published(call))
            assert any(call in behind[:first_name] for call in flushed[1:])
    assert begun > SMALL + 1, "what was covered was not written again"
    case.assert_whole()


def is_begun(call: str) -> bool:
    """Whether a system call begins an output."""
    return call.startswith("openat(") and ("O_TMPFILE" in call or ('".pravah-' in call))


def is_published(call: str) -> bool:
    """Whether a system call gives an output its name."""
    return call.startswith(("linkat(", "rename")) and ('"small-' in call or '"large"' in call)


@on_postgresql  # an embedded ledger would meet the fault itself
def test_flush_of_a_file_that_fails_once_has_it_written_again(
    case: Case, disk: Path, tmp_path: Path
) -> None:
    flush = Injection(tmp_path / "log", "error=EIO:when=1", ("fsync",), also=("openat",))
    with mounted(disk, kind="ramfs"):  # which is not known to flush as a whole
        ran = case.run("-s", "copy", prefix=flush.prefix)
        assert ran.code == 0, ran.err
        assert flush.injected
        begun = sum(is_begun(call) for calls in flush.of_each_thread() for call in calls)
        assert begun > SMALL + 1
        case.assert_whole()


def test_names_that_can_not_be_flushed_are_never_acknowledged(case: Case, tmp_path: Path) -> None:
    case.sink.mkdir(parents=True)
    flush = Injection(tmp_path / "log", "error=EIO", ("fsync",), path=case.sink)
    ran = case.run("-s", "copy", prefix=flush.prefix)
    assert ran.code == 1
    assert flush.injected
    job = case.job()
    assert job["counts"]["done"] == 0
    assert f"can't flush the names in the sink `{case.sink}` to disk: input/output error" in ran.err
    case.cli.ok("jobs", "retry", job["id"])
    assert case.job()["counts"]["done"] == SMALL + 1
    case.assert_whole()


# Writes that stop half-way


def test_write_that_is_interrupted_goes_on(case: Case, tmp_path: Path) -> None:
    interrupted = Injection(tmp_path / "log", "error=EINTR:when=3+3", ("write", "copy_file_range"))
    ran = case.run("-s", "copy", prefix=interrupted.prefix)
    assert ran.code == 0, ran.err
    assert interrupted.injected
    case.assert_whole()


def test_write_that_says_more_than_it_did_is_found_out(case: Case, tmp_path: Path) -> None:
    """The injected call writes nothing, and says that it has written a part."""
    lying = Injection(tmp_path / "log", "retval=1000:when=5+40", ("write",))
    ran = case.run("-s", "compress", "-q", prefix=lying.prefix)
    assert lying.injected
    job = case.job()
    files = case.cli.ok("jobs", "files", job["id"], "--outcome", "failed", "--json").objects()
    assert files, ran.err
    assert {file["error"]["kind"] for file in files} == {"verify_failed"}
    names = {f"{os.path.basename(file['path'])}.zst" for file in files}
    assert not names & {os.fsdecode(name) for name in digests(case.sink)}
    assert litter(case.sink) == []
    case.cli.ok("jobs", "retry", job["id"])
    assert len(digests(case.sink)) == SMALL + 1
