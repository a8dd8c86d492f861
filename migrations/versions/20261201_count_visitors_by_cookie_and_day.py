"""count visitors by cookie and day

Revision: 0016
Follows: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "archive_downloads",
        sa.Column("begun_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.add_column("archive_downloads", sa.Column("formerly", sa.LargeBinary(), nullable=True))
    op.create_index(
        "ix_archive_downloads_formerly",
        "archive_downloads",
        ["share_id", "archive", "formerly"],
        unique=False,
        postgresql_where=sa.text("formerly IS NOT NULL"),
    )
    op.add_column("share_events", sa.Column("formerly", sa.LargeBinary(), nullable=True))
    op.add_column(
        "share_events",
        sa.Column("formerly_downloads", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_index(
        "ix_share_events_rolled_up", "share_events", ["at"], unique=False, postgresql_where=sa.text("rolled_up")
    )
    op.create_table(
        "share_days",
        sa.Column("share_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("unique_visitors", sa.BigInteger(), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=False),
        sa.Column("single_downloads", sa.BigInteger(), nullable=False),
        sa.Column("zip_downloads", sa.BigInteger(), nullable=False),
        sa.Column("bytes_downloaded", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["share_id"], ["share_links.id"], name=op.f("fk_share_days_share_id_share_links"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("share_id", "day", name=op.f("pk_share_days")),
    )


def downgrade() -> None:
    op.drop_table("share_days")
    op.drop_index("ix_share_events_rolled_up", table_name="share_events", postgresql_where=sa.text("rolled_up"))
    op.drop_column("share_events", "formerly_downloads")
    op.drop_column("share_events", "formerly")
    op.drop_index(
        "ix_archive_downloads_formerly",
        table_name="archive_downloads",
        postgresql_where=sa.text("formerly IS NOT NULL"),
    )
    op.drop_column("archive_downloads", "formerly")
    op.drop_column("archive_downloads", "begun_at")
