"""The engine: pure Rust behind a thin binding.

Plans are JSON (see `pravah_core/core/src/plan.rs`); paths are bytes.
Calls that work release the GIL.
"""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias, TypedDict, final

__version__: Final[str]
build_profile: Final[Literal["debug", "release"]]

Verdict: TypeAlias = Literal["committed", "fenced", "drain"]
Ending: TypeAlias = Literal["finished", "fenced", "drained"]
Fingerprint: TypeAlias = tuple[bytes, bytes]

class PanicException(BaseException):
    """A panic of the core."""

class CoreError(Exception):
    """An error of the engine."""

    kind: str
    message: str

class Window(TypedDict):
    """A recorded window of a task."""

    blob: bytes
    amendments: bytes | None
    acknowledged: bool

class Task(TypedDict):
    """A task as the ledger hands it out; windows in the order of their sequence numbers."""

    id: int
    counter: int
    manifest: bytes
    windows: list[Window]
    unclean: bool
    fingerprints: list[Fingerprint]
    settle: bool
    suspects: list[int]
    poisoned: list[tuple[int, str, str]]
    deaths: int
    kernel_leases: bool
    effort: str

class Counts(TypedDict):
    """Acknowledged entries of a whole task, by outcome, and their bytes."""

    done: int
    skipped: int
    failed: int
    vanished: int
    poisoned: int
    bytes_in: int
    bytes_out: int

class WindowRecord(TypedDict):
    """One transaction: window n is recorded, window n-1 acknowledged.

    Counts and summary are absolute.
    """

    window: bytes | None
    acknowledge: bool
    amendments: bytes | None
    fingerprints: list[Fingerprint]
    counts: Counts
    summary: str
    finished: bool
    intent: bool

class EmittedManifest(TypedDict):
    """A slice of entries that the scan has cut."""

    blob: bytes
    entries: int
    bytes: int

class TasksRecord(TypedDict):
    """What a scan has found since its last record; counts and reasons are of the whole unit."""

    manifests: list[EmittedManifest]
    units: list[bytes]
    frontier: bytes | None
    counts: dict[str, int]
    reasons: dict[str, int]
    effort: str
    finished: bool

class Progress(TypedDict):
    """Seen and worked on since the engine began."""

    scanned: int
    scanned_bytes: int
    files: int
    bytes: int

class Moved(TypedDict):
    """What is taken out of a task, as manifest, entries and bytes each, and what stays behind."""

    parts: list[tuple[bytes, int, int]]
    gone: int
    counts: Counts
    summary: str
    window: bytes
    unit: bytes | None

class ScanError(TypedDict):
    """Something that could not be read."""

    path: bytes
    kind: str
    message: str

class ScanCount(TypedDict):
    """How much a scan found; `errors` holds the first of them."""

    files: int
    directories: int
    other: int
    bytes: int
    loops: int
    error_count: int
    errors: list[ScanError]

@final
class Engine:
    """Threads and memory that all calls of a process share."""

    def __init__(
        self,
        *,
        threads: int | None = None,
        memory_bytes: int = 1073741824,
        notes_path: str | None = None,
    ) -> None: ...
    def run_scan(
        self,
        plan_json: str,
        unit: bytes | None,
        known: list[bytes],
        control: Control,
        on_tasks: Callable[[TasksRecord], Verdict],
    ) -> Ending:
        """List what a unit holds; entries of `known` manifests are left out."""

    def run_task(
        self,
        plan_json: str,
        task: Task,
        control: Control,
        on_window: Callable[[WindowRecord], Verdict],
    ) -> Ending:
        """Run a task, or what remains of it."""

    def set_rates(self, job: str, read: int | None, write: int | None) -> None:
        """Change the limits, in bytes a second, of a job that is worked on; None: no limit."""

    def progress(self) -> Progress:
        """Give what all calls have seen and worked on so far."""

@final
class Concerning:
    """Which memories concern a task: those of its manifest's entries."""

    def __init__(self, plan_json: str, manifest: bytes) -> None: ...
    def part(self, blob: bytes) -> bytes:
        """Give the part of a blob that concerns them; empty: nothing in it does."""

@final
class Control:
    """A hold on one running call."""

    def __init__(self, engine: Engine) -> None: ...
    def drain(self) -> None:
        """Begin nothing new, give up large files in flight, end through the last windows."""

    def finish_begun(self) -> None:
        """Begin nothing new, finish what was begun, end through the last windows."""

    def moved(self) -> int:
        """Give a number that stands still only while the call does."""

@final
class Later:
    """Names that later blobs of a directory remember."""

    def rest(self, blob: bytes) -> bytes:
        """Give what a blob, older than those before, remembers of other names; empty: nothing."""

@final
class NameList:
    """Reads names, then gives them as scan units, each once and in order."""

    def __init__(self, roots: list[bytes], follow_symlinks: bool, scratch: bytes) -> None: ...
    def read(self, descriptor: int) -> None:
        """Read a list from an open descriptor: names, or the account of a job."""

    def read_account(self, lines: bytes) -> None:
        """Take lines of the account of a job."""

    def finish(self) -> None:
        """Put all names in order."""

    def next_unit(self) -> bytes | None:
        """Give the next unit; None where all are given."""

    def digest(self) -> str:
        """Tell the names from others, once all units are given."""

Difference: TypeAlias = tuple[bytes, str, str | int | bytes | None, str | int | bytes | None]

class DiffCounts(TypedDict):
    """How much was compared."""

    same: int
    only_a: int
    only_b: int
    differing: int
    failed: int

@final
class Scanner:
    """A scan of directory trees, started anew by each method; an Arrow stream (PyCapsule)."""

    def __init__(
        self,
        roots: list[bytes],
        *,
        globs: list[list[str]] = ...,
        rules: str = "{}",
        stat: bool = False,
        follow_symlinks: bool = False,
        threads: int | None = None,
    ) -> None: ...
    def count(self) -> ScanCount:
        """Count files, directories and bytes."""

    def totals(
        self, by: Literal["ext", "dir"], depth: int
    ) -> tuple[list[tuple[bytes, int, int]], tuple[int, int], ScanCount]:
        """Count files and bytes in groups; give these, what none had room for, and the whole."""

    def write_to(
        self,
        descriptor: int,
        format: Literal["paths", "ndjson", "csv", "arrow"],
        *,
        terminator: int = 10,
    ) -> ScanCount:
        """Write the regular files to an open descriptor."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

def describe_connections(describe: Callable[[str, bool], str]) -> None:
    """Have connections described by a function, as JSON."""

def look_at_store(uri: str) -> Literal["object", "prefix", "nothing"]:
    """Tell what a URI names."""

def check_store(uri: str) -> str:
    """Try what a job needs of a prefix; gives what came of it as JSON."""

def get_object(uri: str, descriptor: int) -> None:
    """Write an object to an open descriptor."""

def put_object(uri: str, descriptor: int, owner: str, options: str) -> None:
    """Put an open file at a URI, in the name of a job; `options` is JSON."""

def remove_object(uri: str, owner: str) -> bool:
    """Remove what a job has put at a URI; tells whether that was there."""

@final
class ParquetAccount:
    """Writes the per-file account of a job to a Parquet file."""

    def __init__(self, path: bytes) -> None: ...
    def add(self, plan_json: str, manifest: bytes, windows: list[Window]) -> None:
        """Add the account of one task."""

    def finish(self) -> None:
        """End the file."""

@final
class Results:
    """Gathers the records of inspect steps and writes them in bytewise order of their paths."""

    def __init__(self, scratch: bytes) -> None: ...
    def add(self, plan_json: str, manifest: bytes, windows: list[Window]) -> None:
        """Add the acknowledged records of a task."""

    def write(
        self, descriptor: int, format: Literal["ndjson", "csv", "parquet"]
    ) -> tuple[int, list[str]]:
        """Write everything to an open descriptor; give the number of records, and the first."""

    def table(self) -> Table:
        """Give everything as a table."""

@final
class Table:
    """All records in order, with the columns that they have together; an Arrow stream."""

    def __len__(self) -> int: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

@final
class NameCheck:
    """Compares the names of all outputs of a job."""

    def __init__(self, plan_json: str, scratch: bytes) -> None: ...
    def add(self, task_id: int, manifest: bytes, windows: list[Window]) -> None:
        """Add the entries of a task."""

    def finish(self) -> int:
        """Decide; gives the number of tasks about which anything was decided."""

    def decision(self, place: int) -> tuple[int, bytes]:
        """Give one of these tasks' id, and what was decided."""

@final
class Grouping:
    """Puts the entries of a job that reduces together."""

    def __init__(self, plan_json: str, scratch: bytes) -> None: ...
    def add(self, manifest: bytes) -> bool:
        """Add the entries of a task; False: it stays as it is."""

    def keep(self, manifest: bytes) -> None:
        """Let the outputs of a task that was worked on keep their names."""

    def finish(self) -> tuple[int, int]:
        """Cut; gives the number of tasks and that of outputs."""

    def task(self, place: int) -> tuple[bytes, int, int]:
        """Give one of these tasks: its manifest, entries and bytes."""

def check_parts(plan_json: str) -> None:
    """Refuse names that don't tell the outputs of one file apart, or number the only one."""

def check_grouping(plan_json: str) -> None:
    """Refuse names of outputs that tell more than what their files have in common."""

def template_fields() -> list[str]:
    """Give the fields that every template knows."""

def read_template(text: str) -> list[str]:
    """Read a template; gives the names in it that only a capture can give."""

def read_capture(text: str) -> list[str]:
    """Read a pattern of paths; gives the names that it captures."""

def names_wait(plan_json: str) -> bool:
    """Tell whether entries wait until all names of the job have been compared."""

def names_at_run_time(plan_json: str) -> bool:
    """Tell whether names tell the hash of the content."""

def descriptors() -> str:
    """Give the descriptors of all native processors, as JSON."""

def check_steps(steps: str) -> None:
    """Build the pipeline of these steps (JSON), to see whether their parameters hold."""

def diff(
    first: bytes,
    second: bytes,
    by: Literal["size", "checksum", "content"],
    rules: str,
    threads: int | None,
    on_found: Callable[[list[Difference]], None],
) -> DiffCounts:
    """Compare two trees or prefixes; differences come in order: (path, what, of A, of B)."""

def check_filters(rules: str, globs: list[str]) -> None:
    """Compile the rules of what is listed (JSON), to see whether they hold."""

def globs_take(globs: list[str], path: bytes, is_directory: bool) -> bool:
    """Tell whether globs take a file, or may take something in a directory, by its path."""

def file_types() -> list[str]:
    """Give the names of the types by which files can be told."""

def die_with_parent() -> None:
    """Have this process killed when the thread that started it ends."""

def files(
    plan_json: str,
    manifest: bytes,
    windows: list[Window],
    outcome: str | None = None,
    limit: int | None = None,
) -> bytes:
    """Give the account of a task's entries as NDJSON."""

def finish_sources(
    plan_json: str, task_id: int, manifest: bytes, windows: list[Window]
) -> tuple[Counts, str]:
    """Deal with the sources of a task's acknowledged entries; gives counts and a summary."""

def manifest_directories(plan: str, manifest: bytes) -> list[bytes]:
    """Give the directories under which the fingerprints of a manifest's outputs are kept."""

def merge_fingerprints(blobs: list[bytes]) -> bytes:
    """Put the fingerprints of one directory, oldest first, together into one blob."""

def retry(
    plan_json: str,
    manifest: bytes,
    windows: list[Window],
    group: tuple[str, str | None, str] | None = None,
) -> Moved | None:
    """Move what did not come about into a new manifest, or one group (kind, step, pattern)."""

def split(plan_json: str, manifest: bytes, windows: list[Window], parts: int) -> Moved | None:
    """Move what nobody has worked on yet into so many manifests; None if it is fewer entries."""

def unshare(plan_json: str) -> int:
    """Remove the names by which files with several names were shared; gives their number."""

def undo(
    plan_json: str, manifest: bytes, windows: list[Window], remove: bool
) -> tuple[Counts, str, int]:
    """Take back a task's outputs, or count them; counts, summary, how many replaced others."""

def answer(
    plan_json: str, manifest: bytes, windows: list[Window], question: str, path: bytes
) -> bytes:
    """Give the account of a source, or of what an output was made of; empty if it is not here."""

def sweep(plan_json: str, manifest: bytes, windows: list[Window]) -> int:
    """Remove what an idle job has left where a task's outputs go; gives the number."""

def look_back(unit: bytes | None) -> int | None:
    """Tell how many of a unit's last tasks its scan has to know; None: any task of its job."""

def known_in(unit: bytes, manifest: bytes) -> bytes | None:
    """Give the entries of a manifest that the scan of a unit has to know, if there are any."""
