"""Asking for a gallery to be reprocessed, and how far it is."""

import uuid

from sqlalchemy.orm import Session

from safelight.errors import NotFound
from safelight.jobs import service as jobs
from safelight.models import Reprocessing
from safelight.queue import Queue
from safelight.reprocessing import queries
from safelight.reprocessing.schemas import ReprocessingOut, What

JOB = "reprocess_gallery"


def request(session: Session, queue: Queue, gallery_id: uuid.UUID, what: What) -> ReprocessingOut:
    """Begin, or join what is under way. Raises NotFound."""
    owner_id = queries.owner(session, gallery_id)
    if owner_id is None:
        raise NotFound
    walk_id = queries.begin(session, gallery_id, what) or queries.live(session, gallery_id, what)
    if walk_id is None:
        # The one that was under way ended between the two statements.
        return request(session, queue, gallery_id, what)
    jobs.enqueue(session, queue, JOB, walk_id, owner_id)
    return show(session, walk_id)


def show(session: Session, walk_id: uuid.UUID) -> ReprocessingOut:
    """How far it is. Raises NotFound."""
    walk: Reprocessing | None = queries.get(session, walk_id)
    if walk is None:
        raise NotFound
    return ReprocessingOut.model_validate(walk)
