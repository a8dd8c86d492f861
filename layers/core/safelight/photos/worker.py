"""From a key in the bucket to the job that is due."""

import logging
import uuid

from safelight import clock, storage
from safelight.db.engine import transaction
from safelight.jobs.wake import woken
from safelight.photos import keys, processing, upload
from safelight.pictures import child
from safelight.queue import Queue
from safelight.sandboxes.watch import watched

log = logging.getLogger(__name__)


def handle_record(key: str) -> None:
    """An upload `incoming/{photo_id}`, or a wake-up `jobs/process_photo/{job_id}`; anything else is dropped."""
    job_id = _arrived(key) if key.startswith(keys.INCOMING) else woken(key, upload.JOB)
    if job_id is not None:
        processing.process(job_id, storage.storage(), watched(child.render))


def _arrived(key: str) -> uuid.UUID | None:
    try:
        photo_id = uuid.UUID(key.removeprefix(keys.INCOMING))
    except ValueError:
        log.warning("key dropped: it names nothing of ours")
        return None
    # Nobody is woken: the job is run right here.
    with transaction() as session:
        return upload.object_arrived(session, Queue(), photo_id, clock.now())
