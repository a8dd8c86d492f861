"""Work to be done behind the requests."""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from safelight.models.base import Base, Created, Identified

SERVICE = uuid.UUID(int=0)
"""The owner of jobs that are done on behalf of no account."""
JOB_STATUSES = ("queued", "running", "completed", "failed", "cancelled")


class Job(Identified, Created, Base):
    """The queue's source of truth.

    A worker owns a running job until `lease_until`; `fencing` rises with each claim, so a worker that lost its lease
    cannot finish what another has taken over. At most one live job stands for one subject of a kind.

    `owner_id` is the account on whose behalf the work is done, or `SERVICE`; workers serve owners in turn. It is no
    foreign key: the job of an account that is being erased ends by itself. `claimed_at` is the last claim.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_due", "run_after", postgresql_where=text("status = 'queued'")),
        Index("ix_jobs_waiting", "kind", "owner_id", "run_after", postgresql_where=text("status = 'queued'")),
        Index("ix_jobs_claimed", "kind", "owner_id", "claimed_at", postgresql_where=text("claimed_at IS NOT NULL")),
        Index("ix_jobs_leased", "lease_until", postgresql_where=text("status = 'running'")),
        Index("uq_jobs_live", "kind", "subject_id", unique=True,
              postgresql_where=text("status IN ('queued', 'running')")),
        CheckConstraint(f"status IN {JOB_STATUSES}", name="status_known"),
    )  # fmt: skip

    kind: Mapped[str]
    subject_id: Mapped[uuid.UUID]
    owner_id: Mapped[uuid.UUID] = mapped_column(server_default=text(f"'{SERVICE}'"), default=SERVICE)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), default=dict)
    status: Mapped[str] = mapped_column(server_default="queued", default="queued")
    progress: Mapped[float] = mapped_column(server_default="0", default=0.0)
    attempts: Mapped[int] = mapped_column(server_default="0", default=0)
    max_attempts: Mapped[int] = mapped_column(server_default="5", default=5)
    lease_until: Mapped[dt.datetime | None]
    fencing: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    error: Mapped[str | None]
    run_after: Mapped[dt.datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[dt.datetime | None]
    claimed_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]
