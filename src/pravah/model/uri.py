"""Paths and URIs: what people type becomes an absolute `file://` URI that any name survives.

Paths are bytes; in URIs they are percent-encoded, so names that are not UTF-8 stay whole in JSON.
Keys of object stores are text, and stay as they are typed: `s3://bucket/a b`. Only plans, which
the core reads, have them encoded.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

from pravah.errors import SpecError
from pravah.settings import Settings

NULL = "null:"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_OBJECT = re.compile(r"s3(?:\+([^:/]*))?://([^/]*)(?:/(.*))?\Z", re.DOTALL)


def absolute_uri(typed: str, directory: bytes) -> str:
    """Give the URI of a path or URI that was typed in `directory`; a trailing slash is kept.

    >>> absolute_uri("out/", b"/data"), absolute_uri("/a b", b"/")
    ('file:///data/out/', 'file:///a%20b')
    """
    if typed == NULL:
        return NULL
    if is_object_uri(typed):
        return _object_uri(typed)
    path = _typed_path(typed)
    absolute = absolute_path(path, directory)
    slash = b"/" if path.endswith(b"/") and absolute != b"/" else b""
    return path_uri(absolute + slash)


def absolute_path(path: bytes, directory: bytes) -> bytes:
    """Give the absolute path of one that was typed in `directory`.

    >>> absolute_path(b"a//b/", b"/data"), absolute_path(b"//a/./b", b"/")
    (b'/data/a/b', b'/a/b')
    """
    # Bytes all the way: pathlib takes only names that can be decoded.
    absolute = path if path.startswith(b"/") else directory + b"/" + path
    # `link/..` is not where it looks: only the file system knows where it leads.
    normal = os.path.realpath(absolute) if b".." in path.split(b"/") else os.path.normpath(absolute)
    # POSIX lets a path begin with two slashes, and normpath keeps them.
    return b"/" + normal.lstrip(b"/")


def typed_uri(path: str | bytes) -> str:
    """Keep what can be written in a spec; a name that is not UTF-8 becomes a `file://` URI."""
    text = os.fsdecode(path)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        slash = b"/" if text.endswith("/") else b""
        return path_uri(absolute_path(os.fsencode(text), os.getcwdb()) + slash)  # noqa: PTH109 - bytes
    return text


def is_object_uri(uri: str) -> bool:
    """Tell whether a URI is of a place in an object store."""
    return _OBJECT.match(uri) is not None


def object_parts(uri: str) -> tuple[str, str, str]:
    """Give connection (empty: the default one), bucket and key of a place in an object store.

    >>> object_parts("s3+lab://b/a/ b"), object_parts("s3://b")
    (('lab', 'b', 'a/ b'), ('', 'b', ''))
    """
    found = _OBJECT.match(uri)
    if found is None:
        raise SpecError(f"`{uri}` is no place in an object store", kind="invalid_uri")
    name, bucket, key = found.groups()
    return name or "", bucket, key or ""


def object_uri(name: str, bucket: str, key: str) -> str:
    """Put a place in an object store together."""
    scheme = f"s3+{name}" if name else "s3"
    return f"{scheme}://{bucket}/{key}"


def prefix_uri(name: str, bucket: str, key: str) -> str:
    """Put a prefix together, without the slash at its end; that of a bucket has none before it.

    >>> prefix_uri("", "b", "a/"), prefix_uri("lab", "b", "")
    ('s3://b/a', 's3+lab://b')
    """
    return object_uri(name, bucket, key.removesuffix("/")).removesuffix("/")


def planned_uri(uri: str) -> str:
    """Write the URI of a place in an object store as the core reads it."""
    name, bucket, key = object_parts(uri)
    return object_uri(name, bucket, quote(key.encode()))


def path_uri(path: bytes) -> str:
    """Write an absolute path as a URI."""
    return "file://" + quote(path)


def uri_path(uri: str) -> bytes:
    """Give the path of a `file://` URI, without a trailing slash."""
    path = unquote_to_bytes(uri.removeprefix("file://"))
    return path.rstrip(b"/") or b"/"


def quote(path: bytes) -> str:
    """Percent-encode a path or a name."""
    return quote_from_bytes(path, safe="/")


def shown_path(path: bytes) -> str:
    """Write a path for people; bytes that are no UTF-8 appear as they do in Python."""
    return path.decode("utf-8", "backslashreplace")


def shown_uri(uri: str) -> str:
    """Write a URI for people: local ones as a path, those of plans without their encoding."""
    if is_object_uri(uri):
        return shown_path(unquote_to_bytes(uri))
    return shown_path(unquote_to_bytes(uri[7:])) if uri.startswith("file://") else uri


def _typed_path(typed: str) -> bytes:
    scheme = _SCHEME.match(typed)
    if "\0" in typed or not typed:
        raise SpecError("a path is empty or holds a NUL byte", kind="invalid_path")
    if typed.startswith("file://"):
        host, slash, rest = typed[7:].partition("/")
        if not slash or host not in ("", "localhost"):
            raise SpecError(
                f"`{typed}` names no absolute local path",
                kind="invalid_uri",
                hint="a local URI begins with `file:///`",
            )
        return unquote_to_bytes("/" + rest)
    if scheme and typed[scheme.end() :].startswith("//"):
        raise _unknown_scheme(typed, scheme.group(1))
    return os.fsencode(typed)


def _object_uri(typed: str) -> str:
    name, bucket, key = object_parts(typed)
    if not bucket:
        bucket = str(Settings().get("S3_BUCKET_NAME") or "")
        if not bucket or name:
            raise SpecError(
                f"`{typed}` names no bucket, and S3_BUCKET_NAME is not set",
                kind="invalid_uri",
                hint="as in `s3://BUCKET/PREFIX/`",
            )
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise SpecError(f"`{typed!r}` is not UTF-8, and keys are", kind="invalid_uri") from error
    # `a//b` is another key than `a/b`: to take a slash away would name somebody else's object.
    if key.startswith("/") or "//" in key:
        raise SpecError(
            f"`{typed}` has an empty name before or between slashes, and no place is called so",
            kind="invalid_uri",
            hint="take the slash away if it is a slip; objects with such keys are listed below "
            "what lies above, and fail as `unsupported_name`",
        )
    return object_uri(name, bucket, key)


def _unknown_scheme(typed: str, scheme: str) -> Exception:
    return SpecError(
        f"`{typed}` has the scheme `{scheme}`, which no store knows",
        kind="unknown_scheme",
        hint=f"for a path of that name write `./{typed}`",
    )
