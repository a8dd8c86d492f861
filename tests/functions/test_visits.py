"""What visitors may see, and how exactly it is counted."""

from __future__ import annotations

import gzip
import json
import uuid
from typing import Any

import httpx2 as httpx
import pytest

from tests.api import Photographer, client, jpeg, run_jobs
from tests.functions.support import in_parallel, problem, same, sql

pytestmark = pytest.mark.usefixtures("shared_api")


class Shared:
    """A gallery with two ready photos, one of them no picture that browsers show."""

    def __init__(self) -> None:
        self.anna = Photographer.registered()
        self.gallery = self.anna.gallery(title="Anna & Ben", description="thanks")["id"]
        self.originals = [jpeg(), jpeg(colour=(9, 9, 9))]
        self.photos = [self.anna.upload(self.gallery, data, filename="IMG_1.jpeg") for data in self.originals]
        self.anna.announce(self.gallery, jpeg())  # still pending: visitors never see it
        run_jobs()

    def link(self, **policy: Any) -> str:
        return str(self.anna.share(self.gallery, **policy)["share_id"])

    def counters(self, share: str) -> tuple[int, int, int]:
        shown = self.anna.call("GET", f"/share-links/{share}").json()
        return shown["views"], shown["single_downloads"], shown["zip_downloads"]


@pytest.fixture(scope="module")
def shared(shared_api: str) -> Shared:
    assert shared_api
    return Shared()


def paths(share: str, photo: str) -> list[str]:
    return [
        f"/s/{share}", f"/s/{share}/photos/{photo}", f"/s/{share}/download/{photo}", f"/s/{share}/download/all",
        f"/s/{share}/download/all?size=web",
    ]  # fmt: skip


def unlock(visitor: httpx.Client, share: str, password: str) -> httpx.Response:
    return visitor.post(f"/s/{share}/unlock", json={"password": password})


def test_every_link_that_is_not_live_looks_like_nothing_at_all(shared: Shared) -> None:
    photo = shared.photos[0]
    expired, revoked, deleted, slugged = (shared.link() for _ in range(4))
    sql("UPDATE share_links SET expires_at = now() WHERE id = :id", id=expired)
    shared.anna.call("PATCH", f"/share-links/{revoked}", json={"revoked": True})
    shared.anna.call("PATCH", f"/share-links/{slugged}", json={"slug": "once-there", "revoked": True})
    shared.anna.call("DELETE", f"/share-links/{deleted}")
    other, closed, barred = Photographer.registered(), Photographer.registered(), Photographer.registered()
    gallery = other.gallery()["id"]
    of_deleted = other.share(gallery)["share_id"]
    other.call("DELETE", f"/galleries/{gallery}")
    of_closed = closed.share(closed.gallery()["id"], password="secret")["share_id"]
    closed.call("DELETE", "/auth/me")
    of_barred = barred.share(barred.gallery()["id"], password="secret")["share_id"]
    sql("UPDATE users SET is_active = false WHERE email = :email", email=barred.email)
    dead = (
        expired,
        revoked,
        deleted,
        "once-there",
        of_deleted,
        of_closed,
        of_barred,
        "no-such-slug",
        "%00",
        "é",
        "a" * 300,
    )
    visitor = client()
    for path, reference in zip(paths("{}", photo), paths(str(uuid.uuid4()), photo), strict=True):
        unknown = visitor.get(reference)
        problem(unknown, 404, "not_found")
        for share in dead:
            assert same(visitor.get(path.replace("{}", share)), unknown), (path, share)
    unknown = unlock(visitor, str(uuid.uuid4()), "secret")
    for share in dead:
        assert same(unlock(visitor, share, "secret"), unknown), share
    assert shared.counters(revoked) == (0, 0, 0)
    shared.anna.call("PATCH", f"/share-links/{revoked}", json={"revoked": False})
    assert visitor.get(f"/s/{revoked}").status_code == 200


def test_a_locked_link_says_so_on_every_path_until_it_is_unlocked(shared: Shared) -> None:
    share = shared.link(password="Cafe\u0301 42")
    visitor = client()
    answers = [visitor.get(path) for path in paths(share, shared.photos[0])] + [
        visitor.head(f"/s/{share}/download/all")
    ]
    for answer in answers[:-1]:
        problem(answer, 401, "password_required")
        assert "Anna" not in answer.text
    assert answers[-1].status_code == 401
    problem(unlock(visitor, share, "wrong"), 401, "wrong_password")
    problem(visitor.post(f"/s/{share}/unlock", json={}), 422, "invalid")
    assert shared.counters(share) == (0, 0, 0)

    opened = unlock(visitor, share, "Café 42")
    assert opened.status_code == 204
    cookie = opened.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/s/", "Max-Age=43200"} <= set(cookie.split("; "))
    for path in paths(share, shared.photos[0]):
        assert visitor.get(path).status_code in (200, 307), path
    assert shared.counters(share) == (1, 1, 2)


def test_a_grant_opens_its_own_link_until_the_policy_changes(shared: Shared) -> None:
    one, other = shared.link(password="secret"), shared.link(password="secret")
    visitor = client()
    value = unlock(visitor, one, "secret").cookies[f"grant_{uuid.UUID(one).hex}"]
    forged = {"Cookie": f"grant_{uuid.UUID(other).hex}={value}"}
    problem(client().get(f"/s/{other}", headers=forged), 401, "password_required")
    longer = str(int(value.split(".")[0]) + 1) + "." + value.split(".")[1]
    for bad in (
        longer,
        value[:-1],
        "",
        ".",
        "0." + value.split(".")[1],
        "9" * 400 + ".x",
        "é.x".encode().decode("latin-1"),
    ):
        headers = {"Cookie": f"grant_{uuid.UUID(one).hex}={bad}".encode("latin-1")}
        problem(client().get(f"/s/{one}", headers=headers), 401, "password_required")  # type: ignore[arg-type]  # bytes are fine
    assert visitor.get(f"/s/{one}").status_code == 200
    shared.anna.call("PATCH", f"/share-links/{one}", json={"password": "changed"})
    problem(visitor.get(f"/s/{one}"), 401, "password_required")
    assert unlock(visitor, one, "changed").status_code == 204
    assert visitor.get(f"/s/{one}").status_code == 200


def test_a_link_without_downloads_shows_and_gives_nothing_to_keep(shared: Shared) -> None:
    share = shared.link(download="none")
    visitor = client()
    assert visitor.get(f"/s/{share}").json()["download"] == "none"
    view = visitor.get(f"/s/{share}/photos/{shared.photos[0]}")
    assert "/renditions/" in view.headers["location"]
    for path in (
        f"/s/{share}/download/{shared.photos[0]}",
        f"/s/{share}/download/all",
        f"/s/{share}/download/all?size=web",
    ):
        problem(visitor.get(path), 403, "downloads_off")
    assert shared.counters(share) == (1, 0, 0)


def test_a_link_for_web_sizes_never_hands_out_an_original(shared: Shared) -> None:
    share = shared.link(download="web")
    visitor = client()
    for path, name in (
        (f"/s/{share}/photos/{shared.photos[0]}", "preview"),
        (f"/s/{share}/download/{shared.photos[0]}", "large"),
    ):
        location = visitor.get(path).headers["location"]
        assert f"/renditions/{shared.gallery}/{shared.photos[0]}/{name}.jpg" in location
        assert httpx.get(location, verify=False).content not in shared.originals
    problem(visitor.get(f"/s/{share}/download/all?size=original"), 403, "downloads_off")
    archive = visitor.get(f"/s/{share}/download/all")
    assert "(web size)" in archive.headers["content-disposition"]
    assert not any(original in archive.content for original in shared.originals)
    assert shared.counters(share) == (0, 1, 1)


@pytest.mark.parametrize(
    ("policy", "cleanable", "largest"),
    [
        ({"download": "web"}, True, "preview"),
        ({"download": "web", "strip_metadata": True}, True, "preview"),
        ({"strip_metadata": True}, True, "large"),
        ({"strip_metadata": True}, False, "preview"),
        ({}, False, "large"),
        ({"download": "none"}, True, "large"),
        ({"download": "none", "strip_metadata": True}, False, "large"),
    ],
    ids=str,
)
def test_what_counts_as_a_download_is_never_looked_at_uncounted(
    shared: Shared, policy: dict[str, Any], *, cleanable: bool, largest: str
) -> None:
    """Where the file to keep is the large rendition, no address to look at has its bytes."""
    anna, gallery = shared.anna, shared.anna.gallery()["id"]
    photo = anna.upload(gallery, jpeg(2000, 1500))
    run_jobs()
    if not cleanable:
        sql("DELETE FROM clean_originals WHERE photo_id = cast(:photo AS uuid)", photo=photo)
    share = anna.share(gallery, max_downloads=1, **policy)["share_id"]
    visitor = client()
    listed = visitor.get(f"/s/{share}").json()["photos"][0]
    looks = [listed["thumbnail_url"], listed["preview_url"]]
    for size, name in (("", largest), ("large", largest), ("preview", "preview"), ("thumb", "thumb")):
        location = visitor.get(listed["full_url"], params={"size": size} if size else {}).headers["location"]
        assert f"/{photo}/{name}.jpg" in location, size
        looks.append(location)
    seen = [httpx.get(address, verify=False).content for address in looks]
    if policy.get("download") != "none":
        kept = visitor.get(f"/s/{share}/download/{photo}", follow_redirects=True)
        assert kept.status_code == 200
        assert kept.content not in seen
    assert shared.counters(share) == (1, int(policy.get("download") != "none"), 0)


def test_a_link_to_originals_hands_them_out_under_their_names(shared: Shared) -> None:
    share = shared.link()
    location = client().get(f"/s/{share}/download/{shared.photos[1]}").headers["location"]
    kept = httpx.get(location, verify=False)
    assert kept.content == shared.originals[1]
    assert kept.headers["content-disposition"].startswith('attachment; filename="IMG_1.jpeg"')
    for photo in (uuid.uuid4(), shared.anna.announce(shared.gallery, jpeg())["photo"]["id"]):
        for path in (f"/s/{share}/photos/{photo}", f"/s/{share}/download/{photo}"):
            problem(client().get(path), 404, "not_found")
    assert shared.counters(share) == (0, 1, 0)


def test_the_listing_comes_in_pages_compressed_and_uncached(shared: Shared) -> None:
    share = shared.link()
    visitor = client()
    first = visitor.get(f"/s/{share}", params={"limit": 1})
    assert first.headers["cache-control"] == "private, no-store"
    body = first.json()
    assert body["gallery"] == {"title": "Anna & Ben", "description": "thanks"}
    assert body["photos"][0].keys() == {
        "photo_id", "filename", "thumbnail_url", "preview_url", "full_url", "width", "height", "thumbhash",
    }  # fmt: skip
    rest = visitor.get(f"/s/{share}", params={"limit": 1, "cursor": body["next_cursor"]}).json()
    assert [one["photo_id"] for one in body["photos"] + rest["photos"]] == shared.photos
    assert rest["next_cursor"] is None
    assert shared.counters(share)[0] == 1  # one visit, however many pages
    assert visitor.get(f"/s/{share}?limit=1&cursor=").json()["photos"] == body["photos"]
    assert shared.counters(share)[0] == 2  # an empty cursor's page is the first one
    with visitor.stream("GET", f"/s/{share}", headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(raw))["photos"]) == 2
    plain = visitor.get(f"/s/{share}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers


def test_two_hundred_visitors_at_once_are_all_counted(shared: Shared) -> None:
    share = shared.link()
    visitor = client(keeps_cookies=False)
    targets = paths(share, shared.photos[0])
    wanted = [targets[0], targets[2]] * 100
    statuses = in_parallel(
        200, lambda n: visitor.get(wanted[n], headers={"User-Agent": f"visitor {n}"}).status_code, threads=200
    )
    assert sorted(statuses) == [200] * 100 + [307] * 100
    assert shared.counters(share) == (100, 100, 0)


def test_a_limit_is_never_overrun_by_two_hundred_at_once(shared: Shared) -> None:
    share = shared.link(max_downloads=17)
    visitor = client(keeps_cookies=False)
    targets = paths(share, shared.photos[0])
    wanted = [targets[2], targets[3]] * 100
    answers = in_parallel(200, lambda n: visitor.get(wanted[n], headers={"User-Agent": f"visitor {n}"}), threads=200)
    given = [answer for answer in answers if answer.status_code in (200, 307)]
    assert len(given) == 17
    for answer in answers:
        if answer not in given:
            problem(answer, 403, "download_limit_reached")
    views, singles, zips = shared.counters(share)
    assert (views, singles + zips) == (0, 17)
    assert client().get(f"/s/{share}").status_code == 200  # looking is free


def test_a_resumed_or_refused_archive_counts_once(shared: Shared) -> None:
    share = shared.link()
    visitor = client()
    path = f"/s/{share}/download/all"
    whole = visitor.get(path)
    size, etag = len(whole.content), whole.headers["etag"]
    for headers, status in (
        ({"Range": "bytes=100-"}, 206),
        ({"Range": f"bytes={size}-"}, 416),
        ({"Range": "bytes=-10"}, 206),
        ({"Range": "bytes=100-", "If-Range": etag}, 206),
    ):
        assert visitor.get(path, headers=headers).status_code == status
    assert visitor.head(path).headers["content-length"] == str(size)
    assert shared.counters(share) == (0, 0, 1)
    assert visitor.get(path, headers={"Range": "bytes=100-", "If-Range": '"old"'}).status_code == 200
    assert shared.counters(share) == (0, 0, 1)


def test_an_empty_gallery_is_shown_and_has_nothing_to_download() -> None:
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"])["share_id"]
    assert client().get(f"/s/{share}").json()["photos"] == []
    problem(client().get(f"/s/{share}/download/all"), 409, "nothing_to_download")
    assert anna.call("GET", f"/share-links/{share}").json()["zip_downloads"] == 0


def test_head_tells_what_get_would_and_counts_nothing(shared: Shared) -> None:
    """Link previews ask so."""
    share = shared.link()
    for accept in ("application/json", "text/html"):
        head, got = (client().request(method, f"/s/{share}", headers={"Accept": accept}) for method in ("HEAD", "GET"))
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-type", "cache-control", "vary"):
            assert head.headers[name] == got.headers[name]
    assert shared.counters(share)[0] == 1  # the one GET for the list
    assert client().head(f"/s/{uuid.uuid4()}").status_code == 404
    assert client().head(f"/s/{shared.link(password='Open 42')}").status_code == 401
