"""What was measured of photos and of files that were sent for measuring alone."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from safelight.models.base import Base, Created, Identified, Updated

ANALYSIS_STATUSES = ("pending", "processing", "ready", "failed")


class Analysis(Identified, Created, Updated, Base):
    """The analysis of a photo, of which there is one, or of an upload of its own, whose file is not kept.

    `result` holds what is known so far, whatever the status; `faces` says that faces were asked for, too.
    """

    __tablename__ = "analyses"
    __table_args__ = (
        Index("ix_analyses_owner_page", "owner_id", text("created_at DESC"), text("id DESC")),
        Index("ix_analyses_unfinished", "status", "created_at",
              postgresql_where=text("status IN ('pending', 'processing')")),
        Index("ix_analyses_waiting_uploads", "owner_id",
              postgresql_where=text("photo_id IS NULL AND status IN ('pending', 'processing')")),
        UniqueConstraint("photo_id"),
        CheckConstraint(f"status IN {ANALYSIS_STATUSES}", name="status_known"),
        CheckConstraint("(photo_id IS NULL) = (filename IS NOT NULL)", name="of_a_photo_or_an_upload"),
    )  # fmt: skip

    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    photo_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"))
    filename: Mapped[str | None]
    content_type: Mapped[str | None]
    file_size: Mapped[int | None] = mapped_column(BigInteger)
    crc32: Mapped[int | None] = mapped_column(BigInteger)
    faces: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    status: Mapped[str] = mapped_column(server_default="pending", default="pending")
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    error: Mapped[str | None]
    completed_at: Mapped[dt.datetime | None]
