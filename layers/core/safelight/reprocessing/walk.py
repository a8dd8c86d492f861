"""The job that walks through a gallery: one photo after the other, a slice at a time.

How far it came is committed with each photo, so a worker that dies loses at most the photo at hand. Between two photos
it looks whether an upload or an analysis waits, and makes room for it. The job's payload names the photo at hand, so
that attempts count for it alone and none but it is passed over, whatever comes and goes meanwhile. There is one job for
a gallery and one photo at a time in it, so what runs at once is bounded by the function's own concurrency.
"""

import logging
import uuid
from time import monotonic
from typing import NamedTuple

from sqlalchemy import func
from sqlalchemy.orm import Session

from safelight.db.engine import transaction
from safelight.errors import StorageUnavailable
from safelight.jobs import service as jobs
from safelight.jobs.service import Claim, LeaseLost
from safelight.models import Photo, Reprocessing
from safelight.photos.processing import Render
from safelight.queue import Queue
from safelight.reprocessing import photo as one
from safelight.reprocessing import queries
from safelight.reprocessing.service import JOB
from safelight.telemetry import log_context

log = logging.getLogger(__name__)

# A worker is asked to stop within seconds, and what it holds then is taken up again after its lease.
SLICE_SECONDS = 20.0
PAUSE_SECONDS = 5.0
FAILURES_NAMED = 100
BEFORE_US = ("process_photo", "analyse_photo", "find_faces")
NOT_MADE = "This photo could not be processed although we tried several times."
AWAY = "The photo storage did not answer for some minutes. Start it again later."


class Place(NamedTuple):
    """Where a photo stood when it was begun."""

    position: int
    photo_id: uuid.UUID


def walk(job_id: uuid.UUID, store: one.Store, render: Render, queue: Queue, *, seconds: float = SLICE_SECONDS) -> None:
    """Run one slice of a `reprocess_gallery` job, if it is due."""
    with transaction() as session:
        subject = jobs.subject(session, job_id)
        row = queries.get(session, subject, lock=True) if subject else None
        held = jobs.claim(session, job_id)
        if held is None:
            return
        if row is None or row.status not in ("queued", "running"):
            jobs.complete(session, held)
            return
        row.status = "running"
        # Photos come and go meanwhile.
        row.total = row.done + queries.left(session, row)
        if held.exhausted:
            # Every attempt died on the same photo: it keeps what it has, and the others get their turn.
            at = _begun(held) or _next(session, row)
            held = _skip(session, held, row, at, NOT_MADE) if at else held
    with log_context(job_id=str(job_id), gallery_id=str(row.gallery_id)):
        try:
            _slice(held, store, render, queue, monotonic() + seconds)
        except LeaseLost:
            log.warning("lease lost: another worker has the gallery")


def _slice(held: Claim, store: one.Store, render: Render, queue: Queue, until: float) -> None:
    while monotonic() < until:
        with transaction() as session:
            row = _held(session, held)
            if queries.gallery(session, row.gallery_id) is None:
                _end(session, held, row, "cancelled", None)
                return
            photo = queries.after(session, row)
            if photo is None:
                _end(session, held, row, "completed", None)
                return
            if queries.somebody_waits(session, BEFORE_US):
                jobs.release(session, held, PAUSE_SECONDS)
                return
            have = queries.renditions(session, photo.id)
            held, at = _begin(session, held, row, photo)
        try:
            made = one.remake(store, render, photo, row.what, have)
        except one.NotRemade as error:
            with transaction() as session:
                row = _held(session, held)
                error.note(session, photo.id)
                held = _skip(session, held, row, at, error.detail)
            continue
        except Exception as error:
            log.exception("photo not reprocessed", extra={"photo_id": str(photo.id), "attempt": held.attempt})
            _later(held, at, error)
            return
        with transaction() as session:
            row = _held(session, held)
            one.keep(session, queue, photo.id, row.what, made)
            held = _past(session, held, row, at)
    with transaction() as session:
        _held(session, held)
        jobs.release(session, held, 0)
        jobs.wake(session, queue, JOB, held.job_id)


def _held(session: Session, held: Claim) -> Reprocessing:
    row = queries.get(session, held.subject_id, lock=True)
    if row is None:
        raise LeaseLost  # the gallery was erased, and this with it
    return row


def _begin(session: Session, held: Claim, row: Reprocessing, photo: Photo) -> tuple[Claim, Place]:
    at, before = Place(photo.position, photo.id), _begun(held)
    # Failed attempts at a photo that has gone since are none at this one.
    anew = before is not None and before.photo_id != at.photo_id
    named = {"position": at.position, "photo_id": str(at.photo_id)}
    # The lease counts from the photo's beginning, and nothing else would lengthen it meanwhile.
    return jobs.step(session, held, row.done / max(1, row.total), anew=anew, payload=named), at


def _begun(held: Claim) -> Place | None:
    named = held.payload
    return Place(named["position"], uuid.UUID(named["photo_id"])) if named else None


def _next(session: Session, row: Reprocessing) -> Place | None:
    photo = queries.after(session, row)
    return None if photo is None else Place(photo.position, photo.id)


def _skip(session: Session, held: Claim, row: Reprocessing, at: Place, reason: str) -> Claim:
    row.failed += 1
    if len(row.failures) < FAILURES_NAMED:
        row.failures = [*row.failures, {"photo_id": str(at.photo_id), "reason": reason}]
    return _past(session, held, row, at)


def _past(session: Session, held: Claim, row: Reprocessing, at: Place) -> Claim:
    row.done += 1
    row.total = max(row.total, row.done)
    row.at_position, row.at_id = at
    return jobs.step(session, held, row.done / max(1, row.total), anew=True, payload={})


def _later(held: Claim, at: Place, error: Exception) -> None:
    with transaction() as session:
        row = _held(session, held)
        reason = f"{type(error).__name__}: {error}"
        if not held.last:
            jobs.retry(session, held, reason)
        elif isinstance(error, StorageUnavailable):
            # Nothing is wrong with the photos: the next ones would fare no better.
            _end(session, held, row, "failed", AWAY)
        else:
            jobs.release(session, _skip(session, held, row, at, NOT_MADE), 0)


def _end(session: Session, held: Claim, row: Reprocessing, status: str, error: str | None) -> None:
    row.status, row.error = status, error
    row.completed_at = func.now()
    if status == "completed":
        row.total = row.done
    if status == "failed":
        jobs.fail(session, held, error or "")
    else:
        jobs.complete(session, held)
