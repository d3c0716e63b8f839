"""The core, for the rest of Pravah: the only module that imports `pravah._core`.

It adds types and Pravah's errors, and decides nothing. Importing it loads the core, so whoever
must answer quickly imports it where it is used. Beyond 500 lines: it is the one door to the core.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pravah.errors import STORE_HINTS, CoreMissingError, EngineError, SpecError, StoreError
from pravah.stores import connections

try:
    from pravah import _core
    from pravah._core import (
        Concerning,
        Control,
        CoreError,
        Engine,
        Later,
        NameList,
        Scanner,
        Table,
        die_with_parent,
    )
except ImportError as missing:
    raise CoreMissingError(
        "pravah._core can't be loaded", causes=(str(missing),), hint="`make build-rust` builds it"
    ) from missing

if TYPE_CHECKING:
    # A scan needs none of them: making their classes takes as long as listing 50,000 files.
    from pravah._core import Difference, Task, Verdict
    from pravah.model.dataset import DatasetFormat
    from pravah.model.ledger import Moved, NewTask, TaskBlobs, TaskCounts, Window

__all__ = [
    "Concerning",
    "Control",
    "CoreError",
    "Difference",
    "Engine",
    "Grouping",
    "Groups",
    "Later",
    "NameCheck",
    "NameDecisions",
    "NameList",
    "Results",
    "Scanner",
    "Table",
    "Task",
    "Verdict",
    "answer",
    "build_profile",
    "check_filters",
    "check_names",
    "check_steps",
    "check_store",
    "descriptors",
    "die_with_parent",
    "diff",
    "files",
    "finish_sources",
    "get_object",
    "known_in",
    "look_at_store",
    "look_back",
    "manifest_directories",
    "merge_fingerprints",
    "names_wait",
    "put_object",
    "remove_object",
    "retry",
    "split",
    "sweep",
    "translated",
    "translated_list",
    "undo",
    "unshare",
    "version",
    "window_dicts",
    "write_account",
]

version = _core.__version__

# The core asks when it first needs a connection, in this process or in the runner's.
_core.describe_connections(connections.describe)

_LIST_OF_FIELDS = (
    "fields are {path} {dir} {name} {stem} {ext} {root} {hash} {index} {mtime:%Y/%m} and what "
    "`--capture` names"
)
build_profile = _core.build_profile

if build_profile != "release" and os.environ.get("PRAVAH_DEV", "0") in ("", "0", "false", "no"):
    warnings.warn(
        "pravah._core was built without optimisation and is several times slower: "
        "`make build-rust` builds it for use, PRAVAH_DEV=1 silences this",
        RuntimeWarning,
        stacklevel=2,
    )


def descriptors() -> str:
    """Give the descriptors of all native processors, as JSON."""
    return _core.descriptors()


def check_steps(steps: Sequence[Mapping[str, Any]]) -> None:
    """Build the pipeline of these steps, to see whether their parameters hold."""
    try:
        _core.check_steps(json.dumps(list(steps)))
    except CoreError as error:
        names = [str(step["name"]) for step in steps]
        # The core begins with the step that it means.
        meant = next((name for name in names if error.message.startswith(f"{name}: ")), names[0])
        raise SpecError(
            error.message,
            kind=error.kind,
            hint=f"`pravah processors show {meant}` shows the parameters",
        ) from error


def check_filters(rules: Mapping[str, Any], globs: Sequence[str] = ()) -> None:
    """Compile the rules of what is listed, and sources that are globs, to see whether they hold."""
    known = _core.file_types()
    for name in rules.get("types", ()):
        if name not in known:
            from difflib import get_close_matches

            meant = get_close_matches(name, known, n=1)
            raise SpecError(
                f"type is `{name}`, no type of files",
                hint=f"did you mean `{meant[0]}`?" if meant else f"known are {', '.join(known)}",
            )
    try:
        _core.check_filters(json.dumps(dict(rules)), list(globs))
    except CoreError as error:
        raise SpecError(
            error.message,
            kind="invalid_pattern",
            hint="patterns are those of .gitignore, as in `--include '*.csv'`"
            if error.message.startswith(("include", "exclude", "source"))
            else None,
        ) from error


def diff(
    trees: tuple[bytes, bytes],
    by: Literal["size", "checksum", "content"],
    rules: Mapping[str, Any],
    on_found: Callable[[list[Difference]], None],
    *,
    threads: int | None = None,
) -> _core.DiffCounts:
    """Compare two trees or prefixes; differences come in lists, in order of their paths."""
    with translated():
        return _core.diff(*trees, by, json.dumps(dict(rules)), threads, on_found)


def check_names(plan: Mapping[str, Any]) -> None:
    """Read the template of names and the pattern of captured ones, to see whether they hold."""
    template = (plan["sink"] or {}).get("path")
    if template == "":
        raise SpecError(
            "sink.path is empty, and names no output", kind="invalid_template", hint=_LIST_OF_FIELDS
        )
    templates = {"sink.path": template, "merge.group_by": _group_by(plan)}
    try:
        captured = [] if plan["capture"] is None else _core.read_capture(plan["capture"])
        wanted = {what: _core.read_template(text) for what, text in templates.items() if text}
    except CoreError as error:
        raise SpecError(error.message, kind=error.kind, hint=_LIST_OF_FIELDS) from error
    fields = _core.template_fields()
    if taken := [name for name in captured if name in fields]:
        raise SpecError(
            f"source.capture is `{plan['capture']}`: `{{{taken[0]}}}` is a field of its own",
            kind="invalid_template",
            hint="give it another name",
        )
    if captured and not wanted:
        raise SpecError(
            "source.capture gives names that nothing uses: there is no sink.path",
            kind="capture_unused",
            hint="use them in `--path`, or leave out `--capture`",
        )
    for what, name in [(what, name) for what, names in wanted.items() for name in names]:
        if name not in captured:
            from difflib import get_close_matches

            meant = get_close_matches(name, [*captured, *fields], n=1)
            raise SpecError(
                f"{what} is `{templates[what]}`: unknown field `{{{name}}}`",
                kind="invalid_template",
                hint=f"did you mean `{{{meant[0]}}}`?" if meant else _LIST_OF_FIELDS,
            )
    _refuse_kept_hashes(plan)
    _check_parts(plan)
    _check_grouping(plan)


def _group_by(plan: Mapping[str, Any]) -> str | None:
    """Give the template by which files are put together, if it says one."""
    merging = (step for step in plan.get("steps", ()) if step["name"] == "merge")
    return next((step["params"].get("group_by") for step in merging), None)


def _check_parts(plan: Mapping[str, Any]) -> None:
    try:
        _core.check_parts(json.dumps(dict(plan)))
    except CoreError as error:
        raise SpecError(
            error.message,
            kind=error.kind,
            hint=_PARTITION_HINT
            if _partitions(plan)
            else "as in `--path '{dir}/{stem}-{part}{ext}'`, which is how parts are called "
            "without `--path`",
        ) from error


def _check_grouping(plan: Mapping[str, Any]) -> None:
    try:
        _core.check_grouping(json.dumps(dict(plan)))
    except CoreError as error:
        raise SpecError(
            error.message,
            kind=error.kind,
            hint=_PARTITION_HINT
            if _partitions(plan)
            else "`--to all.txt` is one file; `--path '{dir}/all-{index}.txt'` names several by "
            "what `group_by` has and `{index}`",
        ) from error


_PARTITION_HINT = "as in `--path 'part-{part}.parquet'`, below the directories of the values"


def _partitions(plan: Mapping[str, Any]) -> bool:
    return any(step["params"].get("partition_by") for step in plan.get("steps", ()))


def _refuse_kept_hashes(plan: Mapping[str, Any]) -> None:
    """Refuse another name for what collides where names are known only at run time."""
    text = json.dumps(dict(plan))
    keeps = (plan["sink"] or {}).get("on_collision") == "keep_ext"
    if keeps and _core.names_at_run_time(text):
        raise SpecError(
            "`on_collision: keep_ext` needs names that are known before the files are read, and "
            "`{hash}` is not",
            kind="keep_ext_with_hash",
            hint="files of equal content have one output; add `{name}` to keep all",
        )


def names_wait(plan: Mapping[str, Any]) -> bool:
    """Tell whether entries wait until all of them are compared by name, or put together."""
    with translated():
        return _core.names_wait(json.dumps(dict(plan)))


class NameDecisions:
    """What the comparison of a job's names came to; each call gives it anew, a task at a time."""

    def __init__(self, check: _core.NameCheck, count: int) -> None:
        self._check = check
        self._count = count

    def __call__(self) -> Iterator[tuple[int, bytes]]:
        """Give the tasks about which anything was decided, each with its blob."""
        for place in range(self._count):
            with translated():
                decision = self._check.decision(place)
            yield decision


class NameCheck:
    """Compares the names of all outputs of a job; `scratch` is a directory for what is many."""

    def __init__(self, plan: str, scratch: bytes) -> None:
        with translated():
            self._check = _core.NameCheck(plan, scratch)

    def add(self, task: TaskBlobs) -> None:
        """Add the entries of a task."""
        with translated():
            self._check.add(task.task_id, task.manifest, window_dicts(task.windows))

    def finish(self) -> NameDecisions:
        """Decide."""
        with translated():
            return NameDecisions(self._check, self._check.finish())


class Groups:
    """The tasks of a job whose files are put together; each call gives them anew."""

    def __init__(self, grouping: _core.Grouping, count: int, outputs: int) -> None:
        self._grouping = grouping
        self._count = count
        self.outputs = outputs

    def __call__(self) -> Iterator[NewTask]:
        """Give the tasks, each with whole outputs."""
        from pravah.model.ledger import NewTask

        for place in range(self._count):
            with translated():
                task = self._grouping.task(place)
            yield NewTask(*task)


class Grouping:
    """Puts the entries of a job together; `scratch` is a directory for what is many."""

    def __init__(self, plan: str, scratch: bytes) -> None:
        with translated():
            self._grouping = _core.Grouping(plan, scratch)

    def add(self, manifest: bytes) -> bool:
        """Add the entries of a task; False: it was cut in an earlier round, and stays."""
        with translated():
            return self._grouping.add(manifest)

    def keep(self, manifest: bytes) -> None:
        """Let the outputs of a task that was worked on keep their names."""
        with translated():
            self._grouping.keep(manifest)

    def finish(self) -> Groups:
        """Cut."""
        with translated():
            return Groups(self._grouping, *self._grouping.finish())


def files(plan: str, task: TaskBlobs, outcome: str | None, limit: int | None) -> bytes:
    """Give the account of a task's entries as NDJSON."""
    with translated():
        return _core.files(plan, task.manifest, window_dicts(task.windows), outcome, limit)


def manifest_directories(plan: str, manifest: bytes) -> list[bytes]:
    """Give the directories under which the fingerprints of a manifest's outputs are kept."""
    with translated():
        return _core.manifest_directories(plan, manifest)


def finish_sources(plan: str, task: TaskBlobs) -> tuple[TaskCounts, str]:
    """Remove or move the sources of a task's acknowledged entries; give counts and summary.

    `done` are gone from their place, `skipped` have changed and stay, `failed` could not be moved.
    """
    windows = window_dicts(task.windows)
    with translated():
        counts, summary = _core.finish_sources(plan, task.task_id, task.manifest, windows)
    return _counts(counts), summary


def merge_fingerprints(blobs: Sequence[bytes]) -> bytes:
    """Put the fingerprints of one directory, oldest first, together into one blob."""
    with translated():
        return _core.merge_fingerprints(list(blobs))


def sweep(plan: str, task: TaskBlobs) -> int:
    """Remove what an idle job has left where a task's outputs go; give the number."""
    with translated():
        return _core.sweep(plan, task.manifest, window_dicts(task.windows))


def unshare(plan: str) -> int:
    """Remove the names by which files with several names were shared; give their number."""
    with translated():
        return _core.unshare(plan)


def look_at_store(uri: str) -> Literal["object", "prefix", "nothing"]:
    """Tell what the URI of a place in an object store names; `uri` is that of a plan."""
    with translated():
        return _core.look_at_store(uri)


def check_store(uri: str) -> dict[str, Any]:
    """Try what a job needs of a prefix, one after the other."""
    with translated():
        checkup: dict[str, Any] = json.loads(_core.check_store(uri))
    return checkup


def get_object(uri: str, descriptor: int) -> None:
    """Write an object to an open file; EngineError of kind `not_found` where there is none."""
    with translated():
        _core.get_object(uri, descriptor)


def put_object(uri: str, descriptor: int, job_id: str, options: dict[str, Any]) -> None:
    """Put an open file at a URI in the name of a job, unless something else stands there.

    `options` say how the job's sink has objects kept.
    """
    with translated():
        _core.put_object(uri, descriptor, _owner(job_id), json.dumps(options))


def remove_object(uri: str, job_id: str) -> bool:
    """Remove what a job has put at a URI; tell whether that was there."""
    with translated():
        return _core.remove_object(uri, _owner(job_id))


def _owner(job_id: str) -> str:
    """Give the name that an object of this job carries: that of task 0, which is closing."""
    return f".pravah-{job_id}-0-0-0"


def look_back(unit: bytes | None) -> int | None:
    """Tell how many of a unit's last tasks its scan has to know; None: any task of its job."""
    with translated():
        return _core.look_back(unit)


def known_in(unit: bytes, manifest: bytes) -> bytes | None:
    """Give the entries of a manifest that the scan of a unit has to know, if there are any."""
    with translated():
        return _core.known_in(unit, manifest)


def globs_take(globs: Sequence[str], path: bytes, *, is_directory: bool) -> bool:
    """Tell whether globs take a file, or may take something in a directory, by its path."""
    with translated():
        return _core.globs_take(list(globs), path, is_directory)


def retry(plan: str, task: TaskBlobs, group: tuple[str, str | None, str] | None) -> Moved | None:
    """Take what did not come about, or one failure group, out of a task."""
    with translated():
        moved = _core.retry(plan, task.manifest, window_dicts(task.windows), group)
    return None if moved is None else _moved(moved, task)


def split(plan: str, task: TaskBlobs, parts: int) -> Moved | None:
    """Take what nobody has worked on yet out of a task, as so many; None if there is less."""
    with translated():
        moved = _core.split(plan, task.manifest, window_dicts(task.windows), parts)
    return None if moved is None else _moved(moved, task)


def _counts(counts: _core.Counts) -> TaskCounts:
    from pravah.model.ledger import TaskCounts

    return TaskCounts(**counts)


def _moved(moved: _core.Moved, task: TaskBlobs) -> Moved:
    from pravah.model.bottleneck import keep_effort
    from pravah.model.ledger import Moved, NewTask

    return Moved(
        tasks=[NewTask(*part) for part in moved["parts"]],
        gone=moved["gone"],
        counts=_counts(moved["counts"]),
        summary=keep_effort(moved["summary"], task.summary),
        window=moved["window"],
        unit=moved["unit"],
    )


def undo(plan: str, task: TaskBlobs, *, remove: bool) -> tuple[TaskCounts, str, int]:
    """Take back a task's outputs, or count them; give how many took the place of others, too."""
    with translated():
        windows = window_dicts(task.windows)
        counts, summary, replaced = _core.undo(plan, task.manifest, windows, remove)
    return _counts(counts), summary, replaced


def answer(plan: str, task: TaskBlobs, end: str, path: bytes) -> list[bytes]:
    """Give the account of a source, or of what an output was made of, if it is in this task."""
    with translated():
        found = _core.answer(plan, task.manifest, window_dicts(task.windows), end, path)
    return found.splitlines()


def write_account(path: bytes, plan: str, tasks: Iterable[TaskBlobs]) -> None:
    """Write the account of each file of a job to a Parquet file."""
    with translated():
        account = _core.ParquetAccount(path)
        for task in tasks:
            account.add(plan, task.manifest, window_dicts(task.windows))
        account.finish()


class Results:
    """Gathers the records of inspect steps, and writes them in bytewise order of their paths."""

    def __init__(self, plan: str, scratch: bytes) -> None:
        self._plan = plan
        self._results = _core.Results(scratch)

    def add(self, task: TaskBlobs) -> None:
        """Add the acknowledged records of a task."""
        with translated():
            self._results.add(self._plan, task.manifest, window_dicts(task.windows))

    def write(self, descriptor: int, form: DatasetFormat) -> tuple[int, list[str]]:
        """Write everything to an open descriptor; give the number of records, and the first."""
        with translated():
            return self._results.write(descriptor, form)

    def table(self) -> Table:
        """Give everything as a table, an Arrow stream that can be read any number of times."""
        with translated():
            return self._results.table()


def window_dicts(windows: Iterable[Window]) -> list[_core.Window]:
    """Give windows in the form that the core takes."""
    return [
        {"blob": w.blob, "amendments": w.amendments, "acknowledged": w.acknowledged}
        for w in windows
    ]


@contextmanager
def translated() -> Iterator[None]:
    """Turn the core's errors into Pravah's."""
    try:
        yield
    except CoreError as error:
        if error.kind in STORE_HINTS:
            hint = STORE_HINTS[error.kind]
            raise StoreError(error.message, kind=error.kind, hint=hint) from error
        raise EngineError(error.message, kind=error.kind) from error
    except _core.PanicException as error:
        # A panic is a bug of ours: it ends what was asked for, and never the worker.
        raise EngineError(f"the core panicked: {error}", kind="engine_panicked") from error


@contextmanager
def translated_list() -> Iterator[None]:
    """Turn what the core has against a list of names into an error of the spec."""
    try:
        yield
    except CoreError as error:
        raise SpecError(
            error.message,
            kind="invalid_list" if error.kind == "invalid_parameter" else error.kind,
            hint="names are relative to the source, or whole paths below it, one a line or "
            "with NULs between them",
        ) from error
