"""Wake-ups: sending them from wherever jobs are made, reading them wherever jobs are run."""

import logging
import uuid

from safelight import storage
from safelight.config import settings
from safelight.queue import Queue, wake_key

log = logging.getLogger(__name__)


def queue() -> Queue:
    """Wake-ups leave through the bucket on AWS; beside another store the worker watches the table itself."""
    return Queue(storage.light_store() if settings().s3_endpoint is None else None)


def woken(key: str, kind: str) -> uuid.UUID | None:
    """The job of a wake-up `jobs/{kind}/{job_id}`; None, and a line in the log, for any other key."""
    try:
        job_id = uuid.UUID(key.rpartition("/")[2])
    except ValueError:
        job_id = None
    if job_id is None or key != wake_key(kind, job_id):
        log.warning("key dropped: it is no wake-up of this function")
        return None
    return job_id
