"""report sandboxes

Revision: 0015
Follows: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sandbox_reports",
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("violations", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('ok', 'platform', 'missing')", name=op.f("ck_sandbox_reports_state_known")),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_sandbox_reports")),
    )


def downgrade() -> None:
    op.drop_table("sandbox_reports")
