"""serve owners in turn

Revision: 0018
Follows: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SERVICE = "00000000-0000-0000-0000-000000000000"

# Owners of the jobs that are still to be done; of those that ended, nothing needs to be known.
PHOTOS = """
    UPDATE jobs SET owner_id = g.owner_id FROM photos p JOIN galleries g ON g.id = p.gallery_id
    WHERE jobs.kind = 'process_photo' AND jobs.subject_id = p.id
"""
ANALYSES = """
    UPDATE jobs SET owner_id = a.owner_id FROM analyses a
    WHERE jobs.kind IN ('analyse_photo', 'find_faces') AND jobs.subject_id = a.id
"""
ARCHIVES = """
    UPDATE jobs SET owner_id = g.owner_id FROM archives a JOIN galleries g ON g.id = a.gallery_id
    WHERE jobs.kind = 'build_archive' AND jobs.payload ->> 'digest' = a.digest
"""
WALKS = """
    UPDATE jobs SET owner_id = g.owner_id FROM reprocessings r JOIN galleries g ON g.id = r.gallery_id
    WHERE jobs.kind = 'reprocess_gallery' AND jobs.subject_id = r.id
"""


def upgrade() -> None:
    op.add_column("jobs", sa.Column("owner_id", sa.Uuid(), server_default=sa.text(f"'{SERVICE}'"), nullable=False))
    op.add_column("jobs", sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True))
    for statement in (PHOTOS, ANALYSES, ARCHIVES, WALKS):
        op.execute(f"{statement} AND jobs.status IN ('queued', 'running')")
    op.create_index(
        "ix_jobs_waiting", "jobs", ["kind", "owner_id", "run_after"], postgresql_where=sa.text("status = 'queued'")
    )
    op.create_index(
        "ix_jobs_claimed",
        "jobs",
        ["kind", "owner_id", "claimed_at"],
        postgresql_where=sa.text("claimed_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_claimed", table_name="jobs")
    op.drop_index("ix_jobs_waiting", table_name="jobs")
    op.drop_column("jobs", "claimed_at")
    op.drop_column("jobs", "owner_id")
