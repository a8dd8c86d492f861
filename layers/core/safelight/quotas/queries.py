"""SQL over what accounts store.

A transaction locks an account's counter after the gallery, the account and the photos that it locks. Afterwards it only
inserts rows, or deletes photos that it has locked. So no two transactions wait for each other.
"""

import datetime as dt
import uuid
from typing import Any

from sqlalchemy import Row, Select, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from safelight.models import Gallery, Photo, StorageUsage, User


def lock(session: Session, user_id: uuid.UUID) -> StorageUsage:
    """The account's counter, made when it is missing, locked until the transaction ends."""
    wanted = select(StorageUsage).where(StorageUsage.user_id == user_id).with_for_update()
    usage = session.scalars(wanted.execution_options(populate_existing=True)).one_or_none()
    if usage is None:
        session.execute(insert(StorageUsage).values(user_id=user_id).on_conflict_do_nothing())
        usage = session.scalars(wanted).one()
    return usage


def limits(session: Session, user_id: uuid.UUID) -> Row[int | None, int | None] | None:
    """(bytes, photos) that an administrator set for the account, None for the default; None when it was erased.

    It is not erased until the transaction ends.
    """
    statement = select(User.quota_bytes, User.quota_photos).where(User.id == user_id)
    return session.execute(statement.with_for_update(read=True, key_share=True)).one_or_none()


def used(session: Session, user_ids: list[uuid.UUID]) -> dict[uuid.UUID, tuple[int, int]]:
    """(bytes, photos) that accounts store; an account that never stored anything is missing."""
    rows = session.execute(
        select(StorageUsage.user_id, StorageUsage.bytes, StorageUsage.photos).where(StorageUsage.user_id.in_(user_ids))
    )
    return {user_id: (size, photos) for user_id, size, photos in rows}


def release(session: Session, photo_ids: list[uuid.UUID]) -> None:
    """Stop counting these photos, which the session has locked. A photo that does not count changes nothing."""
    counted = (
        select(Gallery.owner_id, func.count().label("photos"), func.sum(Photo.file_size).label("bytes"))
        .join(Photo, Photo.gallery_id == Gallery.id)
        .where(Photo.id.in_(photo_ids), Photo.counted)
        .group_by(Gallery.owner_id)
    )
    owners = select(counted.subquery().c.owner_id)
    # In one order, for other releases of photos of several accounts.
    session.execute(
        select(StorageUsage.user_id)
        .where(StorageUsage.user_id.in_(owners))
        .order_by(StorageUsage.user_id)
        .with_for_update()
    )
    gone = counted.subquery()
    session.execute(
        update(StorageUsage)
        .where(StorageUsage.user_id == gone.c.owner_id)
        .values(
            photos=func.greatest(StorageUsage.photos - gone.c.photos, 0),
            bytes=func.greatest(StorageUsage.bytes - gone.c.bytes, 0),
        )
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Photo)
        .where(Photo.id.in_(photo_ids), Photo.counted)
        .values(counted=False)
        .execution_options(synchronize_session=False)
    )


def failed(session: Session, before: dt.datetime, limit: int) -> list[uuid.UUID]:
    """Photos that count although they failed before that moment, locked."""
    return list(
        session.scalars(
            select(Photo.id)
            .where(Photo.status == "failed", Photo.counted, Photo.updated_at < before)
            .order_by(Photo.updated_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )


def unchecked(session: Session, every: dt.timedelta, limit: int) -> list[uuid.UUID]:
    """Accounts whose counter was not compared with their photos for that long, the longest first."""
    return list(
        session.scalars(
            select(User.id)
            .join(StorageUsage, StorageUsage.user_id == User.id, isouter=True)
            .where(or_(StorageUsage.checked_at.is_(None), StorageUsage.checked_at < func.now() - every))
            .order_by(StorageUsage.checked_at.asc().nulls_first(), User.id)
            .limit(limit)
        )
    )


def compared(session: Session, user_id: uuid.UUID) -> Row[int, int, int, int] | None:
    """(counted photos, counted bytes, photos, bytes), in one statement and so of one moment; None for no account.

    The account is not erased until the transaction ends.
    """
    photos, size = (stored(user_id, what).scalar_subquery() for what in (func.count(), func.sum(Photo.file_size)))
    return session.execute(
        select(
            func.coalesce(StorageUsage.photos, 0),
            func.coalesce(StorageUsage.bytes, 0),
            photos,
            func.coalesce(size, 0),
        )
        .select_from(User)
        .join(StorageUsage, StorageUsage.user_id == User.id, isouter=True)
        .where(User.id == user_id)
        .with_for_update(read=True, key_share=True, of=User)
    ).one_or_none()


def stored(user_id: uuid.UUID, what: Any) -> Select[Any]:
    """An aggregate over the photos of an account that count."""
    return select(what).select_from(Photo).join(Gallery).where(Gallery.owner_id == user_id, Photo.counted)
