"""Globs as sources: where the listing begins, and what counts below it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pravah.errors import SpecError

# A bracket that nothing closes is a letter of a name.
_PATTERN = re.compile(rb"[*?]|\[.+\]|\{.*\}", re.DOTALL)


def split_glob(path: bytes) -> tuple[bytes, bytes] | None:
    """Cut a path at its first name that is a pattern; None where no name is one.

    A file that is there under this very name is meant by it: ask for that first.

    >>> split_glob(b"data/**/*.csv"), split_glob(b"*.csv"), split_glob(b"/a[b"), split_glob(b"/*/")
    ((b'data', b'**/*.csv'), (b'.', b'*.csv'), None, (b'/', b'*/'))
    """
    names = path.split(b"/")
    for index, name in enumerate(names):
        if _PATTERN.search(name):
            above = b"/".join(names[:index])
            root = above or (b"/" if path.startswith(b"/") else b".")
            return root, b"/".join(names[index:])
    return None


def split_key_glob(key: str) -> tuple[str, bytes] | None:
    """Cut a key as paths are cut; what lies above is a prefix as it is written, and may be empty.

    >>> split_key_glob(".stage/*.csv"), split_key_glob("*.csv"), split_key_glob("a/b")
    (('.stage', b'*.csv'), ('', b'*.csv'), None)
    """
    found = split_glob(key.encode())
    if found is None:
        return None
    glob = found[1]
    return key.encode().removesuffix(glob).removesuffix(b"/").decode(), glob


def as_text(globs: Iterable[bytes]) -> list[str]:
    """Give patterns as the core compiles them."""
    try:
        return [glob.decode() for glob in globs]
    except UnicodeDecodeError as error:
        raise SpecError(
            f"the glob `{error.object.decode('utf-8', 'backslashreplace')}` is not UTF-8",
            kind="invalid_pattern",
            hint="name the directory itself, and what counts below it by `--include`",
        ) from None
