"""From a wake-up to the search for faces: a module of its own, for a function of its own."""

from safelight import storage
from safelight.analyses import processing
from safelight.analyses.service import FACES_JOB
from safelight.jobs import service as jobs
from safelight.jobs import wake
from safelight.pictures import faces
from safelight.sandboxes.watch import watched


def handle_record(key: str) -> None:
    """A wake-up `jobs/find_faces/{job_id}`; anything else is dropped."""
    if wake.woken(key, FACES_JOB) and (held := jobs.claim(wake.queue(), FACES_JOB)) is not None:
        processing.find_faces(held, storage.storage(), watched(faces.find))
