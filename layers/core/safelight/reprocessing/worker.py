"""From a wake-up to the walk that is due."""

from safelight import storage
from safelight.jobs import wake
from safelight.pictures import child
from safelight.reprocessing import walk
from safelight.reprocessing.service import JOB
from safelight.sandboxes.watch import watched


def handle_record(key: str) -> None:
    """A wake-up `jobs/reprocess_gallery/{job_id}`; anything else is dropped."""
    job_id = wake.woken(key, JOB)
    if job_id is not None:
        walk.walk(job_id, storage.storage(), watched(child.render), wake.queue())
