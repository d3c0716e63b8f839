"""What `jobs show` tells of pauses and of an undo.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add when a job was paused, for how long it had been before, and when it was undone."""
    op.add_column("jobs", sa.Column("paused_us", sa.BigInteger()))
    idle = sa.Column("idle_us", sa.BigInteger(), server_default="0", nullable=False)
    op.add_column("jobs", idle)
    op.add_column("jobs", sa.Column("undone_us", sa.BigInteger()))


def downgrade() -> None:
    """Go back to the second schema."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("undone_us")
        jobs.drop_column("idle_us")
        jobs.drop_column("paused_us")
