"""SQL over share links for their owner."""

import datetime as dt
import uuid
from collections.abc import Iterable

from sqlalchemy import Date as SqlDate
from sqlalchemy import Row, Select, cast, delete, func, literal_column, select, text, tuple_
from sqlalchemy.orm import Session

from safelight.models import ArchiveDownload, Gallery, ShareEvent, ShareLink

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


def days(session: Session, share_id: uuid.UUID) -> list[tuple[dt.date, int, int, int]]:
    """(day, views, single downloads, ZIP downloads), oldest first."""
    # Written out, not bound: pg8000 would send it twice, and Postgres would take the two for different expressions.
    day = cast(func.timezone(literal_column("'UTC'"), ShareEvent.at), SqlDate).label("day")
    rows = session.execute(
        select(
            day,
            func.count().filter(ShareEvent.kind == "view"),
            func.count().filter(ShareEvent.kind == "single_download"),
            func.count().filter(ShareEvent.kind == "zip_download"),
        )
        .where(ShareEvent.share_id == share_id)
        .group_by(day)
        .order_by(day)
    )
    return [(date, views, singles, zips) for date, views, singles, zips in rows]


def forget_downloads(session: Session, older_than: dt.timedelta) -> None:
    """Drop what no download will be carried on from."""
    session.execute(delete(ArchiveDownload).where(ArchiveDownload.at < func.now() - older_than))


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
