"""What the inspect steps of a job found, as records, as an Arrow stream and as files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from pravah.errors import SpecError
from pravah.library.session import Where, existing
from pravah.library.whole_file import write_whole
from pravah.model.dataset import EXTENSIONS, DatasetFormat, dataset_format

if TYPE_CHECKING:
    from pravah.engine import Table
    from pravah.remote.table import ReceivedTable


@final
class Results:
    """The records that the inspect steps of a job found, in bytewise order of their paths.

    pyarrow, Polars, DuckDB and pandas read it as it is, by the Arrow PyCapsule interface.
    Iterating gives each record as a dict. Memory does not grow with their number: they are read
    from the ledger, and sorted on disk where they are many.

    >>> import pravah, polars
    >>> found = pravah.run("data/", steps="count").results()
    >>> polars.DataFrame(found).shape, len(found)
    ((2, 6), 2)
    >>> [record["lines"] for record in found]
    [3, 2]
    """

    def __init__(self, job_id: str, where: Where) -> None:
        self._job_id = job_id
        self._where = where
        self._made: Table | ReceivedTable | None = None

    def __len__(self) -> int:
        return len(self._table())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with existing(self._where) as application:
            for line in application.jobs.results(self._job_id):
                yield json.loads(line)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Begin to read the records as Arrow batches; each call reads them from the first one."""
        return self._table().__arrow_c_stream__(requested_schema)

    def write(self, path: str | os.PathLike[str], format: DatasetFormat | None = None) -> None:  # noqa: A002  as the flag
        """Write the records to a file, which is replaced once all of them are written.

        Args:
            path: where to.
            format: `ndjson`, `parquet` or `csv`; by default what the path's extension says.

        >>> import pravah
        >>> pravah.run("data/", steps="count").results().write("found.csv")
        >>> print(Path("found.csv").read_text().splitlines()[0])
        path,compression,lines,rows,size_bytes,words
        """
        form = format or dataset_format(os.fspath(path))
        if form is None:
            raise SpecError(
                f"can't tell the format of `{os.fspath(path)}`",
                hint=f"its name may end in {', '.join(EXTENSIONS)}, or say it by `format`",
            )
        with existing(self._where) as application:
            write_whole(Path(path), application.jobs.results(self._job_id, form))

    def _table(self) -> Table | ReceivedTable:
        """Give the records with the columns that they have together; found once."""
        if self._made is None:
            with existing(self._where) as application:
                self._made = application.jobs.results_table(self._job_id)
        return self._made
