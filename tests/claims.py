"""Claims of named jobs. The product claims whichever job is next; a test may need a certain one."""

from __future__ import annotations

import uuid

from sqlalchemy import func, select

from safelight.archives import worker
from safelight.db.engine import transaction
from safelight.jobs import service
from safelight.jobs.service import LEASE_SECONDS, Claim
from safelight.models import Job


def claimed(job_id: uuid.UUID, lease_seconds: float = LEASE_SECONDS) -> Claim | None:
    """A claim of this very job; None when it is not due or another claim has it locked."""
    waiting = (Job.status == "queued") & (Job.run_after <= func.now())
    abandoned = (Job.status == "running") & (Job.lease_until < func.now())
    due = select(Job).where(Job.id == job_id, waiting | abandoned).with_for_update(skip_locked=True)
    with transaction() as session:
        job = session.scalars(due).one_or_none()
        return None if job is None else service.hold(session, job, lease_seconds=lease_seconds)


def held(job_id: uuid.UUID) -> Claim:
    """A claim of this very job, which must be due."""
    claim = claimed(job_id)
    assert claim is not None
    return claim


def build_part(job_id: uuid.UUID) -> None:
    """Build the part of an archive whose job this is, if it is due."""
    claim = claimed(job_id)
    if claim is not None:
        worker.build_part(claim)
