"""Photos whose bytes were found gone or changed: the photographer is told, and sees which."""

import uuid

from sqlalchemy import ColumnElement, Update, func, update
from sqlalchemy.orm import Session

from safelight.models import Photo

# By the code of the store's error. A store that does not answer is no damage.
FACTS = {
    "object_missing": "its file is no longer in the storage",
    "object_changed": "its file in the storage is not the one that was uploaded",
    "object_truncated": "its file in the storage is shorter than it was",
}
"""What is wrong with the object, within a sentence."""
REASONS = {code: f"{fact[0].upper()}{fact[1:]}. Please upload the photo again." for code, fact in FACTS.items()}
"""The same for the photographer, with what to do."""


def note(session: Session, photo_id: uuid.UUID, reason: str) -> None:
    """The photo is damaged since now, or since it was first seen to be."""
    session.execute(noting(Photo.id == photo_id, reason))


def noting(which: ColumnElement[bool], reason: str) -> Update:
    """The statement that notes the same on all photos of which `which` holds."""
    return (
        update(Photo)
        .where(which)
        .values(damaged_at=func.coalesce(Photo.damaged_at, func.now()), damage_reason=reason)
        .execution_options(synchronize_session=False)
    )
