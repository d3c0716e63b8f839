"""`-s convert:FORMAT` over files as people have them; other programs read what comes out."""

import csv
import gzip
import json
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow.feather
import pyarrow.parquet
import pytest

from tests.e2e.cli.harness import Cli

# Whatever the values of a cell are, its text has to tell them apart from its neighbours'.
TABLE = [
    ["id", "code", "price", "ok", "day", "at", "note"],
    ["1", "007", "0.1", "true", "2024-02-29", "2024-02-29 12:00:00", 'a, "b"\nc'],
    ["2", "7", "-2.5", "false", "1969-12-31", "1969-12-31 23:59:59.5", "ÄÖ €"],
    ["9223372036854775807", "18446744073709551616", "1e300", "", "", "", ""],
]


def write_csv(path: Path, table: list[list[str]]) -> None:
    """Write a table by Python's own module."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table)


@pytest.fixture
def tables(cli: Cli) -> Path:
    """Make a directory of CSV files, one of them compressed, with dots in a name."""
    source = cli.directory / "data"
    (source / "deep").mkdir(parents=True)
    write_csv(source / "a.csv", TABLE)
    write_csv(source / "deep" / "b.2024.csv", TABLE)
    (source / "c.csv.gz").write_bytes(gzip.compress((source / "a.csv").read_bytes()))
    return source


def meant(name: str, cell: str) -> object:
    """Give the value that a cell of TABLE stands for."""
    if cell == "":
        return None
    readers = {
        "id": int,
        "price": float,
        "ok": "true".__eq__,
        "day": date.fromisoformat,
        "at": datetime.fromisoformat,
    }
    return readers.get(name, str)(cell)


def rows_of(path: Path) -> list[dict[str, object]]:
    """Read a CSV file by Python's own module, with the values that are meant."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{k: meant(k, v) for k, v in row.items()} for row in csv.DictReader(file)]


def test_file_that_is_no_table_takes_no_name_from_one_beside_it(cli: Cli) -> None:
    (cli.directory / "data").mkdir()
    write_csv(cli.directory / "data" / "a.csv", TABLE)
    (cli.directory / "data" / "a.md").write_text("# about a.csv\n")
    ran = cli("run", "data/", "--to", "out/", "-s", "convert:parquet")
    assert ran.code == 1
    assert "unsupported_input" in ran.err
    assert "output_collision" not in ran.err
    assert (cli.directory / "out" / "a.parquet").exists()


def test_directory_of_csv_becomes_parquet_with_equal_values(cli: Cli, tables: Path) -> None:
    cli.ok("run", "data/", "--to", "out/", "-s", "convert:parquet")
    expected = rows_of(tables / "a.csv")
    outputs = sorted(path for path in (cli.directory / "out").rglob("*") if path.is_file())
    names = [str(path.relative_to(cli.directory / "out")) for path in outputs]
    assert names == ["a.parquet", "c.parquet", "deep/b.2024.parquet"]
    for path in outputs:
        assert pyarrow.parquet.read_table(path).to_pylist() == expected


def test_one_file_becomes_one_file(cli: Cli, tables: Path) -> None:
    cli.ok("run", tables / "a.csv", "-s", "convert:parquet", "--to", "big.parquet")
    file = pyarrow.parquet.ParquetFile(cli.directory / "big.parquet")
    assert file.read().to_pylist() == rows_of(tables / "a.csv")
    assert file.metadata.created_by == "pravah version 1 (build 0)"
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_feather_and_parquet_of_others_become_text(cli: Cli, tables: Path) -> None:
    cli.ok("run", tables / "a.csv", "-s", "convert:parquet", "--to", "a.parquet")
    table = pyarrow.parquet.read_table(cli.directory / "a.parquet")
    there = cli.directory / "there"
    there.mkdir()
    pyarrow.feather.write_feather(table, there / "f_lz4.feather")  # its default compression
    pyarrow.feather.write_feather(table, there / "f_zstd.feather", compression="zstd")
    for codec in ("snappy", "gzip", "brotli", "lz4", "none"):
        pyarrow.parquet.write_table(table, there / f"{codec}.parquet", compression=codec)
    cli.ok("run", "there", "--to", "out", "-s", "convert:csv")
    outputs = sorted((cli.directory / "out").glob("*.csv"))
    assert len(outputs) == 7
    for path in outputs:
        assert rows_of(path) == rows_of(tables / "a.csv")


def test_nested_values_stay_json(cli: Cli) -> None:
    source = cli.directory / "a.ndjson"
    rows: list[dict[str, object]] = [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": None}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    nested = pyarrow.table({"id": [1, 2], "tags": [["a", "b"], None]})
    pyarrow.feather.write_feather(nested, cli.directory / "b.arrow")
    cli.ok("run", source, "-s", "convert:csv", "--to", "a.csv")
    cli.ok("run", "b.arrow", "-s", "convert:ndjson", "--to", "b.ndjson")
    cli.ok("run", "b.arrow", "-s", "convert:csv", "--to", "b.csv")
    written = (cli.directory / "b.ndjson").read_text().splitlines()
    assert [json.loads(line) for line in written] == rows
    for name in ("a.csv", "b.csv"):
        with (cli.directory / name).open(newline="") as file:
            first, second = csv.DictReader(file)
        assert json.loads(first["tags"]) == ["a", "b"]
        assert second["tags"] == ""


def test_nested_values_become_lists_and_structs_that_other_engines_read(cli: Cli) -> None:
    rows: list[dict[str, object]] = [{"id": 0, "tags": [], "who": None}]
    for n in range(1, 50):
        who = {"age": n, "at": [{"x": n / 2}]}
        rows.append({"id": n, "tags": ["ä", None][: n % 3], "who": who})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (cli.directory / "a.ndjson").write_text(text)
    step = "{convert: {format: parquet, nested: structs}}"
    cli.ok("run", "a.ndjson", "-s", step, "--to", "a.parquet")
    assert pyarrow.parquet.read_table(cli.directory / "a.parquet").to_pylist() == rows
    found = duckdb.read_parquet(str(cli.directory / "a.parquet")).fetchall()
    assert [list(row) for row in found] == [list(row.values()) for row in rows]
    cli.ok("run", "a.parquet", "-s", "convert:ndjson", "--to", "back.ndjson")
    back = (cli.directory / "back.ndjson").read_text().splitlines()
    assert [json.loads(line) for line in back] == rows


def test_bad_rows_fail_alone_with_their_line(cli: Cli, tables: Path) -> None:
    (tables / "bad.csv").write_text("a,b\n1,2\n3\n")
    (tables / "README").write_text("no table\n")
    job = cli.job("data/", "--to", "out/", "-s", "convert:parquet")
    told = cli.ok("jobs", "failures", job["id"]).out
    assert "csv_ragged_row" in told
    assert "line 3 has 1 fields, the first row has 2" in told
    assert "unsupported_input" in told
    assert len(list((cli.directory / "out").rglob("*.parquet"))) == 3


def test_two_sources_of_one_output_collide(cli: Cli, tables: Path) -> None:
    (tables / "a.tsv").write_text("id\n1\n")
    job = cli.job("data/", "--to", "out/", "-s", "convert:parquet")
    assert "output_collision" in cli.ok("jobs", "failures", job["id"]).out


def test_parameters_are_those_of_the_documentation(cli: Cli) -> None:
    (cli.directory / "a.txt").write_text("1;007\n2;\n")
    step = "{convert: {format: ndjson, from: csv, delimiter: ;, header: false}}"
    cli.ok("run", "a.txt", "-s", step, "--to", "a.ndjson")
    lines = (cli.directory / "a.ndjson").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"column_1": 1, "column_2": "007"},
        {"column_1": 2, "column_2": None},
    ]
