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

    Either runs the next due job, which may be another photo's.
    """
    if not (_arrived(key) if key.startswith(keys.INCOMING) else wake.woken(key, upload.JOB)):
        return
    held = jobs.claim(wake.queue(), upload.JOB)
    if held is not None:
        processing.process(held, storage.storage(), watched(child.render))


def _arrived(key: str) -> bool:
    """Note that an upload is there. False when nobody waits for it."""
    try:
        photo_id = uuid.UUID(key.removeprefix(keys.INCOMING))
    except ValueError:
        log.warning("key dropped: it names nothing of ours")
        return False
    # Nobody else is woken: this event is the wake-up.
    with transaction() as session:
        return upload.object_arrived(session, Queue(), photo_id, clock.now()) is not None
