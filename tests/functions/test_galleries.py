"""Galleries, and the pages that every list is given in."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api import Photographer, client, jpeg, run_jobs
from tests.functions.support import problem, sql, statements

pytestmark = pytest.mark.usefixtures("shared_api")


def pages(anna: Photographer, path: str, limit: int) -> Iterator[list[str]]:
    """The ids on each page of a list."""
    cursor: dict[str, Any] = {}
    while True:
        answer = anna.call("GET", path, params={"limit": limit, **cursor})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        yield [item.get("share_id") or item["id"] for item in body["items"]]
        if body["next_cursor"] is None:
            return
        cursor = {"cursor": body["next_cursor"]}


def flat(anna: Photographer, path: str, limit: int) -> list[str]:
    return [one for page in pages(anna, path, limit) for one in page]


def test_a_gallery_is_made_read_changed_and_deleted() -> None:
    anna = Photographer.registered()
    made = anna.gallery(title="  Cafe\u0301 ", description="two\nlines")
    assert (made["title"], made["description"]) == ("Café", "two\nlines")
    assert (made["photo_count"], made["ready_count"]) == (0, 0)
    path = f"/galleries/{made['id']}"
    assert anna.call("GET", path).json() == made
    changed = anna.call("PATCH", path, json={"title": "New", "description": None}).json()
    assert (changed["title"], changed["description"]) == ("New", "two\nlines")
    assert changed["updated_at"] > made["updated_at"]
    assert anna.call("DELETE", path).status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        problem(anna.call(method, path, json={}), 404, "not_found")


def test_the_cover_is_one_of_the_gallerys_own_photos() -> None:
    anna = Photographer.registered()
    one, other = anna.gallery(), anna.gallery()
    mine = anna.announce(one["id"], jpeg())["photo"]["id"]
    theirs = anna.announce(other["id"], jpeg())["photo"]["id"]
    path = f"/galleries/{one['id']}"
    for cover in (theirs, str(uuid.uuid4())):
        problem(anna.call("PATCH", path, json={"cover_photo_id": cover}), 422, "invalid")
    assert anna.call("PATCH", path, json={"cover_photo_id": mine}).json()["cover_photo_id"] == mine
    assert anna.call("PATCH", path, json={"cover_photo_id": None}).json()["cover_photo_id"] is None


def test_counts_tell_all_photos_and_the_ready_ones() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()
    anna.upload(gallery["id"])
    run_jobs()
    anna.announce(gallery["id"], jpeg())
    gone = anna.announce(gallery["id"], jpeg())["photo"]["id"]
    assert anna.call("DELETE", f"/photos/{gone}").status_code == 204
    for shown in (
        anna.call("GET", f"/galleries/{gallery['id']}").json(),
        anna.call("GET", "/galleries").json()["items"][0],
    ):
        assert (shown["photo_count"], shown["ready_count"]) == (2, 1)


def test_pages_hold_everything_once_though_all_were_made_in_the_same_instant() -> None:
    anna = Photographer.registered()
    made = [anna.gallery()["id"] for _ in range(7)]
    gallery = made[0]
    links = [anna.share(gallery)["share_id"] for _ in range(7)]
    photos = [anna.announce(gallery, jpeg())["photo"]["id"] for _ in range(7)]
    assert flat(anna, "/galleries", 3) == made[::-1]
    assert flat(anna, f"/galleries/{gallery}/share-links", 3) == links[::-1]
    assert flat(anna, f"/galleries/{gallery}/photos", 3) == photos
    sql("UPDATE galleries SET created_at = '2026-01-01Z' WHERE id = ANY(CAST(:ids AS uuid[]))", ids=made)
    sql("UPDATE share_links SET created_at = '2026-01-01Z' WHERE gallery_id = :id", id=gallery)
    sql("UPDATE photos SET position = 5 WHERE gallery_id = :id", id=gallery)
    for limit in (2, 7):
        assert flat(anna, "/galleries", limit) == sorted(made, reverse=True)
        assert flat(anna, f"/galleries/{gallery}/share-links", limit) == sorted(links, reverse=True)
        assert flat(anna, f"/galleries/{gallery}/photos", limit) == sorted(photos)


def test_pages_stay_put_while_rows_come_and_go() -> None:
    anna = Photographer.registered()
    made = [anna.gallery()["id"] for _ in range(6)][::-1]
    walk = pages(anna, "/galleries", 2)
    assert next(walk) == made[:2]
    anna.gallery()
    anna.call("DELETE", f"/galleries/{made[1]}")  # the very row that the cursor speaks of
    assert next(walk) == made[2:4]
    anna.call("DELETE", f"/galleries/{made[4]}")
    assert next(walk) == made[5:]


def _cursor(*key: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


SOME = str(uuid.uuid4())
GARBAGE = [
    "x", "é", "\0", "AAAA", "bnVsbA", _cursor(), _cursor(1), _cursor(1, 2), _cursor(1, SOME, 3), _cursor(None, None),
    _cursor("2026-01-01", SOME), _cursor("2026-01-01T00:00:00", SOME), _cursor([], {}), _cursor(10**30, SOME),
    _cursor(-(2**63) - 1, SOME), _cursor(1.5, SOME), _cursor(True, SOME), _cursor(float("inf"), SOME),
    _cursor("9999-12-31T23:59:59-23:00", SOME), _cursor("0001-01-01T00:00:00+23:00", SOME),
]  # fmt: skip


def test_a_cursor_that_no_list_gave_out_is_refused() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    anna.announce(gallery, jpeg())
    share = anna.share(gallery)["share_id"]
    paths = ("/galleries", f"/galleries/{gallery}/photos", f"/galleries/{gallery}/share-links", f"/s/{share}")
    for path in paths:
        for cursor in GARBAGE:
            problem(anna.call("GET", path, params={"cursor": cursor}), 422, "invalid")
    for limit in (0, -1, 201, "ten", 10**30):
        problem(anna.call("GET", "/galleries", params={"limit": limit}), 422, "invalid")
    assert client().get(f"/s/{share}", params={"limit": 1000}).status_code == 200


@pytest.mark.parametrize("path", ["/galleries", "/galleries/{}/photos", "/galleries/{}/share-links"])
def test_a_list_takes_three_queries_however_long_it_is(path: str) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    path = path.format(gallery)
    counted = []
    for _ in range(2):
        for _ in range(4):
            anna.gallery()
            anna.announce(gallery, jpeg())
            anna.share(gallery)
        with statements() as sent:
            assert len(anna.call("GET", path).json()["items"]) >= 4
        counted.append(len(sent))
    assert counted == [3, 3], sent


def test_a_deleted_photo_is_nobodys_cover() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()
    photo_id = anna.upload(gallery["id"])
    changed = anna.call("PATCH", f"/galleries/{gallery['id']}", json={"cover_photo_id": photo_id})
    assert changed.json()["cover_photo_id"] == photo_id
    assert anna.call("DELETE", f"/photos/{photo_id}").status_code == 204
    assert anna.call("GET", f"/galleries/{gallery['id']}").json()["cover_photo_id"] is None
