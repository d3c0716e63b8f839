"""Random tables through every format, and files of other hands; other engines read the outputs.

`PRAVAH_TEST_TABLES` sets the number of random tables (full: 1,000).
"""

from __future__ import annotations

import csv
import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pytest
from pyarrow import ipc, parquet

from tests.e2e.cli.harness import Cli

TABLES = int(os.environ.get("PRAVAH_TEST_TABLES", "60"))
CORPORA = Path(
    os.environ.get("PRAVAH_CORPORA", Path(__file__).parents[3].parent / "shared" / "corpora")
)
WORDS = [
    "Asha",
    "ä €",
    '"quoted"',
    "two\nlines",
    " blank ",
    "007",
    "a;b,c\td|e",
    "東京",
    "null",
    "-",
]
MOMENT = datetime.fromisoformat("2026-01-31T23:59:59")


def integer(chance: random.Random) -> int:
    return chance.choice([0, -1, 2**63 - 1, -(2**63), chance.randrange(-(10**6), 10**6)])


def real(chance: random.Random) -> float:
    return chance.choice([0.5, -0.25, 1e300, chance.uniform(-1e6, 1e6)])


def moment(chance: random.Random) -> datetime:
    return MOMENT + timedelta(microseconds=chance.randrange(10**11) * 10 + 7)


# Files that pyarrow reads, and that we refuse or read otherwise.
OTHERWISE = {
    "dict-page-offset-zero.parquet": "corrupt_input",  # its footer has a list of another type
    "nation.dict-malformed.parquet": "corrupt_input",  # as its name says
    "repeated_no_annotation.parquet": "corrupt_input",  # its footer tells of no rows
    "int96_from_spark.parquet": "unsupported_input",  # years beyond 64 bits: pyarrow wraps
}

MAKERS: dict[str, Any] = {
    "int": integer,
    "real": real,
    "flag": lambda chance: chance.random() < 0.5,
    "day": lambda chance: date(2026, 1, 1) + timedelta(days=chance.randrange(10_000)),
    "at": moment,
    "utc": lambda chance: moment(chance).replace(tzinfo=UTC),
    "text": lambda chance: chance.choice(WORDS) + str(chance.randrange(9)) + "x",
}


def written(value: object) -> str:
    """Write a value as a CSV cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return repr(value) if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Table:
    """A table as it is meant: names, and rows of values."""

    names: list[str]
    rows: list[list[object]]

    @classmethod
    def random(cls, number: int) -> Table:
        """Make one; some have 500 columns, a cell of 1 MB, or only a header."""
        chance = random.Random(number)
        width = 500 if number % 29 == 28 else chance.randint(2, 8)
        kinds = [chance.choice(list(MAKERS)) for _ in range(width)]
        names = [f"{kind}_{at}" for at, kind in enumerate(kinds)]
        length = 0 if number % 13 == 12 else chance.randint(3, 30)
        rows: list[list[object]] = [
            [None if row and chance.random() < 0.1 else MAKERS[kind](chance) for kind in kinds]
            for row in range(length)
        ]
        if number % 31 == 30 and "text" in kinds and rows:
            rows[0][kinds.index("text")] = "x" * 1_000_000
        return cls(names, rows)

    def write(self, path: Path, number: int) -> None:
        """Write it in one of many dialects and encodings, none of which is told to anybody."""
        delimiter = [",", ";", "\t", "|"][number % 4]
        encoding = ["utf-8", "utf-8-sig", "utf-16"][number % 3]
        end = ["\n", "\r\n"][number % 2]
        quoting = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL][number // 7 % 2]
        with path.open("w", newline="", encoding=encoding) as file:
            writer = csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting)
            # A null is nothing: with every cell quoted it would be empty text.
            if quoting == csv.QUOTE_ALL:
                cells: list[list[str | None]] = [[*self.names]]
                cells += [[written(cell) or None for cell in row] for row in self.rows]
                file.writelines(delimiter.join(map(quoted, row)) + end for row in cells)
            else:
                writer.writerow(self.names)
                writer.writerows([[written(cell) for cell in row] for row in self.rows])

    @property
    def values(self) -> list[dict[str, object]]:
        """Its rows as other engines give them."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows]


def quoted(cell: str | None) -> str:
    return "" if cell is None else '"' + cell.replace('"', '""') + '"'


@pytest.fixture(scope="module", autouse=True)
def large_cells() -> Iterator[None]:
    """Have Python's own reader take cells of 1 MB."""
    before = csv.field_size_limit(2_000_000)
    yield
    csv.field_size_limit(before)


@pytest.fixture(scope="module")
def tables() -> dict[str, Table]:
    return {f"t{number:04}": Table.random(number) for number in range(TABLES)}


def test_random_tables_come_through_every_format_with_equal_values(
    cli: Cli, tables: dict[str, Table]
) -> None:
    source = cli.directory / "csv"
    source.mkdir()
    for number, (name, table) in enumerate(tables.items()):
        table.write(source / f"{name}.csv", number)
    way = ["csv", "parquet", "avro", "ndjson", "json", "avro", "arrow", "csv"]
    for step, (there, to) in enumerate(pairwise(way)):
        place = there if step == 0 else f"{step}-{there}"
        job = cli.job(place, "--to", f"{step + 1}-{to}", "-s", f"convert:{to}")
        assert job["rows"]["in"] == job["rows"]["out"]
        # Without any row, JSON has no columns.
        empty = sum(not table.rows for table in tables.values())
        failed = job["counts"]["failed"]
        assert failed == (empty if (there, to) == ("ndjson", "json") else 0), job["reasons"]

    for name, table in tables.items():
        path = cli.directory / "1-parquet" / f"{name}.parquet"
        read = parquet.read_table(path)
        assert read.column_names == table.names
        assert read.to_pylist() == table.values, name
        if not table.rows:
            continue
        # Polars refuses files without a block, which the specification allows.
        avro = pl.read_avro(cli.directory / "2-avro" / f"{name}.avro")
        assert (avro.columns, avro.to_dicts()) == (table.names, table.values), name
        with duckdb.connect() as engine:
            engine.execute("set timezone = 'UTC'")
            found = engine.read_parquet(str(path)).fetchall()
            assert [list(row) for row in found] == table.rows, name
        check_text_forms(cli.directory, name, table)


def as_read(cell: object, kind: str) -> object:
    """Give a value as it is in JSON: what is no number and no boolean is text."""
    return written(cell) if kind == "VARCHAR" and cell is not None else cell


def check_text_forms(place: Path, name: str, table: Table) -> None:
    """Have others read what has gone through JSON, in which dates and times are text."""
    kinds = [SIMPLE.get(column.split("_")[0], ("VARCHAR", pa.string())) for column in table.names]
    meant = [
        [as_read(cell, kind) for cell, (kind, _) in zip(row, kinds, strict=True)]
        for row in table.rows
    ]
    lines, array, arrow, text = (
        place / there / f"{name}.{there.split('-')[1]}"
        for there in ("3-ndjson", "4-json", "6-arrow", "7-csv")
    )
    objects = [json.loads(line) for line in lines.read_text().splitlines()]
    assert json.loads(array.read_text()) == objects
    schema = pa.schema(list(zip(table.names, [kind for _, kind in kinds], strict=True)))
    columns = {column: kind for column, (kind, _) in zip(table.names, kinds, strict=True)}
    parse = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    block = pyarrow.json.ReadOptions(block_size=1 << 23)
    with ipc.open_file(arrow) as file:
        read = file.read_all()
    assert read.schema.equals(schema)
    texts = [[None if cell is None else written(cell) for cell in row] for row in meant]
    as_text = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(table.names, pa.string()),
        strings_can_be_null=True,
        null_values=[""],
    )
    whole = pyarrow.csv.ReadOptions(block_size=1 << 23)
    newlines = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with duckdb.connect() as engine:

        def read_json(path: Path) -> list[Any]:
            found = engine.read_json(str(path), columns=columns, maximum_object_size=1 << 24)
            return found.fetchall()

        for rows, found in (
            (meant, [list(row.values()) for row in objects]),
            (meant, _rows(pyarrow.json.read_json(lines, block, parse))),
            (
                meant,
                read_json(lines),
            ),
            (
                meant,
                read_json(array),
            ),
            (meant, _rows(read)),
            (meant, engine.from_arrow(read).fetchall()),
            (texts, _rows(pyarrow.csv.read_csv(text, whole, newlines, as_text))),
            (texts, engine.execute(CSV_QUESTION, [str(text)]).fetchall()),
        ):
            assert [list(row) for row in found] == rows, name


# Types that JSON has, as DuckDB and pyarrow call them.
SIMPLE = {
    "int": ("BIGINT", pa.int64()),
    "real": ("DOUBLE", pa.float64()),
    "flag": ("BOOLEAN", pa.bool_()),
}
CSV_QUESTION = """
    from read_csv(?, all_varchar = true, header = true, delim = ',', quote = '"', escape = '"',
        max_line_size = 20000000, buffer_size = 80000000, auto_detect = true, parallel = false)
"""


def _rows(table: pa.Table) -> list[list[object]]:
    return [list(row.values()) for row in table.to_pylist()]


def told(cell: object, quote: str, escape: str) -> str:
    """Write a value as a CSV cell: text within quotes, which are escaped or else doubled."""
    if not isinstance(cell, str):
        return written(cell)
    text = cell.replace(escape, escape * 2) if escape else cell
    return quote + text.replace(quote, (escape or quote) + quote) + quote


def encodable(cell: object, encoding: str) -> object:
    """Leave characters out of a text that its encoding has not."""
    return cell.encode(encoding, "ignore").decode(encoding) if isinstance(cell, str) else cell


def test_dialects_and_encodings_that_must_be_told_give_equal_values(cli: Cli) -> None:
    dialects = [
        ("latin1", "|", "'", "\\"),
        ("shift_jis", ";", '"', ""),
        ("utf-16", ",", "'", ""),
        ("windows-1252", "\t", '"', "\\"),
    ]
    for at, (encoding, delimiter, quote, escape) in enumerate(dialects):
        source = cli.directory / f"{at}-there"
        source.mkdir()
        meant = {}
        for number in range(max(TABLES // 8, 1)):
            table = Table.random(7 * number + at)
            for row in table.rows:
                row[:] = [encodable(cell, encoding) for cell in row]
            meant[f"t{number:04}"] = table
            with (source / f"t{number:04}.csv").open("w", newline="", encoding=encoding) as file:
                file.write("by somebody\nin a hurry\n# names\n")
                file.write(delimiter.join(table.names) + "\n#no row\n")
                for row in table.rows:
                    cells = (told(cell, quote, escape) for cell in row)
                    file.write(delimiter.join(cells) + "\n")
        params = {
            "format": "parquet", "encoding": encoding, "quote": quote, "delimiter": delimiter,
            "comment": "#", "skip_lines": 2,
        } | ({"escape": escape} if escape else {})  # fmt: skip
        job = cli.job(source, "--to", f"{at}-out/", "-s", json.dumps({"convert": params}))
        assert job["counts"]["failed"] == 0, cli.ok("jobs", "failures", job["id"]).out
        for name, table in meant.items():
            path = cli.directory / f"{at}-out" / f"{name}.parquet"
            assert parquet.read_table(path).to_pylist() == table.values, (encoding, name)


def test_files_without_a_byte_have_no_columns_in_any_format(cli: Cli) -> None:
    source = cli.directory / "there"
    source.mkdir()
    kinds = ("csv", "tsv", "ndjson", "json", "parquet", "arrow", "avro", "xlsx")
    for kind in kinds:
        (source / f"{kind}.{kind}").write_bytes(b"")
    job = cli.job(source, "--to", "out/", "--path", "{name}.csv", "-s", "convert:csv")
    files = cli.ok("jobs", "files", job["id"], "--json").objects()
    found = {Path(file["path"]).stem: file["error"]["kind"] for file in files}
    text = dict.fromkeys(("csv", "tsv", "ndjson", "json"), "no_columns")
    assert found == text | {kind: found[kind] for kind in kinds[4:]}
    assert set(found.values()) <= {"no_columns", "truncated_input", "corrupt_input"}


@pytest.mark.skipif(not CORPORA.exists(), reason="there are no corpora")
def test_parquet_of_other_hands_becomes_arrow_with_equal_values(cli: Cli) -> None:
    names = []
    source = cli.directory / "there"
    source.mkdir()
    for path in sorted((CORPORA / "parquet" / "data").glob("*.parquet")):
        try:
            parquet.read_table(path).to_pylist()
        except (pa.ArrowException, OSError, ValueError, OverflowError):
            continue
        (source / path.name).write_bytes(path.read_bytes())
        names.append(path.name)
    job = cli.job(source, "--to", "out/", "-s", "convert:arrow")
    told = {file["path"]: file for file in cli.ok("jobs", "files", job["id"], "--json").objects()}
    found = {}
    for name in names:
        output = (cli.directory / "out" / name).with_suffix(".arrow")
        if not output.exists():
            (error,) = [file["error"] for path, file in told.items() if path.endswith(f"/{name}")]
            found[name] = error["kind"]
            continue
        with ipc.open_file(output) as file:
            mine = file.read_all().to_pylist()
        if str(mine) != str(parquet.read_table(source / name).to_pylist()):
            found[name] = "unequal"
    assert found == OTHERWISE


@pytest.mark.skipif(not CORPORA.exists(), reason="there are no corpora")
def test_json_of_the_test_suite_is_accepted_or_refused_as_it_says(cli: Cli) -> None:
    source = cli.directory / "there"
    source.mkdir()
    for path in sorted((CORPORA / "json" / "test_parsing").glob("*.json")):
        # As a value of a table's only row.
        (source / path.name).write_bytes(b'[{"v": ' + path.read_bytes() + b"}]")
    job = cli.job(source, "--to", "out/", "-s", "convert:parquet")
    files = cli.ok("jobs", "files", job["id"], "--json").objects()
    assert len(files) > 300
    for file in files:
        name = Path(file["path"]).name
        kind = (file.get("error") or {}).get("kind")
        if name.startswith("y_"):
            assert file["outcome"] == "done", (name, file["error"])
        elif name.startswith("n_"):
            assert kind in ("json_bad_element", "invalid_utf8"), (name, file)
        else:
            assert kind in (None, "json_bad_element", "invalid_utf8"), (name, file)
