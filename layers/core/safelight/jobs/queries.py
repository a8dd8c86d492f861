"""SQL over the jobs table. Every time is Postgres's own, so that workers need not agree on a clock."""

import datetime as dt
import uuid
from collections.abc import Mapping
from itertools import batched
from typing import Any

from sqlalchemy import CursorResult, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from safelight.jobs.due import OWNERS, SOME
from safelight.models import Job

_INSERT_MANY = 1000  # Postgres takes 65,535 parameters in one statement, and a row has five
LIVE = Job.status.in_(("queued", "running"))
_WAITING = (Job.status == "queued") & (Job.run_after <= func.now())
_ABANDONED = (Job.status == "running") & (Job.lease_until < func.now())


def insert_if_absent(
    session: Session, kind: str, subject_id: uuid.UUID, owner_id: uuid.UUID, payload: dict[str, Any]
) -> uuid.UUID | None:
    """The new job's id, or None when a live one for this subject exists."""
    statement = (
        insert(Job)
        .values(id=uuid.uuid4(), kind=kind, subject_id=subject_id, owner_id=owner_id, payload=payload)
        .on_conflict_do_nothing(index_elements=[Job.kind, Job.subject_id], index_where=LIVE)
        .returning(Job.id)
    )
    return session.scalars(statement).one_or_none()


def insert_all_if_absent(
    session: Session, kind: str, owner_id: uuid.UUID, payloads: Mapping[uuid.UUID, dict[str, Any]]
) -> list[uuid.UUID]:
    """The new jobs' ids; `payloads` are by subject, and a subject with a live job gets no other."""
    rows = [
        {"id": uuid.uuid4(), "kind": kind, "subject_id": subject_id, "owner_id": owner_id, "payload": payload}
        for subject_id, payload in payloads.items()
    ]
    made: list[uuid.UUID] = []
    for some in batched(rows, _INSERT_MANY, strict=False):
        statement = (
            insert(Job)
            .values(list(some))
            .on_conflict_do_nothing(index_elements=[Job.kind, Job.subject_id], index_where=LIVE)
            .returning(Job.id)
        )
        made += session.scalars(statement)
    return made


def live(session: Session, kind: str, subject_id: uuid.UUID) -> uuid.UUID | None:
    """The live job of a subject."""
    return session.scalars(select(Job.id).where(Job.kind == kind, Job.subject_id == subject_id, LIVE)).one_or_none()


def lock_next(session: Session, kind: str) -> Job | None:
    """The due job that is next in the fair order of `safelight.jobs.due`, of those that no other claim has locked."""
    owners = session.scalars(text(OWNERS), {"kind": kind}).all()
    return next((job for owner_id in owners if (job := _lock_oldest(session, kind, owner_id)) is not None), None)


def _lock_oldest(session: Session, kind: str, owner_id: uuid.UUID) -> Job | None:
    # In two statements: each reads one index in its order, where one for both would sort all that is due.
    for due, order in ((_ABANDONED, Job.lease_until), (_WAITING, Job.run_after)):
        oldest = select(Job).where(Job.kind == kind, Job.owner_id == owner_id, due).order_by(order).limit(1)
        job = session.scalars(oldest.with_for_update(skip_locked=True)).one_or_none()
        if job is not None:
            return job
    return None


def is_due(session: Session, kind: str) -> bool:
    """Whether a job of this kind may start now."""
    return session.execute(text(SOME), {"kinds": [kind], "most": 1}).first() is not None


def due(session: Session, limit: int) -> list[tuple[uuid.UUID, str]]:
    """At most `limit` jobs of each kind that may start now, as (id, kind)."""
    kinds = list(session.scalars(select(Job.kind).where(LIVE).distinct()))
    return [(job_id, kind) for job_id, kind in session.execute(text(SOME), {"kinds": kinds, "most": limit})]


def seconds_from_now(seconds: float) -> ColumnElement[dt.datetime]:
    """A moment by Postgres's clock."""
    return func.now() + dt.timedelta(seconds=seconds)


def update_held(session: Session, job_id: uuid.UUID, fencing: int, **values: Any) -> bool:
    """Change a running job if the claim numbered `fencing` still holds it."""
    result = session.execute(
        update(Job)
        .where(Job.id == job_id, Job.fencing == fencing, Job.status == "running")
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount == 1


def counts(session: Session) -> dict[tuple[str, str], int]:
    """How many jobs stand in each (kind, status)."""
    rows = session.execute(select(Job.kind, Job.status, func.count()).group_by(Job.kind, Job.status))
    return {(kind, status): count for kind, status, count in rows}


def delete_finished(session: Session, older_than: dt.timedelta) -> None:
    """Forget jobs that ended well long ago."""
    session.execute(
        Job.__table__.delete().where(Job.status == "completed", Job.finished_at < func.now() - older_than)  # type: ignore[attr-defined]  # declared as FromClause, is a Table
    )


def oldest_due_seconds(session: Session) -> float:
    """Seconds since the oldest queued job became due; 0 with none."""
    oldest = select(func.min(Job.run_after)).where(Job.status == "queued", Job.run_after <= func.now())
    waited = select(func.extract("epoch", func.now() - oldest.scalar_subquery()))
    return float(session.scalar(waited) or 0)
