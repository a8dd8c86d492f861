"""The sweep: whatever stopped half-way is found, finished, expired or erased; and counted exactly meanwhile."""

from __future__ import annotations

import threading
import uuid

import pytest

from functions.sweep.app import handler
from safelight.db import driver
from safelight.db.engine import transaction
from safelight.queue import Queue
from safelight.shares import queries, visits
from safelight.storage import storage
from safelight.sweep import NEVER_ARRIVED, Swept, sweep
from tests.api import Photographer, client, jpeg, post_form, run_jobs
from tests.functions.support import in_parallel, sql

pytestmark = pytest.mark.usefixtures("api")


class Wakes(Queue):
    """Remembers whom it woke."""

    def __init__(self) -> None:
        super().__init__()
        self.woken: list[uuid.UUID] = []

    def wake(self, kind: str, job_id: uuid.UUID) -> None:
        assert kind == "process_photo"
        self.woken.append(job_id)


def swept(wakes: Wakes | None = None) -> Swept:
    return sweep(storage(), wakes or Wakes())


def age(photo_id: str, minutes: int) -> None:
    sql(
        "UPDATE photos SET created_at = created_at - make_interval(mins => :minutes),"
        " updated_at = updated_at - make_interval(mins => :minutes) WHERE id = :id",
        id=photo_id, minutes=minutes,
    )  # fmt: skip


def test_an_upload_of_which_nobody_told_is_found_and_one_that_never_came_expires() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    lost, never, waiting, fresh = (anna.announce(gallery, jpeg()) for _ in range(4))
    for made in (lost, fresh):
        assert post_form(made["upload"], jpeg()).status_code == 204
    for made, minutes in ((lost, 3), (never, 61), (waiting, 59)):
        age(made["photo"]["id"], minutes)
    found = swept()
    assert (found.arrived, found.expired, found.leftovers) == (1, 1, 0)
    assert run_jobs() == 1
    states = [anna.photo(made["photo"]["id"])["status"] for made in (lost, never, waiting, fresh)]
    assert states == ["ready", "failed", "pending", "pending"]
    assert anna.photo(never["photo"]["id"])["failure_reason"] == NEVER_ARRIVED


def test_a_photo_stuck_without_a_job_gets_one_and_due_jobs_are_woken() -> None:
    anna = Photographer.registered()
    stuck, busy = (anna.upload(anna.gallery()["id"]) for _ in range(2))
    sql("DELETE FROM jobs WHERE subject_id = :id", id=stuck)
    for photo_id in (stuck, busy):
        age(photo_id, 16)
    wakes = Wakes()
    assert swept(wakes).requeued == 1
    assert set(wakes.woken) == {
        row[0] for row in sql("SELECT id FROM jobs WHERE subject_id IN (:a, :b)", a=stuck, b=busy)
    }
    assert run_jobs() == 2
    assert [anna.photo(photo_id)["status"] for photo_id in (stuck, busy)] == ["ready", "ready"]
    again = Wakes()
    assert swept(again).woken == 0


def test_what_is_left_in_the_inbox_is_removed_and_what_is_waited_for_stays() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    done = anna.upload(gallery)
    run_jobs()
    waiting = anna.announce(gallery, jpeg())
    post_form(waiting["upload"], jpeg())
    for name in (uuid.uuid4(), "not-an-id"):
        storage().write(f"incoming/{name}", b"stray", "image/jpeg")
    assert storage().head(f"incoming/{done}")
    assert handler({}, None)["leftovers"] == 3
    assert list(storage().keys("incoming/")) == [f"incoming/{waiting['photo']['id']}"]
    assert anna.photo(done)["status"] == "ready"


def test_what_waits_does_not_hide_what_is_left_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safelight.sweep.BATCH", 2)
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    for made in [anna.announce(gallery, jpeg()) for _ in range(5)]:
        post_form(made["upload"], jpeg())
    storage().write("incoming/zzz", b"stray", "image/jpeg")
    assert handler({}, None)["leftovers"] == 1
    assert len(list(storage().keys("incoming/"))) == 5


def test_what_was_added_while_its_owner_left_goes_too() -> None:
    """A gallery's or a photo's row can be written at the moment when its account or gallery is deleted."""
    anna, ben = Photographer.registered(), Photographer.registered()
    orphaned = anna.announce(anna.gallery()["id"], jpeg())["photo"]["id"]
    anna_id, _ = (someone.call("GET", "/auth/me").json()["id"] for someone in (anna, ben))
    kept = ben.announce(ben.gallery()["id"], jpeg())["photo"]["id"]
    sql("UPDATE users SET deleted_at = now(), is_active = false WHERE id = :id", id=anna_id)
    assert swept().erased == 1
    assert sql("SELECT id FROM photos") == [(uuid.UUID(kept),)]
    assert sql("SELECT count(*) FROM users") == [(1,)]
    assert orphaned != kept


def test_one_failing_step_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"])["share_id"]
    client().get(f"/s/{share}")
    monkeypatch.setattr("safelight.sweep.queries.unfinished", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        swept()
    assert sql("SELECT views FROM share_links") == [(1,)]


def test_totals_stay_exact_while_events_keep_arriving() -> None:
    anna = Photographer.registered()
    share_id = anna.share(anna.gallery()["id"])["share_id"]
    seen: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            with transaction() as session:
                queries.roll_up(session, 7)
            seen.append(anna.call("GET", f"/share-links/{share_id}").json()["views"])

    watching = threading.Thread(target=watch)
    watching.start()
    visitor = client()
    statuses = in_parallel(120, lambda _: visitor.get(f"/s/{share_id}").status_code, threads=12)
    over.set()
    watching.join()
    assert statuses == [200] * 120
    assert seen == sorted(seen)
    assert anna.call("GET", f"/share-links/{share_id}").json()["views"] == 120
    swept()
    assert sql("SELECT views FROM share_links") == [(120,)]
    stats = anna.call("GET", f"/share-links/{share_id}/stats").json()
    assert (stats["views"], [day["views"] for day in stats["days"]]) == (120, [120])
    assert swept().rolled_up == 0


def test_rolling_up_waits_for_nobody() -> None:
    """Not for a download that holds its link, nor for a link that is being deleted with its events."""
    anna = Photographer.registered()
    held, other = (anna.share(anna.gallery()["id"], max_downloads=5)["share_id"] for _ in range(2))
    for share_id in (held, other):
        client().get(f"/s/{share_id}")
    with driver.connection() as connection:
        visits.record(connection, visits.find(connection, held), "single_download", b"visitor")
        with transaction() as session:
            assert queries.roll_up(session, 100) == 1
    assert sql("SELECT views FROM share_links WHERE id = :id", id=other) == [(1,)]
    assert swept().rolled_up == 2


def test_selections_that_hold_nothing_are_forgotten_after_a_month() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photo = anna.upload(gallery)
    run_jobs()
    share = anna.share(gallery)["share_id"]
    kept, emptied, submitted, fresh = visitors = [client() for _ in range(4)]
    for visitor in visitors:
        assert visitor.put(f"/s/{share}/favourites/{photo}").status_code == 200
    assert submitted.post(f"/s/{share}/selection", json={"note": "none after all"}).status_code == 200
    for visitor in (emptied, submitted, fresh):
        visitor.delete(f"/s/{share}/favourites/{photo}")
    ids = [visitor.get(f"/s/{share}/favourites").json()["selection_id"] for visitor in visitors]
    sql("UPDATE selections SET updated_at = now() - interval '31 days' WHERE id <> cast(:id AS uuid)", id=ids[3])
    assert swept().selections == 1
    left = [visitor.get(f"/s/{share}/favourites").json()["selection_id"] for visitor in visitors]
    assert left == [ids[0], None, ids[2], ids[3]]
    assert kept.get(f"/s/{share}/favourites").json()["count"] == 1
    # Whoever comes back begins anew.
    assert emptied.put(f"/s/{share}/favourites/{photo}").json()["count"] == 1
