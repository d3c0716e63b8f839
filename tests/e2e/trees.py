"""Directory trees that tests make, compare and search for litter."""

import hashlib
import os
import random
from pathlib import Path

# What a job's unpublished outputs are called (rule 5 of publishing).
TEMPORARY_PREFIX = b".pravah-"


def digests(root: Path) -> dict[bytes, str]:
    """Give the SHA-256 of every regular file below `root`, by relative path."""
    found = {}
    top = os.fsencode(root)
    for parent, _, names in os.walk(top):
        for name in names:
            path = os.path.join(parent, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                found[os.path.relpath(path, top)] = digest
    return found


def litter(*roots: Path) -> list[bytes]:
    """Give every path below the roots that has the name of a temporary."""
    return [
        os.path.join(parent, name)
        for root in roots
        for parent, directories, names in os.walk(os.fsencode(root))
        for name in (*directories, *names)
        if name.startswith(TEMPORARY_PREFIX)
    ]


def make_source(root: Path, *, small_files: int, large_bytes: int) -> None:
    """Make small texts in nested directories, and one file for the streaming path.

    The content is random words from a fixed seed: it compresses, and it is the same every time.
    """
    chance = random.Random(7)
    words = [chance.randbytes(chance.randint(2, 9)).hex().encode() for _ in range(500)]
    for number in range(small_files):
        directory = root / f"{number % 12:02}" / f"{number % 5}"
        directory.mkdir(parents=True, exist_ok=True)
        text = b" ".join(chance.choices(words, k=chance.randint(0, 600)))
        (directory / f"file-{number:04}.txt").write_bytes(text)
    with (root / "large.bin").open("wb") as large:
        while large.tell() < large_bytes:
            large.write(b" ".join(chance.choices(words, k=50_000)))


def make_tables(root: Path, *, small_files: int, large_bytes: int) -> None:
    """Make small tables of CSV in directories, and a large one; some have a row too short."""
    chance = random.Random(11)
    words = [chance.randbytes(chance.randint(2, 9)).hex() for _ in range(500)]

    def row(number: int) -> str:
        return f'{number},"{chance.choice(words)}",{chance.random():.4f}\n'

    for number in range(small_files):
        directory = root / f"{number % 7:02}"
        directory.mkdir(parents=True, exist_ok=True)
        rows = [row(at) for at in range(chance.randint(0, 200))]
        bad = ["too short\n"] if number % 5 == 0 else []
        (directory / f"table-{number:04}.csv").write_text("id,word,share\n" + "".join(rows + bad))
    with (root / "large.csv").open("w") as large:
        large.write("id,word,share\n")
        number = 0
        while large.tell() < large_bytes:
            large.write("".join(row(number + at) for at in range(10_000)))
            number += 10_000
