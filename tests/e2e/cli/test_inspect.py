"""Inspect steps from the documented command to their dataset, against Python's csv, wc and grep."""

import csv
import gzip
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli.harness import Cli, Ran

# Name, delimiter, encoding, types of the columns, rows.
TABLES: dict[str, tuple[str, str, list[str], list[list[str]]]] = {
    "people.csv": (
        ",",
        "utf-8",
        ["int64", "text", "float64", "date"],
        [
            ["id", "name", "height, m", "born"],
            ["1", "Asha", "1.62", "1990-02-28"],
            ["2", 'Rao, "K"', "1.80", ""],
        ],
    ),
    "deep/places.csv": (
        ";",
        "latin-1",
        ["text", "text", "boolean"],
        [["zip", "größe", "open"], ["01234", "a\nb", "true"], ["99999", "c", "false"]],
    ),
    "events.tsv": (
        "\t",
        "utf-8-sig",
        ["timestamp_utc", "int64"],
        [["at", "n"], *([f"2026-01-01T00:00:{n:02}Z", str(n)] for n in range(60))],
    ),
}


@pytest.fixture
def tables(cli: Cli) -> Path:
    """Write tables of several schemas and dialects."""
    source = cli.directory / "input"
    for name, (delimiter, encoding, _, rows) in TABLES.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding=encoding, newline="") as file:
            csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return source


def by_name(ran: Ran, source: Path) -> dict[str, dict[str, Any]]:
    return {os.path.relpath(record["path"], source): record for record in ran.objects()}


def test_documented_command_gives_a_record_of_each_table(cli: Cli, tables: Path) -> None:
    created = cli.ok(
        *("jobs", "create", "--source-path", tables, "--destination-path", "out"),
        *("--processor", "extract_headers", "--wait", "--json"),
    )
    job = created.objects()[0]["id"]
    found = by_name(cli.ok("jobs", "results", job), tables)
    assert list(found) == sorted(TABLES)
    for name, (delimiter, encoding, types, _) in TABLES.items():
        record = found[name]
        with (tables / name).open(encoding=encoding, newline="") as file:
            header, *rows = csv.reader(file, delimiter=delimiter)
        assert [column["name"] for column in record["columns"]] == header
        assert [column["type"] for column in record["columns"]] == types
        assert (record["delimiter"], record["row_estimate"]) == (delimiter, len(rows))
        assert (record["encoding"], record["bom"], record["exact"]) == (
            encoding.removesuffix("-sig"),
            encoding.endswith("-sig"),
            True,
        )
    (dataset,) = (cli.directory / "out").rglob("results.ndjson")
    lines = dataset.read_text().splitlines()
    assert [json.loads(line) for line in lines] == list(found.values())


def test_drift_tells_the_files_that_differ(cli: Cli) -> None:
    (cli.directory / "input").mkdir()
    for name, text in (("a", "id,x\n1,2\n"), ("b", "id,x\n3,4\n"), ("c", "id,y\n1,\n")):
        (cli.directory / "input" / f"{name}.csv").write_text(text)
    job = cli.job("input", "-s", "extract_headers")["id"]
    told = cli.ok("jobs", "results", job, "--drift").out
    assert "tables   3, of 2 schemas\ncolumns  3 in all, 1 in every table" in told
    assert "S1  2 ×  id int64, x int64\n    input/a.csv, input/b.csv" in told
    assert "S2  1 ×  - x, + y text\n    input/c.csv" in told
    (found,) = cli.ok("jobs", "results", job, "--drift", "--json").objects()
    assert found["intersection"] == ["id"]
    assert found["schemas"][1]["drift"]["missing"] == ["x"]


def test_plan_of_inspect_steps_tells_that_nothing_is_published(cli: Cli, tables: Path) -> None:
    told = cli.ok("plan", tables, "--to", "out", "-s", "extract_headers").out
    assert "out   findings only, below _pravah/" in told
    assert "overwrite" not in told


def test_headers_of_what_is_no_table_fail_unless_it_may_pass(cli: Cli, tables: Path) -> None:
    (tables / "photo.bin").write_bytes(bytes(range(256)))
    job = cli.job(tables, "-s", "extract_headers")
    assert job["counts"]["failed"] == 1
    (group,) = cli.ok("jobs", "failures", job["id"], "--json").objects()
    assert (group["kind"], group["step"]) == ("unsupported_input", "extract_headers")
    assert "csv, tsv, ndjson, json, parquet, arrow" in group["message"]
    ran = cli.ok("run", tables, "-s", "extract_headers:unknown=pass")
    assert list(by_name(ran, tables)) == sorted(TABLES)


def test_count_gives_what_wc_prints(cli: Cli, data: Path) -> None:
    (data / "wide").write_bytes(b"a  b\x0bc\n\n \xc3\xa9 d" * 300_000)
    (data / "unended").write_bytes(b"no end")
    for name, record in by_name(cli.ok("run", data, "-s", "count"), data).items():
        counted = subprocess.run(
            ["wc", "-lwc", data / name],
            capture_output=True,
            check=True,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        expected = [int(number) for number in counted.stdout.split()[:3]]
        assert [record["lines"], record["words"], record["size_bytes"]] == expected, name


def test_grep_gives_the_lines_that_grep_prints(cli: Cli, data: Path) -> None:
    lines = [f"line {number} {'ERROR' if number % 7 == 0 else 'ok'}" for number in range(200_000)]
    (data / "big.log").write_text("\n".join(lines))
    pattern = "[57]000 E|^1,b"
    ran = cli.ok("run", data, "-s", f"{{grep: {{pattern: '{pattern}', max_results: 1000}}}}")
    found = [
        f"{os.path.relpath(record['path'], data)}:{record['line']}:{record['text']}"
        for record in ran.objects()
    ]
    told = subprocess.run(
        ["grep", "-rnE", pattern, "."], cwd=data, capture_output=True, check=True, text=True
    )
    assert sorted(found) == sorted(line.removeprefix("./") for line in told.stdout.splitlines())
    assert len(found) > 50


def test_headers_of_a_vast_table_are_told_by_a_part_of_it(cli: Cli, tables: Path) -> None:
    with (tables / "vast.csv").open("wb") as file:
        file.write(b"id,name\n" + b"1,Asha\n" * 200_000)
        file.truncate(1 << 40)
    job = cli.job(tables, "-s", "extract_headers:unknown=pass", "-s", "detect_type")
    assert job["counts"]["done"] == len(TABLES) + 1
    assert job["bytes_in"] < 4 << 20


def test_types_and_counts_look_through_compression(cli: Cli, tables: Path) -> None:
    text = (tables / "people.csv").read_bytes()
    (tables / "people.csv.gz").write_bytes(gzip.compress(text))
    (tables / "photo.jpg").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(60))
    found = by_name(cli.ok("run", tables, "-s", "detect_type"), tables)
    told = {name: (record["type"], record["compression"]) for name, record in found.items()}
    assert told["people.csv.gz"] == ("csv", "gzip")
    assert told["photo.jpg"] == ("png", None)
    assert found["photo.jpg"]["extension_agrees"] is False
    counted = by_name(cli.ok("run", tables, "-s", "count", "--include", "people*"), tables)
    plain, packed = counted["people.csv"], counted["people.csv.gz"]
    assert (plain["rows"], plain["size_bytes"]) == (2, len(text))
    assert {**packed, "path": plain["path"], "compression": None} == plain
