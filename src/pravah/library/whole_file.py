"""Files that are written whole: what stood there stays until all of the new one is there.

What is no file by itself (a pipe, a device, `/dev/stdout`) is written to as it is.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from pravah.errors import ForbiddenError, PravahError
from pravah.model.uri import shown_path


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """Write pieces to a file; errors of where they come from are not the file's."""
    with whole(path) as place:
        with written(path):
            file = place.open("wb")
        with closing(file):
            for piece in pieces:
                with written(path):
                    file.write(piece)
            with written(path):
                file.flush()


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a place to write to, whose file takes the path's name at the end."""
    with written(path):
        as_it_is = path.exists() and (not path.is_file() or _is_open_here(path))
    if as_it_is:
        yield path
        return
    target = Path(os.path.realpath(path))
    fresh = target.parent / f".pravah-{secrets.token_hex(8)}"
    try:
        yield fresh
        with written(path):
            if target.exists():
                fresh.chmod(stat.S_IMODE(target.stat().st_mode))
            fresh.rename(target)
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Name the file that can't be written in what the system says of that."""
    try:
        yield
    except PravahError:
        raise
    except OSError as error:
        raise ForbiddenError(
            f"can't write `{shown_path(os.fsencode(path))}`: {str(error.strerror).lower()}"
        ) from error


def _is_open_here(path: Path) -> bool:
    """Tell whether a path leads to what our own output goes to already."""
    found = path.stat()
    for descriptor in (1, 2):
        with suppress(OSError):  # closed
            if os.path.samestat(found, os.fstat(descriptor)):
                return True
    return False
