"""The feed of events: nothing missed, nothing twice, nobody else's."""

from __future__ import annotations

import threading
import uuid

import httpx2 as httpx
import pytest

from safelight.db import driver
from safelight.events import outbox
from safelight.queue import Queue
from safelight.storage import storage
from safelight.sweep import sweep
from tests.api import Photographer, client, run_jobs
from tests.functions.support import in_parallel, problem, sql

pytestmark = pytest.mark.usefixtures("api")


def append(gallery: str, title: str) -> None:
    with driver.connection() as connection:
        outbox.append(connection.run, "image_uploaded", uuid.UUID(gallery), uuid.uuid4(), title)


def test_a_photo_that_turns_ready_and_a_selection_are_told_to_their_owner() -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    gallery = anna.gallery(title="Anna & Ben")["id"]
    titled, plain = anna.upload(gallery, title="The cake"), anna.upload(gallery, filename="IMG_1.jpg")
    assert anna.call("GET", "/events").json() == {"items": [], "next_cursor": None}
    run_jobs()
    page = anna.call("GET", "/events").json()
    assert {(one["event"], one["id"], one["title"]) for one in page["items"]} == {
        ("image_uploaded", titled, "The cake"), ("image_uploaded", plain, "IMG_1.jpg"),
    }  # fmt: skip
    assert all(one["data"] == {"gallery_id": gallery} for one in page["items"])
    share = anna.share(gallery)["share_id"]
    visitor = client()
    assert visitor.put(f"/s/{share}/favourites/{titled}").is_success
    body = {"name": "Clara", "email": "clara@example.com", "note": "in black and white"}
    assert visitor.post(f"/s/{share}/selection", json=body).is_success
    later = anna.call("GET", f"/events?cursor={page['next_cursor']}").json()
    [told] = later["items"]
    assert (told["event"], told["id"], told["title"]) == ("selection_submitted", gallery, "Anna & Ben")
    assert told["data"]["share_id"] == share
    [selection] = anna.call("GET", f"/share-links/{share}/selections").json()["items"]
    assert told["data"]["selection_id"] == selection["selection_id"]
    assert "lara" not in str(told)
    assert anna.call("GET", f"/events?cursor={later['next_cursor']}").json() == {
        "items": [], "next_cursor": later["next_cursor"],
    }  # fmt: skip
    assert ben.call("GET", "/events").json()["items"] == []


def test_a_selection_is_told_once_where_it_was_last_submitted() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photos = [anna.upload(gallery) for _ in range(2)]
    run_jobs()
    share = anna.share(gallery)["share_id"]
    cursor = anna.call("GET", "/events").json()["next_cursor"]
    ben, cleo = client(), client()

    def news() -> list[str]:
        """The selections of which the feed tells from here on."""
        nonlocal cursor
        page = anna.call("GET", f"/events?cursor={cursor}").json()
        cursor = page["next_cursor"]
        return [one["data"]["selection_id"] for one in page["items"]]

    def submit(visitor: httpx.Client, **said: str) -> str:
        answer = visitor.post(f"/s/{share}/selection", json=said)
        assert answer.status_code == 200
        return str(answer.json()["selection_id"])

    for visitor in (ben, cleo):
        assert visitor.put(f"/s/{share}/favourites/{photos[0]}").status_code == 200
    bens, cleos = submit(ben, name="Ben", note="brighter"), submit(cleo)
    assert news() == [bens, cleos]
    for _ in range(5):
        submit(ben, name="Ben", note="brighter")
    assert news() == []
    for said in ({"name": "Ben", "note": "darker"}, {"name": "B.", "note": "darker"}, {"email": "b@example.com"}):
        submit(ben, **said)
        assert news() == [bens]
    for change in (ben.put, ben.delete):
        assert change(f"/s/{share}/favourites/{photos[1]}").status_code == 200
        submit(ben, email="b@example.com")
        assert news() == [bens]
    for n in range(20):
        submit(ben, note=str(n))
    assert news() == [bens]
    earlier = "UPDATE selections SET (submitted_at, updated_at) = ROW (submitted_at - past, updated_at - past)"
    earlier += " FROM make_interval(mins => :minutes) AS past"
    sql(earlier, minutes=59)
    submit(ben, note="19")
    assert news() == []
    sql(earlier, minutes=61)
    submit(ben, note="19")
    assert news() == [bens]
    told = sql("SELECT data->>'selection_id' FROM events WHERE event = 'selection_submitted' ORDER BY number")
    assert told == [(cleos,), (bens,)]


def test_a_selection_submitted_many_times_at_once_is_one_event() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photo = anna.upload(gallery)
    run_jobs()
    share = anna.share(gallery)["share_id"]
    visitor = client()
    assert visitor.put(f"/s/{share}/favourites/{photo}").status_code == 200
    said = in_parallel(60, lambda n: visitor.post(f"/s/{share}/selection", json={"note": str(n)}).status_code)
    assert said == [200] * 60
    assert sql("SELECT count(*) FROM events WHERE event = 'selection_submitted'") == [(1,)]


def test_what_a_slow_transaction_commits_late_is_not_missed() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with driver.connection() as connection:
            outbox.append(connection.run, "image_uploaded", uuid.UUID(gallery), uuid.uuid4(), "slow")
            begun.set()
            assert go_on.wait(20)

    thread = threading.Thread(target=slow)
    thread.start()
    assert begun.wait(20)
    append(gallery, "fast")
    early = anna.call("GET", "/events").json()
    go_on.set()
    thread.join()
    late = anna.call("GET", f"/events?cursor={early['next_cursor'] or ''}").json()
    assert [one["title"] for one in early["items"] + late["items"]] == ["slow", "fast"]


def test_events_go_with_the_photo_or_the_gallery_that_they_name() -> None:
    anna = Photographer.registered()
    gallery, other = anna.gallery()["id"], anna.gallery()["id"]
    gone, kept = anna.upload(gallery, title="gone"), anna.upload(gallery, title="kept")
    anna.upload(other, title="of another")
    run_jobs()
    assert anna.call("DELETE", f"/photos/{gone}").status_code == 204
    for left in ({"kept", "of another"}, {"of another"}):
        sweep(storage(), Queue())
        assert {title for (title,) in sql("SELECT title FROM events")} == left
        assert {one["title"] for one in anna.call("GET", "/events").json()["items"]} == left
        assert anna.call("DELETE", f"/galleries/{gallery}").status_code in (204, 404)
    assert kept not in str(sql("SELECT * FROM events"))


def test_pages_hold_every_event_once() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    threads = [threading.Thread(target=append, args=(gallery, str(number))) for number in range(25)]
    for thread in threads:
        thread.start()
    seen: list[str] = []
    cursor = ""
    while len(seen) < 25:
        page = anna.call("GET", f"/events?limit=4&cursor={cursor}").json()
        seen += [one["title"] for one in page["items"]]
        cursor = page["next_cursor"] or ""
    for thread in threads:
        thread.join()
    assert sorted(seen, key=int) == [str(number) for number in range(25)]
    problem(anna.call("GET", "/events?cursor=nonsense"), 422, "invalid")


def test_what_was_rolled_back_was_never_told_and_old_events_are_forgotten() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    with driver.connection() as connection:
        outbox.append(connection.run, "image_uploaded", uuid.UUID(gallery), uuid.uuid4(), "never")
        connection.run("ROLLBACK")
        connection.run("BEGIN")
    append(gallery, "old")
    append(gallery, "new")
    sql("UPDATE events SET at = now() - interval '31 days' WHERE title = 'old'")
    sweep(storage(), Queue())
    assert [one["title"] for one in anna.call("GET", "/events").json()["items"]] == ["new"]
