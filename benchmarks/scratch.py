"""Where the entrants of a contest put their outputs: a file system of its own, where that can be had.

For minutes after files were removed ext4 creates others up to ten times as slowly: it looks at the
inodes that it has just got back, one by one, before it takes another one. Without root, a directory
has to do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Of the free space: the image only takes what is written to it.
_SHARE = 0.8


@contextmanager
def scratch(cache: Path) -> Iterator[tuple[Path, str]]:
    """Give a directory that is gone in the end, and a sentence that tells of it."""
    place = Path(tempfile.mkdtemp(prefix="scratch-", dir=cache))
    image, mounted = place / "image", place / "outputs"
    mounted.mkdir()
    try:
        if _mounts(image, mounted, int(shutil.disk_usage(cache).free * _SHARE)):
            yield mounted, "Outputs went to an ext4 of this contest's own, on a loop device."
        else:
            yield mounted, "Outputs went to directories beside the data."
    finally:
        if os.path.ismount(mounted):
            subprocess.run(["umount", str(mounted)], check=True)
        shutil.rmtree(place)
        os.sync()


def _mounts(image: Path, mounted: Path, size_bytes: int) -> bool:
    if os.geteuid() != 0:
        return False
    with image.open("wb") as file:
        file.truncate(size_bytes)
    lazily = "lazy_itable_init=1,lazy_journal_init=1"
    # Nobody fills tables of inodes while others are timed.
    return all(
        subprocess.run(command, check=False, capture_output=True).returncode == 0
        for command in (
            ["mkfs.ext4", "-q", "-F", "-E", lazily, str(image)],
            ["mount", "-o", "loop,noinit_itable", str(image), str(mounted)],
        )
    )
