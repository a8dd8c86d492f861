"""From a key in the bucket to the next job that is due."""

import logging

from safelight import storage
from safelight.analyses import keys, processing, service
from safelight.db.engine import transaction
from safelight.jobs import service as jobs
from safelight.jobs import wake
from safelight.pictures import child
from safelight.queue import Queue
from safelight.sandboxes.watch import watched

log = logging.getLogger(__name__)


def handle_record(key: str) -> None:
    """An upload `analyses/{id}/upload` or a wake-up `jobs/analyse_photo/{job_id}`; anything else is dropped.

    An upload gets its job and a wake-up. A wake-up runs the next due job, which may be another picture's.
    """
    if key.endswith("/upload"):
        _arrived(key)
    elif wake.woken(key, service.JOB):
        held = jobs.claim(wake.queue(), service.JOB)
        if held is not None:
            processing.measure(held, storage.storage(), watched(child.render), wake.queue())


def _arrived(key: str) -> None:
    """Note that an upload is there. Raises StorageUnavailable when no worker could be woken."""
    analysis_id = keys.analysis_of(key)
    if analysis_id is None or key != keys.upload(analysis_id):
        log.warning("key dropped: it names nothing of ours")
        return
    with transaction() as session:
        job_id = service.object_arrived(session, Queue(), analysis_id)
    # Also for a job that was there: the wake-up may be what failed when this event was delivered before.
    if job_id is not None:
        wake.queue().send(service.JOB, job_id)
