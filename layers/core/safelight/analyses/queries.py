"""SQL over analyses; every read for a person begins with the owner."""

import datetime as dt
import json
import uuid
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from safelight.models import Analysis, Gallery, Photo, Rendition
from safelight.pictures.measures import VERSION

# An analysis goes with its photo, at once.
_SHOWN: ColumnElement[bool] = or_(
    Analysis.photo_id.is_(None),
    select(Photo.id)
    .join(Gallery, Gallery.id == Photo.gallery_id)
    .where(Photo.id == Analysis.photo_id, Photo.deleted_at.is_(None), Gallery.deleted_at.is_(None))
    .exists(),
)


def owned(session: Session, owner_id: uuid.UUID, analysis_id: uuid.UUID, *, lock: bool = False) -> Analysis | None:
    """One analysis of this owner."""
    statement = select(Analysis).where(Analysis.id == analysis_id, Analysis.owner_id == owner_id, _SHOWN)
    return session.scalars(statement.with_for_update() if lock else statement).one_or_none()


def page(
    session: Session, owner_id: uuid.UUID, limit: int, after: tuple[dt.datetime, uuid.UUID] | None, status: str | None
) -> list[Analysis]:
    """The owner's analyses, newest first."""
    statement = select(Analysis).where(Analysis.owner_id == owner_id, _SHOWN)
    if after is not None:
        statement = statement.where(tuple_(Analysis.created_at, Analysis.id) < after)
    if status is not None:
        statement = statement.where(Analysis.status == status)
    return list(session.scalars(statement.order_by(Analysis.created_at.desc(), Analysis.id.desc()).limit(limit)))


def of_photo(session: Session, owner_id: uuid.UUID, photo_id: uuid.UUID) -> Analysis:
    """The photo's analysis, locked; a new, pending one when it has none. The caller holds the photo."""
    session.execute(
        insert(Analysis)
        .values(id=uuid.uuid4(), owner_id=owner_id, photo_id=photo_id)
        .on_conflict_do_nothing(index_elements=[Analysis.photo_id])
    )
    return session.scalars(select(Analysis).where(Analysis.photo_id == photo_id).with_for_update()).one()


def searched(session: Session, photo_id: uuid.UUID) -> Analysis | None:
    """The photo's analysis if faces were asked for, locked."""
    return session.scalars(
        select(Analysis).where(Analysis.photo_id == photo_id, Analysis.faces).with_for_update()
    ).one_or_none()


def lock(session: Session, analysis_id: uuid.UUID) -> Analysis | None:
    """An analysis that somebody still wants, locked."""
    return session.scalars(select(Analysis).where(Analysis.id == analysis_id, _SHOWN).with_for_update()).one_or_none()


def waiting_uploads(session: Session, owner_id: uuid.UUID) -> int:
    """How many files that the owner sends for analysis have not been analysed yet."""
    waiting = Analysis.photo_id.is_(None) & Analysis.status.in_(("pending", "processing"))
    return session.scalar(select(func.count()).where(Analysis.owner_id == owner_id, waiting)) or 0


def photo(session: Session, photo_id: uuid.UUID) -> Photo | None:
    """A photo to look at."""
    return session.scalars(
        select(Photo).where(Photo.id == photo_id, Photo.status == "ready", Photo.deleted_at.is_(None))
    ).one_or_none()


def preview(session: Session, photo_id: uuid.UUID) -> Rendition | None:
    """The rendition in which faces are looked for."""
    return session.get(Rendition, (photo_id, "preview"))


def unfinished(session: Session, status: str, older_than: dt.timedelta, limit: int) -> list[Analysis]:
    """Analyses that have stood in `status` for too long."""
    return list(
        session.scalars(
            select(Analysis)
            .where(Analysis.status == status, Analysis.updated_at < func.now() - older_than)
            .order_by(Analysis.created_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )


def touch(session: Session, analysis_id: uuid.UUID) -> None:
    """Restart the clock that the sweep looks at."""
    session.execute(update(Analysis).where(Analysis.id == analysis_id).values(updated_at=func.now()))


def waiting(session: Session, analysis_ids: list[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the analyses whose upload is still needed."""
    return set(
        session.scalars(
            select(Analysis.id).where(Analysis.id.in_(analysis_ids), Analysis.status.in_(("pending", "processing")))
        )
    )


def forget(session: Session, analysis_id: uuid.UUID) -> None:
    """Delete the row."""
    session.execute(delete(Analysis).where(Analysis.id == analysis_id))


# Postgres builds the JSON: the driver takes ten times as long to decode as many rows.
_SHOTS = """
    SELECT coalesce(json_agg(json_build_array(
        p.id, p.filename, p.position, extract(epoch FROM p.taken_at)::float8,
        coalesce(p.width::float8 / nullif(p.height, 0), 0),
        CASE WHEN a.result->'version' = to_jsonb(cast(:version AS int)) THEN
            CASE WHEN jsonb_array_length(coalesce(a.result->'faces', '[]')) > 0 THEN a.result
                 ELSE a.result - 'tiles' END
        END) ORDER BY p.position, p.id), '[]')::text
    FROM photos p LEFT JOIN analyses a ON a.photo_id = p.id
    WHERE p.gallery_id = :gallery AND p.status = 'ready' AND p.deleted_at IS NULL
"""
_VERSION = """
    SELECT count(*), sum(extract(epoch FROM p.updated_at)), count(a.id), sum(extract(epoch FROM a.updated_at))
    FROM photos p LEFT JOIN analyses a ON a.photo_id = p.id
    WHERE p.gallery_id = :gallery AND p.status = 'ready' AND p.deleted_at IS NULL
"""


def shots(session: Session, gallery_id: uuid.UUID) -> list[list[Any]]:
    """[id, filename, position, seconds since 1970 or null, width by height, figures or null] of every ready photo, in
    their order; figures by older formulas are none."""
    given = {"gallery": gallery_id, "version": VERSION}
    listed: list[list[Any]] = json.loads(session.execute(text(_SHOTS), given).scalar_one())
    return listed


def shots_version(session: Session, gallery_id: uuid.UUID) -> str:
    """Changes whenever `shots` does. Sums and not the latest: a transaction may end after one that began later."""
    return repr(tuple(session.execute(text(_VERSION), {"gallery": gallery_id}).one()))
