"""A table that a server has sent: an Arrow IPC stream in a temporary file."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable


class ReceivedTable:
    """Reads what has been received as Arrow batches, any number of times.

    The file lives as long as the table; who has begun to read may go on behind its end.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="pravah-")  # noqa: SIM115
        # Closed, and so removed, when nobody refers to the table any more.
        weakref.finalize(self, self._file.close)
        self._file.writelines(pieces)
        self._file.flush()

    def __len__(self) -> int:
        import nanoarrow as na

        return sum(len(batch) for batch in na.ArrayStream(self).iter_chunks())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Begin to read; each call does so at the first batch."""
        from nanoarrow.ipc import InputStream

        with InputStream.from_path(self._file.name) as stream:
            return stream.__arrow_c_stream__(requested_schema)
