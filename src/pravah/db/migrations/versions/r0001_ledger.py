"""The first schema of the ledger.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SQLite gives row ids only to columns that are exactly INTEGER PRIMARY KEY.
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "fingerprints",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("directory", sa.LargeBinary(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("fingerprints_by_directory", "fingerprints", ["scope", "directory"])
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("status", sa.String(length=9), nullable=False),
        sa.Column("request", sa.String(length=6)),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("spec_hash", sa.String(length=64), nullable=False),
        sa.Column("pipeline_hash", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=64)),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("scan_complete", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("started_us", sa.BigInteger()),
        sa.Column("finished_us", sa.BigInteger()),
        sa.Column("error", sa.Text()),
        sa.Column("results", sa.Text()),
        sa.Column("deleting", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("jobs_by_spec", "jobs", ["spec_hash", "id"])
    op.create_index("jobs_by_status", "jobs", ["status", "id"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("started_ticks", sa.BigInteger()),
        sa.Column("boot_id", sa.Text()),
        sa.Column("beat_s", sa.BigInteger(), nullable=False),
        sa.Column("lock_path", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "events",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=26), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("events_by_job", "events", ["job_id", "id"])
    op.create_table(
        "reports",
        sa.Column("job_id", sa.String(length=26), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.PrimaryKeyConstraint("job_id", "round"),
    )
    op.create_table(
        "tasks",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=26), nullable=False),
        sa.Column("parent_id", sa.BigInteger()),
        sa.Column("kind", sa.String(length=7), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=9), nullable=False),
        sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("token", sa.BigInteger()),
        sa.Column("counter", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("strikes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unclean", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("entries", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("filtered", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("vanished", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("poisoned", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes_in", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("frontier", sa.Text()),
        sa.Column("summary", sa.Text()),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"]),
        sa.ForeignKeyConstraint(["parent_id"], ["tasks.id"]),
        sa.CheckConstraint(
            "done + skipped + failed + vanished + poisoned <= entries",
            name="outcomes_within_entries",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("tasks_by_job", "tasks", ["job_id", "id"])
    op.create_index(
        "tasks_closing",
        "tasks",
        ["job_id", "round"],
        unique=True,
        sqlite_where=sa.text("kind = 'closing'"),
        postgresql_where=sa.text("kind = 'closing'"),
    )
    op.create_index(
        "tasks_pending",
        "tasks",
        ["job_id", "kind", "id"],
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "leases",
        sa.Column("task_id", ID, autoincrement=False, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("worker_id", sa.String(length=26), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"]),
        sa.ForeignKeyConstraint(["worker_id"], ["workers.id"]),
        sa.PrimaryKeyConstraint("task_id"),
    )
    op.create_index("leases_by_worker", "leases", ["worker_id"])
    op.create_table(
        "manifests",
        sa.Column("task_id", ID, autoincrement=False, nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"]),
        sa.PrimaryKeyConstraint("task_id"),
    )
    op.create_table(
        "windows",
        sa.Column("task_id", ID, autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged", sa.Boolean(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("amendments", sa.LargeBinary()),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"]),
        sa.PrimaryKeyConstraint("task_id", "seq"),
    )
    op.create_index(
        "windows_open",
        "windows",
        ["task_id"],
        sqlite_where=sa.text("NOT acknowledged"),
        postgresql_where=sa.text("NOT acknowledged"),
    )


def downgrade() -> None:
    """Drop every table, children before their parents."""
    for table in (
        "windows",
        "manifests",
        "leases",
        "tasks",
        "reports",
        "events",
        "workers",
        "jobs",
        "fingerprints",
    ):
        op.drop_table(table)
