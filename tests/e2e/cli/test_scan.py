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


def test_scan_sum_by_extension_is_sorted_by_size(cli: Cli, data: Path) -> None:
    (data / "deep" / "BIG.CSV").write_bytes(b"x" * 5000)
    (data / "z.csv.gz").write_bytes(b"x" * 70)
    groups = cli.ok("scan", "data", "--sum", "--by", "ext", "--json").objects()
    assert groups[0]["ext"] == "csv"
    assert groups[0]["files"] == 4
    assert [g["bytes"] for g in groups] == sorted((g["bytes"] for g in groups), reverse=True)
    assert {"ext": "csv.gz", "files": 1, "bytes": 70} in groups
    assert {g["ext"]: g["files"] for g in groups}[""] == 1
    shown = cli.ok("scan", "data", "--sum", "--by", "ext").out.splitlines()
    assert shown[0].split() == ["size", "files", "ext"]
    assert shown[-1].split()[-2:] == ["7", "(total)"]


def test_scan_sum_by_directory_goes_as_deep_as_asked(cli: Cli, data: Path) -> None:
    (data / "deep" / "er" / "est").mkdir(parents=True)
    (data / "deep" / "er" / "est" / "x").write_bytes(b"x" * 9)
    by_path = {
        group["path"]: group["files"]
        for group in cli.ok("scan", "data", "--sum", "--by", "dir", "--json").objects()
    }
    assert by_path == {"data": 3, "data/deep": 3}
    deeper = cli.ok("scan", "data", "--sum", "--by", "dir", "--depth", "2", "--json").objects()
    assert {g["path"]: g["files"] for g in deeper} == {"data": 3, "data/deep": 2, "data/deep/er": 1}


def test_scan_sum_alone_prints_totals_with_sizes(cli: Cli, data: Path) -> None:
    totals = cli.ok("scan", "data", "--sum", "--json").objects()[0]
    assert totals["bytes"] == sum(p.stat().st_size for p in data.rglob("*") if p.is_file())


def test_scan_depth_without_directories_is_refused(cli: Cli, data: Path) -> None:
    assert data.exists()
    assert cli("scan", "data", "--by", "ext", "--depth", "2").code == 2
    assert "--depth is `0`" in cli("scan", "data", "--by", "dir", "--depth", "0").err


def test_scan_of_globs_lists_what_they_take(cli: Cli, data: Path) -> None:
    assert data.exists()
    assert set(cli.ok("scan", "data/*.csv").out.splitlines()) == {"data/a.csv", "data/b.csv"}
    both = cli.ok("scan", "data/**/*.csv", "data/deep/*.txt", "data/empt?").out.splitlines()
    assert sorted(both) == sorted(FILES)
    assert sorted(cli.ok("scan", "da*").out.splitlines()) == sorted(f"./{f}" for f in FILES)
    assert cli.ok("scan", "data/**/*.none").out == ""


def test_scan_of_a_file_named_like_a_glob_lists_that_file(cli: Cli, data: Path) -> None:
    (data / "*.csv").touch()
    assert cli.ok("scan", "data/*.csv").out == "data/*.csv\n"


def test_scan_of_a_glob_below_nothing_is_told(cli: Cli) -> None:
    ran = cli("scan", "nowhere/*.csv")
    assert (ran.code, ran.out) == (3, "")
    assert "nowhere" in ran.err


def test_scan_that_follows_links_lists_each_path_and_ends_at_loops(cli: Cli, data: Path) -> None:
    (data / "deep" / "up").symlink_to("..")
    (data / "one").symlink_to("deep")
    (data / "two").symlink_to("deep/c.csv")
    (data / "nowhere").symlink_to("missing")
    followed = FILES | {"data/one/c.csv", "data/one/d.txt", "data/two"}
    assert set(cli.ok("scan", "data", "--follow-symlinks").out.splitlines()) == followed
    counted = cli.ok("scan", "data", "--follow-symlinks", "--count", "--json").objects()[0]
    assert (counted["files"], counted["other"], counted["loops"]) == (8, 1, 2)
    assert set(cli.ok("scan", "data").out.splitlines()) == FILES
