"""count what accounts store

Revision: 0019
Follows: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

COUNT = """
    INSERT INTO storage_usage (user_id, photos, bytes)
    SELECT u.id, count(p.id), coalesce(sum(p.file_size), 0)
    FROM users u LEFT JOIN galleries g ON g.owner_id = u.id
    LEFT JOIN photos p ON p.gallery_id = g.id
    GROUP BY u.id
"""


def upgrade() -> None:
    op.add_column("users", sa.Column("quota_bytes", sa.BigInteger(), nullable=True))
    op.add_column("users", sa.Column("quota_photos", sa.BigInteger(), nullable=True))
    op.add_column("photos", sa.Column("upload_key", sa.String(), nullable=True))
    # Photos that failed count as well, until the first sweep.
    op.add_column("photos", sa.Column("counted", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.create_index(
        "ix_photos_failed_counted",
        "photos",
        ["updated_at"],
        postgresql_where=sa.text("status = 'failed' AND counted"),
    )
    op.create_index(
        "uq_photos_upload_key",
        "photos",
        ["gallery_id", "upload_key"],
        unique=True,
        postgresql_where=sa.text("upload_key IS NOT NULL AND status <> 'failed' AND deleted_at IS NULL"),
    )
    op.create_table(
        "storage_usage",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("photos", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_storage_usage_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_storage_usage")),
    )
    op.create_index(
        "ix_analyses_waiting_uploads",
        "analyses",
        ["owner_id"],
        postgresql_where=sa.text("photo_id IS NULL AND status IN ('pending', 'processing')"),
    )
    op.create_index("ix_storage_usage_checked_at", "storage_usage", ["checked_at"])
    # Nobody announces a photo while all are counted: what the functions before this release write is not counted.
    op.execute("LOCK TABLE photos IN SHARE MODE")
    op.execute(COUNT)


def downgrade() -> None:
    op.drop_index("ix_analyses_waiting_uploads", table_name="analyses")
    op.drop_table("storage_usage")
    op.drop_index("uq_photos_upload_key", table_name="photos")
    op.drop_index("ix_photos_failed_counted", table_name="photos")
    op.drop_column("photos", "counted")
    op.drop_column("photos", "upload_key")
    op.drop_column("users", "quota_photos")
    op.drop_column("users", "quota_bytes")
