"""SQL over deletions."""

import datetime as dt
import uuid

from sqlalchemy import CursorResult, Select, delete, func, select, update
from sqlalchemy.orm import Session

from safelight.models import Archive, Erasure, Gallery, Photo, Rendition, ShareLink, User


def galleries_of(subject_id: uuid.UUID) -> Select[uuid.UUID]:
    """The gallery itself, or all of an account."""
    return select(Gallery.id).where((Gallery.id == subject_id) | (Gallery.owner_id == subject_id))


def count(session: Session, subject_id: uuid.UUID) -> dict[str, int]:
    """How much belongs to an account or a gallery; `size` is bytes of originals."""
    owned = galleries_of(subject_id)
    photos, size = session.execute(
        select(func.count(), func.coalesce(func.sum(Photo.file_size), 0)).where(Photo.gallery_id.in_(owned))
    ).one()
    renditions = select(func.count()).select_from(Rendition).join(Photo).where(Photo.gallery_id.in_(owned))
    archives = select(func.count()).where(Archive.gallery_id.in_(owned))
    links = select(func.count()).where(ShareLink.gallery_id.in_(owned))
    return {
        "galleries": session.scalar(select(func.count()).select_from(owned.subquery())) or 0,
        "photos": photos,
        "size": int(size),
        "renditions": session.scalar(renditions) or 0,
        "archives": session.scalar(archives) or 0,
        "share_links": session.scalar(links) or 0,
    }


def get(session: Session, erasure_id: uuid.UUID) -> Erasure | None:
    """One report."""
    return session.get(Erasure, erasure_id)


def without_rows(session: Session) -> list[uuid.UUID]:
    """Deletions that are not finished and have left no row; rows go after their objects."""
    found = select(Erasure.id).where(
        Erasure.finished_at.is_(None),
        ~select(Gallery.id).where(Gallery.id == Erasure.subject_id).exists(),
        ~select(User.id).where(User.id == Erasure.subject_id).exists(),
    )
    return list(session.scalars(found))


def finish(session: Session, erasure_ids: list[uuid.UUID]) -> int:
    """Note that these are done. How many were not yet."""
    result = session.execute(
        update(Erasure)
        .where(Erasure.id.in_(erasure_ids), Erasure.finished_at.is_(None))
        .values(finished_at=func.now())
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount


def forget(session: Session, older_than: dt.timedelta) -> None:
    """Drop reports that nobody will ask for any more."""
    session.execute(delete(Erasure).where(Erasure.finished_at < func.now() - older_than))
