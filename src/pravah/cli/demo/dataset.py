"""Makes the demo's data: files of mixed kinds and sizes, the same ones on every machine.

Files are slices of a few pools of generated text, so that 20,000 of them take seconds; slices
begin at other places and have other lengths, so no two files are alike.
"""

from __future__ import annotations

import gzip
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

# Chosen once; any other number would do as well.
SEED = 20_260_101
LARGE_FILE_BYTES = 210 << 20
# Larger than the window of the compressors, so that the large file is no mere repetition.
POOL_BYTES = 6 << 20
DIRECTORIES = 120


@dataclass(frozen=True, slots=True)
class Made:
    """What was made: regular files and their bytes, and things that a job must skip."""

    files: int
    size_bytes: int
    special: int


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of file: its share of all files, name pattern, and typical size."""

    weight: int
    pattern: str
    typical_bytes: int
    content: Callable[[Random, int], bytes]


def make(root: Path, files: int) -> Made:
    """Fill a new directory with so many regular files, one of them large."""
    random = Random(SEED)  # noqa: S311 - the same data everywhere, not a secret
    kinds = _kinds(random)
    weights = [kind.weight for kind in kinds]
    directories = [
        _directory(root, place) for place in range(min(DIRECTORIES, max(1, files // 20)))
    ]
    total_bytes = _write_large(root / "events.csv", random)
    for number in range(files - 1):
        kind = random.choices(kinds, weights)[0]
        # A log-normal spread: most files are small, a few are a hundred times larger.
        size_bytes = min(4 << 20, int(kind.typical_bytes * random.lognormvariate(0, 1.2)))
        content = kind.content(random, size_bytes)
        path = directories[number % len(directories)] / kind.pattern.format(number)
        path.write_bytes(content)
        total_bytes += len(content)
    return Made(files, total_bytes, _make_special(root))


def _kinds(random: Random) -> list[_Kind]:
    table = _pool(_csv_row, random)
    log = _pool(_log_line, random)
    records = _pool(_json_line, random)
    noise = random.randbytes(POOL_BYTES)
    return [
        _Kind(
            40,
            "part-{:05}.csv",
            9_000,
            lambda r, n: b"id,at,word,amount,flag\n" + _slice(table, r, n),
        ),
        _Kind(25, "server {:05}.log", 7_000, lambda r, n: _slice(log, r, n)),
        _Kind(20, "événement-{:05}.ndjson", 5_000, lambda r, n: _slice(records, r, n)),
        _Kind(10, "image-{:05}.bin", 20_000, lambda r, n: _slice(noise, r, n)),
        _Kind(
            4,
            "archive-{:05}.txt.gz",
            3_000,
            lambda r, n: gzip.compress(_slice(log, r, n), 1, mtime=0),
        ),
        _Kind(1, "empty-{:05}", 0, lambda _r, _n: b""),
    ]


def _pool(line: Callable[[Random, int], str], random: Random) -> bytes:
    lines, size_bytes, number = [], 0, 0
    while size_bytes < POOL_BYTES:
        text = line(random, number)
        lines.append(text)
        size_bytes += len(text)
        number += 1
    return "".join(lines).encode()


def _slice(pool: bytes, random: Random, size_bytes: int) -> bytes:
    start = random.randrange(max(1, len(pool) - size_bytes))
    return pool[start : start + size_bytes]


def _csv_row(random: Random, number: int) -> str:
    word = _WORDS[random.randrange(len(_WORDS))]
    at = f"2026-01-{number % 28 + 1:02}T{number % 24:02}:00:00Z"
    return f"{number},{at},{word},{random.random() * 1e4:.4f},{number % 3 == 0}\n"


def _log_line(random: Random, number: int) -> str:
    word = _WORDS[random.randrange(len(_WORDS))]
    at = f"2026-01-01 {number % 24:02}:{number % 60:02}"
    return f"{at} INFO worker-{number % 16} {word} took {random.randrange(9000)} ms\n"


def _json_line(random: Random, number: int) -> str:
    word = _WORDS[random.randrange(len(_WORDS))]
    value = f"{random.random():.6f}"
    return f'{{"id": {number}, "kind": "{word}", "value": {value}, "tags": ["demo"]}}\n'


_WORDS = (
    "ingest",
    "river",
    "stream",
    "ledger",
    "window",
    "publish",
    "manifest",
    "shard",
    "पानी",
    "coração",
)


def _directory(root: Path, place: int) -> Path:
    directory = root / f"2026/{place % 12 + 1:02}" / f"site {place:03}"
    directory.mkdir(parents=True)
    return directory


def _write_large(path: Path, random: Random) -> int:
    pool = _pool(_csv_row, random)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("wb") as file:
        while written < LARGE_FILE_BYTES:
            written += file.write(_slice(pool, random, 64 << 10))
    return written


def _make_special(root: Path) -> int:
    """Make what is no regular file: a job lists these, says so and goes on."""
    os.symlink("events.csv", root / "latest.csv")  # noqa: PTH211 - the target is relative
    os.symlink("loop", root / "loop")  # noqa: PTH211 - as above
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        # A socket's path has 107 bytes at most, so it is bound from within.
        current = os.open(".", os.O_RDONLY)
        try:
            os.chdir(root)
            listener.bind("socket")
        finally:
            os.fchdir(current)
            os.close(current)
    return 4
