"""The job that brings one part of an archive."""

import logging
import time
from collections.abc import Callable

from sqlalchemy.orm import Session

from safelight import storage
from safelight.archives import build, queries
from safelight.archives.damage import explain, report
from safelight.archives.manifest import archive_key
from safelight.archives.part import Beat, bring, plan_of
from safelight.archives.stream import ArchiveBroken
from safelight.db.engine import transaction
from safelight.errors import ObjectMissing, StorageUnavailable, Unavailable
from safelight.jobs import service as jobs
from safelight.jobs import wake
from safelight.jobs.service import Claim, LeaseLost
from safelight.models import Archive
from safelight.telemetry import kind, log_context

log = logging.getLogger(__name__)

BEAT_SECONDS = 30
"""Between two extensions of the lease, which lasts three minutes; no read or send is silent for as long as that."""
PATIENCE = (0.5, 1, 2, 4, 8)
"""Seconds between attempts to tell the database of a part: a restart of it takes a few."""
NOT_BUILT = "The ZIP could not be put together although it was tried several times. Please try again in a few minutes."


def handle_record(key: str) -> None:
    """A wake-up `jobs/build_archive/{job_id}`; anything else is dropped."""
    if wake.woken(key, build.JOB) and (held := jobs.claim(wake.queue(), build.JOB)) is not None:
        build_part(held)


def build_part(held: Claim) -> None:
    """Bring one part, if its archive is still wanted."""
    with log_context(job_id=str(held.job_id), archive=str(held.payload["digest"])[:16]):
        try:
            with transaction() as session:
                archive = queries.get(session, held.payload["digest"])
                if archive is None or archive.status != "building" or archive.upload_id != held.payload["upload_id"]:
                    jobs.complete(session, held)
                    return
                known = queries.has_part(session, archive, int(held.payload["number"]))
            with log_context(gallery_id=str(archive.gallery_id)):
                if held.exhausted:
                    _end(held, archive, NOT_BUILT, last=True, error="every attempt ended with its worker")
                else:
                    _attempt(held, archive, known=known)
        except LeaseLost:
            log.warning("lease lost: another worker has the part")


def _attempt(held: Claim, archive: Archive, *, known: bool) -> None:
    number = int(held.payload["number"])
    try:
        if not known and (etag := _bring(archive, number, _Heart(held))) is not None:
            _keep(held, archive, number, etag)
        _finish(held, archive)
    except LeaseLost:
        raise
    except ArchiveBroken as error:
        log.error("archive cannot be built", extra={"photo": error.entry.name, "reason": error.reason})  # noqa: TRY400 - the reason is known
        report(archive.gallery_id, error.entry, error.reason)
        _end(held, archive, explain(error.entry, error.reason), last=error.reason != "storage_unavailable" or held.last)
    except Exception as error:
        log.exception("part not built", extra={"attempt": held.attempt, "number": number})
        _end(held, archive, NOT_BUILT if held.last else kind(error), last=held.last)


def _bring(archive: Archive, number: int, beat: Beat) -> str | None:
    """The part's ETag; None when the archive is made already."""
    key = archive_key(archive.digest)
    try:
        return bring(plan_of(archive.digest), archive.upload_id, number, archive.part_size, beat)
    except ObjectMissing:
        made = storage.storage().head(key)
        if made is None or made.size != archive.size:
            raise
        return None


class _Heart:
    """Keeps the lease while bytes come: a part may take longer than a lease, and nobody else should begin it then."""

    def __init__(self, held: Claim) -> None:
        self._held = held
        self._next = time.monotonic() + BEAT_SECONDS

    def __call__(self, done: float) -> None:
        """`done` (0..1) of the part is on its way. Raises LeaseLost when another worker has it."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + BEAT_SECONDS
        try:
            with transaction() as session:
                jobs.extend(session, self._held, done)
        except Unavailable:
            log.warning("lease not kept: the database is away")  # it has time left; the part may be there before


def _keep(held: Claim, archive: Archive, number: int, etag: str) -> None:
    """Remember the part, before and apart from the archive: whatever fails then, it is not brought again."""

    def keep(session: Session) -> None:
        jobs.extend(session, held, 1.0)
        build.remember(session, archive, number, etag)

    _patiently(keep)


def _finish(held: Claim, archive: Archive) -> None:
    """The job is done; and if its part was the last, so is the archive."""

    def finish(session: Session) -> None:
        row = _wanted(session, archive)
        jobs.complete(session, held)
        if row is not None:
            build.finish(session, storage.storage(), storage.multipart(), row)

    _patiently(finish)


def _wanted(session: Session, archive: Archive) -> Archive | None:
    """The archive, locked, while this is the upload that makes it. Workers wait for the lock; whoever asks does not."""
    row = queries.get(session, archive.digest, lock=True)
    return row if row is not None and row.status == "building" and row.upload_id == archive.upload_id else None


def _patiently(step: Callable[[Session], None]) -> None:
    """`step` in a transaction, again while the database is away: it restarts in seconds, a lease lasts minutes.

    What was committed although nobody said so is found by the lease: it is not held any more. Raises LeaseLost.
    """
    for pause in (*PATIENCE, None):
        try:
            with transaction() as session:
                step(session)
        except StorageUnavailable:
            raise  # that is another kind of away
        except Unavailable:
            if pause is None:
                raise
            time.sleep(pause)
        else:
            return


def _end(held: Claim, archive: Archive, reason: str, *, last: bool, error: str | None = None) -> None:
    """This attempt was in vain; with the `last` one the archive is broken, unless it was made meanwhile."""

    def end(session: Session) -> None:
        if not last:
            jobs.retry(session, held, reason)
            return
        row = _wanted(session, archive)  # before the job, as in `_finish`: two that wait for each other never end
        jobs.fail(session, held, error or reason)
        if row is not None:
            build.broken(session, storage.multipart(), row, reason)

    _patiently(end)
