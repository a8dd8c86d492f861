"""Share links and what happened on them."""

import datetime as dt
import uuid

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, LargeBinary, func, text
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.orm import Mapped, mapped_column

from safelight.models.base import Base, Created, Identified, Updated

DOWNLOAD_POLICIES = ("none", "web", "original")
EVENT_KINDS = ("view", "single_download", "zip_download")


class ShareLink(Identified, Created, Updated, Base):
    """A link to one gallery with a policy of its own.

    The three counters hold what the sweep has rolled up; the exact number is a counter plus the link's events that are
    not rolled up yet, read in one statement. `policy_version` rises with every change of policy and ends old grants.
    """

    __tablename__ = "share_links"
    __table_args__ = (
        Index("ix_share_links_gallery_page", "gallery_id", text("created_at DESC"), text("id DESC")),
        CheckConstraint(f"download IN {DOWNLOAD_POLICIES}", name="download_known"),
        CheckConstraint("max_downloads > 0", name="max_downloads_positive"),
        CheckConstraint("max_favourites > 0", name="max_favourites_positive"),
    )

    gallery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("galleries.id", ondelete="CASCADE"))
    label: Mapped[str] = mapped_column(server_default="", default="")
    slug: Mapped[str | None] = mapped_column(CITEXT, unique=True)
    password_hash: Mapped[str | None]
    expires_at: Mapped[dt.datetime | None]
    download: Mapped[str] = mapped_column(server_default="original", default="original")
    max_downloads: Mapped[int | None]
    max_favourites: Mapped[int | None]
    # Originals leave without what they tell about people.
    strip_metadata: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    views: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    single_downloads: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    zip_downloads: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    policy_version: Mapped[int] = mapped_column(server_default="1", default=1)
    revoked_at: Mapped[dt.datetime | None]


class ArchiveDownload(Base):
    """A visitor's latest download of one archive of a link; see `shares.downloads` for what counts as one.

    `formerly` is the hash without the cookie of a program that has one; see `shares.visitors.Identity.alone`.
    """

    __tablename__ = "archive_downloads"
    __table_args__ = (
        Index("ix_archive_downloads_at", "at"),
        Index(
            "ix_archive_downloads_formerly",
            "share_id",
            "archive",
            "formerly",
            postgresql_where=text("formerly IS NOT NULL"),
        ),
    )

    share_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("share_links.id", ondelete="CASCADE"), primary_key=True)
    visitor: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    archive: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    begun_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    asked_bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"), default=0)
    formerly: Mapped[bytes | None] = mapped_column(LargeBinary)


class VisitorSalt(Base):
    """What visitors of one day (UTC) are hashed with; see `shares.visitors`."""

    __tablename__ = "visitor_salts"

    day: Mapped[dt.date] = mapped_column(primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)


class ShareEvent(Base):
    """One view or download: appended, marked once when it is rolled up into the link's counter, and deleted after
    90 days, when `ShareDay` has its day (`shares.retention`).

    `visitor`, `formerly` and `formerly_downloads` are those of `shares.visitors.Identity`.
    """

    __tablename__ = "share_events"
    __table_args__ = (
        Index("ix_share_events_fresh", "share_id", "kind", postgresql_where=text("NOT rolled_up")),
        Index("ix_share_events_series", "share_id", "at"),
        # Visitors do not write to it: an event enters when the sweep marks it.
        Index("ix_share_events_rolled_up", "at", postgresql_where=text("rolled_up")),
        CheckConstraint(f"kind IN {EVENT_KINDS}", name="kind_known"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    share_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("share_links.id", ondelete="CASCADE"))
    kind: Mapped[str]
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    photo_id: Mapped[uuid.UUID | None]
    visitor: Mapped[bytes | None] = mapped_column(LargeBinary)
    formerly: Mapped[bytes | None] = mapped_column(LargeBinary)
    formerly_downloads: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    bytes_sent: Mapped[int | None] = mapped_column(BigInteger)
    rolled_up: Mapped[bool] = mapped_column(server_default=text("false"), default=False)


class ShareDay(Base):
    """The totals of one link's day (UTC) whose events are deleted. Where there is one, events of that day that are left
    count nothing besides."""

    __tablename__ = "share_days"

    share_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("share_links.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[dt.date] = mapped_column(primary_key=True)
    unique_visitors: Mapped[int] = mapped_column(BigInteger)
    views: Mapped[int] = mapped_column(BigInteger)
    single_downloads: Mapped[int] = mapped_column(BigInteger)
    zip_downloads: Mapped[int] = mapped_column(BigInteger)
    bytes_downloaded: Mapped[int] = mapped_column(BigInteger)
