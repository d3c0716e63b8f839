"""Tables put together, parted and cut on the command line; other engines read the outputs."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pytest
from pyarrow import dataset, parquet

from tests.e2e.cli.harness import Cli

Row = dict[str, object]
NEWEST_S = 1_700_000_000


def write_csv(path: Path, rows: list[Row]) -> None:
    """Write rows by Python's own module, under the columns of the first one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def by_pyarrow(path: Path) -> list[Row]:
    rows: list[Row] = parquet.read_table(path).to_pylist()
    return rows


def by_duckdb(question: str) -> list[Row]:
    with duckdb.connect() as engine:
        found = engine.execute(question)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def under(columns: Iterable[str], rows: Iterable[Row]) -> list[Row]:
    """Give rows under these columns: null where one has none."""
    columns = list(columns)
    return [{name: row.get(name) for name in columns} for row in rows]


@pytest.fixture
def drifting(cli: Cli) -> list[Row]:
    """Write tables of three formats whose columns and types drift; give their rows in order."""
    source = cli.directory / "data"
    first: list[Row] = [
        {"id": 1, "price": 2, "day": "2026-01-31"},
        {"id": 2, "price": 3, "day": "x"},
    ]
    second: list[Row] = [{"price": 2.5, "city": "Pune", "id": 3}]
    third: list[Row] = [{"id": 4, "city": "ä €"}, {"id": 5, "city": None}]
    write_csv(source / "a.csv", first)
    (source / "b.ndjson").write_text("".join(json.dumps(row) + "\n" for row in second))
    parquet.write_table(pa.Table.from_pylist(third), source / "c.parquet")
    return [*first, *second, *third]


@pytest.mark.parametrize(
    ("rule", "columns"), [("union", ["id", "price", "day", "city"]), ("intersection", ["id"])]
)
def test_tables_that_drift_become_one_that_other_engines_read(
    cli: Cli, drifting: list[Row], rule: str, columns: list[str]
) -> None:
    step = f"merge:columns={rule}"
    job = cli.job("data/", "--to", "all.parquet", "-s", step, "-s", "convert:parquet")
    assert job["rows"] == {"in": 5, "out": 5, "filtered": 0, "dropped": 0, "quarantined": 0}
    expected = under(columns, drifting)
    path = cli.directory / "all.parquet"
    assert parquet.read_schema(path).names == columns
    assert by_pyarrow(path) == by_duckdb(f"from '{path}'") == expected
    (report,) = cli.ok("jobs", "report", job["id"], "--json").objects()
    assert report["rows"] == job["rows"]


def test_tables_that_must_be_the_same_fail_together_until_a_retry(cli: Cli) -> None:
    rows: dict[str, list[Row]] = {
        name: [{"id": f"{name}{number}", "n": number} for number in range(50)] for name in "abc"
    }
    for name, table in rows.items():
        write_csv(cli.directory / "data" / "one" / f"{name}.csv", table)
        write_csv(cli.directory / "data" / "two" / f"{name}.csv", table)
    bad = cli.directory / "data" / "two" / "b.csv"
    bad.write_text("id,n,more\nx,1,2\n")
    step = "merge:columns=same,group_by={dir}"
    to = ("--to", "out/", "--path", "{dir}.parquet")
    job = cli.job("data/", *to, "-s", step, "-s", "convert:parquet")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (3, 3)
    assert job["rows"] == {"in": 150, "out": 150, "filtered": 0, "dropped": 0, "quarantined": 0}
    groups = {g["kind"]: g for g in cli.ok("jobs", "failures", job["id"], "--json").objects()}
    culprit = groups["columns_differ"]
    assert culprit["count"] == 1
    assert "its columns are not those of `a.csv`: it has `more`" in culprit["message"]
    assert groups["group_incomplete"]["count"] == 2
    assert not (cli.directory / "out" / "two.parquet").exists()

    write_csv(bad, rows["b"])
    # One of both groups of failures is enough: the output is made of all its files.
    cli.ok("jobs", "retry", job["id"], "--group", culprit["id"], "--wait")
    (ended,) = cli.ok("jobs", "show", job["id"], "--json").objects()
    assert (ended["status"], ended["counts"]["done"]) == ("completed", 6)
    assert ended["rows"]["in"] == ended["rows"]["out"] == 300
    for name in ("one", "two"):
        assert by_pyarrow(cli.directory / "out" / f"{name}.parquet") == [
            row for table in rows.values() for row in table
        ]


def test_groups_are_cut_by_size_and_hold_their_rows_in_order(cli: Cli) -> None:
    meant: dict[str, list[Row]] = {"north": [], "south": []}
    sizes: dict[str, int] = {}
    for place in meant:
        for number in range(60):
            table: list[Row] = [{"at": number, "n": n, "place": place} for n in range(number + 1)]
            path = cli.directory / "data" / place / f"{number:03}.csv"
            write_csv(path, table)
            sizes[place] = sizes.get(place, 0) + path.stat().st_size
            meant[place] += table
    step = "merge:columns=same,group_by={dir},target_size=4KiB"
    job = cli.job("data/", "--to", "out/", "--path", "{dir}/{index:03}.csv", "-s", step)
    assert job["rows"]["in"] == job["rows"]["out"] == 2 * sum(range(61))
    for place, rows in meant.items():
        paths = sorted((cli.directory / "out" / place).iterdir())
        assert [path.name for path in paths] == [f"{n:03}.csv" for n in range(len(paths))]
        # Files are below 4 KiB and never cut, so outputs are between the half and the whole.
        assert sizes[place] / 4096 <= len(paths) <= sizes[place] / 2048 + 1
        assert all(path.stat().st_size <= 4096 for path in paths)
        assert pa.concat_tables(map(pyarrow.csv.read_csv, paths)).to_pylist() == rows
        listed = ", ".join(f"'{path}'" for path in paths)
        assert by_duckdb(f"from read_csv([{listed}])") == rows


def parted(cli: Cli) -> list[Row]:
    """Write tables whose rows belong into directories; names of some of these need escapes."""
    cities: list[object] = ["Pune", "a/b=c %d", "東京", None]
    rows: list[Row] = [
        {"id": number, "city": cities[number % 4], "day": f"2026-01-{1 + number % 3:02}"}
        for number in range(300)
    ]
    for start in range(0, 300, 50):
        write_csv(cli.directory / "data" / f"{start:03}.csv", rows[start : start + 50])
    return rows


def counted(rows: Iterable[Row]) -> Counter[tuple[object, ...]]:
    return Counter((row["id"], row["city"], str(row["day"])) for row in rows)


def test_partitions_are_read_by_other_engines_as_hive_ones(cli: Cli) -> None:
    rows = parted(cli)
    step = "{merge: {partition_by: [city, day]}}"
    to = ("--to", "lake/", "--path", "part-{part}.parquet")
    job = cli.job("data/", *to, "-s", step, "-s", "convert:parquet")
    assert (job["counts"]["done"], job["rows"]["in"], job["rows"]["out"]) == (6, 300, 300)
    lake = cli.directory / "lake"
    files = sorted(path for path in lake.rglob("*") if path.is_file())
    assert len(files) == 12
    assert parquet.ParquetFile(files[0]).schema_arrow.names == ["id"]
    found = dataset.dataset(lake, format="parquet", partitioning="hive").to_table()
    assert counted(found.to_pylist()) == counted(rows)
    question = f"from read_parquet('{lake}/**/*.parquet', hive_partitioning = true)"
    assert counted(by_duckdb(question)) == counted(rows)
    # Within a directory rows stay in the order of the files.
    for path in files:
        ids = parquet.ParquetFile(path).read()["id"]
        assert ids.to_pylist() == sorted(ids.to_pylist())
    told = cli.ok("jobs", "files", job["id"], "--json").objects()
    assert {len(file["outputs"]) for file in told} == {12}


def test_rows_that_are_left_out_on_the_way_are_in_the_books(cli: Cli) -> None:
    rows = parted(cli)
    with (cli.directory / "data" / "100.csv").open("a") as file:
        file.write("too,few\n")
    steps = (
        "convert:format=csv,on_bad_row=quarantine",
        "filter_rows:id < 200",
        "{merge: {columns: same, partition_by: [day]}}",
        "convert:parquet",
    )
    to = ("--to", "out/", "--path", "{part}.parquet")
    job = cli.job("data/", *to, *(part for step in steps for part in ("-s", step)))
    books = {"in": 301, "out": 200, "filtered": 100, "dropped": 0, "quarantined": 1}
    assert (job["counts"]["done"], job["rows"]) == (6, books)
    (bad,) = cli.ok("jobs", "results", job["id"]).objects()
    assert (bad["line"], bad["kind"], bad["text"]) == (52, "csv_ragged_row", "too,few")
    assert bad["path"].endswith("100.csv")
    outputs = [path for path in (cli.directory / "out").rglob("*.parquet") if "day=" in str(path)]
    found = dataset.dataset(outputs, format="parquet", partitioning="hive").to_table()
    assert pc.sum(found["id"]).as_py() == sum(range(200))
    assert counted(found.to_pylist()) == counted(rows[:200])


def test_a_table_is_cut_into_parts_that_other_engines_read(cli: Cli) -> None:
    text = 'n "{}"\n, ä'
    rows: list[Row] = [{"id": number, "name": text.format(number)} for number in range(2_500)]
    write_csv(cli.directory / "big.csv", rows)
    cut: dict[str, tuple[str, Any]] = {
        "rows": ("split:rows=1000", [1000, 1000, 500]),
        "bytes": ("{split: {bytes: 16KiB, whole: rows}}", None),
    }
    for name, (step, lengths) in cut.items():
        job = cli.job("big.csv", "--to", f"{name}/", "-s", step, "-s", "convert:parquet")
        assert job["rows"]["in"] == job["rows"]["out"] == 2_500
        paths = sorted((cli.directory / name).iterdir())
        assert [path.name for path in paths] == [f"big-{n:05}.parquet" for n in range(len(paths))]
        found = [by_pyarrow(path) for path in paths]
        assert lengths is None or [len(part) for part in found] == lengths
        assert len(paths) > 2
        assert [row for part in found for row in part] == rows
        listed = ", ".join(f"'{path}'" for path in paths)
        assert by_duckdb(f"from read_parquet([{listed}])") == rows


@pytest.mark.parametrize(
    ("step", "path"),
    [
        ("{merge: {partition_by: [day]}}", "{part}.csv"),
        ("split:rows=10", "{stem}-{part}.csv"),
        ("merge:columns=same", "all.csv"),
    ],
)
def test_outputs_have_the_time_of_the_newest_of_their_files(cli: Cli, step: str, path: str) -> None:
    parted(cli)
    for number, source in enumerate(sorted((cli.directory / "data").iterdir())):
        # The newest one is neither the first nor the last.
        age_s = 0 if number == 2 else 1_000 + number
        os.utime(source, (NEWEST_S - age_s, NEWEST_S - age_s))
    cli.ok("run", "data/", "--to", "out/", "--path", path, "-s", step)
    outputs = [file for file in (cli.directory / "out").rglob("*.csv") if file.is_file()]
    times = {file.stat().st_mtime for file in outputs}
    if step.startswith("split"):
        assert len(outputs) == 30
        own = {source.stem: source.stat().st_mtime for source in (cli.directory / "data").iterdir()}
        assert all(file.stat().st_mtime == own[file.name[:3]] for file in outputs)
    else:
        assert times == {NEWEST_S}
