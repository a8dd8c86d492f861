"""From a wake-up to the next walk that is due."""

from safelight import storage
from safelight.jobs import service as jobs
from safelight.jobs import wake
from safelight.pictures import child
from safelight.reprocessing import walk
from safelight.reprocessing.service import JOB
from safelight.sandboxes.watch import watched


def handle_record(key: str) -> None:
    """A wake-up `jobs/reprocess_gallery/{job_id}`; anything else is dropped."""
    if wake.woken(key, JOB) and (held := jobs.claim(wake.queue(), JOB)) is not None:
        walk.walk(held, storage.storage(), watched(child.render), wake.queue())
