"""The job that walks through a gallery: one photo after the other, a slice at a time, by their ids, which never change.

How far it came is committed with each photo, so a worker that dies loses at most the photo at hand. Between two photos
it looks whether an upload or an analysis waits, and makes room for it. The job's payload names the photo at hand, so
that attempts count for it alone and none but it is passed over, whatever comes and goes meanwhile. There is one job for
a gallery and one photo at a time in it, so what runs at once is bounded by the function's own concurrency.
"""

import logging
import uuid
from time import monotonic

from sqlalchemy import func
from sqlalchemy.orm import Session

from safelight.db.engine import transaction
from safelight.errors import StorageUnavailable
from safelight.jobs import service as jobs
from safelight.jobs.service import Claim, LeaseLost
from safelight.models import Photo, Reprocessing
from safelight.photos.processing import SANDBOX_SECONDS, Render
from safelight.pictures.errors import SandboxUnavailable
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


def walk(held: Claim, store: one.Store, render: Render, queue: Queue, *, seconds: float = SLICE_SECONDS) -> None:
    """Run one slice of a `reprocess_gallery` job."""
    with log_context(job_id=str(held.job_id)):
        try:
            resumed = _resume(held)
            if resumed is not None:
                held, gallery_id = resumed
                with log_context(gallery_id=str(gallery_id)):
                    _slice(held, store, render, queue, monotonic() + seconds)
        except LeaseLost:
            log.warning("lease lost: another worker has the gallery")


def _resume(held: Claim) -> tuple[Claim, uuid.UUID] | None:
    """The hold as it is then, and the gallery; None where the walk has ended, and with it the job. Raises LeaseLost."""
    with transaction() as session:
        row = queries.get(session, held.subject_id, lock=True)
        if row is None or row.status not in ("queued", "running"):
            jobs.complete(session, held)
            return None
        row.status = "running"
        if row.at_position is not None or "position" in held.payload:
            held = _anew(session, held, row)
        # Photos come and go meanwhile.
        row.total = row.done + queries.left(session, row)
        if held.exhausted:
            # Every attempt died on the same photo: it keeps what it has, and the others get their turn.
            photo_id = _begun(held) or _next(session, row)
            held = _skip(session, held, row, photo_id, NOT_MADE) if photo_id else held
        return held, row.gallery_id


def _slice(held: Claim, store: one.Store, render: Render, queue: Queue, until: float) -> None:
    while monotonic() < until:
        with transaction() as session:
            row = _held(session, held)
            if queries.owner(session, row.gallery_id) is None:
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
            held = _begin(session, held, row, photo)
        try:
            made = one.remake(store, render, photo, row.what, have)
        except one.NotRemade as error:
            with transaction() as session:
                row = _held(session, held)
                error.note(session, photo.id)
                held = _skip(session, held, row, photo.id, error.detail)
            continue
        except SandboxUnavailable as error:
            with transaction() as session:
                _held(session, held)
                jobs.wait(session, held, error.detail, SANDBOX_SECONDS)
            log.warning("the gallery waits for the sandbox")
            return
        except Exception as error:
            log.exception("photo not reprocessed", extra={"photo_id": str(photo.id), "attempt": held.attempt})
            _later(held, photo.id, error)
            return
        with transaction() as session:
            row = _held(session, held)
            one.keep(session, queue, photo.id, row.what, made)
            held = _past(session, held, row, photo.id)
    with transaction() as session:
        _held(session, held)
        jobs.release(session, held, 0)
        jobs.wake(session, queue, JOB, held.job_id)


def _held(session: Session, held: Claim) -> Reprocessing:
    row = queries.get(session, held.subject_id, lock=True)
    if row is None:
        raise LeaseLost  # the gallery was erased, and this with it
    return row


def _anew(session: Session, held: Claim, row: Reprocessing) -> Claim:
    """From the beginning: a release before went by positions, and photos that are moved were passed over then."""
    row.at_position = row.at_id = None
    row.done = row.failed = 0
    row.failures = []
    return jobs.step(session, held, 0, anew=True, payload={})


def _begin(session: Session, held: Claim, row: Reprocessing, photo: Photo) -> Claim:
    # Failed attempts at a photo that has gone since are none at this one.
    anew = _begun(held) not in (None, photo.id)
    # The lease counts from the photo's beginning, and nothing else would lengthen it meanwhile.
    return jobs.step(session, held, row.done / max(1, row.total), anew=anew, payload={"photo_id": str(photo.id)})


def _begun(held: Claim) -> uuid.UUID | None:
    return uuid.UUID(held.payload["photo_id"]) if held.payload else None


def _next(session: Session, row: Reprocessing) -> uuid.UUID | None:
    photo = queries.after(session, row)
    return None if photo is None else photo.id


def _skip(session: Session, held: Claim, row: Reprocessing, photo_id: uuid.UUID, reason: str) -> Claim:
    row.failed += 1
    if len(row.failures) < FAILURES_NAMED:
        row.failures = [*row.failures, {"photo_id": str(photo_id), "reason": reason}]
    return _past(session, held, row, photo_id)


def _past(session: Session, held: Claim, row: Reprocessing, photo_id: uuid.UUID) -> Claim:
    row.done += 1
    row.total = max(row.total, row.done)
    row.at_id = photo_id
    return jobs.step(session, held, row.done / max(1, row.total), anew=True, payload={})


def _later(held: Claim, photo_id: uuid.UUID, error: Exception) -> None:
    with transaction() as session:
        row = _held(session, held)
        reason = f"{type(error).__name__}: {error}"
        if not held.last:
            jobs.retry(session, held, reason)
        elif isinstance(error, StorageUnavailable):
            # Nothing is wrong with the photos: the next ones would fare no better.
            _end(session, held, row, "failed", AWAY)
        else:
            jobs.release(session, _skip(session, held, row, photo_id, NOT_MADE), 0)


def _end(session: Session, held: Claim, row: Reprocessing, status: str, error: str | None) -> None:
    row.status, row.error = status, error
    row.completed_at = func.now()
    if status == "completed":
        row.total = row.done
    if status == "failed":
        jobs.fail(session, held, error or "")
    else:
        jobs.complete(session, held)
