"""The feed of events: nothing missed, nothing twice, nobody else's."""

from __future__ import annotations

import threading
import uuid

import pytest

from safelight.db import driver
from safelight.events import outbox
from safelight.queue import Queue
from safelight.storage import storage
from safelight.sweep import sweep
from tests.api import Photographer, client, run_jobs
from tests.functions.support import problem, sql

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
