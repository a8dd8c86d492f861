"""keep analyses, and how far a gallery is reprocessed

Revision: 0006
Follows: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LIVE = "status IN ('queued', 'running')"
UNFINISHED = "status IN ('pending', 'processing')"


def upgrade() -> None:
    op.create_table(
        "analyses",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("photo_id", sa.Uuid(), nullable=True),
        sa.Column("filename", sa.String(), nullable=True),
        sa.Column("content_type", sa.String(), nullable=True),
        sa.Column("file_size", sa.BigInteger(), nullable=True),
        sa.Column("crc32", sa.BigInteger(), nullable=True),
        sa.Column("faces", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("status", sa.String(), server_default="pending", nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'processing', 'ready', 'failed')", name=op.f("ck_analyses_status_known")
        ),
        sa.CheckConstraint(
            "(photo_id IS NULL) = (filename IS NOT NULL)", name=op.f("ck_analyses_of_a_photo_or_an_upload")
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_analyses_owner_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["photo_id"], ["photos.id"], name=op.f("fk_analyses_photo_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analyses")),
        sa.UniqueConstraint("photo_id", name=op.f("uq_analyses_photo_id")),
    )
    op.create_index("ix_analyses_owner_page", "analyses", ["owner_id", sa.text("created_at DESC"), sa.text("id DESC")])
    op.create_index(
        "ix_analyses_unfinished", "analyses", ["status", "created_at"], postgresql_where=sa.text(UNFINISHED)
    )
    op.create_table(
        "reprocessings",
        sa.Column("gallery_id", sa.Uuid(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("status", sa.String(), server_default="queued", nullable=False),
        sa.Column("total", sa.Integer(), server_default="0", nullable=False),
        sa.Column("done", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("at_position", sa.BigInteger(), nullable=True),
        sa.Column("at_id", sa.Uuid(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_reprocessings_status_known"),
        ),
        sa.CheckConstraint("what IN ('renditions', 'analyses', 'clean')", name=op.f("ck_reprocessings_what_known")),
        sa.ForeignKeyConstraint(
            ["gallery_id"], ["galleries.id"], name=op.f("fk_reprocessings_gallery_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reprocessings")),
    )
    op.create_index(
        "uq_reprocessings_live", "reprocessings", ["gallery_id", "what"], unique=True, postgresql_where=sa.text(LIVE)
    )


def downgrade() -> None:
    op.drop_index("uq_reprocessings_live", table_name="reprocessings", postgresql_where=sa.text(LIVE))
    op.drop_table("reprocessings")
    op.drop_index("ix_analyses_unfinished", table_name="analyses", postgresql_where=sa.text(UNFINISHED))
    op.drop_index("ix_analyses_owner_page", table_name="analyses")
    op.drop_table("analyses")
