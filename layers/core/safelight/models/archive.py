"""Archives that are built into the bucket because they are too large to be streamed."""

import datetime as dt
import uuid

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from safelight.models.base import Base, Created

ARCHIVE_STATUSES = ("building", "ready", "failed")


class Archive(Created, Base):
    """One archive by the hash of its manifest: whoever asks for the same photos gets the same object."""

    __tablename__ = "archives"
    __table_args__ = (
        Index("ix_archives_used", "used_at"),
        CheckConstraint(f"status IN {ARCHIVE_STATUSES}", name="status_known"),
    )

    digest: Mapped[str] = mapped_column(primary_key=True)
    gallery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("galleries.id", ondelete="CASCADE"), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    part_size: Mapped[int] = mapped_column(BigInteger)
    parts: Mapped[int]
    upload_id: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="building", default="building")
    failure_reason: Mapped[str | None]
    ready_at: Mapped[dt.datetime | None]
    used_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class ArchivePart(Base):
    """One part that lies in the store."""

    __tablename__ = "archive_parts"

    digest: Mapped[str] = mapped_column(ForeignKey("archives.digest", ondelete="CASCADE"), primary_key=True)
    upload_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    etag: Mapped[str]
