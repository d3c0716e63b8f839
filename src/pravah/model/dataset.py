"""The formats of a dataset, and the extensions of files that have them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal, get_args

DatasetFormat = Literal["ndjson", "parquet", "csv"]
FORMATS: tuple[DatasetFormat, ...] = get_args(DatasetFormat)

_BY_EXTENSION: dict[str, DatasetFormat] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".csv": "csv",
}
EXTENSIONS = tuple(_BY_EXTENSION)


def dataset_format(name: object) -> DatasetFormat | None:
    """Tell the format by the extension of a file's path or URI; None: it has none of these.

    >>> dataset_format("found/headers.parquet"), dataset_format("found.parquet/")
    ('parquet', None)
    """
    if not isinstance(name, str) or name.endswith("/"):
        return None
    return _BY_EXTENSION.get(PurePosixPath(name).suffix.lower())
