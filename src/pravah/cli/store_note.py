"""What people should know of a connection to an object store, told once on stderr."""

import sys
from functools import cache

from pravah.model.uri import is_object_uri, object_parts
from pravah.settings import Settings


def tell_note(uri: str) -> None:
    """Say where requests go, if that is not what was written."""
    if is_object_uri(uri) and (note := _note(object_parts(uri)[0])):
        sys.stderr.write(f"note: {note}\n")


@cache
def _note(name: str) -> str | None:
    from pravah.stores.connections import connection

    return connection(name, Settings()).note
