"""Pravah: a pipeline of steps over millions of files, as one durable job.

Importing this module loads nothing else: `pravah --version` answers before anything is loaded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any

    from pravah import aio, jobs
    from pravah.engine import Scanner
    from pravah.errors import PravahError
    from pravah.library.calls import plan, run
    from pravah.library.client import Client
    from pravah.library.job import Job
    from pravah.library.results import Results

__all__ = [
    "Client",
    "Job",
    "PravahError",
    "Results",
    "__version__",
    "aio",
    "jobs",
    "plan",
    "run",
    "scan",
]

__version__ = "0.1.0"

# The rooms of public names, which are loaded when somebody asks for one; None: a module itself.
_ROOMS = {
    "Client": "library.client",
    "Job": "library.job",
    "PravahError": "errors",
    "Results": "library.results",
    "aio": None,
    "jobs": None,
    "plan": "library.calls",
    "run": "library.calls",
}


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module `pravah` has no attribute `{name}`")
    from importlib import import_module

    room = _ROOMS[name]
    module = import_module(f"pravah.{room or name}")
    found = globals()[name] = getattr(module, name) if room else module
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def scan(
    *roots: str | bytes | os.PathLike[str],
    stat: bool = False,
    **filters: Any,  # noqa: ANN401  each key has its own type
) -> Scanner:
    """List what is below directories, in parallel, as an Arrow stream.

    Each row has `directory`, `name` and `kind` (file, directory, symlink, …).
    Nothing is listed before somebody reads from the stream; memory does not grow with the
    number of files, and the GIL is not held while directories are read.
    Where something could not be read the stream ends with an error, behind all that could be.

    Args:
        roots: directories, globs, and prefixes of object stores (`"s3://BUCKET/PREFIX/"`); names
            are bytes to the system, so bytes are taken too.
        filters: which files count, by the keys of a spec's source: `include` and `exclude`
            (lists of gitignore rules), `ignore_case`, `type` (`"csv"`, or a list), `min_size` and
            `max_size` (`"64MiB"`), `newer_than` and `older_than` (`"2d"`, `"2026-01-31"`),
            `max_depth`, `follow_symlinks`.
        stat: add sizes and times, at the cost of one system call per file.

    Returns:
        An object with `__arrow_c_stream__`, which pyarrow, Polars and DuckDB read as it is.

    Raises:
        SourceMissingError: a root is not there.
        SpecError: a filter that can't be used.
        StoreError: an object store that can't be used.

    >>> import pyarrow
    >>> stream = pyarrow.RecordBatchReader.from_stream(scan("."))
    >>> stream.schema.names
    ['directory', 'name', 'kind']
    """
    from pravah.library import listing
    from pravah.model.filters import Filters

    return listing.scanner(listing.places(roots), Filters.read(filters), stat=stat)
