"""SQL over galleries; every read begins with the owner."""

import datetime as dt
import uuid

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.orm import Session

from safelight.models import Gallery, Photo


def owned(session: Session, owner_id: uuid.UUID, gallery_id: uuid.UUID) -> Gallery | None:
    """One gallery of this owner."""
    return session.scalars(
        select(Gallery).where(Gallery.id == gallery_id, Gallery.owner_id == owner_id, Gallery.deleted_at.is_(None))
    ).one_or_none()


def page(
    session: Session, owner_id: uuid.UUID, limit: int, after: tuple[dt.datetime, uuid.UUID] | None
) -> list[Gallery]:
    """The owner's galleries, newest first."""
    statement = select(Gallery).where(Gallery.owner_id == owner_id, Gallery.deleted_at.is_(None))
    if after is not None:
        statement = statement.where(tuple_(Gallery.created_at, Gallery.id) < after)
    return list(session.scalars(statement.order_by(Gallery.created_at.desc(), Gallery.id.desc()).limit(limit)))


def photo_counts(session: Session, gallery_ids: list[uuid.UUID]) -> dict[uuid.UUID, tuple[int, int, int]]:
    """(all, ready, damaged) for each gallery that has photos."""
    rows = session.execute(
        select(
            Photo.gallery_id,
            func.count(),
            func.count().filter(Photo.status == "ready"),
            func.count().filter(Photo.damaged_at.is_not(None)),
        )
        .where(Photo.gallery_id.in_(gallery_ids), Photo.deleted_at.is_(None))
        .group_by(Photo.gallery_id)
    )
    return {gallery_id: (total, ready, damaged) for gallery_id, total, ready, damaged in rows}


def has_photo(session: Session, gallery_id: uuid.UUID, photo_id: uuid.UUID) -> bool:
    """Whether the photo is in the gallery."""
    found = select(Photo.id).where(Photo.id == photo_id, Photo.gallery_id == gallery_id, Photo.deleted_at.is_(None))
    return session.scalar(found) is not None


def soft_delete_photos(session: Session, now: dt.datetime, gallery_id: uuid.UUID) -> None:
    """Hide every photo of the gallery; the sweep erases them."""
    session.execute(
        update(Photo)
        .where(Photo.gallery_id == gallery_id, Photo.deleted_at.is_(None))
        .values(deleted_at=now)
        .execution_options(synchronize_session=False)
    )
