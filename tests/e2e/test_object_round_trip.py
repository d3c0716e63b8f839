"""Files go to one object store, from there to another one, and come back as they were.

`make scale` takes 20,000 files and one of a GiB round (PRAVAH_OBJECTS, PRAVAH_OBJECT_BYTES).
"""

from __future__ import annotations

import os
import random
from pathlib import Path

from tests.e2e.cli.harness import Cli
from tests.e2e.object_places import lent
from tests.e2e.trees import digests, litter
from tests.object_servers import ObjectServer

FILES = int(os.environ.get("PRAVAH_OBJECTS", "200"))
LARGE_BYTES = int(os.environ.get("PRAVAH_OBJECT_BYTES", str(20 << 20)))
PREFIX = "p/"
KEY_BYTES = 1_024
# Names that programs which paste URLs together break; each is a directory's and a file's.
ODD = (
    "a b",
    " ",
    "e+f",
    "g%2Fh",
    "%",
    "é",
    "e\u0301",
    "ü😀",
    "#?&=;,:@$!*'()",
    '"<&>',
    "~_-.",
    "...",
    "[x]{y}|^`",
)
CHUNK_BYTES = 1 << 20
# The full form takes minutes each way, on a busy machine more.
PATIENCE_S = 3_600


def test_files_by_way_of_two_stores_come_back_as_they_were(
    tmp_path: Path, minio: ObjectServer, versitygw: ObjectServer
) -> None:
    cli = Cli(tmp_path / "home", tmp_path, patience_s=PATIENCE_S)
    source, back = tmp_path / "source", tmp_path / "back"
    make_files(source)
    sizes = {str(path.relative_to(source)): path.stat().st_size for path in files_below(source)}
    large = [PREFIX + name for name, size_bytes in sizes.items() if size_bytes > CHUNK_BYTES]
    assert max(len((PREFIX + name).encode()) for name in sizes) == KEY_BYTES
    with lent(versitygw) as near, lent(minio, "far") as far:
        cli.environment |= near.settings() | far.settings()
        ways = ((source, near.uri(PREFIX)), (near.uri(PREFIX), far.uri(PREFIX)),
                (far.uri(PREFIX), back))  # fmt: skip
        for start, end in ways:
            job = cli.job(start, "--to", end, "-s", "copy")
            ended = job["status"], job["counts"]["listed"], job["counts"]["done"]
            assert ended == ("completed", len(sizes), len(sizes)), end
        for place in (near, far):
            assert place.sizes(PREFIX) == sizes
            assert len(place.sizes()) == len(sizes)
            assert place.uploads(*large) == []
    assert digests(back) == digests(source)
    assert times(back) == times(source)
    assert litter(back) == []


def make_files(root: Path) -> None:
    """Make small files under odd names, two whose keys are as long as can be, and a large one."""
    chance = random.Random(6)
    for number in range(FILES - 3):
        odd, other = ODD[number % len(ODD)], ODD[number // len(ODD) % len(ODD)]
        path = root / f"{number % 8} {odd}" / f"{number // 2_000}{other}" / f"{number}{odd}"
        write(path, chance.randbytes(chance.randint(0, 40_000) if number % 50 else 0))
    for mark in "xy":
        # Four directories with names as long as can be, the last letter of each of four bytes.
        deep = "/".join([mark + "d" * 250 + "😀"] * 3)
        rest = KEY_BYTES - len((PREFIX + deep + "/").encode())
        write(root / deep / (mark * rest), mark.encode())
    with (root / "large +%2B😀").open("wb") as large:
        while (left := LARGE_BYTES - large.tell()) > 0:
            large.write(chance.randbytes(min(left, CHUNK_BYTES)))


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(1_700_000_000_000_000_000, 1_700_000_000_123_456_789 + len(content)))


def files_below(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def times(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in files_below(root)}
