"""SQL over reprocessings."""

import uuid

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from safelight.models import Gallery, Job, Photo, Rendition, Reprocessing

LIVE = Reprocessing.status.in_(("queued", "running"))


def owner(session: Session, gallery_id: uuid.UUID) -> uuid.UUID | None:
    """Whose gallery this is; None when there is no such gallery."""
    return session.scalar(select(Gallery.owner_id).where(Gallery.id == gallery_id, Gallery.deleted_at.is_(None)))


def begin(session: Session, gallery_id: uuid.UUID, what: str) -> uuid.UUID | None:
    """A new walk through the gallery; None when one of this kind is under way."""
    total = select(func.count()).where(_ready(gallery_id)).scalar_subquery()
    return session.scalars(
        insert(Reprocessing)
        .values(id=uuid.uuid4(), gallery_id=gallery_id, what=what, total=total)
        .on_conflict_do_nothing(index_elements=[Reprocessing.gallery_id, Reprocessing.what], index_where=LIVE)
        .returning(Reprocessing.id)
    ).one_or_none()


def live(session: Session, gallery_id: uuid.UUID, what: str) -> uuid.UUID | None:
    """The walk that is under way."""
    return session.scalars(
        select(Reprocessing.id).where(Reprocessing.gallery_id == gallery_id, Reprocessing.what == what, LIVE)
    ).one_or_none()


def get(session: Session, reprocessing_id: uuid.UUID, *, lock: bool = False) -> Reprocessing | None:
    """One walk."""
    return session.get(Reprocessing, reprocessing_id, with_for_update=lock or None, populate_existing=True)


def after(session: Session, walk: Reprocessing) -> Photo | None:
    """The next photo of the walk; none when it is through."""
    return session.scalars(select(Photo).where(_before(walk)).order_by(Photo.id).limit(1)).one_or_none()


def left(session: Session, walk: Reprocessing) -> int:
    """How many photos are still before the walk."""
    return session.scalar(select(func.count()).where(_before(walk))) or 0


def renditions(session: Session, photo_id: uuid.UUID) -> list[Rendition]:
    """What the photo has."""
    return list(session.scalars(select(Rendition).where(Rendition.photo_id == photo_id)))


def somebody_waits(session: Session, kinds: tuple[str, ...]) -> bool:
    """Whether a job of these kinds could start now and has not."""
    waiting = exists().where(Job.kind.in_(kinds), Job.status == "queued", Job.run_after <= func.now())
    return bool(session.scalar(select(waiting)))


def galleries(session: Session) -> set[uuid.UUID]:
    """Galleries that are being walked through: their photos' files may be written at this moment."""
    return set(session.scalars(select(Reprocessing.gallery_id).where(LIVE)))


def _ready(gallery_id: uuid.UUID) -> ColumnElement[bool]:
    return (Photo.gallery_id == gallery_id) & (Photo.status == "ready") & Photo.deleted_at.is_(None)


def _before(walk: Reprocessing) -> ColumnElement[bool]:
    ready = _ready(walk.gallery_id)
    return ready if walk.at_id is None else ready & (Photo.id > walk.at_id)
