"""Files that are written whole, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pravah.errors import ForbiddenError
from pravah.library.whole_file import write_whole


def failing() -> Iterator[bytes]:
    yield b"half"
    raise OSError("the scratch disk")


def test_file_stays_as_it_was_where_the_new_one_can_not_be_written_to_its_end(
    tmp_path: Path,
) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(b"before")
    with pytest.raises(OSError, match=r"^the scratch disk$"):
        write_whole(path, failing())
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["report.json"]


def test_file_that_is_replaced_keeps_its_mode_and_the_links_to_its_name(tmp_path: Path) -> None:
    path, link = tmp_path / "report.json", tmp_path / "latest"
    path.write_bytes(b"before")
    path.chmod(0o640)
    link.symlink_to(path.name)
    write_whole(link, [b"aft", b"er"])
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"after", 0o640)
    assert link.is_symlink()


def test_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "report.json"):
        with pytest.raises(ForbiddenError, match=f"can't write `{path}`: "):
            write_whole(path, [b""])


def test_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    write_whole(path, [b"a", b"b"])
    reader.join()
    assert read == [b"ab"]


def test_own_output_is_written_to_as_it_is(tmp_path: Path) -> None:
    """Else a new file would take the name, and what is printed behind it would go to the old."""
    code = (
        "from pathlib import Path; from pravah.library.whole_file import write_whole;"
        "write_whole(Path('/dev/stdout'), [b'one '])"
    )
    path = tmp_path / "out"
    with path.open("wb") as file:
        before = path.stat().st_ino
        assert (
            subprocess.run([sys.executable, "-c", code], stdout=file, check=False).returncode == 0
        )
    assert (path.read_bytes(), path.stat().st_ino) == (b"one ", before)
