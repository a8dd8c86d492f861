"""What finishes, expires and erases whatever stopped half-way; run on a schedule, safe to run at any time."""

import datetime as dt
import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import text

from safelight import leftovers, storage, throttle
from safelight.accounts import invitation_queries
from safelight.accounts import queries as account_queries
from safelight.analyses import sweeping
from safelight.archives import build
from safelight.archives import queries as archive_queries
from safelight.archives.sweeping import erase_stale, holding
from safelight.clock import now
from safelight.db.engine import transaction
from safelight.erasures import queries as erasure_queries
from safelight.events import queries as event_queries
from safelight.jobs import queries as job_queries
from safelight.jobs import service as jobs
from safelight.jobs import wake
from safelight.photos import keys, queries, upload
from safelight.photos.upload import Heads
from safelight.queue import Queue
from safelight.quotas import service as quotas
from safelight.reprocessing import queries as reprocessing_queries
from safelight.sandboxes import reports
from safelight.shares import queries as share_queries
from safelight.shares import retention
from safelight.storage.compaction import BytesRemain
from safelight.storage.objects import ObjectInfo

log = logging.getLogger(__name__)

BATCH = 500
# The form lives ten minutes; whoever began posting in the last one may take a while on a slow line.
PENDING_EXPIRES = dt.timedelta(hours=1)
# A photo that failed counts until its form has run out, and what the form may have brought has left the bucket.
FAILED_COUNTED = dt.timedelta(seconds=upload.FORM_SECONDS) + dt.timedelta(minutes=10)
PENDING_LOOKED_FOR = dt.timedelta(minutes=2)
# An upload is begun before the row that wants it is committed, so a young one may yet belong to an archive.
UPLOAD_UNCLAIMED = dt.timedelta(hours=1)
PROCESSING_STUCK = dt.timedelta(minutes=15)
FINISHED_KEPT = dt.timedelta(days=7)
EVENTS_KEPT = dt.timedelta(days=30)
# After it ran out, so that clocks may differ.
TOKENS_KEPT = dt.timedelta(days=1)
REPORTS_KEPT = dt.timedelta(days=90)
# A download is carried on under the hash of its day until the next day ends.
DOWNLOADS_KEPT = dt.timedelta(days=2)
# Share events deleted in one transaction, and in one sweep: after a busy day a few sweeps share the work.
PRUNED_AT_ONCE, PRUNED_AT_MOST = 5_000, 100_000
# In each sweep: with 288 sweeps a day, up to 14,400 accounts are looked at once a day.
CHECKED_ACCOUNTS = 50
EMPTY_SELECTIONS_KEPT = dt.timedelta(days=30)

NEVER_ARRIVED = "The file never arrived. Please upload it again."


class Store(Heads, Protocol):
    """What the sweep needs of the object store."""

    def delete(self, keys: Iterable[str]) -> None: ...
    def keys(self, prefix: str) -> Iterable[str]: ...
    def read(self, key: str) -> tuple[bytes, ObjectInfo]: ...


@dataclass(slots=True)
class Swept:
    """How many of each were dealt with."""

    arrived: int = 0
    expired: int = 0
    requeued: int = 0
    woken: int = 0
    erased: int = 0
    erasures: int = 0
    rolled_up: int = 0
    pruned: int = 0
    leftovers: int = 0
    released: int = 0
    archives: int = 0
    analyses: int = 0
    selections: int = 0
    corrected: int = 0


type Step = Callable[[Store, Queue, Swept], None]


def sweep(store: Store, queue: Queue) -> Swept:
    """Everything once. Each step has its own transaction, so that one that fails holds up no other; the first error is
    raised after the last step."""
    swept = Swept()
    steps: list[Step] = [
        _uploads,
        _stuck,
        _wake,
        _archives,  # before the photos that tell which archives hold what is to go
        _erase,
        _roll_up,
        _prune,
        _quotas,
        _selections,
        _leftovers,
        _analyses,
    ]
    errors: dict[object, Exception] = {}

    def run(step: Step) -> None:
        try:
            step(store, queue, swept)
        except Exception as error:
            log.exception("sweep step failed", extra={"step": step.__name__})
            errors[step] = error

    for step in steps:
        run(step)
    # Only now: these two, where they failed, may have left objects that no row tells of. The others' rows go last.
    if errors.keys().isdisjoint((_leftovers, _analyses)):
        run(_finish)
    if errors:
        raise next(iter(errors.values()))
    return swept


def _uploads(store: Store, queue: Queue, swept: Swept) -> None:
    """Uploads whose event and `complete` both got lost are found; those that never came expire."""
    with transaction() as session:
        for photo in queries.unfinished(session, "pending", PENDING_LOOKED_FOR, BATCH):
            if store.head(keys.incoming(photo.id)) is not None:
                upload.object_arrived(session, queue, photo.id, now())
                swept.arrived += 1
            elif now() - photo.created_at > PENDING_EXPIRES:
                photo.status, photo.failure_reason = "failed", NEVER_ARRIVED
                swept.expired += 1


def _stuck(_store: Store, queue: Queue, swept: Swept) -> None:
    """A photo in processing always has a live job; should one be missing, it gets another."""
    with transaction() as session:
        for photo in queries.unfinished(session, "processing", PROCESSING_STUCK, BATCH):
            if job_queries.live(session, upload.JOB, photo.id) is None:
                jobs.enqueue(session, queue, upload.JOB, photo.id, queries.owner(session, photo))
                swept.requeued += 1
            queries.touch(session, photo.id)


def _wake(_store: Store, queue: Queue, swept: Swept) -> None:
    with transaction() as session:
        due = job_queries.due(session, BATCH)
        job_queries.delete_finished(session, FINISHED_KEPT)
    for job_id, kind in due:
        queue.wake(kind, job_id)
        swept.woken += 1


def _erase(store: Store, _queue: Queue, swept: Swept) -> None:
    """Deleted photos leave the bucket, then the database; in that order, so that nothing is forgotten in the bucket.

    A row waits for the archives that may hold its photo, too."""
    with transaction() as session:
        queries.hide_orphans(session)
        # Whoever walks through a gallery may be writing a photo's files at this moment.
        walked = reprocessing_queries.galleries(session)
        deleted = [
            photo
            for photo in queries.deleted(session, BATCH)
            if photo.gallery_id not in walked and job_queries.live(session, upload.JOB, photo.id) is None
        ]
        store.delete([key for photo in deleted for key in keys.of_photo(photo.gallery_id, photo.id)])
        held = holding(session, store, deleted)
        gone = [photo.id for photo in deleted if photo.id not in held]
        event_queries.forget_about(session, [(photo.gallery_id, photo.id) for photo in deleted])
        quotas.release(session, gone)
        queries.erase(session, gone)
        swept.erased = len(gone)
    # In a transaction that holds no counter yet, because an announcement locks its gallery before the counter.
    with transaction() as session:
        queries.erase_empty_galleries(session)


def _roll_up(_store: Store, _queue: Queue, swept: Swept) -> None:
    with transaction() as session:
        swept.rolled_up = share_queries.roll_up(session, 50 * BATCH)
        share_queries.forget_downloads(session, DOWNLOADS_KEPT)
        share_queries.forget_salts(session)
        account_queries.forget_sessions(session, TOKENS_KEPT, 50 * BATCH)
        invitation_queries.forget(session)
        session.execute(text(throttle.FORGET))
        reports.forget(session)
        event_queries.forget(session, EVENTS_KEPT)


def _prune(_store: Store, _queue: Queue, swept: Swept) -> None:
    """Views and downloads of more than 90 days ago leave their days' totals."""
    for _ in range(PRUNED_AT_MOST // PRUNED_AT_ONCE):
        with transaction() as session:
            pruned = retention.prune(session, PRUNED_AT_ONCE)
        swept.pruned += pruned
        if pruned < PRUNED_AT_ONCE:
            return


def _quotas(_store: Store, _queue: Queue, swept: Swept) -> None:
    """Counters of storage that do not equal the rows that they count are corrected."""
    swept.corrected = quotas.check(CHECKED_ACCOUNTS)


def _selections(_store: Store, _queue: Queue, swept: Swept) -> None:
    """Favourites that were all taken back, and lists that a script began."""
    with transaction() as session:
        swept.selections = share_queries.forget_selections(session, EMPTY_SELECTIONS_KEPT)


def _leftovers(store: Store, _queue: Queue, swept: Swept) -> None:
    """Uploads that have been dealt with, or belong to nothing, leave `incoming/`; then failed photos no longer count.

    A form is only made for a photo that has not failed yet, so it runs out at most FORM_SECONDS after the failure.
    """
    failed_before = now() - FAILED_COUNTED
    swept.leftovers = leftovers.erase(store, keys.INCOMING, _id, queries.waiting)
    swept.released = quotas.release_failed(failed_before, BATCH)


def _archives(store: Store, _queue: Queue, swept: Swept) -> None:
    """Archives nobody wants any more are deleted, and uploads that belong to none are thrown away."""
    with transaction() as session:
        swept.archives, errors = erase_stale(session, store, storage.multipart(), build.KEPT_UNUSED, BATCH)
    found = list(storage.multipart().uploads("archives/", now() - UPLOAD_UNCLAIMED))
    with transaction() as session:
        wanted = archive_queries.building(session)
    for key, upload_id in found:
        if upload_id not in wanted:
            storage.multipart().abort(key, upload_id)
    if errors:
        raise errors[0]


def _analyses(store: Store, queue: Queue, swept: Swept) -> None:
    sweeping.uploads(store, queue, PENDING_LOOKED_FOR, PENDING_EXPIRES, now(), NEVER_ARRIVED)
    sweeping.stuck(queue, PROCESSING_STUCK)
    swept.analyses = sweeping.leftovers(store)


def _finish(_store: Store, _queue: Queue, swept: Swept) -> None:
    """Deletions that have left no row are finished, once no byte of them is left on the store's disk either."""
    with transaction() as session:
        erasure_queries.forget(session, REPORTS_KEPT)
        gone = erasure_queries.without_rows(session)
    if not gone:
        return
    try:
        storage.compactor().run()
    except BytesRemain as error:
        log.error("deleted bytes remain", extra={"reason": str(error), "erasures": len(gone)})  # noqa: TRY400 - it says why
        raise
    # Those alone: whatever was deleted since then was not compacted.
    with transaction() as session:
        swept.erasures = erasure_queries.finish(session, gone)


def _id(key: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(key.removeprefix(keys.INCOMING))
    except ValueError:
        return None


def run() -> Swept:
    """One sweep over the configured bucket and database."""
    return sweep(storage.storage(), wake.queue())
