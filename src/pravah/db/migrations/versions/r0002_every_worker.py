"""What any number of workers on one ledger need.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring a ledger of the first schema up to date."""
    op.add_column("jobs", sa.Column("tasks_limit", sa.Integer()))
    op.add_column("jobs", sa.Column("paused_by", sa.Text()))
    op.add_column("jobs", sa.Column("share", sa.Text(), server_default="", nullable=False))
    # Ledgers of the first schema have one host, whatever it is called today.
    op.execute("UPDATE jobs SET host = ''")
    for table, name in (("jobs", "forgiven"), ("jobs", "revision"), ("tasks", "deaths")):
        column = sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)
        op.add_column(table, column)
    op.add_column("tasks", sa.Column("suspects", sa.Text()))
    # It was there, as text, and never used.
    op.drop_column("tasks", "frontier")
    op.add_column("tasks", sa.Column("frontier", sa.LargeBinary()))
    op.add_column("workers", sa.Column("joined_us", sa.BigInteger()))
    op.add_column("workers", sa.Column("version", sa.Text()))
    flag: sa.Column[bool] = sa.Column(
        "waits_for_scan", sa.Boolean(), server_default=sa.false(), nullable=False
    )
    op.add_column("jobs", flag)
    waits: sa.Column[bool] = sa.Column(
        "waits_for_names", sa.Boolean(), server_default=sa.false(), nullable=False
    )
    op.add_column("jobs", waits)
    op.add_column("manifests", sa.Column("names", sa.LargeBinary()))
    op.add_column("leases", sa.Column("expires_us", sa.BigInteger()))
    asked: sa.Column[bool] = sa.Column(
        "asked", sa.Boolean(), server_default=sa.false(), nullable=False
    )
    op.add_column("leases", asked)
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "timelines",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("timeline", sa.BigInteger(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    """Go back to the first schema."""
    op.drop_table("timelines")
    op.drop_column("tasks", "frontier")
    op.add_column("tasks", sa.Column("frontier", sa.Text()))
    with op.batch_alter_table("workers") as workers:
        workers.drop_column("version")
        workers.drop_column("joined_us")
    with op.batch_alter_table("leases") as leases:
        leases.drop_column("asked")
        leases.drop_column("expires_us")
    with op.batch_alter_table("manifests") as manifests:
        manifests.drop_column("names")
    with op.batch_alter_table("tasks") as tasks:
        tasks.drop_column("suspects")
        tasks.drop_column("deaths")
    with op.batch_alter_table("jobs") as jobs:
        for name in ("revision", "forgiven", "paused_by", "tasks_limit", "share"):
            jobs.drop_column(name)
        jobs.drop_column("waits_for_scan")
        jobs.drop_column("waits_for_names")
