"""The data sets: the same bytes for everybody who makes them, made once and kept.

Everything is below one cache directory; a set is complete when its marker is there, so an
interrupted generation starts again.
"""

from __future__ import annotations

import os
import random
import shutil
import string
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.contest import say

VERSION = 1  # part of each marker: a change of the generators makes the sets anew

CSV_DIRECTORIES = 20
CSV_PER_DIRECTORY = 500
FILES_PER_TREE_DIRECTORY = 100

LARGE_ROWS = 14_500_000  # about 1.02 GB
CITIES = ["Pune", "München", "São Paulo", "New York", "Delhi", "東京", "Paris", "Lagos"]

# How the large file is packed: by others in one piece, by Pravah in blocks. `{pravah}`, `{csv}` and
# `{packed}` are filled in.
_PRAVAH_RUN = "PRAVAH_HOME=$(mktemp -d) {pravah} run {csv} --to {packed} -q -s compress:"
_PRAVAH_CONVERT = "PRAVAH_HOME=$(mktemp -d) {pravah} run {csv} --to {packed} -q -s convert:FORMAT"
PACKERS = {
    "gzip -6": ("gzip-6.csv.gz", "gzip -6 -c {csv} >{packed}"),
    "zstd -3": ("zstd-3.csv.zst", "zstd -q -3 {csv} -o {packed}"),
    "pravah gzip": ("pravah.csv.gz", _PRAVAH_RUN + "gzip"),
    "pravah zstd": ("pravah.csv.zst", _PRAVAH_RUN + "zstd"),
    "parquet": ("big.parquet", _PRAVAH_CONVERT.replace("FORMAT", "parquet")),
    "ndjson": (
        "big.ndjson",
        # Four million rows are as many as the targets have.
        "head -n 4000001 {csv} >{packed}.csv && "
        + _PRAVAH_CONVERT.replace("FORMAT", "ndjson").replace("{csv}", "{packed}.csv")
        + " && rm {packed}.csv",
    ),
}


def csv_files(cache: Path) -> Path:
    """Give 10,000 CSV files in 20 directories, about 147 MB."""
    return _made(cache / "csv", _make_csv_files)


def csv_copies(cache: Path, copies: int) -> Path:
    """Give that many copies of `csv_files` below one directory."""
    one = csv_files(cache)

    def make(target: Path) -> None:
        for number in range(copies):
            shutil.copytree(one, target / f"copy{number}")

    return _made(cache / f"csv-x{copies}", make)


def tree(cache: Path, directories: int) -> Path:
    """Give empty files, 100 in each of `directories` directories."""

    def make(target: Path) -> None:
        for number in range(directories):
            directory = target / f"{number // 100:03}" / f"{number % 100:02}"
            directory.mkdir(parents=True)
            for name in range(FILES_PER_TREE_DIRECTORY):
                (directory / f"file-{name:03}.dat").touch()

    return _made(cache / f"tree-{directories}", make)


def large_csv(cache: Path, rows: int) -> Path:
    """Give one CSV file of that many rows, about 70 bytes each, without repetition.

    The columns are those of the statement by which DuckDB makes the file of the targets: a number,
    a time, one of two million names, a quoted city, an amount and a flag.
    """

    def make(target: Path) -> None:
        target.mkdir()
        with (target / "big.csv").open("w", encoding="utf-8", newline="\n") as file:
            file.write("id,ts,name,city,amount,flag\n")
            chance = random.Random(20260101)
            for start in range(0, rows, 100_000):
                numbers = range(start, min(start + 100_000, rows))
                file.writelines(_large_row(chance.getrandbits(64), number) for number in numbers)

    return _made(cache / f"large-{rows}", make) / "big.csv"


def large_packed(csv: Path, packer: str, pravah: str) -> Path:
    """Give the large file, packed by one of `PACKERS`; made anew where the program is another."""
    name, command = PACKERS[packer]
    packed = csv.with_name(name)
    if not packed.exists() or "pravah" in packer:
        packed.unlink(missing_ok=True)
        filled = command.format(pravah=pravah, csv=csv, packed=packed)
        subprocess.run(["bash", "-euo", "pipefail", "-c", filled], check=True)
        os.sync()
    return packed


def ten_files(cache: Path) -> Path:
    """Give ten CSV files in one directory, for what start-up costs."""

    def make(target: Path) -> None:
        target.mkdir()
        for file in sorted((csv_files(cache) / "00").iterdir())[:10]:
            shutil.copy(file, target)

    return _made(cache / "ten", make)


def _made(target: Path, make: Callable[[Path], None]) -> Path:
    marker = target.with_name(f"{target.name}.v{VERSION}.complete")
    if not marker.exists():
        say(f"making the data set {target.name}")
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        make(target)
        os.sync()
        marker.touch()
    return target


def _make_csv_files(target: Path) -> None:
    chance = random.Random(20260101)
    words = [
        "".join(chance.choices(string.ascii_lowercase, k=chance.randint(4, 12)))
        for _ in range(5000)
    ]
    for directory_number in range(CSV_DIRECTORIES):
        directory = target / f"{directory_number:02}"
        directory.mkdir(parents=True)
        for file_number in range(CSV_PER_DIRECTORY):
            text = _csv(chance, words, rows=chance.randint(50, 400))
            (directory / f"part-{file_number:04}.csv").write_text(text, "ascii")


def _csv(chance: random.Random, words: list[str], rows: int) -> str:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(10_000_000))
    lines = ["id,timestamp,first,second,amount,flag\n"]
    identity = chance.randrange(1_000_000)
    for row in range(rows):
        moment += timedelta(milliseconds=chance.randrange(5_000))
        first, second = chance.choice(words), chance.choice(words)
        flag = "true" if chance.random() < 0.37 else "false"
        amount = chance.random() * 10_000
        lines.append(
            f"{identity + row},{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03},"
            f"{first},{second},{amount:.4f},{flag}\n"
        )
    return "".join(lines)


def _large_row(bits: int, number: int) -> str:
    """Give a row; each column takes some of the 64 random bits."""
    since = timedelta(microseconds=number * 1733 + (bits & 0xFFFFF))
    moment = datetime(2026, 1, 1, tzinfo=UTC) + since
    city = CITIES[(bits >> 20) % 8]
    if (bits >> 23) % 50 == 0:
        city = f'"{city}, ""old"""'
    name = (bits >> 29) * 2654435761 % 2_000_000
    amount = (bits >> 35) % 100_000_000 / 10_000
    flag = "true" if (bits >> 57) % 100 < 37 else "false"
    return f"{number},{moment:%Y-%m-%d %H:%M:%S.%f},user-{name},{city},{amount},{flag}\n"
