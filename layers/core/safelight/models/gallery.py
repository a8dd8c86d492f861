"""Galleries, their photos and what was made of them."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from safelight.models.base import Base, Created, Identified, Updated

PHOTO_STATUSES = ("pending", "processing", "ready", "failed")


class Gallery(Identified, Created, Updated, Base):
    """A photographer's set of photos."""

    __tablename__ = "galleries"
    __table_args__ = (
        Index("ix_galleries_owner_page", "owner_id", text("created_at DESC"), text("id DESC"),
              postgresql_where=text("deleted_at IS NULL")),
    )  # fmt: skip

    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(server_default="", default="")
    description: Mapped[str] = mapped_column(server_default="", default="")
    # No foreign key: the two tables would each need the other, and a cover that is gone simply falls back.
    cover_photo_id: Mapped[uuid.UUID | None]
    deleted_at: Mapped[dt.datetime | None]


class Photo(Identified, Created, Updated, Base):
    """One upload. `position` orders a gallery (microseconds of the creation time until somebody reorders).

    `upload_key` is the client's own name for the upload, by which it finds the photo again. `counted` says whether the
    account's counter of storage includes the photo.
    """

    __tablename__ = "photos"
    __table_args__ = (
        Index("ix_photos_gallery_page", "gallery_id", "position", "id", postgresql_where=text("deleted_at IS NULL")),
        Index("ix_photos_unfinished", "status", "created_at",
              postgresql_where=text("status IN ('pending', 'processing')")),
        Index("uq_photos_upload_key", "gallery_id", "upload_key", unique=True,
              postgresql_where=text("upload_key IS NOT NULL AND status <> 'failed' AND deleted_at IS NULL")),
        Index("ix_photos_failed_counted", "updated_at", postgresql_where=text("status = 'failed' AND counted")),
        Index("ix_photos_deleted", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
        CheckConstraint(f"status IN {PHOTO_STATUSES}", name="status_known"),
        CheckConstraint("crc32 BETWEEN 0 AND 4294967295", name="crc32_is_32_bits"),
    )  # fmt: skip

    gallery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("galleries.id", ondelete="CASCADE"))
    filename: Mapped[str]
    title: Mapped[str] = mapped_column(server_default="", default="")
    description: Mapped[str] = mapped_column(server_default="", default="")
    tags: Mapped[list[str]] = mapped_column(ARRAY(String), server_default=text("'{}'"), default=list)
    content_type: Mapped[str]
    file_size: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int | None]
    height: Mapped[int | None]
    taken_at: Mapped[dt.datetime | None]
    camera: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), default=dict)
    sha256: Mapped[str | None]
    crc32: Mapped[int | None] = mapped_column(BigInteger)
    s3_key: Mapped[str]
    upload_key: Mapped[str | None]
    etag: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="pending", default="pending")
    failure_reason: Mapped[str | None]
    counted: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    # A ready photo whose bytes were found gone or changed when an archive was made of it.
    damaged_at: Mapped[dt.datetime | None]
    damage_reason: Mapped[str | None]
    thumbhash: Mapped[str | None]
    position: Mapped[int] = mapped_column(BigInteger)
    uploaded_at: Mapped[dt.datetime | None]
    deleted_at: Mapped[dt.datetime | None]

    renditions: Mapped[list["Rendition"]] = relationship(lazy="raise", order_by="Rendition.name")


class Rendition(Base):
    """A picture made from a photo."""

    __tablename__ = "renditions"

    photo_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    s3_key: Mapped[str]
    content_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    file_size: Mapped[int] = mapped_column(BigInteger)
    crc32: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    etag: Mapped[str]


class CleanOriginal(Base):
    """A photo's original without what it tells about people: how to cut it out of the object, and its checks.

    `pieces` is a list as `safelight.splice` writes it. A photo has no row when its file cannot be cleaned, or was
    processed before there were such lists.
    """

    __tablename__ = "clean_originals"
    __table_args__ = (CheckConstraint("crc32 BETWEEN 0 AND 4294967295", name="crc32_is_32_bits"),)

    photo_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True)
    file_size: Mapped[int] = mapped_column(BigInteger)
    crc32: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    pieces: Mapped[list[Any]] = mapped_column(JSONB)
