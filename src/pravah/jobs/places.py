"""Looks at places on disk: what stands there, and which file or directory a path leads to.

Device and inode decide, so links and other spellings of a path can't hide anything. Nothing is
written here.
"""

from __future__ import annotations

import os
from pathlib import Path

from pravah.errors import ForbiddenError, SpecError
from pravah.model.uri import shown_path

Identity = tuple[int, int]


def look(path: bytes) -> os.stat_result | None:
    """Tell what stands at a path, links resolved; None: nothing."""
    try:
        return Path(os.fsdecode(path)).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise ForbiddenError(
            f"can't look at `{shown_path(path)}`",
            causes=(f"{str(error.strerror).lower()} (errno {error.errno})",),
            hint="the directories above it must be searchable for this user",
        ) from error
    except OSError as error:
        raise SpecError(
            f"can't look at `{shown_path(path)}`",
            kind="unusable_path",
            causes=(f"{str(error.strerror).lower()} (errno {error.errno})",),
        ) from error


def identity(path: bytes) -> Identity | None:
    """Identify what stands at a path; None: nothing."""
    found = look(path)
    return (found.st_dev, found.st_ino) if found else None


def ancestors(path: bytes) -> set[Identity]:
    """Identify the directories above a path, links resolved."""
    parents = Path(os.fsdecode(os.path.realpath(path))).parents
    return {known for p in parents if (known := identity(bytes(p))) is not None}
