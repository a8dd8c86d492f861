"""From a key in the bucket to the job that is due."""

import logging
import uuid

from safelight import storage
from safelight.analyses import keys, processing, service
from safelight.db.engine import transaction
from safelight.jobs import wake
from safelight.pictures import child
from safelight.queue import Queue
from safelight.sandboxes.watch import watched

log = logging.getLogger(__name__)


def handle_record(key: str) -> None:
    """An upload `analyses/{id}/upload` or a wake-up `jobs/analyse_photo/{job_id}`; anything else is dropped."""
    job_id = _arrived(key) if key.endswith("/upload") else wake.woken(key, service.JOB)
    if job_id is not None:
        processing.measure(job_id, storage.storage(), watched(child.render), wake.queue())


def _arrived(key: str) -> uuid.UUID | None:
    analysis_id = keys.analysis_of(key)
    if analysis_id is None or key != keys.upload(analysis_id):
        log.warning("key dropped: it names nothing of ours")
        return None
    with transaction() as session:
        return service.object_arrived(session, Queue(), analysis_id)
