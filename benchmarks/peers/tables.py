"""Tables from one format to another, by libraries that Python programs use.

`python tables.py ENGINE SOURCE TARGET`: each in the way that its documentation shows for large files.
SOURCE may be a directory of CSV files for pyarrow, whose Parquet files go into TARGET.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def duckdb(source: Path, target: Path) -> None:
    """Convert one file."""
    import duckdb

    readers = {".csv": "read_csv", ".ndjson": "read_json", ".parquet": "read_parquet"}
    options = "format parquet, compression zstd" if target.suffix == ".parquet" else "header"
    table = f"{readers[source.suffix]}('{source}')"
    duckdb.sql(f"copy (from {table}) to '{target}' ({options})")


def polars(source: Path, target: Path) -> None:
    """Convert one file."""
    import polars as pl

    if source.suffix == ".csv":
        frame = pl.scan_csv(source, try_parse_dates=True)
    elif source.suffix == ".ndjson":
        frame = pl.scan_ndjson(source)
    else:
        frame = pl.scan_parquet(source)
    if target.suffix == ".parquet":
        frame.sink_parquet(target, compression="zstd")
    else:
        frame.sink_csv(target)


def pyarrow(source: Path, target: Path) -> None:
    """Convert one file, or all of a directory on two threads."""
    import pyarrow as pa

    if source.is_dir():
        pa.set_cpu_count(1)
        names = [path.relative_to(source) for path in source.rglob("*.csv")]
        for directory in {name.parent for name in names}:
            (target / directory).mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: _small(source / name, target / name), names))
        return
    from pyarrow import csv, json, parquet

    if source.suffix == ".parquet":
        file = parquet.ParquetFile(source)
        with csv.CSVWriter(target, file.schema_arrow) as writer:
            for batch in file.iter_batches():
                writer.write_batch(batch)
        return
    batches = csv.open_csv(source) if source.suffix == ".csv" else json.open_json(source)
    with parquet.ParquetWriter(target, batches.schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def _small(source: Path, target: Path) -> None:
    from pyarrow import csv, parquet

    parquet.write_table(csv.read_csv(source), target.with_suffix(".parquet"), compression="zstd")


if __name__ == "__main__":
    ENGINES = {"duckdb": duckdb, "polars": polars, "pyarrow": pyarrow}
    ENGINES[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
