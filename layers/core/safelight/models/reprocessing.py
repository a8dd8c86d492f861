"""Galleries whose renditions or figures are made again."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from safelight.models.base import Base, Created, Identified, Updated

REPROCESSING_STATUSES = ("queued", "running", "completed", "failed", "cancelled")
REPROCESSED = ("renditions", "analyses", "clean")


class Reprocessing(Identified, Created, Updated, Base):
    """One walk through a gallery's ready photos in the order of their ids; `at_id` is the last done.

    `at_position` is of walks that went by the photos' positions: such a one begins again.

    `total` counts the photos that are to be walked past, `done` those that were, `failed` those of them whose
    original could not be used; `failures` names the first of these. At most one of a kind runs in a gallery.
    """

    __tablename__ = "reprocessings"
    __table_args__ = (
        Index("uq_reprocessings_live", "gallery_id", "what", unique=True,
              postgresql_where=text("status IN ('queued', 'running')")),
        CheckConstraint(f"status IN {REPROCESSING_STATUSES}", name="status_known"),
        CheckConstraint(f"what IN {REPROCESSED}", name="what_known"),
    )  # fmt: skip

    gallery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("galleries.id", ondelete="CASCADE"))
    what: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="queued", default="queued")
    total: Mapped[int] = mapped_column(server_default="0", default=0)
    done: Mapped[int] = mapped_column(server_default="0", default=0)
    failed: Mapped[int] = mapped_column(server_default="0", default=0)
    at_position: Mapped[int | None] = mapped_column(BigInteger)
    at_id: Mapped[uuid.UUID | None]
    failures: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), default=list)
    error: Mapped[str | None]
    completed_at: Mapped[dt.datetime | None]
