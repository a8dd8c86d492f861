"""Links that strip metadata: whatever a visitor is given on any path says nothing about people."""

from __future__ import annotations

import hashlib
import importlib
import io
import re
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.routing import APIRoute
from PIL import Image

from safelight.archives.manifest import dump, load
from safelight.archives.service import plan_gallery
from safelight.db import driver
from safelight.db.engine import transaction
from safelight.jobs import queries as jobs
from safelight.pictures.facts import inspect
from safelight.pictures.strip import strip
from safelight.web.visitor import get_visit
from tests import product
from tests.api import GROUPS, Photographer, client, run_jobs
from tests.claims import build_part
from tests.core.pictures import private
from tests.core.pictures.samples import encode, scene
from tests.functions.support import in_parallel, problem, sql
from tests.functions.test_access import asks

pytestmark = pytest.mark.usefixtures("shared_api")

TYPES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "tiff": "image/tiff",
    "avif": "image/avif",
    "heic": "image/heic",
}
# Two EXIF blocks that differ, in their colours too: which one counts is nobody's to say, so the file is not handed out.
_TOLD = private.FILES["jpeg, baseline"]()
UNCLEAR = _TOLD[:20] + private.segment(0xE1, b"Exif\0\0" + private.block(3, adobe_rgb=True)) + _TOLD[20:]
UPLOADS = {
    "baseline.jpg": private.FILES["jpeg, baseline"](),
    "turned.jpg": private.FILES["jpeg, turned 6"](),
    "progressive.jpg": private.FILES["jpeg, progressive"](),
    "drawing.png": private.png(),
    "web.webp": private.webp(8, lossless=True),
    "scan.tif": private.tiff(6),
    "new.avif": private.avif(),
    "phone.heic": private.heic(6),
    "plain.jpg": encode(scene(200, 120), "JPEG"),
    "unclear.jpg": UNCLEAR,
    "before.jpg": private.FILES["jpeg, restart markers"](),
}
LARGE_ONLY = ("unclear.jpg", "before.jpg")
EXPECTED = {
    name: strip(data, inspect(data).format).applied(data) for name, data in UPLOADS.items() if name not in LARGE_ONLY
}


@dataclass
class Studio:
    """A photographer whose every photo tells everything, the last of them from before there were splice lists."""

    anna: Photographer
    gallery: str
    photos: dict[str, str]

    def link(self, **policy: Any) -> str:
        return str(self.anna.share(self.gallery, **{"strip_metadata": True, **policy})["share_id"])

    def counters(self, share: str) -> tuple[int, int]:
        shown = self.anna.call("GET", f"/share-links/{share}").json()
        return shown["single_downloads"], shown["zip_downloads"]


@pytest.fixture(scope="module")
def studio(shared_api: str) -> Studio:
    assert shared_api
    anna = Photographer.registered()
    gallery = anna.gallery(title="At home")["id"]
    photos = {
        name: anna.upload(gallery, data, filename=name, content_type=TYPES[inspect(data).format])
        for name, data in UPLOADS.items()
    }
    run_jobs()
    assert [anna.photo(photo)["failure_reason"] for photo in photos.values()] == [None] * len(photos)
    sql("DELETE FROM clean_originals WHERE photo_id = cast(:photo AS uuid)", photo=photos["before.jpg"])
    return Studio(anna, gallery, photos)


def fetched(answer: httpx.Response, browser: httpx.Client) -> httpx.Response:
    """The end of all redirections: the bucket's addresses are followed like a browser does."""
    while answer.status_code == 307:
        place = answer.headers["location"]
        answer = browser.get(place) if place.startswith("/") else httpx.get(place, timeout=30, verify=False)
    return answer


def assert_says_nothing(data: bytes) -> None:
    assert private.MARK not in data
    assert not any(place in data for place in private.POSITIONS)


def assert_a_clean_picture(data: bytes) -> None:
    assert_says_nothing(data)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        told = image.getexif()
        assert not told.get_ifd(0x8825)
        assert not set(told) - {0x0112, 0x8298, 0x8769, *range(254, 340), 34675, 530, 531, 532}
        assert not set(told.get_ifd(0x8769)) - {0xA001, 0xA005}


ROUTES = sorted(
    (method, route.path)
    for group in GROUPS
    for route in importlib.import_module(f"functions.{group}.app").app.routes
    if isinstance(route, APIRoute) and asks(route, get_visit)
    for method in route.methods or ()
)
BODIES: dict[str, Any] = {"POST /s/{share_id}/unlock": {"password": "x"}, "POST /s/{share_id}/selection": {"note": "x"}}


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[" ".join(route) for route in ROUTES])
@pytest.mark.parametrize("download", ["original", "web", "none"])
def test_no_route_of_a_visitor_serves_a_mark(studio: Studio, method: str, path: str, download: str) -> None:
    share, browser = studio.link(download=download), client()
    browser.put(f"/s/{share}/favourites/{studio.photos['baseline.jpg']}")
    photos = studio.photos.values() if "{photo_id}" in path else [""]
    queries = ["", "?size=original", "?size=web", "?selection=mine"] if "download/all" in path else [""]
    for photo in photos:
        for query in queries:
            asked = path.format(share_id=share, photo_id=photo) + query
            answer = browser.request(method, asked, json=BODIES.get(f"{method} {path}"))
            assert answer.status_code < 500
            served = fetched(answer, browser) if method == "GET" else answer
            assert_says_nothing(repr(answer.headers).encode() + answer.content + served.content)
            for address in addresses(answer):
                pictured = httpx.get(address, timeout=30, verify=False)
                assert pictured.status_code == 200
                assert_a_clean_picture(pictured.content)


def addresses(answer: httpx.Response) -> Iterator[str]:
    """Every presigned address in an answer's head or body; none may be that of an original that tells anything."""
    told = (
        answer.headers.get("location", "") + "\n" + answer.text
        if "json" in answer.headers.get("content-type", "") or answer.status_code == 307
        else ""
    )
    yield from sorted(set(re.findall(r'https?://[^"\s]+X-Amz-Signature[^"\s]+', told)))


@pytest.mark.parametrize("name", UPLOADS)
def test_a_photo_to_look_at_and_one_to_keep(studio: Studio, name: str) -> None:
    share, browser, photo = studio.link(), client(), studio.photos[name]
    seen = fetched(browser.get(f"/s/{share}/photos/{photo}"), browser)
    kept = fetched(browser.get(f"/s/{share}/download/{photo}"), browser)
    assert (seen.status_code, kept.status_code) == (200, 200)
    assert_a_clean_picture(seen.content)
    assert_a_clean_picture(kept.content)
    if name in LARGE_ONLY:
        assert kept.headers["content-type"] == "image/jpeg"
        assert hashlib.sha256(kept.content).hexdigest() == large_of(photo)
    else:
        assert kept.content == EXPECTED[name]
        assert kept.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert kept.headers["content-type"] == TYPES[inspect(kept.content).format]
    assert studio.counters(share) == (1, 0)


def large_of(photo: str) -> str:
    [(sha256,)] = sql(
        "SELECT sha256 FROM renditions WHERE photo_id = cast(:photo AS uuid) AND name = 'large'", photo=photo
    )
    return str(sha256)


def test_a_clean_original_still_comes_from_the_bucket(studio: Studio) -> None:
    answer = client().get(f"/s/{studio.link()}/download/{studio.photos['plain.jpg']}")
    assert "/originals/" in answer.headers["location"]
    assert fetched(answer, client()).content == UPLOADS["plain.jpg"]


def test_the_archive_holds_the_same_files(studio: Studio) -> None:
    share = studio.link()
    told = client().get(f"/s/{share}/download/all/manifest").json()
    answer = client().get(f"/s/{share}/download/all")
    assert (told["size"], told["etag"]) == (len(answer.content), answer.headers["etag"])
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [*UPLOADS, "SHA256SUMS.txt"]
        members = {name: archive.read(name) for name in archive.namelist()}
    sums = members.pop("SHA256SUMS.txt").decode()
    for entry in told["photos"]:
        data = members[entry["name"]]
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["size"], entry["sha256"])
        assert f"{entry['sha256']}  {entry['name']}\n" in sums
    for name, data in members.items():
        assert_a_clean_picture(data)
        assert (
            hashlib.sha256(data).hexdigest() == large_of(studio.photos[name])
            if name in LARGE_ONLY
            else (data == EXPECTED[name])
        )


@pytest.mark.parametrize("size", ["original", "web"])
def test_an_archive_does_not_tell_when_its_pictures_were_taken(studio: Studio, size: str) -> None:
    """A clean file does not, either; its time is that of its upload."""
    for strip_metadata in (True, False):
        share = studio.link(strip_metadata=strip_metadata)
        archive = client().get(f"/s/{share}/download/all", params={"size": size}).content
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            times = [member.date_time[:5] for member in opened.infolist()]
        assert (times.count((2026, 6, 21, 16, 45)) == 0) is strip_metadata


def test_an_archive_that_cannot_hold_an_original_says_so_in_its_name(studio: Studio) -> None:
    """A TIFF from before: its large rendition is a JPEG, and is called one."""
    gallery = studio.anna.gallery()["id"]
    photo = studio.anna.upload(gallery, private.tiff(), filename="IMG_1.TIF", content_type="image/tiff")
    run_jobs()
    sql("DELETE FROM clean_originals WHERE photo_id = cast(:photo AS uuid)", photo=photo)
    share = studio.anna.share(gallery, strip_metadata=True)["share_id"]
    assert client().get(f"/s/{share}/download/all/manifest").json()["photos"][0]["name"] == "IMG_1.jpg"
    kept = fetched(client().get(f"/s/{share}/download/{photo}"), client())
    assert 'filename="IMG_1.jpg"' in kept.headers["content-disposition"]


@pytest.mark.parametrize("what", ["download/all", "file"])
def test_any_part_of_it_is_the_slice_of_the_whole(studio: Studio, what: str) -> None:
    share, browser = studio.link(), client()
    path = f"/s/{share}/{what}" if what != "file" else f"/s/{share}/photos/{studio.photos['turned.jpg']}/file"
    whole = browser.get(path)
    tag = whole.headers["etag"]
    size = len(whole.content)
    assert int(whole.headers["content-length"]) == size
    steps = [0, 1, 2, 19, 20, 21, 150, 300, size // 2, size - 1]
    for start in steps:
        for stop in (start + 1, start + 40, size):
            part = browser.get(path, headers={"Range": f"bytes={start}-{stop - 1}", "If-Range": tag})
            assert part.status_code == 206
            assert part.content == whole.content[start:stop]
    assert browser.get(path, headers={"Range": f"bytes={size}-"}).status_code == 416
    assert browser.get(path, headers={"Range": "bytes=0-9", "If-Range": '"other"'}).content == whole.content


def test_resuming_is_the_same_download_and_a_limit_is_exact(studio: Studio) -> None:
    share = studio.link(max_downloads=2)
    path = f"/s/{share}/download/{studio.photos['baseline.jpg']}"
    one = client()
    one.headers["User-Agent"] = "one"
    file = one.get(path).headers["location"]
    assert studio.counters(share) == (0, 0)  # an address is no download yet
    size = len(EXPECTED["baseline.jpg"])
    for start in (0, size // 3, size // 2):
        assert one.get(file, headers={"Range": f"bytes={start}-"}).status_code == 206
    assert studio.counters(share) == (1, 0)
    two = client()
    two.headers["User-Agent"] = "two"
    assert two.get(file).status_code == 200
    problem(client().get(file), 403, "download_limit_reached")
    problem(client().get(file, headers={"Range": "bytes=1-"}), 403, "download_limit_reached")
    problem(client().get(f"/s/{share}/download/all"), 403, "download_limit_reached")
    assert studio.counters(share) == (2, 0)


def test_two_hundred_at_once_never_overrun_a_limit(studio: Studio) -> None:
    share = studio.link(max_downloads=7)
    path = f"/s/{share}/photos/{studio.photos['baseline.jpg']}/file"
    browser = client(keeps_cookies=False)
    statuses = in_parallel(
        200, lambda n: browser.get(path, headers={"User-Agent": f"visitor {n}", "Range": "bytes=5-"}).status_code
    )
    assert (statuses.count(206), statuses.count(403)) == (7, 193)
    assert studio.counters(share) == (7, 0)


def test_the_file_asks_what_every_path_asks(studio: Studio) -> None:
    photo = studio.photos["baseline.jpg"]
    locked = studio.link(password="Open 42")
    problem(client().get(f"/s/{locked}/photos/{photo}/file"), 401, "password_required")
    browser = client()
    browser.post(f"/s/{locked}/unlock", json={"password": "Open 42"})
    assert fetched(browser.get(f"/s/{locked}/download/{photo}"), browser).content == EXPECTED["baseline.jpg"]
    problem(client().get(f"/s/{studio.link(download='none')}/photos/{photo}/file"), 403, "downloads_off")
    web = client().get(f"/s/{studio.link(download='web')}/photos/{photo}/file")
    assert hashlib.sha256(web.content).hexdigest() == large_of(photo)
    bot = client()
    bot.headers["User-Agent"] = "Slackbot-LinkExpanding 1.0"
    problem(bot.get(f"/s/{studio.link()}/photos/{photo}/file"), 403, "not_for_previews")
    problem(client().get(f"/s/{studio.link()}/photos/{uuid.uuid4()}/file"), 404, "not_found")
    gone = studio.link()
    studio.anna.call("PATCH", f"/share-links/{gone}", json={"revoked": True})
    problem(client().get(f"/s/{gone}/photos/{photo}/file"), 404, "not_found")


def test_changing_the_setting_ends_grants_and_changes_what_is_served(studio: Studio) -> None:
    share = studio.link(password="Open 42", strip_metadata=False)
    photo, browser = studio.photos["baseline.jpg"], client()
    browser.post(f"/s/{share}/unlock", json={"password": "Open 42"})
    assert fetched(browser.get(f"/s/{share}/download/{photo}"), browser).content == UPLOADS["baseline.jpg"]
    changed = studio.anna.call("PATCH", f"/share-links/{share}", json={"strip_metadata": True})
    assert changed.json()["strip_metadata"] is True
    problem(browser.get(f"/s/{share}/download/{photo}"), 401, "password_required")
    browser.post(f"/s/{share}/unlock", json={"password": "Open 42"})
    assert fetched(browser.get(f"/s/{share}/download/{photo}"), browser).content == EXPECTED["baseline.jpg"]
    same = studio.anna.call("PATCH", f"/share-links/{share}", json={"strip_metadata": None})
    assert same.json()["strip_metadata"] is True


def test_without_the_setting_the_original_is_the_original(studio: Studio) -> None:
    plain = studio.anna.share(studio.gallery)
    assert plain["strip_metadata"] is False
    with zipfile.ZipFile(io.BytesIO(client().get(f"/s/{plain['share_id']}/download/all").content)) as archive:
        assert {name: archive.read(name) for name in UPLOADS} == UPLOADS


def test_the_photographer_keeps_everything(studio: Studio) -> None:
    whole = studio.anna.call("GET", f"/galleries/{studio.gallery}/download")
    with zipfile.ZipFile(io.BytesIO(whole.content)) as archive:
        assert {name: archive.read(name) for name in UPLOADS} == UPLOADS


def test_not_even_the_photographers_own_row_knows_where_a_picture_was_taken(studio: Studio) -> None:
    shown = repr([studio.anna.photo(photo) for photo in studio.photos.values()])
    assert "CANARY" not in shown
    [(stored,)] = sql("SELECT coalesce(string_agg(row_to_json(p)::text, ''), '') FROM photos p")
    [(cut,)] = sql("SELECT coalesce(string_agg(row_to_json(c)::text, ''), '') FROM clean_originals c")
    assert "CANARY" not in stored + cut
    assert len(cut) / len(EXPECTED) < 2000  # a splice list is no second copy


def test_a_built_archive_is_the_streamed_one(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    share, browser = studio.link(), client()
    path = f"/s/{share}/download/all"
    streamed = browser.get(path).content
    with monkeypatch.context() as patch:
        patch.setenv("ARCHIVE_STREAM_LIMIT", "1000")
        product.forget()
        assert browser.get(path).status_code == 202
        with transaction() as session:
            due = [job for job, kind in jobs.due(session, 100) if kind == "build_archive"]
        for job in due:
            build_part(job)
        answer = browser.get(path)
        assert answer.status_code == 307
        built = fetched(answer, browser)
    product.forget()
    assert built.content == streamed
    assert_says_nothing(built.content)


def test_a_manifest_carries_the_pieces(studio: Studio) -> None:
    with driver.connection() as connection:
        planned = plan_gallery(connection, uuid.UUID(studio.gallery), "original", strip=True)
        whole = plan_gallery(connection, uuid.UUID(studio.gallery), "original")
    again = load(dump(planned))
    assert (again.digest, again.size, again.entries) == (planned.digest, planned.size, planned.entries)
    assert planned.digest != whole.digest
