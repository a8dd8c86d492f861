"""How often something may be tried."""

import datetime as dt

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from safelight.models.base import Base


class Throttle(Base):
    """One bucket of `safelight.throttle`; `key` says for whom without naming them, `empty_at` when it has run empty."""

    __tablename__ = "throttles"
    __table_args__ = (Index("ix_throttles_empty_at", "empty_at"),)

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    empty_at: Mapped[dt.datetime]
