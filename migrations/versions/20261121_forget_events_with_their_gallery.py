"""forget events with their gallery, and find sessions that have run out

Revision: 0012
Follows: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("gallery_id", sa.Uuid(), nullable=True))
    op.execute("UPDATE events SET gallery_id = g.id FROM galleries g WHERE g.id::text = events.data ->> 'gallery_id'")
    op.execute("DELETE FROM events WHERE gallery_id IS NULL")
    op.alter_column("events", "gallery_id", nullable=False)
    op.create_foreign_key(
        op.f("fk_events_gallery_id"), "events", "galleries", ["gallery_id"], ["id"], ondelete="CASCADE"
    )
    op.create_index("ix_events_about", "events", ["gallery_id", "subject_id"], unique=False)
    op.create_index("ix_refresh_tokens_expires_at", "refresh_tokens", ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_refresh_tokens_expires_at", table_name="refresh_tokens")
    op.drop_index("ix_events_about", table_name="events")
    op.drop_constraint(op.f("fk_events_gallery_id"), "events", type_="foreignkey")
    op.drop_column("events", "gallery_id")
