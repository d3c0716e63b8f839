"""The names that a job is given in place of what it would find: read when it is created.

They are sorted, told apart and kept as scan units, so that the list itself is needed no more.
Memory does not grow with their number.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from pravah import engine
from pravah.errors import EngineError, NotFoundError, SourceMissingError, SpecError
from pravah.model.uri import (
    is_object_uri,
    object_parts,
    planned_uri,
    shown_path,
    shown_uri,
    uri_path,
)

if TYPE_CHECKING:
    from pravah.model.job import Job
    from pravah.model.spec import JobSpec

# Gives the account of a job's files of one outcome, as NDJSON lines.
Accounts = Callable[[str, str | None], Iterable[bytes]]
_JOB = "job:"
_OUTCOMES = ("done", "skipped", "failed", "vanished", "poisoned", "remaining")
# Lines of an account that are handed over at once.
_LINES = 4096


class Units:
    """Scan units in a scratch file, to be read as often as the ledger wants."""

    def __init__(self, file: Any, digest: str, sizes: list[int]) -> None:  # noqa: ANN401 - tempfile's own
        self._file = file
        self._sizes = sizes
        self.digest = digest

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        for size in self._sizes:
            yield self._file.read(size)


def with_roots(spec: JobSpec, job: Callable[[str], Job]) -> JobSpec:
    """Give a spec whose names come from another job the sources of that job, if it has none."""
    listed = spec.source.files_from
    if listed is None or not listed.startswith(_JOB) or spec.source.uri:
        return spec
    roots = job(_reference(listed)[0]).plan["roots"]
    uris = list(dict.fromkeys(_source(root["uri"]) for root in roots))
    return spec.model_copy(update={"source": spec.source.model_copy(update={"uri": uris})})


def _source(planned: str) -> str:
    """Give the source that a planned root stands for, never the object that is called like it."""
    return f"{shown_uri(planned)}/" if is_object_uri(planned) else planned


@contextmanager
def read(
    spec: JobSpec, plan: dict[str, Any], accounts: Accounts, scratch: Path
) -> Iterator[Units | None]:
    """Read the names of a planned spec; None where it has no list."""
    if spec.source.files_from is None:
        yield None
        return
    scratch.mkdir(parents=True, exist_ok=True)
    roots = [_place(root["uri"]) for root in plan["roots"]]
    with engine.translated_list():
        names = engine.NameList(roots, spec.source.follow_symlinks, bytes(scratch))
        if is_object_uri(spec.source.files_from):
            _take_object(names, spec.source.files_from, scratch)
        else:
            _take(names, spec.source.files_from, accounts)
        names.finish()
    with tempfile.TemporaryFile(dir=scratch) as file:
        sizes = []
        with engine.translated_list():
            while (unit := names.next_unit()) is not None:
                file.write(unit)
                sizes.append(len(unit))
        yield Units(file, names.digest(), sizes)


def _place(planned: str) -> bytes:
    """Give the path of a root, or its URI as whole names begin with it."""
    return unquote_to_bytes(planned) if is_object_uri(planned) else uri_path(planned)


def _take_object(names: engine.NameList, listed: str, scratch: Path) -> None:
    """Read a list that lies in an object store, by way of a file: memory does not hold it."""
    _, _, key = object_parts(listed)
    if not key or key.endswith("/"):
        raise SpecError(
            f"the list `{listed}` is a prefix, and a list is one object",
            kind="invalid_uri",
            hint="as in `s3://BUCKET/list.txt`",
        )
    with tempfile.TemporaryFile(dir=scratch) as file:
        try:
            engine.get_object(planned_uri(listed), file.fileno())
        except EngineError as error:
            if error.kind != "not_found":
                raise
            raise SourceMissingError(
                f"no list `{listed}`", hint="`pravah scan` lists what is there"
            ) from error
        file.seek(0)
        names.read(file.fileno())


def _take(names: engine.NameList, listed: str, accounts: Accounts) -> None:
    if listed == "-":
        if sys.stdin is None:
            raise SpecError(
                "the names are to come from stdin, which is closed", kind="stdin_closed"
            )
        names.read(0)
        return
    if listed.startswith(_JOB):
        job, outcome = _reference(listed)
        gathered: list[bytes] = []
        for line in accounts(job, outcome):
            gathered.append(line)
            if len(gathered) == _LINES:
                names.read_account(b"".join(gathered))
                gathered.clear()
        names.read_account(b"".join(gathered))
        return
    path = uri_path(listed)
    try:
        with Path(os.fsdecode(path)).open("rb") as file:
            names.read(file.fileno())
    except FileNotFoundError as error:
        raise SourceMissingError(f"no list `{shown_path(path)}`") from error
    except OSError as error:
        raise SpecError(
            f"can't read the list `{shown_path(path)}`",
            kind="unusable_path",
            causes=(f"{str(error.strerror).lower()} (errno {error.errno})",),
        ) from error


def _reference(listed: str) -> tuple[str, str | None]:
    job, _, outcome = listed.removeprefix(_JOB).partition("/")
    if outcome and outcome not in _OUTCOMES:
        raise SpecError(
            f"`{listed}` asks for the outcome `{outcome}`",
            hint=f"known are {', '.join(_OUTCOMES)}",
        )
    if not job:
        raise NotFoundError(f"`{listed}` names no job", kind="job_not_found")
    return job, outcome or None


def spec_hash(planned_hash: str, missing: str, units: Units | None) -> str:
    """Identify what a job is about, its names included, and what they are where they are not."""
    if units is None:
        return planned_hash
    return hashlib.sha256(f"{planned_hash} {missing} {units.digest}".encode()).hexdigest()
