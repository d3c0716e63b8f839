"""Pravah: a pipeline of steps over millions of files, as one durable job.

Importing this module loads nothing else: `pravah --version` answers before anything is loaded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from pravah.engine import Scanner

__all__ = ["__version__", "scan"]

__version__ = "0.1.0"


def scan(
    *roots: str | bytes | os.PathLike[str],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    stat: bool = False,
) -> Scanner:
    """List what is below directories, in parallel, as an Arrow stream.

    Each row has `directory`, `name` and `kind` (file, directory, symlink, …).
    Nothing is listed before somebody reads from the stream; memory does not grow with the
    number of files, and the GIL is not held while directories are read.

    Args:
        roots: directories; names are bytes to the system, so bytes are taken too.
        include: gitignore rules of what counts; none: everything.
        exclude: gitignore rules of what is left out.
        stat: add sizes and times, at the cost of one system call per file.

    Returns:
        An object with `__arrow_c_stream__`, which pyarrow, Polars and DuckDB read as it is.

    >>> import pyarrow
    >>> stream = pyarrow.RecordBatchReader.from_stream(scan("."))
    >>> stream.schema.names
    ['directory', 'name', 'kind']
    """
    import os

    from pravah.engine import Scanner

    paths = [os.fsencode(root) for root in roots]
    return Scanner(paths, include=list(include), exclude=list(exclude), stat=stat)
