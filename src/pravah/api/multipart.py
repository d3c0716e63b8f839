"""Bodies in parts (RFC 7578) become a spec and files on disk, piece by piece as they come.

A part called `spec` is the job spec, parts called `file` are its sources. Nothing of a file is kept
in memory, and no name leads out of the directory that the files are written to.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pravah.api.problems import Problem
from pravah.model.uri import shown_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MEDIA_TYPE = "multipart/form-data"
MOST_FILES = 1_000
# A spec is written by a person; without files it may not be larger either.
MOST_SPEC_BYTES = 1 << 20
# All headers of one part; a path has at most 4,096 bytes.
_MOST_HEAD_BYTES = 16 << 10
_MOST_NAME_BYTES = 1_024
_DEEPEST = 16
# RFC 2046, section 5.1.1.
_LONGEST_BOUNDARY = 70
# Names that are Pravah's own in a directory (rule 17 of the protocol).
_OWN_NAMES = (b".pravah-", b"_pravah")
_PLAIN_ENCODINGS = (b"", b"7bit", b"8bit", b"binary")

# The parser warns of what the answer says, and would do so past our log.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Upload:
    """What came with a request: its spec as it was sent, and files with their SHA-256."""

    directory: Path
    spec: bytes
    files: Mapping[str, str]


class Reception:
    """Takes one body apart; blocks for the disk, and is used by one thread at a time."""

    def __init__(self, directory: Path, boundary: bytes) -> None:
        # Only whoever gets an upload pays for the parser.
        from python_multipart.multipart import MultipartParser

        self._directory = directory
        # What is closed while a thread still writes it is closed behind that piece.
        self._lock = threading.Lock()
        self._files: dict[str, str] = {}
        self._part: _Spec | _File | None = None
        self._head: dict[bytes, bytes] = {}
        self._name, self._value, self._head_bytes = b"", b"", 0
        self._spec: bytes | None = None
        self._ended = False
        callbacks: Any = {
            "on_part_begin": self._begin_part,
            "on_header_field": self._take_header_name,
            "on_header_value": self._take_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_head,
            "on_part_data": self._take_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)

    def take(self, piece: bytes) -> None:
        """Write what the next piece of the body holds."""
        from python_multipart.exceptions import FormParserError

        try:
            with self._lock:
                self._parser.write(piece)
        except FormParserError as error:
            raise _malformed(str(error).lower().rstrip(".")) from None

    def finish(self) -> Upload:
        """Give what came, once all of it is on disk."""
        if not self._ended:
            raise _malformed("it ends before its last boundary")
        if self._spec is None:
            raise Problem(
                422, "spec_missing", "no part is called `spec`", hint="send the job spec as `spec`"
            )
        if not self._files:
            raise Problem(
                422,
                "no_files",
                "no part is called `file`",
                hint="send files as `file`, or the spec alone as `application/json`",
            )
        for parent, _, _ in os.walk(self._directory):
            sync_directory(Path(parent))
        return Upload(self._directory, self._spec, self._files)

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            part, self._part = self._part, None
            if isinstance(part, _File):
                os.close(part.descriptor)

    def _begin_part(self) -> None:
        self._head, self._head_bytes = {}, 0

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_head(end - start)
        self._name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_head(end - start)
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._head[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def _end_head(self) -> None:
        from python_multipart.multipart import parse_options_header

        kind, options = parse_options_header(self._head.get(b"content-disposition"))
        encoding = self._head.get(b"content-transfer-encoding", b"").strip().lower()
        if kind != b"form-data" or encoding not in _PLAIN_ENCODINGS:
            raise _malformed("a part is no plain `form-data`")
        name = options.get(b"name", b"")
        if name == b"spec":
            self._part = self._new_spec()
        elif name == b"file":
            self._part = self._new_file(options.get(b"filename"))
        else:
            told = name[:60].decode("ascii", "replace")
            raise Problem(
                422,
                "unknown_part",
                f"there is no use for a part called `{told}`",
                hint="parts are called `spec` and `file`",
            )

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._part is not None:
            self._part.take(data[start:end])

    def _end_part(self) -> None:
        part, self._part = self._part, None
        if isinstance(part, _Spec):
            self._spec = bytes(part.text)
        elif part is not None:
            self._files[part.name] = part.end()

    def _end(self) -> None:
        self._ended = True

    def _count_head(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes
        if self._head_bytes > _MOST_HEAD_BYTES:
            raise _malformed(f"the head of a part is larger than {_MOST_HEAD_BYTES:,} bytes")

    def _new_spec(self) -> _Spec:
        if self._spec is not None:
            raise _malformed("two parts are called `spec`")
        return _Spec()

    def _new_file(self, name: bytes | None) -> _File:
        if len(self._files) >= MOST_FILES:
            raise Problem(
                413,
                "upload_too_large",
                f"more than {MOST_FILES:,} files came with the request",
                hint="put them where the server can read them, and name them as `source`",
            )
        path = os.path.join(os.fsencode(self._directory), judged(name))  # noqa: PTH118 - bytes
        return _File(os.fsdecode(name or b""), _created(path, name or b""))


@dataclass(slots=True)
class _Spec:
    """The part that is the spec."""

    text: bytearray = field(default_factory=bytearray)

    def take(self, data: bytes) -> None:
        self.text += data
        if len(self.text) > MOST_SPEC_BYTES:
            raise Problem(
                413, "body_too_large", f"the spec is larger than {MOST_SPEC_BYTES:,} bytes"
            )


@dataclass(slots=True)
class _File:
    """A part that is a file, open for writing."""

    name: str
    descriptor: int
    sha256: Any = field(default_factory=hashlib.sha256)

    def take(self, data: bytes) -> None:
        self.sha256.update(data)
        left = memoryview(data)
        while left:
            left = left[_on_disk(lambda: os.write(self.descriptor, left)) :]  # noqa: B023

    def end(self) -> str:
        """Have it on disk, and give its hash."""
        try:
            _on_disk(lambda: os.fsync(self.descriptor))
        finally:
            os.close(self.descriptor)
        return str(self.sha256.hexdigest())


def boundary_of(content_type: str) -> bytes:
    """Give what separates the parts of a body; Problem where nothing is said of it."""
    from python_multipart.multipart import parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY:
        raise _malformed("its `Content-Type` has no `boundary`")
    return boundary


def judged(name: bytes | None) -> bytes:
    """Give the name of a file that is sent, relative and within its directory; else Problem.

    >>> judged(b"2026/a.csv")
    b'2026/a.csv'
    """
    name = name or b""
    parts = name.split(b"/")
    wrong = (
        len(name) > _MOST_NAME_BYTES
        or len(parts) > _DEEPEST
        or any(part in (b"", b".", b"..") or len(part) > 255 for part in parts)
        or any(part.startswith(_OWN_NAMES) for part in parts)
        or any(byte < 0x20 or byte == 0x7F for byte in name)
    )
    if wrong:
        raise Problem(
            422,
            "invalid_file_name",
            f"`{shown_path(name[:100])}` can't be the name of a file that is sent",
            hint="relative names as in `a.csv` and `2026/a.csv`, without `..`",
        )
    return name


def _created(path: bytes, name: bytes) -> int:
    """Create a file that is not there yet."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise Problem(
            422,
            "duplicate_file_name",
            f"the name `{shown_path(name)}` comes twice, or is also a directory's",
            hint="give each file a name of its own",
        ) from None
    except OSError as error:
        raise _failed(error) from error


def _on_disk(call: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the call gives
    try:
        return call()
    except OSError as error:
        raise _failed(error) from error


def _failed(error: OSError) -> Problem:
    if error.errno == errno.ENAMETOOLONG:
        return Problem(422, "invalid_file_name", "the name of a file that is sent is too long")
    return no_room()


def no_room() -> Problem:
    """Say that the disk which takes uploads is full, or nearly so."""
    return Problem(
        507,
        "no_room_for_upload",
        "the server has no room for the files at this moment",
        hint="the operator can delete old jobs, whose files go with them",
    )


def sync_directory(directory: Path) -> None:
    """Have the names in a directory on disk; Problem where it can't be done."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _on_disk(lambda: os.fsync(descriptor))
    finally:
        os.close(descriptor)


def _malformed(why: str) -> Problem:
    return Problem(
        400,
        "invalid_multipart",
        f"the body is no `{MEDIA_TYPE}`: {why}",
        hint="`curl -F spec=@spec.json -F file=@a.csv` sends one",
    )
