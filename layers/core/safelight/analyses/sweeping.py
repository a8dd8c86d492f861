"""The sweep's part in analyses: what stopped half-way is finished or expires, and no file stays behind."""

import datetime as dt
from collections.abc import Iterable
from typing import Protocol

from safelight.analyses import keys, queries
from safelight.analyses.service import FACES_JOB, JOB, arrived, measured
from safelight.db.engine import transaction
from safelight.jobs import queries as job_queries
from safelight.jobs import service as jobs
from safelight.leftovers import erase
from safelight.photos.upload import Heads
from safelight.queue import Queue

BATCH = 500


class Store(Heads, Protocol):
    """What sweeping needs of the object store."""

    def delete(self, keys: Iterable[str]) -> None: ...
    def keys(self, prefix: str) -> Iterable[str]: ...


def uploads(
    store: Store, queue: Queue, looked_for: dt.timedelta, expires: dt.timedelta, now: dt.datetime, reason: str
) -> None:
    """Uploads of which nobody told are found; those that never came expire, for `reason`."""
    with transaction() as session:
        for analysis in queries.unfinished(session, "pending", looked_for, BATCH):
            if analysis.photo_id is not None or store.head(keys.upload(analysis.id)) is not None:
                arrived(session, queue, analysis)
            elif now - analysis.created_at > expires:
                analysis.status, analysis.error, analysis.completed_at = "failed", reason, now


def stuck(queue: Queue, older_than: dt.timedelta) -> None:
    """An analysis in processing always has a live job; should one be missing, it gets another."""
    with transaction() as session:
        for analysis in queries.unfinished(session, "processing", older_than, BATCH):
            if all(job_queries.live(session, kind, analysis.id) is None for kind in (JOB, FACES_JOB)):
                kind = FACES_JOB if measured(analysis) else JOB
                jobs.enqueue(session, queue, kind, analysis.id, analysis.owner_id)
            queries.touch(session, analysis.id)


def leftovers(store: Store) -> int:
    """Files whose analysis has ended, or is gone, leave the bucket; how many."""
    return erase(store, keys.PREFIX, keys.analysis_of, queries.waiting)
