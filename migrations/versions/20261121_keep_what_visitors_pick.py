"""keep what visitors pick

Revision: 0003
Follows: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.add_column("share_links", sa.Column("max_favourites", sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("ck_share_links_max_favourites_positive"), "share_links", "max_favourites > 0")
    op.create_table(
        "selections",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("share_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("visitor", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["share_id"], ["share_links.id"], name=op.f("fk_selections_share_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selections")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_selections_token_hash")),
    )
    op.create_index(
        "ix_selections_share_page",
        "selections",
        ["share_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index("ix_selections_updated", "selections", ["updated_at"], unique=False)
    op.create_table(
        "selection_photos",
        sa.Column("selection_id", sa.Uuid(), nullable=False),
        sa.Column("photo_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["selection_id"], ["selections.id"], name=op.f("fk_selection_photos_selection_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["photo_id"], ["photos.id"], name=op.f("fk_selection_photos_photo_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("selection_id", "photo_id", name=op.f("pk_selection_photos")),
    )
    op.create_index(op.f("ix_selection_photos_photo_id"), "selection_photos", ["photo_id"], unique=False)


def downgrade() -> None:

    op.drop_index(op.f("ix_selection_photos_photo_id"), table_name="selection_photos")
    op.drop_table("selection_photos")
    op.drop_index("ix_selections_updated", table_name="selections")
    op.drop_index("ix_selections_share_page", table_name="selections")
    op.drop_table("selections")
    op.drop_constraint(op.f("ck_share_links_max_favourites_positive"), "share_links", type_="check")
    op.drop_column("share_links", "max_favourites")
