"""What tables are as output of a command: text for everybody, or bytes that no terminal shows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pravah.errors import SpecError

if TYPE_CHECKING:
    from pravah.model.dataset import DatasetFormat


def refuse_terminal(form: DatasetFormat) -> None:
    """Refuse to print what is no text where people would see it."""
    if form == "parquet" and sys.stdout.isatty():
        raise SpecError(
            "Parquet is no text for a terminal",
            hint="write it to a file or a pipe: `… > found.parquet`",
        )
