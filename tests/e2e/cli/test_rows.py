"""Rows and columns of tables: `select`, `filter_rows`, `sample`, and rows that can't be read."""

import csv
import gzip
import json
import os
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.e2e.cli.harness import Cli

# The full form has a file of 1 GB (PRAVAH_TEST_BAD_ROW_MB=1000).
BAD_ROW_MB = int(os.environ.get("PRAVAH_TEST_BAD_ROW_MB", "24"))

TABLE = "id,city,amount\n1,Pune,10\n2,Delhi,\n3,Pune,30\n4,,7\n"


@pytest.fixture
def source(cli: Cli) -> Path:
    """Make a directory with one table as it is, and compressed."""
    source = cli.directory / "data"
    source.mkdir()
    (source / "a.csv").write_text(TABLE)
    (source / "b.csv.gz").write_bytes(gzip.compress(TABLE.encode()))
    return source


def test_rows_and_columns_are_chosen_in_one_pass_and_files_stay_csv(cli: Cli, source: Path) -> None:
    job = cli.job(
        source,
        "--to",
        "out/",
        "-s",
        "filter_rows:amount >= 10 and city = 'Pune'",
        "-s",
        "select:id",
    )
    assert job["rows"] == {"in": 8, "out": 4, "filtered": 4, "dropped": 0, "quarantined": 0}
    for name in ("a.csv", "b.csv"):
        assert (cli.directory / "out" / name).read_text() == "id\n1\n3\n"


def test_rows_become_another_format_with_other_names_and_types(cli: Cli, source: Path) -> None:
    select = "{select: {exclude: [city], rename: {id: key}, cast: {amount: float64}}}"
    cli.ok("run", source, "--to", "out/", "-s", select, "-s", "convert:parquet", "-s", "compress")
    cli.ok("run", "out/", "--to", "there/", "-s", "decompress")
    table = pyarrow.parquet.read_table(cli.directory / "there" / "a.parquet")
    assert table.to_pylist()[:2] == [{"key": 1, "amount": 10.0}, {"key": 2, "amount": None}]


def test_sample_is_the_same_at_every_run(cli: Cli) -> None:
    path = cli.directory / "many.csv"
    path.write_text("id\n" + "".join(f"{number}\n" for number in range(100_000)))
    for to in ("one.csv", "two.csv"):
        cli.ok("run", path, "--to", to, "-s", "sample:50", "--new")
    one, two = ((cli.directory / name).read_text() for name in ("one.csv", "two.csv"))
    assert one == two
    kept = [int(line) for line in one.split()[1:]]
    assert len(kept) == 50
    assert kept == sorted(kept)
    assert kept[-1] > 50_000


def test_column_that_is_not_there_fails_with_those_that_are(cli: Cli, source: Path) -> None:
    ran = cli("run", source, "--to", "out/", "-s", "select:town")
    assert ran.code == 1
    assert "no_such_column" in ran.err
    assert "there is no column `town`; there are `id`, `city`, `amount`" in ran.err


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("filter_rows:amount >", "can't be read"),
        ("filter_rows:amount + 1", "the operator `+` is not known here"),
        ("sample:0", "sample: rows is 0"),
        ("select", "select: nothing is selected"),
        ("{select: {columns: [a], exclude: [a]}}", "`a` is in columns and in exclude"),
    ],
)
def test_step_that_means_nothing_is_refused_before_a_job(
    cli: Cli, source: Path, step: str, told: str
) -> None:
    ran = cli("run", source, "--to", "out/", "-s", step)
    assert ran.code == 2
    assert told in ran.err


def write_with_a_bad_row(path: Path, size_bytes: int) -> tuple[int, int]:
    """Write a table whose row in the middle is too short; give its line and the number of rows."""
    written, rows, bad = 0, 0, 0
    with path.open("w") as file:
        file.write("id,name,price\n")
        while written < size_bytes:
            rows += 1
            row = f"{rows},name {rows},{rows / 4}\n"
            if not bad and written > size_bytes // 2:
                row, bad = f"{rows},too few\n", rows + 1
            written += file.write(row)
    return bad, rows


def test_bad_row_in_the_middle_of_a_large_file_is_told_under_each_policy(cli: Cli) -> None:
    path = cli.directory / "large.csv"
    bad, rows = write_with_a_bad_row(path, BAD_ROW_MB * 1_000_000)
    message = f"line {bad} has 2 fields, the first row has 3"

    job = cli.job(path, "--to", "failed.parquet", "-s", "convert:parquet")
    (failure,) = cli.ok("jobs", "failures", job["id"], "--json").objects()
    assert (failure["kind"], failure["message"]) == ("csv_ragged_row", message)
    assert not (cli.directory / "failed.parquet").exists()

    for policy, count in (("drop", "dropped"), ("quarantine", "quarantined")):
        to = f"{policy}.parquet"
        step = f"convert:format=parquet,on_bad_row={policy}"
        job = cli.ok("run", path, "--to", to, "-s", step, "--json").objects()[-1]
        assert job["rows"]["in"] == rows
        assert job["rows"][count] == 1
        assert job["rows"]["out"] == rows - 1
        assert pyarrow.parquet.ParquetFile(cli.directory / to).metadata.num_rows == rows - 1
        (found,) = cli.ok("jobs", "results", job["id"]).objects()
        assert found["path"].endswith("large.csv")
        assert (found["line"], found["kind"], found["message"]) == (bad, "csv_ragged_row", message)
        assert found.get("text") == (f"{bad - 1},too few" if policy == "quarantine" else None)


def test_bad_rows_are_a_dataset_beside_the_outputs_or_where_it_is_named(cli: Cli) -> None:
    (cli.directory / "a.csv").write_text("id,name\n1,x\n2\n")
    step = "convert:format=csv,on_bad_row=quarantine"
    job = cli.job("a.csv", "--to", "out/", "-s", step)
    (kept,) = (cli.directory / "out" / "_pravah").rglob("results.ndjson")
    assert json.loads(kept.read_text())["text"] == "2"
    assert job["results"]["count"] == 1
    cli.ok("run", "a.csv", "--to", "out2/", "-s", step, "--results-to", "bad.parquet")
    assert pyarrow.parquet.read_table(cli.directory / "bad.parquet")["line"].to_pylist() == [3]

    refused = cli("run", "a.csv", "--in-place", "-s", step)
    assert (refused.code, "convert leaves rows out of files" in refused.err) == (2, True)
    cli.ok("run", "a.csv", "--in-place", "-s", step, "--results-to", "kept/")
    assert (cli.directory / "a.csv").read_text() == "id,name\n1,x\n"
    assert len(list((cli.directory / "kept").iterdir())) == 1


def test_value_behind_the_sample_widens_its_column(cli: Cli) -> None:
    path = cli.directory / "wide.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "filler"])
        for number in range(12_000):
            writer.writerow([number, "x" * 1_000])
        writer.writerow(["n/a", "y"])
    cli.ok("run", path, "--to", "wide.ndjson", "-s", "convert:ndjson")
    with (cli.directory / "wide.ndjson").open() as file:
        ids = [json.loads(line)["id"] for line in file]
    assert ids == [*(str(number) for number in range(12_000)), "n/a"]
