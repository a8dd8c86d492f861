"""forget whether a download broke off

Revision: 0014
Follows: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("archive_downloads", "broken")


def downgrade() -> None:
    op.add_column(
        "archive_downloads", sa.Column("broken", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
