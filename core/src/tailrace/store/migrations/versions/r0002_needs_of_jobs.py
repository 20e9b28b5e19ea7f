"""What jobs need that only some applications have: such jobs are left alone by the workers of others."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    op.add_column("jobs", sa.Column("needs", sa.String(length=255), nullable=True))
