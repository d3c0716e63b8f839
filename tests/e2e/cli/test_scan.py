"""`pravah scan` against a directory whose content is known."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

from tests.e2e.cli.harness import Cli
from tests.e2e.cli.terminal import Terminal

FILES = {"data/a.csv", "data/b.csv", "data/deep/c.csv", "data/deep/d.txt", "data/empty"}


def test_scan_lists_each_file_once(cli: Cli, data: Path) -> None:
    assert data.exists()
    lines = cli.ok("scan", "data").out.splitlines()
    assert sorted(lines) == sorted(FILES)


def test_scan_with_nul_survives_newlines_in_names(cli: Cli, data: Path) -> None:
    (data / "line\nbreak").touch()
    paths = cli.ok("scan", "data", "-0").out.split("\0")
    assert set(paths) == FILES | {"data/line\nbreak", ""}


def test_scan_takes_include_and_exclude_rules(cli: Cli, data: Path) -> None:
    assert data.exists()
    lines = cli.ok("scan", "data", "--include", "*.csv", "--exclude", "deep/").out.splitlines()
    assert set(lines) == {"data/a.csv", "data/b.csv"}


def test_scan_of_several_roots_lists_all_of_them(cli: Cli, data: Path) -> None:
    other = cli.directory / "other"
    other.mkdir()
    (other / "z").touch()
    assert data.exists()
    assert set(cli.ok("scan", "data", "other").out.splitlines()) == FILES | {"other/z"}


def test_scan_as_ndjson_has_sizes_with_stat_only(cli: Cli, data: Path) -> None:
    with_stat = {
        line["path"]: line
        for line in cli.ok("scan", "data", "--format", "ndjson", "--stat").objects()
    }
    assert set(with_stat) == FILES
    assert with_stat["data/a.csv"]["size_bytes"] == (data / "a.csv").stat().st_size
    without = cli.ok("scan", "data", "--json").objects()
    assert {line["path"] for line in without} == FILES


def test_scan_as_csv_has_a_header_and_a_row_a_file(cli: Cli, data: Path) -> None:
    assert data.exists()
    header, *rows = cli.ok("scan", "data", "--format", "csv").out.splitlines()
    assert header.split(",")[0] == "path"
    assert len(rows) == 5


def test_scan_as_arrow_is_a_stream_that_arrow_reads(cli: Cli, data: Path) -> None:
    assert data.exists()
    ran = cli.ok("scan", "data", "--format", "arrow")
    stream = ran.out.encode("utf-8", "surrogateescape")
    listed = pa.ipc.open_stream(stream).read_all()
    assert listed["kind"].to_pylist().count("file") == 5


def test_scan_count_prints_totals(cli: Cli, data: Path) -> None:
    assert data.exists()
    totals = cli.ok("scan", "data", "--count", "--json").objects()[0]
    assert (totals["files"], totals["other"]) == (5, 0)
    assert "files" in cli.ok("scan", "data", "--count").out


@pytest.mark.parametrize("form", ["paths", "csv"])
def test_scan_on_a_terminal_escapes_names(cli: Cli, form: str) -> None:
    (cli.directory / "data").mkdir()
    (cli.directory / "data" / "a\x1b]0;owned\x07\u009b2J").touch()
    terminal = Terminal(cli, "scan", "data", "--format", form)
    shown = terminal.finish()
    assert terminal.code == 0
    assert "\x1b" not in shown
    assert "\u009b" not in shown
    assert "\\x1b]0;owned\\x07" in shown


def test_scan_into_a_pipe_writes_names_as_they_are(cli: Cli) -> None:
    (cli.directory / "data").mkdir()
    (cli.directory / "data" / "a\x1b[31m").touch()
    assert cli.ok("scan", "data").out == "data/a\x1b[31m\n"


def test_scan_whose_reader_goes_away_ends_quietly(cli: Cli) -> None:
    source = cli.directory / "data"
    source.mkdir()
    for number in range(3000):
        (source / f"{number:05}-{'x' * 100}").touch()
    reading, writing = os.pipe()
    import subprocess

    child = subprocess.Popen(
        cli.command("scan", "data"),
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=cli.directory,
        env=cli.env(),
    )
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    _, told = child.communicate(timeout=60)
    assert told == b""
    assert child.returncode == 0


def test_json_lines_of_scan_are_json_for_every_name(cli: Cli) -> None:
    source = os.fsencode(cli.directory / "data")
    os.mkdir(source)
    for name in (b"caf\xe9", b'quote"', b"back\\slash", b"line\nbreak"):
        with open(os.path.join(source, name), "wb"):
            pass
    lines = [json.loads(line) for line in cli.ok("scan", "data", "--json").out.splitlines()]
    assert len(lines) == 4
    assert sum("path_b64" in line for line in lines) == 1
