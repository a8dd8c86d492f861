"""From a key in the bucket to the next job that is due."""

import logging
import uuid

from safelight import clock, storage
from safelight.db.engine import transaction
from safelight.jobs import service as jobs
from safelight.jobs import wake
from safelight.photos import keys, processing, upload
from safelight.pictures import child
from safelight.queue import Queue
from safelight.sandboxes.watch import watched

log = logging.getLogger(__name__)


def handle_record(key: str) -> None:
    """An upload `incoming/{photo_id}`, or a wake-up `jobs/process_photo/{job_id}`; anything else is dropped.

    An upload gets its job and a wake-up. A wake-up runs the next due job, which may be another photo's.
    """
    if key.startswith(keys.INCOMING):
        _arrived(key)
    elif wake.woken(key, upload.JOB):
        held = jobs.claim(wake.queue(), upload.JOB)
        if held is not None:
            processing.process(held, storage.storage(), watched(child.render))


def _arrived(key: str) -> None:
    """Note that an upload is there. Raises StorageUnavailable when no worker could be woken."""
    try:
        photo_id = uuid.UUID(key.removeprefix(keys.INCOMING))
    except ValueError:
        log.warning("key dropped: it names nothing of ours")
        return
    with transaction() as session:
        job_id = upload.object_arrived(session, Queue(), photo_id, clock.now())
    # Also for a job that was there: the wake-up may be what failed when this event was delivered before.
    if job_id is not None:
        wake.queue().send(upload.JOB, job_id)
