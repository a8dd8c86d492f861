"""Telling the photographer which photo cannot be read."""

import logging
import uuid

from sqlalchemy import func, select, update

from safelight.archives.plan import Entry
from safelight.db.engine import transaction
from safelight.models import Photo, Rendition
from safelight.telemetry import log_context

log = logging.getLogger(__name__)

# What is wrong with the object, by the code of the store's error. A store that does not answer is no damage.
REASONS = {
    "object_missing": "Its file is no longer in the storage. Please upload the photo again.",
    "object_changed": "Its file in the storage is not the one that was uploaded. Please upload the photo again.",
    "object_truncated": "Its file in the storage is shorter than it was. Please upload the photo again.",
}

_FOR_WHOEVER_WAITS = {
    "object_missing": "its file is no longer in the storage",
    "object_changed": "its file in the storage is not the one that was uploaded",
    "object_truncated": "its file in the storage is shorter than it was",
}


def explain(entry: Entry, reason: str) -> str:
    """A sentence for whoever waits for the archive: what is wrong, and who has to do what."""
    if reason not in _FOR_WHOEVER_WAITS:
        return f"The photo “{entry.name}” could not be read just now. Please try again in a few minutes."
    return (
        f"The photo “{entry.name}” cannot be read: {_FOR_WHOEVER_WAITS[reason]}."
        " The photographer has been told, and has to upload it again."
    )


def report(gallery_id: uuid.UUID, entry: Entry, reason: str) -> bool:
    """Note on the photo that its bytes are damaged; whether `reason`, the code of a store's error, is damage at all."""
    if reason not in REASONS:
        return False
    made_from = select(Rendition.photo_id).where(Rendition.s3_key == entry.key, Rendition.photo_id == Photo.id).exists()
    with transaction() as session:
        session.execute(
            update(Photo)
            .where(Photo.gallery_id == gallery_id, (Photo.s3_key == entry.key) | made_from)
            .values(damaged_at=func.coalesce(Photo.damaged_at, func.now()), damage_reason=REASONS[reason])
            .execution_options(synchronize_session=False)
        )
    with log_context(gallery_id=str(gallery_id)):
        log.error("photo damaged", extra={"photo": entry.name, "reason": reason})
    return True
