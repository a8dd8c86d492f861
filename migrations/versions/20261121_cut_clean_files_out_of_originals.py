"""cut clean files out of originals, for links that strip metadata

Revision: 0007
Follows: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clean_originals",
        sa.Column("photo_id", sa.Uuid(), nullable=False),
        sa.Column("file_size", sa.BigInteger(), nullable=False),
        sa.Column("crc32", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("pieces", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("crc32 BETWEEN 0 AND 4294967295", name=op.f("ck_clean_originals_crc32_is_32_bits")),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name=op.f("fk_clean_originals_photo_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("photo_id", name=op.f("pk_clean_originals")),
    )
    op.add_column(
        "share_links", sa.Column("strip_metadata", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )


def downgrade() -> None:
    op.drop_column("share_links", "strip_metadata")
    op.drop_table("clean_originals")
