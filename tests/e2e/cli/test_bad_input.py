"""Bad input: a clear error names the file, and the job goes on with the rest."""

import base64
import gzip
import json
import os
import shutil
import signal
import socket
import stat
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli.harness import Cli, assert_books_close


def outcomes(cli: Cli, job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give what became of each file, by its path in the source."""
    files = cli.ok("jobs", "files", job["id"], "--json").objects()
    return {os.path.relpath(file["path"], cli.directory / "data"): file for file in files}


def names_below(root: Path) -> set[bytes]:
    """Give the relative path of everything below a directory that is no directory."""
    top = os.fsencode(root)
    return {
        os.path.relpath(os.path.join(parent, name), top)
        for parent, _, names in os.walk(top)
        for name in names
    }


# Sources and sinks


def test_missing_source_is_named(cli: Cli) -> None:
    ran = cli("run", "no such place", "--to", "out", "-s", "copy")
    assert ran.code == 3
    assert "`no such place`" in ran.err or f"{cli.directory}/no such place" in ran.err
    assert not (cli.directory / "out").exists()


def test_sink_that_is_the_source_is_refused(cli: Cli, data: Path) -> None:
    before = names_below(data)
    for sink in ("data", "data/", "./data/../data", str(data)):
        ran = cli("run", "data", "--to", sink, "-s", "compress")
        assert ran.code == 2
        assert "source and sink are the same directory" in ran.err
    assert names_below(data) == before


def test_sink_that_is_the_source_by_a_link_is_refused(cli: Cli, data: Path) -> None:
    (cli.directory / "other").symlink_to(data)
    ran = cli("run", "data", "--to", "other", "-s", "compress")
    assert ran.code == 2
    assert "source and sink are the same directory" in ran.err


def test_source_below_the_sink_is_refused(cli: Cli, data: Path) -> None:
    ran = cli("run", "data/deep", "--to", "data", "-s", "compress")
    assert ran.code == 2
    assert "deep" in ran.err
    assert names_below(data) == {b"a.csv", b"b.csv", b"deep/c.csv", b"deep/d.txt", b"empty"}


def test_sink_below_the_source_is_left_out_of_the_scan(cli: Cli, settled: Path) -> None:
    first = cli.job("data", "--to", "data/out", "-s", "compress")
    again = cli.job("data", "--to", "data/out", "-s", "compress", "--new")
    assert first["counts"]["done"] == again["counts"]["skipped"] == 5
    assert not list((settled / "out").rglob("*.zst.zst"))


def test_several_roots_of_one_name_are_refused(cli: Cli, data: Path) -> None:
    twin = cli.directory / "twin" / "data"
    twin.mkdir(parents=True)
    ran = cli("run", data, twin, "--to", "out", "-s", "copy")
    assert ran.code == 2
    assert "data" in ran.err


# Names


@pytest.mark.parametrize(
    "name",
    [
        b"caf\xe9.txt",
        b"line\nbreak.txt",
        b"\x1b[2Jwipe.txt",
        b"-rf",
        b" lead and trail ",
        b"a#1%20?b.txt",
        "Ω\u202eevil.txt".encode(),
    ],
)
def test_odd_name_survives_the_job_and_never_reaches_the_terminal_raw(
    cli: Cli, name: bytes
) -> None:
    source = cli.directory / "data"
    source.mkdir()
    with open(os.path.join(os.fsencode(source), name), "wb") as file:
        file.write(b"content")
    job = cli.job("data", "--to", "out", "-s", "copy")
    assert job["counts"]["done"] == 1
    assert names_below(cli.directory / "out") == {name}
    (file_form,) = cli.ok("jobs", "files", job["id"], "--json").objects()
    if "path_b64" not in file_form:
        assert os.path.basename(os.fsencode(file_form["path"])) == name
    text = cli.ok("jobs", "files", job["id"]).out
    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()


def test_name_that_is_not_utf_8_comes_with_its_bytes(cli: Cli) -> None:
    source = cli.directory / "data"
    source.mkdir()
    with open(os.path.join(os.fsencode(source), b"caf\xe9"), "wb"):
        pass
    job = cli.job("data", "--to", "out", "-s", "copy")
    (file,) = cli.ok("jobs", "files", job["id"], "--json").objects()
    assert os.path.basename(base64.b64decode(file["path_b64"])) == b"caf\xe9"


def test_source_whose_name_is_not_utf_8_works(cli: Cli) -> None:
    root = os.path.join(os.fsencode(cli.directory), b"d\xe4ta")
    os.mkdir(root)
    with open(os.path.join(root, b"a"), "wb") as file:
        file.write(b"content")
    ran = cli.ok("run", b"d\xe4ta", "--to", b"o\xfct", "-s", "copy")
    assert "1" in ran.err
    with open(os.path.join(os.fsencode(cli.directory), b"o\xfct", b"a"), "rb") as file:
        assert file.read() == b"content"


def test_name_of_255_bytes_is_copied_and_fails_clearly_where_it_would_grow(cli: Cli) -> None:
    source = cli.directory / "data"
    source.mkdir()
    name = "n" * 255
    (source / name).write_bytes(b"content")
    (source / "short").write_bytes(b"content")
    assert cli.job("data", "--to", "copied", "-s", "copy")["counts"]["done"] == 2
    job = cli.job("data", "--to", "packed", "-s", "compress")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (1, 1)
    assert outcomes(cli, job)[name]["error"]["kind"] == "name_too_long"


def test_path_past_path_max_is_processed(cli: Cli) -> None:
    depth, part = 24, b"d" * 200
    source = os.path.join(os.fsencode(cli.directory), b"data")
    os.mkdir(source)
    here = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir(part, dir_fd=here)
        below = os.open(part, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    with open(os.open(b"leaf", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as file:
        file.write(b"content")
    os.close(here)
    job = cli.job("data", "--to", "out", "-s", "copy")
    assert job["counts"]["done"] == 1, cli("jobs", "failures", job["id"]).out
    out = os.open(cli.directory / "out", os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        below = os.open(part, os.O_RDONLY | os.O_DIRECTORY, dir_fd=out)
        os.close(out)
        out = below
    with open(os.open(b"leaf", os.O_RDONLY, dir_fd=out), "rb") as file:
        assert file.read() == b"content"
    os.close(out)
    assert cli.ok("scan", "data", "--count", "--json").objects()[0]["files"] == 1


# What is no regular file


def test_what_is_no_regular_file_is_skipped_with_its_reason(cli: Cli, data: Path) -> None:
    os.mkfifo(data / "pipe")
    (data / "link").symlink_to("a.csv")
    (data / "loop").symlink_to("loop")
    (data / "up").symlink_to("..")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(data)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        job = cli.job("data", "--to", "out", "-s", "copy")
    assert job["status"] == "completed"
    assert (job["counts"]["done"], job["counts"]["skipped"]) == (5, 5)
    reasons = {path: file.get("reason") for path, file in outcomes(cli, job).items()}
    assert reasons["pipe"] == "fifo"
    assert reasons["socket"] == "socket"
    assert reasons["link"] == reasons["loop"] == reasons["up"] == "symlink"
    assert len(names_below(cli.directory / "out")) == 5


# Permissions


def without_privileges() -> tuple[str, ...]:
    """Give the prefix of a command that the permissions of files apply to, also for root."""
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        pytest.skip("permissions do not apply to root, and there is no setpriv")
    return ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--")


def test_unreadable_directory_and_file_are_failures_and_the_rest_is_done(
    cli: Cli, data: Path
) -> None:
    locked, secret = data / "deep", data / "a.csv"
    secret.chmod(0)
    locked.chmod(0)
    try:
        ran = cli("run", "data", "--to", "out", "-s", "copy", "--json", prefix=without_privileges())
    finally:
        locked.chmod(0o755)
    assert ran.code == 1, ran.err
    (job,) = ran.objects()
    assert (job["counts"]["done"], job["counts"]["failed"]) == (2, 2)
    files = outcomes(cli, job)
    assert files["deep"]["error"]["kind"] == files["a.csv"]["error"]["kind"] == "permission_denied"
    assert "a.csv" in ran.err
    assert "deep" in ran.err


def test_merge_makes_no_output_of_which_an_unreadable_directory_may_hide_a_file(
    cli: Cli, data: Path
) -> None:
    (data / "deep").chmod(0)
    command = ("data", "--to", "all.csv", "-s", "merge:header=false", "--json")
    try:
        ran = cli("run", *command, prefix=without_privileges())
    finally:
        (data / "deep").chmod(0o755)
    (job,) = ran.objects()
    assert (ran.code, job["counts"]["done"]) == (1, 0)
    files = outcomes(cli, job)
    assert files["deep"]["error"]["kind"] == "permission_denied"
    assert files["a.csv"]["error"]["kind"] == "group_incomplete"
    assert "deep" in files["a.csv"]["error"]["message"]
    assert not (cli.directory / "all.csv").exists()
    # The directory is listed again, and what it hides is put where it belongs.
    group = next(
        failure["id"]
        for failure in cli.ok("jobs", "failures", job["id"], "--json").objects()
        if failure["kind"] == "permission_denied"
    )
    cli.ok("jobs", "retry", job["id"], "--group", group, "--wait")
    paths = sorted(path for path in data.rglob("*") if path.is_file())
    content = b"".join(path.read_bytes() for path in paths)
    assert (cli.directory / "all.csv").read_bytes() == content


def test_scan_of_an_unreadable_directory_names_it_and_lists_the_rest(cli: Cli, data: Path) -> None:
    (data / "deep").chmod(0)
    try:
        ran = cli("scan", "data", prefix=without_privileges())
    finally:
        (data / "deep").chmod(0o755)
    assert ran.code == 1
    assert sorted(Path(line).name for line in ran.out.splitlines()) == ["a.csv", "b.csv", "empty"]
    assert "deep" in ran.err


def test_read_only_sink_is_an_error_that_names_it(cli: Cli, data: Path) -> None:
    assert data.exists()
    sink = cli.directory / "out"
    sink.mkdir(mode=0o555)
    ran = cli("run", "data", "--to", "out", "-s", "copy", prefix=without_privileges())
    assert ran.code in (1, 4)
    assert "permission denied" in ran.err
    assert "out" in ran.err
    assert names_below(sink) == set()


def test_ledger_in_a_read_only_directory_is_a_clear_error(cli: Cli, data: Path) -> None:
    assert data.exists()
    cli.home.mkdir(mode=0o555)
    ran = cli("run", "data", "--to", "out", "-s", "copy", prefix=without_privileges())
    assert ran.code == 7
    assert str(cli.home) in ran.err


# Content


def test_truncated_and_corrupt_files_fail_and_the_rest_is_done(cli: Cli) -> None:
    source = cli.directory / "data"
    source.mkdir()
    whole = gzip.compress(b"line of text\n" * 5000)
    (source / "good.gz").write_bytes(whole)
    (source / "cut.gz").write_bytes(whole[: len(whole) // 2])
    damaged = bytearray(whole)
    damaged[-6] ^= 0xFF
    (source / "sum.gz").write_bytes(damaged)
    (source / "plain.txt").write_bytes(b"no archive")
    job = cli.job("data", "--to", "out", "-s", "decompress")
    assert (job["status"], job["counts"]["done"], job["counts"]["failed"]) == ("failed", 1, 3)
    kinds = {
        path: file["error"]["kind"]
        for path, file in outcomes(cli, job).items()
        if file.get("error")
    }
    assert kinds == {
        "cut.gz": "truncated_input",
        "sum.gz": "corrupt_input",
        "plain.txt": "not_compressed",
    }
    assert names_below(cli.directory / "out") == {b"good"}
    assert zlib.crc32((cli.directory / "out" / "good").read_bytes()) == zlib.crc32(
        b"line of text\n" * 5000
    )


def test_strangers_file_at_an_outputs_name_is_never_overwritten(cli: Cli, data: Path) -> None:
    assert data.exists()
    (cli.directory / "out").mkdir()
    (cli.directory / "out" / "a.csv").write_text("mine")
    job = cli.job("data", "--to", "out", "-s", "copy")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (4, 1)
    assert outcomes(cli, job)["a.csv"]["error"]["kind"] == "output_exists"
    assert (cli.directory / "out" / "a.csv").read_text() == "mine"


def test_entries_of_one_output_name_fail_and_name_each_other(cli: Cli) -> None:
    source = cli.directory / "data"
    source.mkdir()
    (source / "a.gz").write_bytes(gzip.compress(b"one"))
    (source / "a").write_bytes(gzip.compress(b"two"))
    (source / "b.gz").write_bytes(gzip.compress(b"three"))
    job = cli.job("data", "--to", "out", "-s", "decompress")
    errors = {path: file.get("error") for path, file in outcomes(cli, job).items()}
    assert errors["a.gz"]["kind"] == errors["a"]["kind"] == "output_collision"
    assert "a.gz" in errors["a"]["message"]
    assert names_below(cli.directory / "out") == {b"b"}


def test_files_that_vanish_after_the_scan_are_counted_as_such(cli: Cli) -> None:
    source = cli.directory / "data"
    source.mkdir()
    for number in range(40):
        (source / f"{number:02}").write_bytes(b"x" * 100)
    command = ("run", "data", "--to", "out", "-s", "copy", "--json")
    killed = cli(*command, env={"PRAVAH_FAILPOINTS": "ledger.emit.after_commit=1"})
    assert killed.code == -signal.SIGKILL
    for number in range(0, 40, 2):
        (source / f"{number:02}").unlink()
    ran = cli(*command)
    (job,) = ran.objects()
    assert_books_close(job)
    assert (job["counts"]["done"], job["counts"]["vanished"]) == (20, 20)
    assert len(names_below(cli.directory / "out")) == 20


def test_wire_form_of_a_path_round_trips_through_json(cli: Cli) -> None:
    source = cli.directory / "data"
    source.mkdir()
    (source / 'quote " and \\ and \u2028').write_bytes(b"x")
    job = cli.job("data", "--to", "out", "-s", "copy")
    line = cli.ok("jobs", "files", job["id"], "--json").out
    assert json.loads(line)["path"].endswith('/quote " and \\ and \u2028')
    assert stat.S_ISREG(os.stat(source / 'quote " and \\ and \u2028').st_mode)
