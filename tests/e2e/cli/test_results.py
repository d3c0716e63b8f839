"""What inspect steps found, as files that DuckDB, pandas and Polars open, and as output."""

import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest

from tests.e2e.cli.harness import Cli

# The full form has 10,000 tables.
DRIFT_TABLES = int(os.environ.get("PRAVAH_TEST_DRIFT_TABLES", "2000"))

READERS: dict[str, list[Callable[[str], Any]]] = {
    "ndjson": [duckdb.read_json, lambda path: pd.read_json(path, lines=True), pl.read_ndjson],
    "csv": [duckdb.read_csv, pd.read_csv, pl.read_csv],
    "parquet": [duckdb.read_parquet, pd.read_parquet, pl.read_parquet],
}


def paths(table: Any) -> list[str]:
    """Give the column of paths, whichever library has read it."""
    if isinstance(table, duckdb.DuckDBPyRelation):
        return [row[0] for row in table.project("path").fetchall()]
    return list(table["path"])


@pytest.fixture
def tables(cli: Cli) -> Path:
    source = cli.directory / "input"
    source.mkdir()
    for number in range(30):
        columns = ["id", "größe, cm", *(f"c{column}" for column in range(number % 4))]
        rows = [",".join(f'"{name}"' for name in columns), ",".join("1" for _ in columns)]
        (source / f"t{number:02}.csv").write_text("\n".join(rows) + "\n")
    (source / "naïve, “quoted”\n.csv").write_text("a,b\n1,2\n")
    return source


@pytest.mark.parametrize("form", READERS)
def test_documented_command_gives_a_dataset_that_everybody_opens(
    cli: Cli, tables: Path, form: str
) -> None:
    created = cli.ok(
        *("jobs", "create", "--source-path", tables, "--destination-path", "out"),
        *("--processor", "extract_headers", "--results", form, "--wait", "--json"),
    )
    (job,) = created.objects()
    dataset = cli.directory / "out" / "_pravah" / job["id"] / f"results.{form}"
    assert job["results"]["uri"] == dataset.as_uri()
    assert job["results"]["count"] == 31
    assert cli.ok("jobs", "show", job["id"], "--json").objects()[0]["results"] == job["results"]
    assert f"results  31 in out/_pravah/{job['id']}/results.{form}" in " ".join(
        created.err.split()
    ).replace("results 31", "results  31")
    expected = [record["path"] for record in cli.ok("jobs", "results", job["id"]).objects()]
    assert len(expected) == 31
    for read in READERS[form]:
        assert paths(read(str(dataset))) == expected


def test_columns_are_lists_of_structs_in_parquet(cli: Cli, tables: Path) -> None:
    cli.ok("run", tables, "-s", "extract_headers", "--results-to", "found.parquet")
    found = str(cli.directory / "found.parquet")
    query = f"select c.name, count(*) from (select unnest(columns) c from '{found}') group by all"
    counted = dict(duckdb.sql(query).fetchall())
    assert (counted["id"], counted["größe, cm"], counted["c2"]) == (30, 30, 7)


def test_run_without_a_sink_prints_the_chosen_format(cli: Cli, tables: Path) -> None:
    command = ("run", tables, "-s", "count", "--new")
    printed = {form: cli.ok(*command, "--results", form) for form in ("ndjson", "csv")}
    assert cli.ok(*command).out == printed["ndjson"].out
    assert printed["csv"].out.startswith("path,compression,lines,rows,size_bytes,words\n")
    assert len(printed["csv"].out.splitlines()) == 33  # the header, and a name of two lines
    raw = subprocess.run(
        cli.command(*command, "--results", "parquet"),
        cwd=cli.directory, env=cli.env(), capture_output=True, check=True,
    )  # fmt: skip
    (cli.directory / "piped.parquet").write_bytes(raw.stdout)
    assert len(pl.read_parquet(cli.directory / "piped.parquet")) == 31


def test_run_with_a_place_prints_nothing(cli: Cli, tables: Path) -> None:
    ran = cli.ok("run", tables, "-s", "count", "--results", "csv", "--results-to", "found/")
    assert ran.out == ""
    (dataset,) = (cli.directory / "found").iterdir()
    assert len(pl.read_csv(dataset)) == 31


def test_parquet_is_refused_on_a_terminal_before_anything_is_done(cli: Cli, tables: Path) -> None:
    ours, theirs = pty.openpty()
    ran = subprocess.run(
        cli.command("run", tables, "-s", "count", "--results", "parquet"),
        cwd=cli.directory, env=cli.env(), stdout=theirs, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(theirs)
    os.close(ours)
    assert ran.returncode == 2
    assert b"Parquet is no text for a terminal" in ran.stderr
    assert cli.ok("jobs", "list", "--json").out == ""


@pytest.mark.parametrize("form", READERS)
def test_jobs_results_exports_what_a_dataset_holds(cli: Cli, tables: Path, form: str) -> None:
    job = cli.job(tables, "--to", "out", "-s", "extract_headers", "--results", form)["id"]
    (dataset,) = (cli.directory / "out").rglob("results.*")
    said = cli.ok("jobs", "results", job, "-o", f"export.{form}")
    assert said.err == f"wrote export.{form}\n"
    assert (cli.directory / f"export.{form}").read_bytes() == dataset.read_bytes()
    cli.ok("jobs", "results", job, "--format", form, "-o", "export")
    assert (cli.directory / "export").read_bytes() == dataset.read_bytes()
    refused = cli("jobs", "results", job, "-o", "export.xml")
    assert (refused.code, "can't tell the format" in refused.err) == (2, True)


def test_spec_file_and_flags_agree(cli: Cli, tables: Path) -> None:
    (cli.directory / "spec.yaml").write_text("source: input\nsteps: count\nresults: csv\n")
    printed = cli.ok("run", "-f", "spec.yaml").out
    assert printed == cli.ok("run", tables, "-s", "count", "--results", "csv", "--new").out
    cli.ok("run", "-f", "spec.yaml", "--results-to", "found.csv")
    assert (cli.directory / "found.csv").read_text() == printed


def test_plan_tells_where_results_go_and_refuses_what_is_taken(cli: Cli, tables: Path) -> None:
    told = cli.ok("plan", tables, "-s", "count", "--results", "csv", "--results-to", "found").out
    assert "found/   csv" in told
    (cli.directory / "found.csv").write_text("mine")
    refused = cli("plan", tables, "-s", "count", "--results-to", "found.csv")
    assert (refused.code, "a file stands there" in refused.err) == (2, True)


def drifting(number: int) -> tuple[int, list[tuple[str, str]]]:
    """Give the schema of a table, one of forty of which the first has twice as many tables."""
    schema = number % 41 % 40
    own, common = (f"only_{schema}", "int64"), ("common", "text")
    columns = [("id", "int64"), common, ("day", "date"), own]
    if schema % 4 == 1:
        columns.remove(("day", "date"))
    elif schema % 4 == 2:
        columns[1] = ("common", "float64")
    elif schema % 4 == 3:
        columns = [common, ("id", "int64"), *columns[2:]]
    return schema, columns


def drift_of(columns: list[tuple[str, str]]) -> dict[str, object]:
    """Tell what a schema has otherwise than the first one."""
    _, first = drifting(0)
    names = [name for name, _ in columns]
    return {
        "missing": [name for name, _ in first if name not in names],
        "added": [name for name in names if name.startswith("only_")],
        "changed": {"common": ["text", "float64"]} if ("common", "float64") in columns else {},
        "reordered": names[0] == "common",
    }


def test_drift_over_many_tables_of_forty_schemas_is_told_and_in_the_dataset(cli: Cli) -> None:
    source = cli.directory / "many"
    values = {"int64": "7", "text": "ä", "date": "2026-01-31", "float64": "2.5"}
    meant: dict[int, list[str]] = {}
    for number in range(DRIFT_TABLES):
        schema, columns = drifting(number)
        path = source / f"d{number % 10}" / f"{number:05}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        names, cells = zip(*((name, values[kind]) for name, kind in columns), strict=True)
        path.write_text(f"{','.join(names)}\n{','.join(cells)}\n")
        meant.setdefault(schema, []).append(str(path))
    created = cli.ok(
        *("jobs", "create", "--source-path", source, "--destination-path", "out"),
        *("--processor", "extract_headers", "--wait", "--json"),
    )
    (job,) = created.objects()
    (drift,) = cli.ok("jobs", "results", job["id"], "--drift", "--json").objects()
    assert (drift["tables"], len(drift["schemas"]), drift["others"]) == (DRIFT_TABLES, 40, 0)
    assert sorted(drift["intersection"]) == ["common", "id"]
    union = ["id", "common", "day", *(f"only_{n}" for n in range(40))]
    assert sorted(drift["union"]) == sorted(union)
    for at, found in enumerate(drift["schemas"]):
        columns = [(column["name"], column["type"]) for column in found["columns"]]
        own = [name for name, _ in columns if name.startswith("only_")]
        schema = int(own[0].removeprefix("only_"))
        assert columns == drifting(schema)[1]
        assert found["tables"] == len(meant[schema])
        assert found["examples"] == sorted(meant[schema])[:3]
        assert found["drift"] == (drift_of(columns) if at else None)
    told = cli.ok("jobs", "results", job["id"], "--drift").out
    assert f"tables   {DRIFT_TABLES:,}, of 40 schemas\ncolumns  43 in all, 2 in every table" in told

    (dataset,) = (cli.directory / "out" / "_pravah").rglob("results.ndjson")
    counts = sorted(len(tables) for tables in meant.values())
    question = f"select count(*) from read_json('{dataset}') group by columns order by 1"
    assert [count for (count,) in duckdb.sql(question).fetchall()] == counts
    frame = pd.read_json(dataset, lines=True)
    assert sorted(frame["columns"].map(str).value_counts()) == counts
    assert list(frame["path"]) == sorted(path for tables in meant.values() for path in tables)


def test_undo_asks_before_it_removes_a_dataset_alone(cli: Cli, tables: Path) -> None:
    job = cli.job(tables, "-s", "extract_headers", "--results-to", "found.csv")
    refused = cli("jobs", "undo", job["id"])
    assert (refused.code, "removes 1 file" in refused.err) == (2, True)
    assert (cli.directory / "found.csv").exists()
    cli.ok("jobs", "undo", job["id"], "--yes")
    assert not (cli.directory / "found.csv").exists()
