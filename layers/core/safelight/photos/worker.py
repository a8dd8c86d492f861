"""From a key in the bucket to the job that is due."""

import logging
import uuid

from safelight import clock, storage
from safelight.db.engine import transaction
from safelight.photos import processing, upload
from safelight.pictures import child
from safelight.queue import Queue

log = logging.getLogger(__name__)


def handle_record(key: str) -> None:
    """An upload `incoming/{photo_id}`, or a wake-up `jobs/process_photo/{job_id}`; anything else is dropped."""
    prefix, _, name = key.rpartition("/")
    try:
        subject = uuid.UUID(name)
    except ValueError:
        log.warning("key dropped: it names nothing of ours")
        return
    if prefix == "incoming":
        # Nobody is woken: the job is run right here.
        with transaction() as session:
            job_id = upload.object_arrived(session, Queue(), subject, clock.now())
    else:
        job_id = subject if prefix == f"jobs/{upload.JOB}" else None
    if job_id is not None:
        processing.process(job_id, storage.storage(), child.render)
