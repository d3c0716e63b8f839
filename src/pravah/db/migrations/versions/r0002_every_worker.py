"""What any number of workers on one ledger need.

Revision ID: 0002
Revises: 0001
"""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring a ledger of the first schema up to date."""


def downgrade() -> None:
    """Go back to the first schema."""
