"""What workers report about the confinement of the processes that open files."""

import datetime as dt

from sqlalchemy import BigInteger, CheckConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from safelight.models.base import Base

SANDBOX_STATES = ("ok", "platform", "missing")


class SandboxReport(Base):
    """The last report of one worker, good until `expires_at`; `violations` are all that it ever saw.

    `worker` is a host's name, or a function's on Lambda. `reason` says what is wrong when `state` is `missing`.
    """

    __tablename__ = "sandbox_reports"
    __table_args__ = (CheckConstraint(f"state IN {SANDBOX_STATES}", name="state_known"),)

    worker: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    reason: Mapped[str | None]
    violations: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    reported_at: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[dt.datetime]
