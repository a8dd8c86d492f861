"""keep built archives

Revision: 0002
Follows: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "archives",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("gallery_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("part_size", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), server_default="building", nullable=False),
        sa.Column("failure_reason", sa.String(), nullable=True),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('building', 'ready', 'failed')", name=op.f("ck_archives_status_known")),
        sa.ForeignKeyConstraint(
            ["gallery_id"], ["galleries.id"], name=op.f("fk_archives_gallery_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_archives")),
    )
    op.create_index(op.f("ix_archives_gallery_id"), "archives", ["gallery_id"], unique=False)
    op.create_index("ix_archives_used", "archives", ["used_at"], unique=False)
    op.create_table(
        "archive_parts",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("etag", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["digest"], ["archives.digest"], name=op.f("fk_archive_parts_digest"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", "upload_id", "number", name=op.f("pk_archive_parts")),
    )

    op.create_table(
        "archive_downloads",
        sa.Column("share_id", sa.Uuid(), nullable=False),
        sa.Column("visitor", sa.LargeBinary(), nullable=False),
        sa.Column("archive", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("broken", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["share_id"], ["share_links.id"], name=op.f("fk_archive_downloads_share_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("share_id", "visitor", "archive", name=op.f("pk_archive_downloads")),
    )
    op.create_index("ix_archive_downloads_at", "archive_downloads", ["at"], unique=False)
    op.add_column("photos", sa.Column("damaged_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("photos", sa.Column("damage_reason", sa.String(), nullable=True))


def downgrade() -> None:

    op.drop_column("photos", "damage_reason")
    op.drop_column("photos", "damaged_at")
    op.drop_index("ix_archive_downloads_at", table_name="archive_downloads")
    op.drop_table("archive_downloads")
    op.drop_table("archive_parts")
    op.drop_index("ix_archives_used", table_name="archives")
    op.drop_index(op.f("ix_archives_gallery_id"), table_name="archives")
    op.drop_table("archives")
