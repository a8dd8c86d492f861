"""What happened, for photographers and their programs."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from safelight.models.base import Base


class Event(Base):
    """One line of the outbox, written in the transaction of what it tells; see `events.outbox` for its order.

    It goes with its gallery, or with the photo that it is about: it holds their titles.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_feed", "owner_id", "transaction", "number"),
        Index("ix_events_at", "at"),
        Index("ix_events_about", "gallery_id", "subject_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    transaction: Mapped[int] = mapped_column(BigInteger, server_default=text("(pg_current_xact_id()::text::bigint)"))
    owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    gallery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("galleries.id", ondelete="CASCADE"))
    event: Mapped[str]
    subject_id: Mapped[uuid.UUID]
    title: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
