"""Who picked what: the photographer's list of selections, and its files."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import uuid
from typing import Any

import httpx2 as httpx
import pytest

from safelight.shares import selections
from tests.api import Photographer, client, jpeg, run_jobs
from tests.functions.support import problem, same, sql, statements

pytestmark = pytest.mark.usefixtures("shared_api")

EVIL = "=cmd|' /C calc'!A0"
SCRIPT = "<script>alert(1)</script>"


class Shared:
    """A gallery with three ready photos, one of them with a name that means harm."""

    def __init__(self) -> None:
        self.anna = Photographer.registered()
        self.gallery = self.anna.gallery()["id"]
        self.photos = [
            self.anna.upload(self.gallery, jpeg(colour=(9, 9, n)), filename=name)
            for n, name in enumerate(["IMG_1.jpg", f"{EVIL}{SCRIPT}.jpg", "IMG 3.jpg"])
        ]
        run_jobs()

    def link(self, **policy: Any) -> str:
        return str(self.anna.share(self.gallery, **policy)["share_id"])

    def get(self, share: str, **query: Any) -> httpx.Response:
        return self.anna.call("GET", f"/share-links/{share}/selections", params=query)

    def rows(self, share: str, **query: Any) -> list[dict[str, str]]:
        answer = self.get(share, format="csv", **query)
        assert answer.status_code == 200, answer.text
        assert answer.content.startswith(b"\xef\xbb\xbf")
        return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


@pytest.fixture(scope="module")
def shared(shared_api: str) -> Shared:
    assert shared_api
    return Shared()


def visitor(share: str, *photos: str, **said: str) -> str:
    """Somebody who picks these and, if there is something to say, submits; the selection's id."""
    browser = client()
    for photo in photos:
        assert browser.put(f"/s/{share}/favourites/{photo}").status_code == 200
    if said:
        assert browser.post(f"/s/{share}/selection", json=said).status_code == 200
    return str(browser.get(f"/s/{share}/favourites").json()["selection_id"])


def test_the_photographer_sees_who_picked_what(shared: Shared) -> None:
    share = shared.link()
    quiet = visitor(share, shared.photos[2], shared.photos[0])
    loud = visitor(share, shared.photos[1], name=SCRIPT, email="ben@example.com", note=EVIL)
    body = shared.get(share).json()
    assert body["next_cursor"] is None
    one, other = body["items"]  # the newest first
    assert (one["selection_id"], other["selection_id"]) == (loud, quiet)
    assert (one["name"], one["email"], one["note"], one["count"]) == (SCRIPT, "ben@example.com", EVIL, 1)
    assert one["submitted_at"] == one["updated_at"]
    assert other.keys() == {
        "selection_id", "name", "email", "note", "submitted_at", "created_at", "updated_at", "count", "photos",
    }  # fmt: skip
    assert (other["name"], other["submitted_at"], other["note"]) == (None, None, "")
    assert other["photos"] == [
        {"photo_id": shared.photos[0], "filename": "IMG_1.jpg"},
        {"photo_id": shared.photos[2], "filename": "IMG 3.jpg"},
    ]
    assert shared.get(share, selection=quiet).json()["items"] == [other]
    assert shared.anna.call("GET", f"/share-links/{share}/stats").json()["selections"] == 1


def test_the_list_comes_in_pages_and_leaves_out_who_picked_nothing(shared: Shared) -> None:
    share = shared.link()
    made = []
    for n in range(5):
        sql("UPDATE selections SET visitor = 'earlier' WHERE share_id = cast(:share AS uuid)", share=share)
        made.append(visitor(share, shared.photos[n % 3]))
    empty = client()
    empty.put(f"/s/{share}/favourites/{shared.photos[0]}")
    empty.delete(f"/s/{share}/favourites/{shared.photos[0]}")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = shared.get(share, limit=2, **cursor).json()
        seen += [item["selection_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == made[::-1]
    problem(shared.get(share, cursor="x"), 422, "invalid")


def test_a_list_takes_three_queries_however_long_it_is(shared: Shared) -> None:
    share = shared.link()
    counted = []
    for _ in range(2):
        for _ in range(3):
            visitor(share, *shared.photos, name="Ben")
        with statements() as sent:
            assert len(shared.get(share).json()["items"]) >= 3
        with statements() as exported:
            assert len(shared.rows(share)) >= 9
        counted.append((len(sent), len(exported)))
    assert counted == [(3, 3), (3, 3)]


def test_a_list_shows_the_first_photos_and_counts_all(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections, "LISTED_PHOTOS", 2)
    share = shared.link()
    visitor(share, *shared.photos)
    [one] = shared.get(share).json()["items"]
    assert (one["count"], [photo["photo_id"] for photo in one["photos"]]) == (3, shared.photos[:2])


def test_a_deleted_photo_is_in_no_list(shared_api: str) -> None:
    assert shared_api
    shared = Shared()
    share = shared.link()
    visitor(share, *shared.photos[1:], name="Ben")
    shared.anna.call("DELETE", f"/photos/{shared.photos[1]}")
    [one] = shared.get(share).json()["items"]
    assert (one["count"], one["photos"]) == (1, [{"photo_id": shared.photos[2], "filename": "IMG 3.jpg"}])
    assert [row["filename"] for row in shared.rows(share)] == ["IMG 3.jpg"]
    assert shared.get(share, format="txt").text == "IMG 3"
    shared.anna.call("DELETE", f"/photos/{shared.photos[2]}")
    assert shared.get(share).json()["items"][0]["count"] == 0  # submitted, so still told
    assert shared.rows(share) == []


def test_the_names_for_lightroom_are_those_that_were_submitted(shared: Shared) -> None:
    share = shared.link(label='Family & Co \u202e\r\nX: y/..;"')
    visitor(share, shared.photos[2], name="Ben")
    visitor(share, shared.photos[0], shared.photos[2], note="these")
    open_one = visitor(share, shared.photos[1])
    answer = shared.get(share, format="txt")
    assert (answer.status_code, answer.text) == (200, "IMG_1,IMG 3")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-store"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment; ")
    assert disposition.isascii()
    assert "\r" not in disposition
    assert "x" not in answer.headers
    assert shared.get(share, format="txt", selection=open_one).text == f"{EVIL}{SCRIPT}"
    assert shared.get(shared.link(), format="txt").text == ""


def test_the_table_holds_everything_and_runs_nothing(shared: Shared) -> None:
    share = shared.link()
    visitor(share, shared.photos[1], name="@Ben", email="-a@example.com", note='x"\r\n;=1+1')
    quiet = visitor(share, shared.photos[0])
    answer = shared.get(share, format="csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="favourites.csv"'
    first, second = shared.rows(share)
    assert first["filename"] == f"'{EVIL}{SCRIPT}.jpg"
    assert (first["name"], first["email"], first["note"]) == ("'@Ben", "'-a@example.com", "x\"\r\n;'=1+1")
    assert dt.datetime.fromisoformat(first["submitted_at"]).tzinfo is not None
    assert dt.datetime.fromisoformat(first["picked_at"]).tzinfo is not None
    assert (second["selection_id"], second["submitted_at"], second["photo_id"]) == (quiet, "", shared.photos[0])
    assert [row["selection_id"] for row in shared.rows(share, selection=quiet)] == [quiet]


def test_what_is_too_much_for_one_file_is_refused_and_not_cut(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections, "MOST_ROWS", 3)
    share = shared.link()
    one = visitor(share, *shared.photos, name="Ben")
    assert len(shared.rows(share)) == 3
    visitor(share, shared.photos[0])
    problem(shared.get(share, format="csv"), 409, "export_too_large")
    assert len(shared.rows(share, selection=one)) == 3


def test_a_note_is_told_once_for_each_selection(shared: Shared) -> None:
    share = shared.link()
    loud = visitor(share, *shared.photos, name="Ben", note="brighter\nplease")
    visitor(share, shared.photos[2], shared.photos[1], name="Cleo", note="darker")
    told = [(row["name"], row["note"]) for row in shared.rows(share)]
    assert told == [("Ben", "brighter\nplease"), ("Ben", ""), ("Ben", ""), ("Cleo", "darker"), ("Cleo", "")]
    assert [row["note"] for row in shared.rows(share, selection=loud)] == ["brighter\nplease", "", ""]


@pytest.mark.parametrize("kind", ["csv", "txt"])
def test_a_file_is_never_larger_than_an_answer_may_be(
    shared: Shared, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = shared.link()
    one = visitor(share, shared.photos[0], note='"花"\n' * 400)
    whole = shared.get(share, format=kind)
    fits = len(json.dumps(whole.text, ensure_ascii=False).encode())
    assert fits > len(whole.content)
    monkeypatch.setattr(selections, "MOST_BYTES", fits)
    assert shared.get(share, format=kind).content == whole.content
    visitor(share, shared.photos[2], name="Cleo")
    problem(shared.get(share, format=kind), 409, "export_too_large")
    assert shared.get(share, format=kind, selection=one).content == whole.content


def test_anothers_selections_are_nothing(shared: Shared) -> None:
    share, elsewhere = shared.link(), shared.link()
    chosen = visitor(share, shared.photos[0])
    ben = Photographer.registered()
    for query in ({}, {"format": "csv"}, {"format": "txt"}, {"selection": chosen}):
        missing = ben.call("GET", f"/share-links/{uuid.uuid4()}/selections", params=query)
        problem(missing, 404, "not_found")
        assert same(ben.call("GET", f"/share-links/{share}/selections", params=query), missing)
        for reference in (chosen, str(uuid.uuid4()), "x", ""):
            found = shared.get(elsewhere, **{**query, "selection": reference})
            assert same(found, missing), (query, reference)
    problem(client().get(f"/share-links/{share}/selections"), 401, "unauthorized")
    problem(shared.get(share, format="xlsx"), 422, "invalid")


def test_a_deleted_link_takes_its_selections_along(shared: Shared) -> None:
    share = shared.link()
    chosen = visitor(share, shared.photos[0], name="Ben")
    assert shared.anna.call("DELETE", f"/share-links/{share}").status_code == 204
    assert sql("SELECT 1 FROM selections WHERE id = cast(:id AS uuid)", id=chosen) == []
    assert sql("SELECT 1 FROM selection_photos WHERE selection_id = cast(:id AS uuid)", id=chosen) == []
