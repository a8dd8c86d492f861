"""Views and downloads after 90 days: their days' totals stay, and no figure changes on the way."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
from sqlalchemy import text

from safelight import sweep as sweeping
from safelight.db import driver
from safelight.db.engine import transaction
from safelight.errors import Unavailable
from safelight.queue import Queue
from safelight.shares import queries, retention, visits
from safelight.storage import storage
from safelight.sweep import sweep
from tests import product
from tests.api import Photographer, client, run_jobs
from tests.functions.support import in_parallel, problem, somebody_waits, sql

pytestmark = pytest.mark.usefixtures("api")


@pytest.fixture(autouse=True)
def _many_connections(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert api
    monkeypatch.setenv("DATABASE_POOL", "12")
    product.forget()


# Days of 2026 with views by some visitors, one of whom got the cookie on the day (`formerly`), and downloads.
_OLD = """
    INSERT INTO share_events (share_id, kind, at, visitor, formerly, formerly_downloads, bytes_sent, rolled_up)
    SELECT cast(:share AS uuid), kind, day + place * interval '1 minute', cast(visitor AS bytea), cast(was AS bytea),
           was IS NOT NULL, bytes, :rolled_up
    FROM (VALUES ('2026-03-01T00:00:00Z'::timestamptz), ('2026-03-02T00:00:00Z'), ('2026-03-31T00:00:00Z'))
             AS days (day),
         (VALUES ('view', 0, 'a', NULL, NULL), ('view', 700, 'b', NULL, NULL), ('single_download', 800, 'b', NULL, 100),
                 ('view', 900, 'c', 'b', NULL), ('zip_download', 1439, 'c', 'b', 3000000000))
             AS events (kind, place, visitor, was, bytes)
"""
A_DAY = {
    "unique_visitors": 2, "views": 3, "single_downloads": 1, "zip_downloads": 1, "bytes_downloaded": 3_000_000_100,
}  # fmt: skip
OLD_DAYS = [{"date": day, **A_DAY} for day in ("2026-03-01", "2026-03-02", "2026-03-31")]


class Link:
    """A photographer's link on which something happened long ago, which the link's counters have."""

    def __init__(self, *, rolled_up: bool = True, **policy: Any) -> None:
        self.anna = Photographer.registered()
        self.gallery = self.anna.gallery()["id"]
        self.photo = self.anna.upload(self.gallery)
        run_jobs()
        self.share = self.anna.share(self.gallery, **policy)["share_id"]
        sql(_OLD, share=self.share, rolled_up=rolled_up)
        if rolled_up:
            sql(
                "UPDATE share_links SET views = 9, single_downloads = 3, zip_downloads = 3 WHERE id = :share",
                share=self.share,
            )

    def figures(self) -> tuple[Any, Any]:
        """The statistics, and the counters."""
        link = self.anna.call("GET", f"/share-links/{self.share}").json()
        counters = {name: link[name] for name in ("views", "single_downloads", "zip_downloads")}
        return self.anna.call("GET", f"/share-links/{self.share}/stats").json(), counters

    def events(self) -> int:
        [(left,)] = sql("SELECT count(*) FROM share_events WHERE share_id = :share", share=self.share)
        return int(left)


def pruned(limit: int) -> int:
    with transaction() as session:
        return retention.prune(session, limit)


class Undone(Exception):
    """What fails after a batch, before its commit."""


def undone(limit: int) -> None:
    with transaction() as session:
        assert retention.prune(session, limit) == limit
        raise Undone


def killed(limit: int) -> None:
    """The database's process ends before the commit, as when its machine does."""
    with transaction() as session:
        assert retention.prune(session, limit) == limit
        own = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
        sql("SELECT pg_terminate_backend(:own)", own=own)


def test_events_go_after_90_days_and_every_figure_stays() -> None:
    link = Link()
    for age in (89, 90, 91, 92):
        sql(
            "INSERT INTO share_events (share_id, kind, at, visitor, rolled_up) VALUES (cast(:share AS uuid), 'view',"
            " date_trunc('day', now(), 'UTC') - make_interval(days => :age), 'x', true)",
            share=link.share,
            age=age,
        )
    sql("UPDATE share_links SET views = views + 4 WHERE id = :share", share=link.share)
    assert client().get(f"/s/{link.share}").status_code == 200
    before = link.figures()
    assert before[0]["days"][:3] == OLD_DAYS
    assert sweep(storage(), Queue()).pruned == 17
    assert link.events() == 3  # today's, and those of 89 and of exactly 90 days ago
    assert link.figures() == before
    assert before[1] == {name: before[0][name] for name in before[1]}
    assert sweep(storage(), Queue()).pruned == 0
    assert link.figures() == before
    assert link.anna.call("DELETE", f"/share-links/{link.share}").status_code == 204
    assert sql("SELECT 1 FROM share_days") == []


@pytest.mark.parametrize("rolled_up", [True, False])
def test_figures_are_exact_after_every_batch(*, rolled_up: bool) -> None:
    """Also when what is old is not yet in the link's counters: that is not deleted before it is."""
    link = Link(rolled_up=rolled_up)
    before = link.figures()
    if not rolled_up:
        assert pruned(100) == 0
        with transaction() as session:
            assert queries.roll_up(session, 7) == 7
    left = link.events()
    while (gone := pruned(2)) > 0:
        left -= gone
        assert link.events() == left
        assert link.figures() == before
    assert left == (0 if rolled_up else 8)
    assert sweep(storage(), Queue()).rolled_up == left
    assert (link.events(), link.figures()) == (0, before)


def test_a_batch_that_is_undone_changes_nothing_and_is_done_again() -> None:
    link = Link()
    before = link.figures()
    with pytest.raises(Undone):
        undone(3)
    assert (link.events(), sql("SELECT 1 FROM share_days"), link.figures()) == (15, [], before)
    assert pruned(3) == 3
    # Killed between two batches: a day is read from its totals although some of its events are left.
    assert (link.events(), link.figures()) == (12, before)
    with pytest.raises(Undone):
        undone(4)
    assert (link.events(), link.figures()) == (12, before)
    sweep(storage(), Queue())
    assert (link.events(), link.figures()) == (0, before)


def test_a_backend_that_is_killed_in_a_batch_loses_nothing() -> None:
    link = Link()
    before = link.figures()
    with pytest.raises(Unavailable):
        killed(4)
    assert (link.events(), sql("SELECT 1 FROM share_days"), link.figures()) == (15, [], before)
    sweep(storage(), Queue())
    assert (link.events(), link.figures()) == (0, before)


def test_a_sweep_deletes_only_so_much_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link()
    before = link.figures()
    monkeypatch.setattr(sweeping, "PRUNED_AT_ONCE", 2)
    monkeypatch.setattr(sweeping, "PRUNED_AT_MOST", 6)
    assert [sweep(storage(), Queue()).pruned for _ in range(4)] == [6, 6, 3, 0]
    assert link.figures() == before


def test_two_sweeps_at_once_and_a_link_that_is_deleted_are_not_waited_for() -> None:
    link, other = Link(), Link()
    before = link.figures()
    with transaction() as one:
        one.execute(text("SELECT 1 FROM share_links WHERE id = :id FOR UPDATE"), {"id": other.share})
        assert pruned(100) == 15  # those of the link that nobody deletes
    assert link.figures() == before
    assert other.events() == 15
    with transaction() as one, transaction() as two:
        assert retention.prune(one, 5) == 5
        counted: list[int] = []
        second = threading.Thread(target=lambda: counted.append(retention.prune(two, 100)))
        second.start()
        # The second waits for the first one's totals at most, and finds them or writes them itself.
        while second.is_alive() and not somebody_waits():
            second.join(0.05)
        one.commit()
        second.join(30)
        assert counted == [10]
    assert other.figures()[0]["days"] == OLD_DAYS


def test_limits_and_figures_are_exact_while_200_visitors_come_and_old_events_go() -> None:
    link = Link(max_downloads=6 + 17)
    over = threading.Event()
    seen: list[tuple[Any, Any]] = []

    def tidy() -> None:
        while not over.is_set():
            pruned(1)
            with transaction() as session:
                queries.roll_up(session, 3)
            seen.append(link.figures())

    tidying = threading.Thread(target=tidy)
    tidying.start()
    browser = client(keeps_cookies=False)
    path = f"/s/{link.share}/download/{link.photo}"
    answers = in_parallel(200, lambda n: browser.get(path, headers={"User-Agent": f"visitor {n}"}), threads=200)
    over.set()
    tidying.join()
    while pruned(5):
        pass
    given = [answer for answer in answers if answer.status_code == 307]
    assert len(given) == 17
    for answer in answers:
        if answer not in given:
            problem(answer, 403, "download_limit_reached")
    for stats, _ in [*seen, link.figures()]:
        assert stats["days"][:3] == OLD_DAYS
    stats, counters = link.figures()
    assert counters == {"views": 9, "single_downloads": 3 + 17, "zip_downloads": 3}
    assert (stats["single_downloads"], stats["days"][3]["unique_visitors"]) == (20, 17)
    assert [one["single_downloads"] for one, _ in seen] == sorted(one["single_downloads"] for one, _ in seen)
    with driver.connection() as connection:
        assert visits.used(connection, visits.find(connection, str(uuid.UUID(link.share)))) == 23
    problem(browser.get(path, headers={"User-Agent": "one more"}), 403, "download_limit_reached")


def test_a_batch_reads_what_it_deletes_by_an_index() -> None:
    """However many events there are besides."""
    link = Link()
    sql(
        "INSERT INTO share_events (share_id, kind, visitor, rolled_up)"
        " SELECT cast(:share AS uuid), 'view', 'x', mod(n, 2) = 0 FROM generate_series(1, 20000) n",
        share=link.share,
    )
    sql("ANALYZE share_events")
    planned = sql(
        "EXPLAIN SELECT id FROM share_events WHERE rolled_up"
        " AND at < date_trunc('day', now(), 'UTC') - make_interval(days => 90) ORDER BY at LIMIT 5000"
    )
    assert "ix_share_events_rolled_up" in "\n".join(line for (line,) in planned)
