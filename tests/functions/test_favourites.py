"""What visitors pick: favourites without an account, their limit, submitting, and the archive of a selection."""

from __future__ import annotations

import hashlib
import io
import re
import uuid
import zipfile
from collections import Counter
from typing import Any

import httpx2 as httpx
import pytest

from safelight import addresses
from safelight.shares import favourites, limits
from tests.api import Photographer, client, jpeg, run_jobs
from tests.functions.support import in_parallel, problem, same, sql
from tests.product import BASE_URL

pytestmark = pytest.mark.usefixtures("shared_api")


class Shared:
    """A gallery with some ready photos, one that is not ready, and links to it."""

    def __init__(self, photos: int = 4) -> None:
        self.anna = Photographer.registered()
        self.gallery = self.anna.gallery(title="Anna & Ben")["id"]
        self.photos = [
            self.anna.upload(self.gallery, jpeg(colour=(9 * n, 9, 9)), filename=f"IMG_{n}.jpg") for n in range(photos)
        ]
        run_jobs()
        self.pending = self.anna.announce(self.gallery, jpeg())["photo"]["id"]

    def link(self, **policy: Any) -> str:
        return str(self.anna.share(self.gallery, **policy)["share_id"])


@pytest.fixture(scope="module")
def shared(shared_api: str) -> Shared:
    assert shared_api
    return Shared()


def pick(visitor: httpx.Client, share: str, *photos: str) -> httpx.Response:
    """Pick one after the other; the last answer."""
    for photo in photos:
        answer = visitor.put(f"/s/{share}/favourites/{photo}")
        assert answer.status_code == 200, answer.text
    return answer


def picks(visitor: httpx.Client, share: str) -> dict[str, Any]:
    answer = visitor.get(f"/s/{share}/favourites")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "private, no-store"
    body: dict[str, Any] = answer.json()
    return body


def names(archive: httpx.Response) -> list[str]:
    assert archive.status_code == 200, archive.text
    with zipfile.ZipFile(io.BytesIO(archive.content)) as opened:
        assert opened.testzip() is None
        return opened.namelist()


def test_the_first_favourite_begins_a_selection_and_keeps_it_in_a_cookie(shared: Shared) -> None:
    share = shared.link()
    visitor = client()
    assert picks(visitor, share) == {
        "selection_id": None, "photo_ids": [], "count": 0, "limit": None, "submitted_at": None, "note": "",
        "name": None,
    }  # fmt: skip
    one, two = shared.photos[2], shared.photos[0]
    first = visitor.put(f"/s/{share}/favourites/{one}")
    assert (first.status_code, first.json()) == (200, {"count": 1, "limit": None})
    [cookie] = [one for one in first.headers.get_list("set-cookie") if one.startswith("picks_")]
    assert {"HttpOnly", "SameSite=lax", "Path=/s/", "Max-Age=31536000"} <= set(cookie.split("; "))
    again = visitor.put(f"/s/{share}/favourites/{one}")
    assert (again.json(), "set-cookie" in again.headers) == ({"count": 1, "limit": None}, False)
    assert pick(visitor, share, two).json()["count"] == 2
    body = picks(visitor, share)
    assert body["photo_ids"] == [two, one]  # in the gallery's order
    assert uuid.UUID(body["selection_id"])
    for _ in range(2):
        assert visitor.delete(f"/s/{share}/favourites/{one}").json() == {"count": 1, "limit": None}
    assert picks(visitor, share)["photo_ids"] == [two]
    assert picks(client(), share)["count"] == 0


def test_only_a_hash_of_the_cookie_is_stored(shared: Shared) -> None:
    share = shared.link()
    token = pick(client(), share, shared.photos[0]).cookies[f"picks_{uuid.UUID(share).hex}"]
    assert len(token) == 43
    [(row,)] = sql("SELECT row_to_json(s)::text FROM selections s WHERE share_id = cast(:share AS uuid)", share=share)
    assert token not in row
    assert hashlib.sha256(token.encode()).hexdigest() in row


def test_a_photo_that_the_link_does_not_show_cannot_be_picked(shared: Shared) -> None:
    share = shared.link()
    other = Photographer.registered()
    elsewhere = other.upload(other.gallery()["id"])
    run_jobs()
    visitor = client()
    missing = visitor.put(f"/s/{share}/favourites/{uuid.uuid4()}")
    problem(missing, 404, "not_found")
    assert "set-cookie" not in missing.headers
    for photo in (shared.pending, elsewhere):
        assert same(visitor.put(f"/s/{share}/favourites/{photo}"), missing)
        assert same(visitor.delete(f"/s/{share}/favourites/{photo}"), missing)
    problem(visitor.put(f"/s/{share}/favourites/none"), 422, "invalid")
    assert sql("SELECT 1 FROM selections WHERE share_id = cast(:share AS uuid)", share=share) == []


def test_taking_back_without_a_selection_begins_none(shared: Shared) -> None:
    share = shared.link(max_favourites=2)
    answer = client().delete(f"/s/{share}/favourites/{shared.photos[0]}")
    assert (answer.status_code, answer.json()) == (200, {"count": 0, "limit": 2})
    assert "set-cookie" not in answer.headers
    assert sql("SELECT 1 FROM selections WHERE share_id = cast(:share AS uuid)", share=share) == []


def test_a_cookie_of_one_link_means_nothing_on_another(shared: Shared) -> None:
    one, other = shared.link(), shared.link()
    token = pick(client(), one, shared.photos[0]).cookies[f"picks_{uuid.UUID(one).hex}"]
    headers = {"Cookie": f"picks_{uuid.UUID(other).hex}={token}"}
    assert client().get(f"/s/{other}/favourites", headers=headers).json()["selection_id"] is None
    assert client().delete(f"/s/{other}/favourites/{shared.photos[0]}", headers=headers).json()["count"] == 0
    stranger = client().get(f"/s/{other}/download/all?selection=mine", headers=headers)
    problem(stranger, 409, "nothing_to_download")
    begun = client().put(f"/s/{other}/favourites/{shared.photos[1]}", headers=headers)
    assert begun.json()["count"] == 1
    assert begun.cookies[f"picks_{uuid.UUID(other).hex}"] != token
    headers = {"Cookie": f"picks_{uuid.UUID(one).hex}={token}"}
    assert client().get(f"/s/{one}/favourites", headers=headers).json()["photo_ids"] == [shared.photos[0]]


@pytest.mark.parametrize("token", ["", "x" * 4000, "é", "' OR 1=1 --", "%00"])
def test_a_forged_cookie_is_no_cookie(shared: Shared, token: str) -> None:
    share = shared.link()
    headers = {"Cookie": f"picks_{uuid.UUID(share).hex}={token}".encode()}
    answer = client().get(f"/s/{share}/favourites", headers=headers)  # type: ignore[arg-type]  # bytes are fine
    assert (answer.status_code, answer.json()["selection_id"]) == (200, None)


def routes(share: str, photo: str) -> list[tuple[str, str, Any]]:
    return [
        ("GET", f"/s/{share}/favourites", None),
        ("PUT", f"/s/{share}/favourites/{photo}", None),
        ("DELETE", f"/s/{share}/favourites/{photo}", None),
        ("POST", f"/s/{share}/selection", {"note": "please"}),
        ("GET", f"/s/{share}/download/all?selection=mine", None),
        ("GET", f"/s/{share}/download/all?selection={uuid.uuid4()}", None),
        ("GET", f"/s/{share}/download/all/manifest?selection=mine", None),
    ]


def test_a_link_that_is_not_live_has_no_favourites(shared: Shared) -> None:
    expired, revoked, unknown = shared.link(), shared.link(), str(uuid.uuid4())
    visitors = {}
    for share in (expired, revoked):
        visitors[share] = client()
        pick(visitors[share], share, shared.photos[0])
    sql("UPDATE share_links SET expires_at = now() WHERE id = :id", id=expired)
    shared.anna.call("PATCH", f"/share-links/{revoked}", json={"revoked": True})
    for share, visitor in visitors.items():
        dead, nowhere = routes(share, shared.photos[0]), routes(unknown, shared.photos[0])
        for (method, path, body), (_, missing, _) in zip(dead, nowhere, strict=True):
            expected = visitor.request(method, missing, json=body)
            problem(expected, 404, "not_found")
            assert same(visitor.request(method, path, json=body), expected), (method, path)
    shared.anna.call("PATCH", f"/share-links/{revoked}", json={"revoked": False})
    assert picks(visitors[revoked], revoked)["photo_ids"] == [shared.photos[0]]


def test_a_locked_link_asks_for_its_password_on_every_path(shared: Shared) -> None:
    share = shared.link(password="secret")
    visitor = client()
    for method, path, body in routes(share, shared.photos[0]):
        problem(visitor.request(method, path, json=body), 401, "password_required")
    assert visitor.post(f"/s/{share}/unlock", json={"password": "secret"}).status_code == 204
    assert pick(visitor, share, shared.photos[0]).json()["count"] == 1
    shared.anna.call("PATCH", f"/share-links/{share}", json={"password": "changed"})
    for method, path, body in routes(share, shared.photos[0]):
        problem(visitor.request(method, path, json=body), 401, "password_required")
    assert visitor.post(f"/s/{share}/unlock", json={"password": "changed"}).status_code == 204
    assert picks(visitor, share)["count"] == 1  # the favourites outlive the grant


def test_another_site_changes_nothing(shared: Shared) -> None:
    share = shared.link()
    visitor = client()
    pick(visitor, share, shared.photos[0])
    for method, path, body in routes(share, shared.photos[1])[1:4]:
        for origin in ("https://evil.example", "null", BASE_URL + ".evil.example", ""):
            answer = visitor.request(method, path, json=body, headers={"Origin": origin})
            problem(answer, 403, "forbidden")
            assert "set-cookie" not in answer.headers
    assert picks(visitor, share)["photo_ids"] == [shared.photos[0]]
    own = visitor.put(f"/s/{share}/favourites/{shared.photos[1]}", headers={"Origin": BASE_URL})
    assert own.json()["count"] == 2


OWN = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "http://localhost:8000", "Host": "localhost:8000"},
    {"Origin": "http://gallery.lan", "Host": "Gallery.LAN"},
    {"Origin": "http://[::1]:8000", "Host": "[::1]:8000"},
    # Behind what replaces Host; and a form of a page whose policy is to name no referrer.
    {"Origin": "https://photos.example", "Host": "internal:9000", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "null", "Host": "internal:9000", "Sec-Fetch-Site": "same-origin"},
]
FOREIGN = [
    {"Origin": "https://localhost:8000", "Host": "localhost:8000"},
    {"Origin": "http://localhost:9000", "Host": "localhost:8000"},
    {"Origin": "http://localhost", "Host": "localhost:8000"},
    {"Origin": "http://evil.localhost:8000", "Host": "localhost:8000"},
    {"Origin": "http://localhost:8000.evil.example", "Host": "localhost:8000"},
    {"Origin": "http://evil.example", "Host": "localhost:8000", "X-Forwarded-Host": "evil.example"},
    {"Origin": "http://evil.example", "Host": "localhost:8000", "Forwarded": "host=evil.example"},
    {"Origin": "http://photos.example", "Host": "localhost:8000", "Sec-Fetch-Site": "same-site"},
    {"Origin": "http://photos.example", "Host": "localhost:8000", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "null", "Host": "localhost:8000", "Sec-Fetch-Site": "none"},
    {"Origin": "null", "Host": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_a_page_under_another_name_of_this_host_is_no_other_site(shared: Shared, headers: dict[str, str]) -> None:
    answer = client().put(f"/s/{shared.link()}/favourites/{shared.photos[0]}", headers=headers)
    assert answer.json()["count"] == 1


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_no_header_that_a_page_can_choose_makes_it_ours(shared: Shared, headers: dict[str, str]) -> None:
    problem(client().put(f"/s/{shared.link()}/favourites/{shared.photos[0]}", headers=headers), 403, "forbidden")


def test_a_limit_says_when_it_is_reached_and_a_place_can_be_freed(shared: Shared) -> None:
    share = shared.link(max_favourites=2)
    visitor = client()
    assert pick(visitor, share, *shared.photos[:2]).json() == {"count": 2, "limit": 2}
    full = problem(visitor.put(f"/s/{share}/favourites/{shared.photos[2]}"), 409, "favourites_full")
    assert full["detail"] == "You have picked 2 of 2. Take one back to pick another."
    assert pick(visitor, share, shared.photos[0]).json()["count"] == 2  # is one already
    visitor.delete(f"/s/{share}/favourites/{shared.photos[0]}")
    assert pick(visitor, share, shared.photos[2]).json() == {"count": 2, "limit": 2}
    assert pick(client(), share, shared.photos[3]).json()["count"] == 1  # each visitor's own
    shared.anna.call("PATCH", f"/share-links/{share}", json={"max_favourites": None})
    assert pick(visitor, share, shared.photos[3]).json() == {"count": 3, "limit": None}
    shared.anna.call("PATCH", f"/share-links/{share}", json={"max_favourites": 1})
    problem(visitor.put(f"/s/{share}/favourites/{shared.photos[0]}"), 409, "favourites_full")
    assert picks(visitor, share) | {"selection_id": ""} == {
        "selection_id": "", "photo_ids": shared.photos[1:], "count": 3, "limit": 1, "submitted_at": None, "note": "",
        "name": None,
    }  # fmt: skip
    for limit in (0, -1, 1.5, "many", 1_000_001):
        answer = shared.anna.call("PATCH", f"/share-links/{share}", json={"max_favourites": limit})
        problem(answer, 422, "invalid")


def test_a_deleted_photo_is_no_favourite_from_that_moment_on(shared_api: str) -> None:
    assert shared_api
    shared = Shared(3)
    share = shared.link(max_favourites=2)
    visitor = client()
    pick(visitor, share, *shared.photos[:2])
    chosen = picks(visitor, share)["selection_id"]
    shared.anna.call("DELETE", f"/photos/{shared.photos[0]}")
    assert picks(visitor, share)["photo_ids"] == [shared.photos[1]]
    assert names(visitor.get(f"/s/{share}/download/all?selection={chosen}")) == ["IMG_1.jpg", "SHA256SUMS.txt"]
    problem(visitor.put(f"/s/{share}/favourites/{shared.photos[0]}"), 404, "not_found")
    assert pick(visitor, share, shared.photos[2]).json() == {"count": 2, "limit": 2}  # its place was free
    for photo in shared.photos[1:]:
        shared.anna.call("DELETE", f"/photos/{photo}")
    problem(visitor.get(f"/s/{share}/download/all?selection={chosen}"), 409, "nothing_to_download")
    problem(visitor.post(f"/s/{share}/selection", json={}), 409, "nothing_picked")


def test_submitting_may_be_repeated_and_the_last_word_counts(shared: Shared) -> None:
    share = shared.link()
    visitor = client()
    problem(visitor.post(f"/s/{share}/selection", json={"note": "none yet"}), 409, "nothing_picked")
    pick(visitor, share, shared.photos[0])
    body = {"name": " Ben ", "email": "ben@example.com", "note": "Brighter,\nplease <b>"}
    first = visitor.post(f"/s/{share}/selection", json=body)
    assert first.status_code == 200
    assert (first.json()["name"], first.json()["note"]) == ("Ben", "Brighter,\nplease <b>")
    assert first.json()["submitted_at"]
    assert "ben@example.com" not in picks(visitor, share).values()
    pick(visitor, share, shared.photos[1])
    assert picks(visitor, share)["submitted_at"] == first.json()["submitted_at"]
    second = visitor.post(f"/s/{share}/selection", json={}).json()
    assert second["submitted_at"] > first.json()["submitted_at"]
    assert (second["name"], second["note"], second["count"]) == (None, "", 2)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x" * 101},
        {"name": "two\nlines"},
        {"name": "Ben\u2028Evil"},
        {"note": "x" * 2001},
        {"note": "\0"},
        {"email": "nobody"},
        {"email": "a@b\r\nBcc: c@d"},
        {"email": "a@b,c@d"},
        {"email": "<a@b>"},
        {"email": f"{'x' * 65}@example.com"},
        {"email": f"a@{'x' * 250}"},
        {"name": None},
        {"note": ["a"]},
        {"limit": 5},
        [],
        "text",
    ],
)
def test_a_submission_that_cannot_be_kept_is_refused_and_changes_nothing(shared: Shared, body: Any) -> None:
    share = shared.link()
    visitor = client()
    pick(visitor, share, shared.photos[0])
    problem(visitor.post(f"/s/{share}/selection", json=body), 422, "invalid")
    half = visitor.post(f"/s/{share}/selection", content=b'{"note": "\\ud800"}')  # half of a pair
    problem(half, 422, "invalid")
    assert picks(visitor, share)["submitted_at"] is None


def test_two_hundred_at_once_never_overrun_the_limit(shared_api: str) -> None:
    assert shared_api
    shared = Shared(1)
    photos = [str(uuid.uuid4()) for _ in range(200)]
    sql(
        "INSERT INTO photos (id, gallery_id, filename, content_type, file_size, s3_key, status, position)"
        " SELECT x::uuid, cast(:gallery AS uuid), 'x.jpg', 'image/jpeg', 1, 'none', 'ready', n"
        " FROM unnest(cast(:photos AS text[])) WITH ORDINALITY AS many(x, n)",
        gallery=shared.gallery,
        photos=photos,
    )
    share = shared.link(max_favourites=20)
    visitor = client()
    for _ in range(3):
        pick(visitor, share, shared.photos[0])
        answers = in_parallel(200, lambda n: visitor.put(f"/s/{share}/favourites/{photos[n]}"))
        assert sorted(answer.status_code for answer in answers) == [200] * 19 + [409] * 181
        body = picks(visitor, share)
        assert body["count"] == len(body["photo_ids"]) == 20
        assert sorted(answer.json()["count"] for answer in answers if answer.status_code == 200) == [*range(2, 21)]
        for photo in body["photo_ids"]:
            visitor.delete(f"/s/{share}/favourites/{photo}")
        assert picks(visitor, share)["count"] == 0


def test_guests_with_the_same_telephone_at_one_address_each_begin_a_selection(shared: Shared) -> None:
    """Only the address is limited: a number for each program would be one for the model of a telephone."""
    share = shared.link()
    guests = [client() for _ in range(60)]
    for guest in guests:
        guest.headers["User-Agent"] = "the same telephone"
    in_parallel(60, lambda n: pick(guests[n], share, shared.photos[0]))
    assert [picks(guest, share)["count"] for guest in guests] == [1] * 60
    # Who keeps the cookie begins no other.
    for guest in guests:
        assert pick(guest, share, shared.photos[1]).json()["count"] == 2
    kept = sql("SELECT count(*), count(DISTINCT visitor) FROM selections WHERE share_id = :share", share=share)
    assert kept == [(60, 1)]  # and nothing is stored about their programs


def test_a_link_takes_only_so_many_selections_in_a_day(shared: Shared) -> None:
    share = shared.link()
    visitor = client()
    pick(visitor, share, shared.photos[0])
    sql(
        "INSERT INTO selections (id, share_id, token_hash, visitor)"
        " SELECT gen_random_uuid(), cast(:share AS uuid), sha256(n::text::bytea), '' FROM generate_series(1, 999) n",
        share=share,
    )
    full = client().put(f"/s/{share}/favourites/{shared.photos[0]}")
    problem(full, 429, "too_many_requests")
    assert 86_400 - 90 < int(full.headers["retry-after"]) <= 86_400
    assert "set-cookie" not in full.headers
    sql(
        "UPDATE selections SET created_at = created_at - interval '23 hours' WHERE share_id = cast(:share AS uuid)",
        share=share,
    )
    full = client().put(f"/s/{share}/favourites/{shared.photos[0]}")
    assert 3600 - 90 < int(full.headers["retry-after"]) <= 3600
    assert pick(visitor, share, shared.photos[1]).json()["count"] == 2


def test_one_address_leaves_places_on_a_link_to_others_whatever_it_calls_itself(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = shared.link()
    tries = limits.BEGIN_HERE.tries
    assert (limits.BEGIN_HERE.seconds, 2 * tries < favourites.PER_LINK) == (24 * 3600, True)
    script = client()

    def begin(number: int) -> httpx.Response:
        headers = {"User-Agent": f"script {number}", "Cookie": "none=1"}
        return script.put(f"/s/{share}/favourites/{shared.photos[0]}", headers=headers)

    answers = in_parallel(tries + 20, begin)
    assert Counter(answer.status_code for answer in answers) == {200: tries, 429: 20}
    late = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(late.headers["retry-after"]) <= limits.BEGIN_HERE.step
    assert pick(client(), shared.link(), shared.photos[0]).json()["count"] == 1  # each link's own
    monkeypatch.setattr(addresses, "groups", lambda _: ("192.0.2.7",))
    assert pick(client(), share, shared.photos[0]).json()["count"] == 1


def test_the_archive_of_a_selection_holds_just_that(shared: Shared) -> None:
    share = shared.link()
    visitor = client()
    path = f"/s/{share}/download/all"
    problem(visitor.get(f"{path}?selection=mine"), 409, "nothing_to_download")
    pick(visitor, share, shared.photos[3], shared.photos[1])
    mine = visitor.get(f"{path}?selection=mine")
    assert names(mine) == ["IMG_1.jpg", "IMG_3.jpg", "SHA256SUMS.txt"]
    assert 'filename="Anna & Ben favourites.zip"' in mine.headers["content-disposition"]
    chosen = picks(visitor, share)["selection_id"]
    by_id = client().get(f"{path}?selection={chosen}")  # without the cookie
    assert by_id.content == mine.content
    head = visitor.head(f"{path}?selection=mine")
    assert (head.headers["content-length"], head.headers["etag"]) == (str(len(mine.content)), mine.headers["etag"])
    told = visitor.get(f"{path}/manifest?selection=mine").json()
    assert (told["name"], told["etag"]) == ("Anna & Ben favourites.zip", mine.headers["etag"])
    assert [photo["name"] for photo in told["photos"]] == ["IMG_1.jpg", "IMG_3.jpg"]
    web = visitor.get(f"{path}?selection=mine&size=web")
    assert names(web) == ["IMG_1.jpg", "IMG_3.jpg", "SHA256SUMS.txt"]
    assert "favourites (web size).zip" in web.headers["content-disposition"]
    part = visitor.get(f"{path}?selection=mine", headers={"Range": "bytes=5-", "If-Range": mine.headers["etag"]})
    assert (part.status_code, part.content) == (206, mine.content[5:])
    visitor.delete(f"/s/{share}/favourites/{shared.photos[3]}")
    stale = visitor.get(f"{path}?selection=mine", headers={"Range": "bytes=5-", "If-Range": mine.headers["etag"]})
    assert names(stale) == ["IMG_1.jpg", "SHA256SUMS.txt"]  # another archive, so the whole of it


def test_an_archive_of_a_selection_counts_as_a_download_of_its_own(shared: Shared) -> None:
    share = shared.link(max_downloads=2)
    visitor = client()
    pick(visitor, share, shared.photos[0])
    path = f"/s/{share}/download/all"
    assert visitor.head(f"{path}?selection=mine").status_code == 200
    assert visitor.get(f"{path}?selection=mine").status_code == 200
    assert visitor.get(path).status_code == 200
    for again in (path, f"{path}?selection={picks(visitor, share)['selection_id']}"):
        assert visitor.get(again).status_code == 200
        problem(client().get(again), 403, "download_limit_reached")
    assert shared.anna.call("GET", f"/share-links/{share}").json()["zip_downloads"] == 2


def test_a_selection_follows_the_links_policy(shared: Shared) -> None:
    web, none = shared.link(download="web"), shared.link(download="none")
    for share in (web, none):
        visitor = client()
        pick(visitor, share, shared.photos[0])
        path = f"/s/{share}/download/all?selection=mine"
        problem(visitor.get(f"{path}&size=original"), 403, "downloads_off")
        if share == web:
            assert "(web size)" in visitor.get(path).headers["content-disposition"]
        else:
            problem(visitor.get(path), 403, "downloads_off")


def test_another_links_selection_is_nothing_here(shared: Shared) -> None:
    one, other = shared.link(), shared.link()
    visitor = client()
    pick(visitor, one, shared.photos[0])
    chosen = picks(visitor, one)["selection_id"]
    path = f"/s/{other}/download/all"
    for suffix in ("", "/manifest"):
        missing = visitor.get(f"{path}{suffix}?selection={uuid.uuid4()}")
        problem(missing, 404, "not_found")
        for reference in (chosen, "", "MINE", "x", "mine\0", "%", uuid.UUID(int=0)):
            found = visitor.get(f"{path}{suffix}", params={"selection": str(reference)})
            assert same(found, missing), reference
    assert visitor.head(path, params={"selection": chosen}).status_code == 404


def test_the_photographer_downloads_what_was_picked(shared: Shared) -> None:
    share = shared.link(max_downloads=1)
    visitor = client()
    pick(visitor, share, shared.photos[2])
    chosen = picks(visitor, share)["selection_id"]
    path = f"/galleries/{shared.gallery}/download"
    own = shared.anna.call("GET", path, params={"selection": chosen})
    assert names(own) == ["IMG_2.jpg", "SHA256SUMS.txt"]
    assert shared.anna.call("GET", f"/share-links/{share}").json()["zip_downloads"] == 0
    missing = shared.anna.call("GET", path, params={"selection": str(uuid.uuid4())})
    problem(missing, 404, "not_found")
    elsewhere = shared.anna.gallery()["id"]
    for gallery, reference in ((elsewhere, chosen), (shared.gallery, "mine"), (shared.gallery, "x")):
        found = shared.anna.call("GET", f"/galleries/{gallery}/download", params={"selection": reference})
        assert same(found, missing)
    other = Photographer.registered()
    assert same(other.call("GET", path, params={"selection": chosen}), missing)
    shared.anna.call("PATCH", f"/share-links/{share}", json={"revoked": True})
    assert names(shared.anna.call("GET", path, params={"selection": chosen})) == ["IMG_2.jpg", "SHA256SUMS.txt"]


def test_what_a_visitor_wrote_is_inert_where_it_is_shown(shared: Shared) -> None:
    """Nothing is ever put into HTML: answers are JSON that is not sniffed, and the page's scripts have no way to."""
    share = shared.link()
    visitor = client()
    pick(visitor, share, shared.photos[0])
    evil = "</script><img src=x onerror=alert(1)>"
    answer = visitor.post(f"/s/{share}/selection", json={"name": evil, "note": evil})
    assert (answer.json()["name"], answer.json()["note"]) == (evil, evil)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = visitor.get(f"/s/{share}", headers={"Accept": "text/html"})
    assert "onerror" not in page.text
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "unsafe-inline" not in page.headers["content-security-policy"]
    assert not re.search(r"<[^>]+\son[a-z]+=|\sstyle=|<script(?![^>]*\ssrc=)|<style", page.text)
    assets = re.findall(r"\.\./assets/([a-z.]+)", page.text)
    assert {"favourites.css", "gallery.css", "gallery.js"} <= set(assets)
    for name in {*assets, "favourites.js"}:
        asset = visitor.get(f"/assets/{name}")
        assert asset.status_code == 200, name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|srcdoc", asset.text), name
