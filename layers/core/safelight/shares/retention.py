"""How long views and downloads are kept one by one: 90 days. After that a link keeps the totals of each day.

A day's totals are written once, from all of its events, in the transaction that deletes the first of them. From then on
`queries.days` reads the totals and no longer the events, so the rest can go in later transactions, in any number, and a
sweep that is killed in between changes no figure. The link's counters do not change either: only events that are rolled
up into them are deleted.
"""

from sqlalchemy import text
from sqlalchemy.orm import Session

from safelight.shares.queries import DAY_TOTALS

KEPT_DAYS = 90

# Events and links are locked at once and nothing is waited for: a link that is deleted now takes its events along. The
# lock on a link is the one that referring to it takes, so visitors do not wait for it. Days are written in one order,
# so that two sweeps do not wait for each other in a circle.
_PRUNE = text(f"""
    WITH oldest AS (
        SELECT e.id, e.share_id, (e.at AT TIME ZONE 'UTC')::date AS day
        FROM share_events e JOIN share_links l ON l.id = e.share_id
        WHERE e.rolled_up AND e.at < date_trunc('day', now(), 'UTC') - make_interval(days => :kept)
        ORDER BY e.at LIMIT :limit
        FOR UPDATE OF e SKIP LOCKED FOR KEY SHARE OF l SKIP LOCKED
    ), closing AS (
        SELECT DISTINCT share_id, day FROM oldest
        WHERE NOT EXISTS (SELECT FROM share_days d WHERE d.share_id = oldest.share_id AND d.day = oldest.day)
    ), events AS (
        SELECT e.share_id, closing.day, e.kind, e.visitor, e.formerly, e.formerly_downloads, e.bytes_sent
        FROM closing JOIN share_events e ON e.share_id = closing.share_id
            AND e.at >= closing.day::timestamp AT TIME ZONE 'UTC'
            AND e.at < (closing.day + 1)::timestamp AT TIME ZONE 'UTC'
    ), closed AS (
        INSERT INTO share_days
            (share_id, day, unique_visitors, views, single_downloads, zip_downloads, bytes_downloaded)
        {DAY_TOTALS} ORDER BY share_id, day
        ON CONFLICT DO NOTHING
    ), gone AS (
        DELETE FROM share_events USING oldest WHERE share_events.id = oldest.id RETURNING 1
    )
    SELECT count(*) FROM gone
""")  # noqa: S608 - the text of a constant


def prune(session: Session, limit: int) -> int:
    """Delete up to `limit` of the oldest events that are no longer kept, after their days' totals; how many."""
    return int(session.execute(_PRUNE, {"kept": KEPT_DAYS, "limit": limit}).scalar_one())
