"""From a wake-up to the walk that is due."""

import logging
import uuid

from safelight import storage
from safelight.config import settings
from safelight.pictures import child
from safelight.queue import Queue
from safelight.reprocessing import walk
from safelight.reprocessing.service import JOB

log = logging.getLogger(__name__)


def handle_record(key: str) -> None:
    """A wake-up `jobs/reprocess_gallery/{job_id}`; anything else is dropped."""
    prefix, _, name = key.rpartition("/")
    try:
        job_id = uuid.UUID(name)
    except ValueError:
        job_id = None
    if job_id is None or prefix != f"jobs/{JOB}":
        log.warning("key dropped: it names nothing of ours")
        return
    queue = Queue(storage.light_store() if settings().s3_endpoint is None else None)
    walk.walk(job_id, storage.storage(), child.render, queue)
