"""From a key in the bucket to the job that is due."""

import logging
import uuid

from safelight import storage
from safelight.analyses import keys, processing, service
from safelight.config import settings
from safelight.db.engine import transaction
from safelight.pictures import child
from safelight.queue import Queue

log = logging.getLogger(__name__)


def handle_record(key: str) -> None:
    """An upload `analyses/{id}/upload` or a wake-up `jobs/analyse_photo/{job_id}`; anything else is dropped."""
    job_id = _arrived(key) if key.endswith("/upload") else woken(key, service.JOB)
    if job_id is not None:
        processing.measure(job_id, storage.storage(), child.render, _queue())


def _arrived(key: str) -> uuid.UUID | None:
    analysis_id = keys.analysis_of(key)
    if analysis_id is None or key != keys.upload(analysis_id):
        log.warning("key dropped: it names nothing of ours")
        return None
    with transaction() as session:
        return service.object_arrived(session, Queue(), analysis_id)


def woken(key: str, kind: str) -> uuid.UUID | None:
    """The job of a wake-up `jobs/{kind}/{job_id}`; None for any other key."""
    prefix, _, name = key.rpartition("/")
    try:
        job_id = uuid.UUID(name)
    except ValueError:
        job_id = None
    if job_id is None or prefix != f"jobs/{kind}":
        # The preview of an upload is among them: the bucket tells of whatever is written beside it.
        log.debug("key dropped: it is no wake-up of this function")
        return None
    return job_id


def _queue() -> Queue:
    """Wake-ups leave through the bucket on AWS; beside another store the worker watches the table itself."""
    return Queue(storage.light_store() if settings().s3_endpoint is None else None)
