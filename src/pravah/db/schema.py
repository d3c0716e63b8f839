"""The tables, as SQLAlchemy Core metadata; migrations lead to the same, which a test compares.

Only embedded ledgers are created from here, PostgreSQL's by the migrations: so partial indexes say
here what SQLite needs (another dialect's options would load that dialect, 30 ms of every start).

No row per file: a task's entries are one blob, their outcomes are the blobs of its windows.
Times are microseconds since 1970. Statuses change only through `transitions`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

metadata = MetaData()

# SQLite gives row ids only to columns that are exactly INTEGER PRIMARY KEY.
_Id = BigInteger().with_variant(Integer, "sqlite")


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=false())


def _task_id() -> Column[int]:
    return Column("task_id", _Id, ForeignKey("tasks.id"), primary_key=True, autoincrement=False)


jobs = Table(
    "jobs",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("name", Text),
    Column("status", String(9), nullable=False),
    Column("request", String(6)),
    Column("spec", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("spec_hash", String(64), nullable=False),
    Column("pipeline_hash", String(64), nullable=False),
    # Whose fingerprints the job reads and writes: source roots and sink. None: it needs none.
    Column("scope", String(64)),
    Column("round", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("labels", Text, nullable=False),
    # Whose local paths are meant, on a ledger of many hosts; empty: those of every host.
    Column("host", Text, nullable=False),
    # The team that the job belongs to: workers are shared out evenly among teams.
    Column("share", Text, nullable=False, server_default=""),
    _flag("scan_complete"),
    # Entries are worked on only when all are listed: outputs go where sources are.
    _flag("waits_for_scan"),
    # They are, once the names of all outputs have been compared.
    _flag("waits_for_names"),
    Column("created_us", BigInteger, nullable=False),
    Column("started_us", BigInteger),
    Column("finished_us", BigInteger),
    # Since when nobody works on the job, and how long that was so before, since it began.
    Column("paused_us", BigInteger),
    _count("idle_us"),
    # When its outputs were taken back.
    Column("undone_us", BigInteger),
    Column("error", Text),
    Column("results", Text),
    _flag("deleting"),
    # Most tasks of entries that may be leased at once, by all workers together. None: any number.
    Column("tasks_limit", Integer),
    # Why the ledger's own rules, and no person, paused the job or asked for it.
    Column("paused_by", Text),
    # Failures that a resume has accepted: the budget counts those behind them.
    _count("forgiven"),
    # Grows with each change of limits: workers see that what they hold is old.
    _count("revision"),
    Index("jobs_by_status", "status", "id"),
    Index("jobs_by_spec", "spec_hash", "id"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("job_id", String(26), ForeignKey("jobs.id"), nullable=False),
    Column("parent_id", BigInteger, ForeignKey("tasks.id")),
    Column("kind", String(7), nullable=False),
    Column("round", Integer, nullable=False),
    Column("status", String(9), nullable=False),
    _count("seq"),
    Column("token", BigInteger),
    _count("counter"),
    _count("attempts"),
    # Attempts that ended badly since the last progress.
    _count("strikes"),
    # An attempt did not end by itself: temporaries may lie about.
    _flag("unclean"),
    _count("entries"),
    _count("size_bytes"),
    _count("filtered"),
    _count("done"),
    _count("skipped"),
    _count("failed"),
    _count("vanished"),
    _count("poisoned"),
    _count("bytes_in"),
    _count("bytes_out"),
    # Attempts whose end nobody saw, or by a kill from outside, since the last progress.
    _count("deaths"),
    # Entries in flight when a process crashed, and how often each did so alone (rule 22).
    Column("suspects", Text),
    # The widest come last: sums over the columns above need not read them.
    Column("summary", Text),
    # What a scan unit has not yet covered by emitted tasks, nor given away.
    Column("frontier", LargeBinary),
    CheckConstraint(
        "done + skipped + failed + vanished + poisoned <= entries", name="outcomes_within_entries"
    ),
    Index("tasks_by_job", "job_id", "id"),
    # Whoever removes a task, the database looks for its children: without this, through all tasks.
    Index("tasks_by_parent", "parent_id"),
    Index(
        "tasks_pending",
        "job_id",
        "kind",
        "id",
        sqlite_where=text("status = 'pending'"),
    ),
    Index(
        "tasks_closing",
        "job_id",
        "round",
        unique=True,
        sqlite_where=text("kind = 'closing'"),
    ),
)

manifests = Table(
    "manifests",
    metadata,
    _task_id(),
    Column("blob", LargeBinary, nullable=False),
    # What the comparison of all names has decided about its entries; the manifest itself stays.
    Column("names", LargeBinary),
)

windows = Table(
    "windows",
    metadata,
    _task_id(),
    Column("seq", BigInteger, primary_key=True, nullable=False),
    Column("acknowledged", Boolean, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("amendments", LargeBinary),
    Index(
        "windows_open",
        "task_id",
        sqlite_where=text("NOT acknowledged"),
    ),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    # Ticks from boot to the start of the process: tells it from a later one with its pid.
    Column("started_ticks", BigInteger),
    Column("boot_id", Text),
    # Seconds of the boot clock, which goes on while the machine sleeps and is never set.
    Column("beat_s", BigInteger, nullable=False),
    Column("lock_path", Text, nullable=False),
    Column("joined_us", BigInteger),
    # The release that it runs.
    Column("version", Text),
)

leases = Table(
    "leases",
    metadata,
    _task_id(),
    Column("token", BigInteger, nullable=False),
    Column("worker_id", String(26), ForeignKey("workers.id"), nullable=False),
    # By the database's clock, where no lock of a kernel tells that a holder is dead.
    Column("expires_us", BigInteger),
    # A worker that has nothing to do wants a part of the task.
    _flag("asked"),
    Index("leases_by_worker", "worker_id"),
)

timelines = Table(
    "timelines",
    metadata,
    # Where the ledger has lived, the last one last: a failover or a restored copy adds a row.
    Column("id", _Id, primary_key=True, autoincrement=True),
    # Identifies a cluster of PostgreSQL: unsigned 64 bits.
    Column("cluster", Text, nullable=False),
    Column("timeline", BigInteger, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
)

fingerprints = Table(
    "fingerprints",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("scope", String(64), nullable=False),
    Column("directory", LargeBinary, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Index("fingerprints_by_directory", "scope", "directory"),
)

reports = Table(
    "reports",
    metadata,
    Column("job_id", String(26), ForeignKey("jobs.id"), primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("report", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("job_id", String(26), ForeignKey("jobs.id"), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("events_by_job", "job_id", "id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("name", Text, nullable=False),
    Column("scope", String(6), nullable=False),
    # SHA-256 of the key: what is sent can be told by it, and not made of it.
    Column("digest", String(64), nullable=False),
    Column("team", Text, nullable=False),
    # JSON lists. None: all that the operator allows.
    Column("roots", Text),
    Column("connections", Text),
    Column("limits", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger),
    Column("revoked_us", BigInteger),
    Column("used_us", BigInteger),
)

replies = Table(
    "replies",
    metadata,
    # Whose idempotency key it is, and which.
    Column("owner", String(64), primary_key=True),
    Column("request_key", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),
    # Chosen before the job is created: whoever goes on with the request creates the same.
    Column("job_id", String(26), nullable=False),
    Column("reserved_us", BigInteger, nullable=False),
    Column("status", Integer),
    Column("answer", Text),
    Index("replies_by_age", "reserved_us"),
)
