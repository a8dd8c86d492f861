"""Photos whose bytes were found gone or changed: the photographer is told, and sees which."""

import uuid

from sqlalchemy import func, update
from sqlalchemy.orm import Session

from safelight.models import Photo

# What is wrong with the object, by the code of the store's error. A store that does not answer is no damage.
REASONS = {
    "object_missing": "Its file is no longer in the storage. Please upload the photo again.",
    "object_changed": "Its file in the storage is not the one that was uploaded. Please upload the photo again.",
    "object_truncated": "Its file in the storage is shorter than it was. Please upload the photo again.",
}


def note(session: Session, photo_id: uuid.UUID, reason: str) -> None:
    """The photo is damaged since now, or since it was first seen to be."""
    session.execute(
        update(Photo)
        .where(Photo.id == photo_id)
        .values(damaged_at=func.coalesce(Photo.damaged_at, func.now()), damage_reason=reason)
        .execution_options(synchronize_session=False)
    )
