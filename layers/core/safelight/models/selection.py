"""What visitors pick."""

import datetime as dt
import uuid

from sqlalchemy import ForeignKey, Index, LargeBinary, func, text
from sqlalchemy.orm import Mapped, mapped_column

from safelight.models.base import Base, Created, Identified, Updated


class Selection(Identified, Created, Updated, Base):
    """One visitor's favourites on one link; see `shares.favourites`.

    `token_hash` is the SHA-256 of the token in the visitor's cookie. `visitor` is always empty: nothing reads it any
    more, and a later migration drops it.
    """

    __tablename__ = "selections"
    __table_args__ = (
        Index("ix_selections_share_page", "share_id", text("created_at DESC"), text("id DESC")),
        Index("ix_selections_updated", "updated_at"),
    )

    share_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("share_links.id", ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    visitor: Mapped[bytes] = mapped_column(LargeBinary)
    name: Mapped[str | None]
    email: Mapped[str | None]
    note: Mapped[str] = mapped_column(server_default="", default="")
    submitted_at: Mapped[dt.datetime | None]


class SelectionPhoto(Base):
    """One favourite."""

    __tablename__ = "selection_photos"

    selection_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("selections.id", ondelete="CASCADE"), primary_key=True)
    photo_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("photos.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    created_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
