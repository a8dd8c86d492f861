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


def woken(key: str, kind: str) -> bool:
    """Whether this is a wake-up `jobs/{kind}/{job_id}`; any other key leaves a line in the log.

    The job that it names is a hint: the worker claims the next due job of the kind.
    """
    try:
        ours = key == wake_key(kind, uuid.UUID(key.rpartition("/")[2]))
    except ValueError:
        ours = False
    if not ours:
        log.warning("key dropped: it is no wake-up of this function")
    return ours
