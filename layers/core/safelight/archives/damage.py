"""Telling the photographer which photo cannot be read."""

import logging
import uuid

from sqlalchemy import select

from safelight.archives.plan import Entry
from safelight.db.engine import transaction
from safelight.models import Photo, Rendition
from safelight.photos.damage import FACTS, REASONS, noting
from safelight.telemetry import log_context

log = logging.getLogger(__name__)


def explain(entry: Entry, reason: str) -> str:
    """A sentence for whoever waits for the archive: what is wrong, and who has to do what."""
    if reason not in FACTS:
        return f"The photo “{entry.name}” could not be read just now. Please try again in a few minutes."
    return (
        f"The photo “{entry.name}” cannot be read: {FACTS[reason]}."
        " The photographer has been told, and has to upload it again."
    )


def report(gallery_id: uuid.UUID, entry: Entry, reason: str) -> bool:
    """Note on the photo that its bytes are damaged; whether `reason`, the code of a store's error, is damage at all."""
    if reason not in REASONS:
        return False
    # A rendition that was made anew since the archive was planned is another one, and sound.
    same = (Rendition.s3_key == entry.key) & (Rendition.etag == entry.etag)
    made_from = select(Rendition.photo_id).where(same, Rendition.photo_id == Photo.id).exists()
    with transaction() as session:
        session.execute(
            noting((Photo.gallery_id == gallery_id) & ((Photo.s3_key == entry.key) | made_from), REASONS[reason])
        )
    with log_context(gallery_id=str(gallery_id)):
        log.error("photo damaged", extra={"photo": entry.name, "reason": reason})
    return True
