"""SQL over built archives."""

import datetime as dt
import uuid

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from safelight.models import Archive, ArchivePart, Gallery, Photo


def get(session: Session, digest: str, *, lock: bool = False) -> Archive | None:
    """One archive, as it is now; with `lock`, as it stays until the transaction ends."""
    statement = select(Archive).where(Archive.digest == digest).execution_options(populate_existing=True)
    return session.scalars(statement.with_for_update() if lock else statement).one_or_none()


def owner(session: Session, gallery_id: uuid.UUID) -> uuid.UUID:
    """The account that a gallery belongs to."""
    return session.scalars(select(Gallery.owner_id).where(Gallery.id == gallery_id)).one()


def touch(session: Session, archive: Archive) -> bool:
    """Somebody asked for it; False when it was forgotten meanwhile."""
    statement = update(Archive).where(Archive.digest == archive.digest, Archive.upload_id == archive.upload_id)
    used = statement.values(used_at=func.now()).returning(Archive.digest)
    return session.scalar(used.execution_options(synchronize_session=False)) is not None


def add_if_absent(session: Session, archive: Archive) -> bool:
    """Write the row; False when somebody else was first."""
    values = {column.key: getattr(archive, column.key) for column in Archive.__table__.columns}
    statement = insert(Archive).values({name: value for name, value in values.items() if value is not None})
    return session.scalar(statement.on_conflict_do_nothing().returning(Archive.digest)) is not None


def put_part(session: Session, part: ArchivePart) -> None:
    """Remember a part; the latest writing of it counts."""
    statement = insert(ArchivePart).values(
        digest=part.digest, upload_id=part.upload_id, number=part.number, etag=part.etag
    )
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[ArchivePart.digest, ArchivePart.upload_id, ArchivePart.number],
            set_={"etag": statement.excluded.etag},
        )
    )


def parts(session: Session, archive: Archive) -> list[tuple[int, str]]:
    """(number, ETag) of what is there."""
    rows = session.execute(
        select(ArchivePart.number, ArchivePart.etag).where(
            ArchivePart.digest == archive.digest, ArchivePart.upload_id == archive.upload_id
        )
    )
    return [(number, etag) for number, etag in rows]


def has_part(session: Session, archive: Archive, number: int) -> bool:
    """Whether a part is there."""
    return session.get(ArchivePart, (archive.digest, archive.upload_id, number)) is not None


def part_count(session: Session, archive: Archive) -> int:
    """How many parts are there."""
    counted = select(func.count()).where(
        ArchivePart.digest == archive.digest, ArchivePart.upload_id == archive.upload_id
    )
    return session.scalar(counted) or 0


def stale(session: Session, unused_for: dt.timedelta, limit: int) -> list[Archive]:
    """Archives nobody asked for lately, those of deleted galleries, and those no younger than the deletion of a photo.

    Not those that somebody is completing at this moment.
    """
    outdated = select(Photo.id).where(Photo.gallery_id == Archive.gallery_id, Photo.deleted_at >= Archive.created_at)
    return list(
        session.scalars(
            select(Archive)
            .join(Gallery, Gallery.id == Archive.gallery_id)
            .where((Archive.used_at < func.now() - unused_for) | Gallery.deleted_at.is_not(None) | outdated.exists())
            .limit(limit)
            .with_for_update(of=Archive, skip_locked=True)
        )
    )


def of_galleries(session: Session, gallery_ids: set[uuid.UUID]) -> list[tuple[str, uuid.UUID, dt.datetime]]:
    """(digest, gallery, when it was begun) of all archives of these galleries."""
    rows = session.execute(
        select(Archive.digest, Archive.gallery_id, Archive.created_at).where(Archive.gallery_id.in_(gallery_ids))
    )
    return [(digest, gallery_id, created_at) for digest, gallery_id, created_at in rows]


def outdate(session: Session, digest: str, deleted_at: dt.datetime) -> None:
    """Note that an archive was planned before a photo was deleted, and so is stale; unless it is being completed."""
    free = select(Archive.digest).where(Archive.digest == digest).with_for_update(skip_locked=True).scalar_subquery()
    statement = update(Archive).where(Archive.digest == free).values(created_at=deleted_at)
    session.execute(statement.execution_options(synchronize_session=False))


def erase(session: Session, archive: Archive) -> None:
    """Forget an archive and its parts."""
    session.execute(delete(Archive).where(Archive.digest == archive.digest))


def building(session: Session) -> set[str]:
    """The uploads that are still wanted."""
    return set(session.scalars(select(Archive.upload_id).where(Archive.status == "building")))
