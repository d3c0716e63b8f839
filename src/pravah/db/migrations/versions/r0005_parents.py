"""Tasks by their parents: what removing a task has the database look for.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("tasks_by_parent", "tasks", ["parent_id"])


def downgrade() -> None:
    """Go back to the fourth schema."""
    op.drop_index("tasks_by_parent", "tasks")
