"""The record of a deletion, which outlives what was deleted."""

import datetime as dt
import uuid

from sqlalchemy import BigInteger, CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from safelight.models.base import Base, Created, Identified

ERASED_KINDS = ("account", "gallery")


class Erasure(Identified, Created, Base):
    """One account or gallery that was deleted, with what belonged to it; nothing in here names anybody."""

    __tablename__ = "erasures"
    __table_args__ = (CheckConstraint(f"kind IN {ERASED_KINDS}", name="kind_known"),)

    kind: Mapped[str]
    # No foreign key: the row that it names is what goes.
    subject_id: Mapped[uuid.UUID]
    galleries: Mapped[int]
    photos: Mapped[int]
    renditions: Mapped[int]
    archives: Mapped[int]
    share_links: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger)
    finished_at: Mapped[dt.datetime | None]
