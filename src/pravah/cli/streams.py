"""The standard streams, as safe to use as if nobody had closed or filled any of them.

What people are told on stderr never decides what becomes of their data: a job goes on where nobody
can hear of it. What can't be printed on stdout is an error, as it is data.
"""

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress


def make_usable() -> None:
    """Open what is closed, and have stderr take whatever it is told.

    The number of a closed one would go to the next file or socket, and what is printed into that.
    `sys.stdin` stays None where it was closed: whoever is to read it has to say so.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # Takes the lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - positional only
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - stays open
    if isinstance(sys.stderr, io.TextIOWrapper):
        encoding, raw = sys.stderr.encoding, sys.stderr.detach()
    else:
        encoding, raw = "utf-8", open(2, "wb", closefd=False)  # noqa: SIM115 - stays open
    sys.stderr = _Told(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)


def printing(write: Callable[[], object]) -> None:
    """Write to stdout; ForbiddenError where that takes no more, as on a full disk."""
    try:
        write()
    except BrokenPipeError:
        raise
    except OSError as error:
        # Only here: `pravah --version` needs no errors.
        from pravah.errors import ForbiddenError

        raise ForbiddenError(f"can't write to stdout: {str(error.strerror).lower()}") from error


class _Told(io.TextIOWrapper):
    """A stream whose failures are nobody's."""

    def write(self, text: str) -> int:
        """Write as far as that is possible."""
        with suppress(OSError):
            return super().write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what is buffered, as far as that is possible."""
        with suppress(OSError):
            super().flush()
