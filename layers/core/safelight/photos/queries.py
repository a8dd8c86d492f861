"""SQL over photos; every read for a person begins with the owner or the gallery."""

import datetime as dt
import uuid

from sqlalchemy import ColumnElement, case, delete, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from safelight import splice
from safelight.models import Analysis, Archive, CleanOriginal, Gallery, Photo, Rendition, User
from safelight.pictures.measures import Metrics
from safelight.pictures.types import Clean


def owned(session: Session, owner_id: uuid.UUID, photo_id: uuid.UUID, *, lock: bool = False) -> Photo | None:
    """One photo of this owner."""
    statement = (
        select(Photo)
        .join(Gallery, Gallery.id == Photo.gallery_id)
        .where(
            Photo.id == photo_id,
            Photo.deleted_at.is_(None),
            Gallery.owner_id == owner_id,
            Gallery.deleted_at.is_(None),
        )
    )
    return session.scalars(statement.with_for_update(of=Photo) if lock else statement).one_or_none()


def keep_gallery(session: Session, gallery_id: uuid.UUID) -> bool:
    """Whether the gallery is there; then its row is not erased until the transaction ends."""
    statement = select(Gallery.id).where(Gallery.id == gallery_id, Gallery.deleted_at.is_(None))
    return session.scalar(statement.with_for_update(read=True, key_share=True)) is not None


def by_upload_key(session: Session, gallery_id: uuid.UUID, keys: set[str]) -> dict[str, Photo]:
    """Photos that were announced under these keys and have neither failed nor been deleted."""
    photos = session.scalars(
        select(Photo).where(
            Photo.gallery_id == gallery_id,
            Photo.upload_key.in_(keys),
            Photo.status != "failed",
            Photo.deleted_at.is_(None),
        )
    )
    return {photo.upload_key: photo for photo in photos if photo.upload_key is not None}


def owner(session: Session, photo: Photo) -> uuid.UUID:
    """The account that a photo belongs to."""
    return session.scalars(select(Gallery.owner_id).where(Gallery.id == photo.gallery_id)).one()


def page(
    session: Session,
    gallery_id: uuid.UUID,
    limit: int,
    after: tuple[int, uuid.UUID] | None,
    status: str | None,
    tag: str | None,
) -> list[Photo]:
    """The gallery's photos in their order."""
    statement = select(Photo).where(Photo.gallery_id == gallery_id, Photo.deleted_at.is_(None))
    if after is not None:
        statement = statement.where(tuple_(Photo.position, Photo.id) > after)
    if status is not None:
        statement = statement.where(Photo.status == status)
    if tag is not None:
        statement = statement.where(Photo.tags.any_() == tag)
    return list(session.scalars(statement.order_by(Photo.position, Photo.id).limit(limit)))


def lock_for_work(session: Session, photo_id: uuid.UUID) -> Photo | None:
    """A photo that somebody still wants, locked."""
    return session.scalars(
        select(Photo).where(Photo.id == photo_id, Photo.deleted_at.is_(None)).with_for_update()
    ).one_or_none()


def unfinished(session: Session, status: str, older_than: dt.timedelta, limit: int) -> list[Photo]:
    """Photos that have stood in `status` for too long."""
    return list(
        session.scalars(
            select(Photo)
            .where(Photo.status == status, Photo.updated_at < func.now() - older_than, Photo.deleted_at.is_(None))
            .order_by(Photo.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )


def deleted(session: Session, limit: int) -> list[Photo]:
    """Photos to erase; those that still wait for an archive come last, so that they hold up no other."""
    waits = select(Archive.digest).where(Archive.gallery_id == Photo.gallery_id, Archive.created_at <= Photo.deleted_at)
    return list(
        session.scalars(
            select(Photo)
            .where(Photo.deleted_at.is_not(None))
            .order_by(waits.exists(), Photo.deleted_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )


def hide_orphans(session: Session) -> None:
    """Delete what was added to an account or a gallery at the very moment when that was deleted."""
    closed = select(User.id).where(User.deleted_at.is_not(None))
    session.execute(
        update(Gallery)
        .where(Gallery.owner_id.in_(closed), Gallery.deleted_at.is_(None))
        .values(deleted_at=func.now())
        .execution_options(synchronize_session=False)
    )
    deleted = select(Gallery.id).where(Gallery.deleted_at.is_not(None))
    session.execute(
        update(Photo)
        .where(Photo.gallery_id.in_(deleted), Photo.deleted_at.is_(None))
        .values(deleted_at=func.now())
        .execution_options(synchronize_session=False)
    )


def replace_renditions(session: Session, photo_id: uuid.UUID, renditions: list[Rendition]) -> None:
    """Exactly these."""
    session.execute(delete(Rendition).where(Rendition.photo_id == photo_id))
    session.add_all(renditions)


def replace_clean(session: Session, photo_id: uuid.UUID, clean: Clean | None) -> None:
    """How the photo's clean file is cut out of its original; None where it cannot be."""
    session.execute(delete(CleanOriginal).where(CleanOriginal.photo_id == photo_id))
    if clean is not None:
        made = clean.splice
        row = CleanOriginal(photo_id=photo_id, file_size=made.size, crc32=clean.crc32, sha256=clean.sha256)
        row.pieces = splice.dump(made.pieces)
        session.add(row)


def keep_metrics(session: Session, photo: Photo, metrics: Metrics) -> None:
    """Write what was measured into the photo's analysis; what else is known there stays."""
    owner = select(Gallery.owner_id).where(Gallery.id == photo.gallery_id).scalar_subquery()
    statement = insert(Analysis).values(
        id=uuid.uuid4(), owner_id=owner, photo_id=photo.id, status="ready", result=metrics, completed_at=func.now()
    )
    # Faces were asked for and are not there: that they are awaited, or could not be found, stays said.
    busy = Analysis.status.in_(("pending", "processing")) | (Analysis.faces & ~Analysis.result.has_key("faces"))
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Analysis.photo_id],
            set_={
                "result": func.coalesce(Analysis.result, text("'{}'::jsonb")).op("||")(statement.excluded.result),
                "status": case((busy, Analysis.status), else_="ready"),
                "error": case((busy, Analysis.error), else_=None),
                "completed_at": case((busy, Analysis.completed_at), else_=func.now()),
                "updated_at": func.now(),
            },
        )
    )


def erase(session: Session, photo_ids: list[uuid.UUID]) -> None:
    """Forget the photos' rows."""
    session.execute(delete(Photo).where(Photo.id.in_(photo_ids)).execution_options(synchronize_session=False))


def erase_empty_galleries(session: Session) -> None:
    """Forget deleted galleries without photos and archives, then closed accounts without galleries.

    Those in use by a transaction at this moment stay: it may be adding something.
    """
    _erase_unlocked(
        session,
        Gallery,
        Gallery.deleted_at.is_not(None),
        ~select(Photo.id).where(Photo.gallery_id == Gallery.id).exists(),
        # An archive's row goes when its object has gone: with the gallery it would leave the object behind.
        ~select(Archive.digest).where(Archive.gallery_id == Gallery.id).exists(),
    )
    _erase_unlocked(
        session, User, User.deleted_at.is_not(None), ~select(Gallery.id).where(Gallery.owner_id == User.id).exists()
    )


def _erase_unlocked(session: Session, table: type[Gallery | User], *empty: ColumnElement[bool]) -> None:
    found = session.scalars(select(table.id).where(*empty).with_for_update(skip_locked=True)).all()
    # Asked again now that the rows are locked: this statement sees what was added before.
    session.execute(delete(table).where(table.id.in_(found), *empty).execution_options(synchronize_session=False))


def counts(session: Session) -> dict[str, int]:
    """How many photos stand in each status."""
    rows = session.execute(select(Photo.status, func.count()).where(Photo.deleted_at.is_(None)).group_by(Photo.status))
    return {status: count for status, count in rows}  # noqa: C416 - a dictionary of rows has no type that mypy knows


def touch(session: Session, photo_id: uuid.UUID) -> None:
    """Restart the clock that the sweep looks at."""
    session.execute(update(Photo).where(Photo.id == photo_id).values(updated_at=func.now()))


def waiting(session: Session, photo_ids: list[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the photos whose upload is still needed."""
    return set(
        session.scalars(select(Photo.id).where(Photo.id.in_(photo_ids), Photo.status.in_(("pending", "processing"))))
    )


def uncover(session: Session, photo_id: uuid.UUID) -> None:
    """Let no gallery have the photo as its cover."""
    session.execute(
        update(Gallery)
        .where(Gallery.cover_photo_id == photo_id)
        .values(cover_photo_id=None)
        .execution_options(synchronize_session=False)
    )
