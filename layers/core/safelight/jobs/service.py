"""Enqueue, claim, finish: at least once, one at a time, never for ever."""

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session

from safelight.db.engine import after_commit, transaction
from safelight.errors import SafelightError
from safelight.jobs import queries
from safelight.models import Job
from safelight.queue import Queue

LEASE_SECONDS = 180
MAX_BACKOFF_SECONDS = 300
ERROR_CHARACTERS = 500


class LeaseLost(SafelightError):
    """Another worker has taken the job over: what this one did must not be kept."""

    code = "lease_lost"
    title = "The job belongs to another worker now"


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on a job; `last` says that no attempt is left after this one.

    `exhausted` says that there is not even this one: earlier workers died on the job as often as is allowed.
    """

    job_id: uuid.UUID
    kind: str
    subject_id: uuid.UUID
    payload: dict[str, Any]
    fencing: int
    attempt: int
    last: bool
    exhausted: bool


def enqueue(
    session: Session,
    queue: Queue,
    kind: str,
    subject_id: uuid.UUID,
    owner_id: uuid.UUID,
    payload: dict[str, Any] | None = None,
) -> uuid.UUID:
    """One live job for this subject: a new one, or the one that is there. Workers are woken after the commit.

    `owner_id` is the account on whose behalf it is done, or `SERVICE`.
    """
    job_id = queries.insert_if_absent(session, kind, subject_id, owner_id, payload or {})
    if job_id is None:
        # The live job may have ended between the two statements; then a new one can be written.
        existing = queries.live(session, kind, subject_id)
        return existing or enqueue(session, queue, kind, subject_id, owner_id, payload)
    after_commit(session, lambda: queue.wake(kind, job_id))
    return job_id


def enqueue_all(
    session: Session, queue: Queue, kind: str, owner_id: uuid.UUID, payloads: Mapping[uuid.UUID, dict[str, Any]]
) -> list[uuid.UUID]:
    """One job for each subject that has no live one, in one statement; `payloads` by subject. The ids of the new."""
    job_ids = queries.insert_all_if_absent(session, kind, owner_id, payloads)
    after_commit(session, lambda: queue.wake_all(kind, job_ids))
    return job_ids


def claim(queue: Queue, kind: str, *, lease_seconds: float = LEASE_SECONDS) -> Claim | None:
    """Take the next due job of a kind, serving owners in turn; None when there is nothing to take.

    In a transaction of its own, so that no job stays locked while its subject is being locked. Each wake-up claims one
    job. A job that was claimed before may have no wake-up of its own left, and so may have used another job's: while
    any other is due, one more wake-up is sent.
    """
    with transaction() as session:
        job = queries.lock_next(session, kind)
        if job is None:
            return None
        held = hold(session, job, lease_seconds=lease_seconds)
        if held.fencing > 1 and queries.is_due(session, kind):
            wake(session, queue, kind, held.job_id)
        return held


def hold(session: Session, job: Job, *, lease_seconds: float = LEASE_SECONDS) -> Claim:
    """Give a due job, which the session has locked, to the caller for `lease_seconds`."""
    job.status = "running"
    job.attempts += 1
    job.fencing += 1
    # By the clock and not by the transaction's beginning: claims that began together still have an order.
    job.claimed_at = func.clock_timestamp()
    job.started_at = job.started_at or func.now()
    job.lease_until = queries.seconds_from_now(lease_seconds)
    session.flush()
    return Claim(
        job_id=job.id,
        kind=job.kind,
        subject_id=job.subject_id,
        payload=job.payload,
        fencing=job.fencing,
        attempt=job.attempts,
        last=job.attempts >= job.max_attempts,
        exhausted=job.attempts > job.max_attempts,
    )


def extend(session: Session, held: Claim, progress: float, *, lease_seconds: float = LEASE_SECONDS) -> None:
    """Report progress (0..1) and keep the lease. Raises LeaseLost."""
    _change(session, held, progress=progress, lease_until=queries.seconds_from_now(lease_seconds))


def step(
    session: Session, held: Claim, progress: float, *, anew: bool = False, payload: dict[str, Any] | None = None
) -> Claim:
    """As `extend`, for work in many steps: with `anew` this one is done, and the next has all its attempts.

    `payload` is what the next claim is to know. The hold as it is now. Raises LeaseLost.
    """
    values: dict[str, Any] = {}
    if anew:
        values["attempts"] = 0
        held = replace(held, attempt=1, last=False, exhausted=False)
    if payload is not None:
        values["payload"] = payload
        held = replace(held, payload=payload)
    _change(session, held, progress=progress, lease_until=queries.seconds_from_now(LEASE_SECONDS), **values)
    return held


def release(session: Session, held: Claim, seconds: float) -> None:
    """Go on later, in `seconds` at the earliest; this was no failed attempt. Raises LeaseLost."""
    _change(session, held, status="queued", attempts=0, lease_until=None, run_after=queries.seconds_from_now(seconds))


def wait(session: Session, held: Claim, reason: str, seconds: float) -> None:
    """What the job needs is not there, through no fault of its own: go on in about `seconds`, with as many attempts
    left as before the claim. Raises LeaseLost."""
    delay = seconds * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
    _change(
        session,
        held,
        status="queued",
        attempts=held.attempt - 1,
        lease_until=None,
        error=reason[:ERROR_CHARACTERS],
        run_after=queries.seconds_from_now(delay),
    )


def wake(session: Session, queue: Queue, kind: str, job_id: uuid.UUID) -> None:
    """Say once more, after the commit, that a job is due."""
    after_commit(session, lambda: queue.wake(kind, job_id))


def complete(session: Session, held: Claim) -> None:
    """The work is done. Raises LeaseLost, which must undo it."""
    _change(session, held, status="completed", progress=1.0, lease_until=None, error=None, finished_at=func.now())


def fail(session: Session, held: Claim, reason: str) -> None:
    """The work cannot be done, now or ever. Raises LeaseLost."""
    _change(session, held, status="failed", lease_until=None, error=reason[:ERROR_CHARACTERS], finished_at=func.now())


def retry(session: Session, held: Claim, reason: str) -> None:
    """Try again later: 2, 4, 8 … seconds with jitter, five minutes at most. Raises LeaseLost."""
    delay = min(2.0**held.attempt, MAX_BACKOFF_SECONDS) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
    _change(
        session,
        held,
        status="queued",
        lease_until=None,
        error=reason[:ERROR_CHARACTERS],
        run_after=queries.seconds_from_now(delay),
    )


def _change(session: Session, held: Claim, **values: Any) -> None:
    if not queries.update_held(session, held.job_id, held.fencing, **values):
        raise LeaseLost


def counts(session: Session) -> dict[tuple[str, str], int]:
    """How many jobs stand in each (kind, status)."""
    return queries.counts(session)


def oldest_due_seconds(session: Session) -> float:
    """How long the oldest job that could start has been waiting, in seconds."""
    return queries.oldest_due_seconds(session)
