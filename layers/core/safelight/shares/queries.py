"""SQL over share links for their owner."""

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, Select, delete, func, select, text, tuple_
from sqlalchemy.orm import Session

from safelight.models import (
    ArchiveDownload,
    Gallery,
    Photo,
    Selection,
    SelectionPhoto,
    ShareEvent,
    ShareLink,
    VisitorSalt,
)

type Counted = Row[ShareLink, int, int, int]


def _counted() -> Select[ShareLink, int, int, int]:
    """Links with their exact counters: what is rolled up plus what is not yet, in one snapshot."""
    fresh = (
        select(
            func.count().filter(ShareEvent.kind == "view").label("views"),
            func.count().filter(ShareEvent.kind == "single_download").label("singles"),
            func.count().filter(ShareEvent.kind == "zip_download").label("zips"),
        )
        .where(ShareEvent.share_id == ShareLink.id, ~ShareEvent.rolled_up)
        .lateral("fresh")
    )
    return select(
        ShareLink,
        (ShareLink.views + fresh.c.views).label("views"),
        (ShareLink.single_downloads + fresh.c.singles).label("single_downloads"),
        (ShareLink.zip_downloads + fresh.c.zips).label("zip_downloads"),
    ).join(fresh, text("true"))


def owned(session: Session, owner_id: uuid.UUID, share_id: uuid.UUID) -> Counted | None:
    """One link of this owner."""
    return session.execute(
        _counted()
        .join(Gallery, Gallery.id == ShareLink.gallery_id)
        .where(ShareLink.id == share_id, Gallery.owner_id == owner_id, Gallery.deleted_at.is_(None))
    ).one_or_none()


def page(
    session: Session, gallery_id: uuid.UUID, limit: int, after: tuple[dt.datetime, uuid.UUID] | None
) -> Iterable[Counted]:
    """The gallery's links, newest first."""
    statement = _counted().where(ShareLink.gallery_id == gallery_id)
    if after is not None:
        statement = statement.where(tuple_(ShareLink.created_at, ShareLink.id) < after)
    return session.execute(statement.order_by(ShareLink.created_at.desc(), ShareLink.id.desc()).limit(limit)).all()


# Over `events`, with a `day` each. A visitor who got the cookie on this day had another hash before. That hash is no
# visitor of its own, unless it has downloads that are not this visitor's: then a visitor without a cookie has it, too.
DAY_TOTALS = """
    SELECT events.share_id, events.day,
           count(DISTINCT visitor) FILTER (
               WHERE known.share_id IS NULL OR kind <> 'view' AND NOT known.downloads) AS unique_visitors,
           count(*) FILTER (WHERE kind = 'view') AS views,
           count(*) FILTER (WHERE kind = 'single_download') AS single_downloads,
           count(*) FILTER (WHERE kind = 'zip_download') AS zip_downloads,
           coalesce(sum(bytes_sent), 0)::bigint AS bytes_downloaded
    FROM events LEFT JOIN (
        SELECT share_id, day, formerly, bool_or(formerly_downloads) AS downloads FROM events
        WHERE formerly IS NOT NULL GROUP BY share_id, day, formerly
    ) AS known ON known.share_id = events.share_id AND known.day = events.day AND known.formerly = events.visitor
    GROUP BY events.share_id, events.day
"""

# One statement, so that a day whose events are being deleted is read either from its totals or from all its events.
_DAYS = text(f"""
    WITH events AS (
        SELECT share_id, (at AT TIME ZONE 'UTC')::date AS day, kind, visitor, formerly, formerly_downloads, bytes_sent
        FROM share_events e WHERE share_id = :share AND NOT EXISTS (
            SELECT FROM share_days d WHERE d.share_id = e.share_id AND d.day = (e.at AT TIME ZONE 'UTC')::date)
    )
    SELECT day, unique_visitors, views, single_downloads, zip_downloads, bytes_downloaded
    FROM ({DAY_TOTALS} UNION ALL SELECT share_id, day, unique_visitors, views, single_downloads, zip_downloads,
          bytes_downloaded FROM share_days WHERE share_id = :share) AS days ORDER BY day
""")  # noqa: S608 - the text of a constant


def days(session: Session, share_id: uuid.UUID) -> Sequence[Row[Any]]:
    """Each day (UTC) on which something happened, oldest first: `day`, `unique_visitors`, `views`, `single_downloads`,
    `zip_downloads`, `bytes_downloaded`."""
    return session.execute(_DAYS, {"share": share_id}).all()


def most_liked(session: Session, share_id: uuid.UUID, limit: int) -> list[tuple[uuid.UUID, str, int]]:
    """(photo, its name, how many visitors picked it) of photos that are still shown, most picked first."""
    likes = func.count().label("likes")
    rows = session.execute(
        select(Photo.id, Photo.filename, likes)
        .join(SelectionPhoto, SelectionPhoto.photo_id == Photo.id)
        .join(Selection, Selection.id == SelectionPhoto.selection_id)
        .where(Selection.share_id == share_id, Photo.status == "ready", Photo.deleted_at.is_(None))
        .group_by(Photo.id)
        .order_by(likes.desc(), Photo.position, Photo.id)
        .limit(limit)
    )
    return [(photo_id, filename, count) for photo_id, filename, count in rows]


def submitted(session: Session, share_id: uuid.UUID) -> int:
    """How many visitors have submitted their favourites."""
    counted = select(func.count()).where(Selection.share_id == share_id, Selection.submitted_at.is_not(None))
    return session.scalar(counted) or 0


def has_selection(session: Session, share_id: uuid.UUID, selection_id: uuid.UUID) -> bool:
    """Whether this selection was made on this link."""
    found = select(Selection.id).where(Selection.id == selection_id, Selection.share_id == share_id)
    return session.scalar(found) is not None


_SELECTIONS = text("""
    SELECT s.id AS selection_id, s.name, s.email, s.note, s.submitted_at, s.created_at, s.updated_at,
           picked.count, picked.photos
    FROM selections s CROSS JOIN LATERAL (
        SELECT count(*) AS count, coalesce(json_agg(json_build_object('photo_id', id, 'filename', filename)
               ORDER BY position, id) FILTER (WHERE number <= :photos), '[]'::json) AS photos
        FROM (SELECT p.id, p.filename, p.position, row_number() OVER (ORDER BY p.position, p.id) AS number
              FROM selection_photos f JOIN photos p ON p.id = f.photo_id
              WHERE f.selection_id = s.id AND p.status = 'ready' AND p.deleted_at IS NULL) AS shown
    ) AS picked
    WHERE s.share_id = :share AND (s.submitted_at IS NOT NULL OR picked.count > 0)
      AND (cast(:only AS uuid) IS NULL OR s.id = cast(:only AS uuid))
      AND (cast(:at AS timestamptz) IS NULL
           OR (s.created_at, s.id) < (cast(:at AS timestamptz), cast(:id AS uuid)))
    ORDER BY s.created_at DESC, s.id DESC LIMIT :limit
""")


def selections(
    session: Session, share_id: uuid.UUID, only: uuid.UUID | None, photos: int, limit: int, after: list[Any] | None
) -> Sequence[Row[Any]]:
    """A link's selections, newest first, each with its number of photos and the first of them."""
    at, last = after or (None, None)
    given = {"share": share_id, "only": only, "photos": photos, "at": at, "id": last, "limit": limit}
    return session.execute(_SELECTIONS, given).all()


_PICKS = text("""
    SELECT s.id AS selection_id, s.name, s.email,
           CASE WHEN row_number() OVER (PARTITION BY s.id ORDER BY p.position, p.id) = 1 THEN s.note END AS note,
           s.submitted_at, p.id AS photo_id, p.filename, f.created_at AS picked_at, p.position
    FROM selections s JOIN selection_photos f ON f.selection_id = s.id JOIN photos p ON p.id = f.photo_id
    WHERE s.share_id = :share AND p.status = 'ready' AND p.deleted_at IS NULL
      AND (cast(:only AS uuid) IS NULL OR s.id = cast(:only AS uuid))
      AND (s.submitted_at IS NOT NULL OR NOT cast(:submitted AS boolean))
    ORDER BY s.created_at, s.id, p.position, p.id LIMIT :limit
""")


def picks(
    session: Session, share_id: uuid.UUID, only: uuid.UUID | None, limit: int, *, submitted: bool
) -> Sequence[Row[Any]]:
    """Every favourite on a link, selection by selection; of submitted ones alone when `submitted`.

    A selection's note is in its first row alone: it may be longer than all the rest, which is many rows.
    """
    given = {"share": share_id, "only": only, "limit": limit, "submitted": submitted}
    return session.execute(_PICKS, given).all()


def forget_selections(session: Session, older_than: dt.timedelta) -> int:
    """Drop those that hold nothing, were never submitted and have not changed lately; how many."""
    gone = session.execute(
        delete(Selection)
        .where(
            Selection.submitted_at.is_(None),
            Selection.updated_at < func.now() - older_than,
            ~select(SelectionPhoto).where(SelectionPhoto.selection_id == Selection.id).exists(),
        )
        .returning(Selection.id)
    )
    return len(gone.all())


def forget_downloads(session: Session, older_than: dt.timedelta) -> None:
    """Drop what no download will be carried on from."""
    session.execute(delete(ArchiveDownload).where(ArchiveDownload.at < func.now() - older_than))


def forget_salts(session: Session) -> None:
    """Drop the salts of the days before yesterday (UTC): their visitors cannot be told from one another any more."""
    yesterday = func.date(func.timezone("UTC", func.now())) - 1
    session.execute(delete(VisitorSalt).where(VisitorSalt.day < yesterday))


# Both rows are locked at once and nothing is waited for: a link that is deleted now takes its events along. The lock is
# one that visitors, who only refer to the link, do not wait for.
ROLL_UP = text("""
    WITH fresh AS (
        SELECT share_events.id FROM share_events JOIN share_links ON share_links.id = share_events.share_id
        WHERE NOT rolled_up ORDER BY share_events.id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    ), marked AS (
        UPDATE share_events SET rolled_up = true FROM fresh WHERE share_events.id = fresh.id
        RETURNING share_events.share_id, share_events.kind
    ), totals AS (
        SELECT share_id,
               count(*) FILTER (WHERE kind = 'view') AS views,
               count(*) FILTER (WHERE kind = 'single_download') AS singles,
               count(*) FILTER (WHERE kind = 'zip_download') AS zips,
               count(*) AS events
        FROM marked GROUP BY share_id
    ), added AS (
        UPDATE share_links SET views = share_links.views + totals.views,
                               single_downloads = share_links.single_downloads + totals.singles,
                               zip_downloads = share_links.zip_downloads + totals.zips
        FROM totals WHERE share_links.id = totals.share_id
        RETURNING totals.events
    )
    SELECT coalesce(sum(events), 0)::bigint FROM added
""")


def roll_up(session: Session, limit: int) -> int:
    """Move up to `limit` fresh events into their links' counters, in one statement; how many were moved."""
    return int(session.execute(ROLL_UP, {"limit": limit}).scalar_one())
