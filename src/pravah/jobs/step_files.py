"""Files that steps read beside their input: named by absolute URI and by content.

Both become part of the plan, so that a file which changes makes another pipeline, and a worker
that finds another content than the job was created with says so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pravah.errors import SourceMissingError, SpecError
from pravah.model.uri import absolute_uri, shown_path, uri_path


def pinned(
    params: Mapping[str, Any], properties: Mapping[str, Any], directory: bytes
) -> dict[str, Any]:
    """Give parameters with the files among them pinned; relative ones begin at `directory`."""
    files = [name for name, schema in properties.items() if schema.get("format") == "path"]
    found = dict(params)
    for name in files:
        if isinstance(params.get(name), str):
            uri = absolute_uri(params[name], directory)
            found |= {name: uri, f"{name}_sha256": _sha256(uri_path(uri))}
    return found


def _sha256(path: bytes) -> str:
    try:
        with Path(os.fsdecode(path)).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise SourceMissingError(
            f"no file `{shown_path(path)}`, which a step reads",
            hint="check the path; a relative one begins at the working directory",
        ) from error
    except OSError as error:
        raise SpecError(
            f"can't read `{shown_path(path)}`, which a step needs",
            kind="unusable_path",
            causes=(f"{str(error.strerror).lower()} (errno {error.errno})",),
        ) from error
