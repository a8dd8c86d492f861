"""What counts as one download, the manifest, the photographer's own archive, and photos found damaged."""

from __future__ import annotations

import hashlib
import io
import time
import uuid
import zipfile
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx2 as httpx
import pytest

from safelight import storage, sweep
from safelight.archives.service import plan_gallery
from safelight.db import driver
from safelight.shares import downloads
from tests import product
from tests.api import Photographer, client, jpeg, run_jobs, running
from tests.claims import build_part
from tests.functions.support import in_parallel, problem, same, sql

pytestmark = pytest.mark.usefixtures("shared_api")

# Near the largest that is taken, most of it after the picture ended.
LARGE = jpeg() + b"\0" * 14_000_000


class Shared:
    """A gallery with two photos, and links to it."""

    def __init__(self, large: int = 1) -> None:
        self.anna = Photographer.registered()
        self.gallery = self.anna.gallery(title="Anna & Ben")["id"]
        self.originals = [jpeg(), *[LARGE] * large]
        self.photos = [
            self.anna.upload(self.gallery, data, filename=f"IMG_{number}.jpg")
            for number, data in enumerate(self.originals)
        ]
        run_jobs()

    def link(self, **policy: Any) -> str:
        return str(self.anna.share(self.gallery, **policy)["share_id"])

    def counters(self, share: str) -> tuple[int, int, int]:
        shown = self.anna.call("GET", f"/share-links/{share}").json()
        return shown["views"], shown["single_downloads"], shown["zip_downloads"]

    def zips(self, share: str) -> int:
        return self.counters(share)[2]


@pytest.fixture(scope="module")
def shared(shared_api: str) -> Shared:
    assert shared_api
    return Shared()


def visitor(name: str) -> httpx.Client:
    browser = client()
    browser.headers["User-Agent"] = name
    return browser


def eventually(condition: Callable[[], bool]) -> None:
    """What the server does after its answer."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def asked(share: str) -> int:
    """Bytes that were asked for and sent, of the link's one download."""
    [(found,)] = sql("SELECT asked_bytes FROM archive_downloads WHERE share_id = cast(:share AS uuid)", share=share)
    return int(found)


def asked_less(share: str, than: int) -> bool:
    return asked(share) < than


def leave_early_often(times: int, share: str, name: str, headers: dict[str, str] | None = None) -> None:
    """Begin the link's archive and hang up, until it is seen that most was not sent, again and again."""
    path = f"/s/{share}/download/all"
    size, before = int(client().head(path).headers["content-length"]), 0
    for _ in range(times):
        leave_early(path, name, headers)
        eventually(partial(asked_less, share, before + size - 100))
        before = asked(share)


def leave_early(path: str, name: str, headers: dict[str, str] | None = None) -> None:
    """Begin the download, read a little, hang up."""
    browser = visitor(name)
    with browser.stream("GET", path, headers=headers) as answer:
        assert answer.status_code in (200, 206)
        next(answer.iter_raw(1000))
    browser.close()


def test_parallel_segments_are_one_download_whichever_comes_first(shared: Shared) -> None:
    share = shared.link()
    path = f"/s/{share}/download/all"
    size = int(client().head(path).headers["content-length"])
    step = size // 16 + 1
    answers = in_parallel(
        16, lambda n: visitor("segments").get(path, headers={"Range": f"bytes={n * step}-{n * step + step - 1}"})
    )
    assert {answer.status_code for answer in answers} == {206}
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.content for answer in answers))) as archive:
        assert archive.testzip() is None
    assert shared.zips(share) == 1


def test_skipping_the_first_byte_is_no_way_around_a_limit(shared: Shared) -> None:
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/all"
    assert visitor("one").get(path, headers={"Range": "bytes=1-"}).status_code == 206
    assert visitor("one").get(path, headers={"Range": "bytes=0-99"}).status_code == 206
    problem(visitor("two").get(path, headers={"Range": "bytes=1-"}), 403, "download_limit_reached")
    assert visitor("one").get(path).status_code == 200
    assert shared.zips(share) == 1


@pytest.mark.parametrize("probe", ["bytes=0-0", "bytes=0-1"])
def test_a_probe_counts_nothing(shared: Shared, probe: str) -> None:
    share = shared.link()
    assert visitor("probe").get(f"/s/{share}/download/all", headers={"Range": probe}).status_code == 206
    assert visitor("probe").head(f"/s/{share}/download/all").status_code == 200
    assert shared.zips(share) == 0


def test_a_part_of_what_is_gone_is_refused_and_counts_nothing(shared: Shared) -> None:
    """Chromium asks for the parts of its parallel downloads with If-Match alone (RFC 9110 section 13.1.1)."""
    share = shared.link()
    paths = [f"/s/{share}/download/all", f"/s/{share}/photos/{shared.photos[0]}/file"]
    for path in paths:
        etag = client().head(path).headers["etag"]
        for given in ('"other"', f"W/{etag}", "nonsense", ""):
            for method, headers in (("GET", {"Range": "bytes=5-"}), ("GET", {}), ("HEAD", {})):
                answer = client().request(method, path, headers={**headers, "If-Match": given})
                assert answer.status_code == 412, (path, given, method)
        problem(client().get(path, headers={"If-Match": '"other"'}), 412, "download_changed")
    problem(
        client().get(f"/s/{share}/download/{shared.photos[0]}", headers={"If-Match": '"other"'}),
        412,
        "download_changed",
    )
    assert shared.counters(share) == (0, 0, 0)
    for path in paths:
        etag = client().head(path).headers["etag"]
        for given in (etag, f'"other", {etag}', "*"):
            assert client().get(path, headers={"Range": "bytes=5-", "If-Match": given}).status_code == 206


def test_parallel_downloads_share_one_plan(shared: Shared) -> None:
    with driver.connection() as connection:
        one, same = (plan_gallery(connection, uuid.UUID(shared.gallery), "original") for _ in range(2))
        other = plan_gallery(connection, uuid.UUID(shared.gallery), "web")
    assert one is same
    assert other is not one


def test_starting_over_is_the_same_download_and_what_was_not_sent_is_not_asked(shared_api: str) -> None:
    assert shared_api
    shared = Shared(large=3)  # more than the window and the buffers of two sockets hold together
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/all"
    leave_early_often(3, share, "patient")
    assert visitor("patient").get(path).status_code == 200  # to the end
    assert visitor("patient").get(path).status_code == 200  # and once more
    problem(visitor("other").get(path), 403, "download_limit_reached")
    assert shared.zips(share) == 1
    # Two days on, it is forgotten.
    sql("UPDATE archive_downloads SET at = now() - interval '49 hours'")
    sweep.run()
    problem(visitor("patient").get(path), 403, "download_limit_reached")


def test_whole_downloads_side_by_side_are_one_up_to_ten_copies(shared: Shared) -> None:
    share = shared.link(max_downloads=1)
    answers = in_parallel(20, lambda _: visitor("same").get(f"/s/{share}/download/all?size=web").status_code)
    assert sorted(answers) == [200] * 10 + [403] * 10
    assert shared.zips(share) == 1


def test_two_hundred_visitors_in_segments_never_overrun_a_limit(shared: Shared) -> None:
    share = shared.link(max_downloads=11)
    path = f"/s/{share}/download/all?size=web"
    browser = client(keeps_cookies=False)

    def segment(number: int) -> int:
        # Fifty visitors with four segments each.
        headers = {"User-Agent": f"visitor {number % 50}", "Range": f"bytes={number // 50 * 100}-"}
        return browser.get(path, headers=headers).status_code

    statuses = in_parallel(200, segment, threads=200)
    assert statuses.count(206) == 44
    assert statuses.count(403) == 156
    assert shared.zips(share) == 11


@pytest.mark.parametrize(
    "name",
    [
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "WhatsApp/2.23.20.0 A",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Twitterbot/1.0",
        "TelegramBot (like TwitterBot)",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    ],
)
def test_previews_and_crawlers_look_and_count_nothing(shared: Shared, name: str) -> None:
    share = shared.link(max_downloads=1)
    bot = visitor(name)
    assert bot.get(f"/s/{share}").status_code == 200
    assert bot.head(f"/s/{share}/download/all").status_code == 200
    problem(bot.get(f"/s/{share}/download/all"), 403, "not_for_previews")
    problem(bot.get(f"/s/{share}/download/{shared.photos[0]}"), 403, "not_for_previews")
    assert shared.counters(share) == (0, 0, 0)


PEOPLE = [
    None,
    "",
    "  ",
    "curl/8.5.0",
    "Wget/1.21",
    "aria2/1.36.0",
    "fetch libfetch/2.0",
    "python-httpx/0.28",
    "Mozilla/5.0 (X11; Linux) Firefox/140.0",
    "Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; CUBOT_X20_PRO) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; U; Android 9; Cubot Max 2) Version/4.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) AppleWebKit/605.1 Version/26.0 Safari/605.1 Technology Preview",
    # Browsers inside apps.
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 [Pinterest/iOS]",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/125.0 Mobile Safari/537.36 [Pinterest/Android]",
    "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 Chrome/125.0 Mobile Safari/537.36 WhatsApp/2.24.9",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Viber/24.1",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Mastodon/2025.4",
    "Mozilla/5.0 (Linux; Android 14; wv) AppleWebKit/537.36 Chrome/125.0 Mobile Safari/537.36 Tumblr/35.1",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/125.0 Safari/537.36",
]


@pytest.mark.parametrize("name", PEOPLE)
def test_programs_of_people_are_people(name: str | None) -> None:
    assert not downloads.automatic(name)
    assert not downloads.automatic(name, ["", "fetch", "navigate"])


@pytest.mark.parametrize(
    "name",
    [
        "SomethingNewBot/0.1", "new-bot (+https://example.com)", "Synapse (bot; +https://example.com)", "MyCrawler 2",
        "Screaming Frog SEO Spider/20", "archive.org_bot", "FeedFetcher-Google", "Yahoo! Slurp", "LinkPreview/1.0",
        "Link Preview Service", "Scrapy/2.11", "UptimeRobot/2.0",
        "WhatsApp/2.23.20.0 N", "Viber/22.0", "Pinterest/0.2 (+https://www.pinterest.com/)", "Tumblr/14.0.835.186",
        "Mastodon/4.3.8 (http.rb/5.2.0; +https://example.social/)", "whatsapp", "  Viber",
        "Mozilla/5.0 (compatible; Pinterestbot/1.0; +https://www.pinterest.com/bot.html)",
        "http.rb/5.2.0 (Mastodon/4.3.8; +https://example.social/)",
        "Mozilla/5.0 (X11; Linux) Chrome/125.0 Safari/537.36 Google-Safety", "GoogleProducer; (+http://goo.gl/7y4SX)",
        "BarracudaCentral", "Mozilla/5.0 (compatible; Dataprovider.com)",
    ],
)  # fmt: skip
def test_whoever_says_that_nobody_looks_is_believed(name: str) -> None:
    assert downloads.automatic(name)


@pytest.mark.parametrize(
    "ahead",
    [
        {"Sec-Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"},
        {"X-Moz": "Prefetch"}, {"X-Purpose": "preview"}, {"User-Agent": "", "Sec-Purpose": "prefetch"},
    ],
)  # fmt: skip
def test_what_is_loaded_ahead_or_by_nobody_counts_nothing_and_keeps_nothing(
    shared: Shared, ahead: dict[str, str]
) -> None:
    share = shared.link(max_downloads=1)
    assert client().get(f"/s/{share}", headers=ahead).status_code == 200
    problem(client().get(f"/s/{share}/download/{shared.photos[0]}", headers=ahead), 403, "not_for_previews")
    problem(client().get(f"/s/{share}/download/all", headers=ahead), 403, "not_for_previews")
    assert shared.counters(share) == (0, 0, 0)
    assert client().get(f"/s/{share}").status_code == 200
    assert shared.counters(share)[0] == 1


@pytest.mark.parametrize("given", [None, ""])
def test_a_request_without_a_user_agent_is_served_and_counted(shared: Shared, given: str | None) -> None:
    share = shared.link(max_downloads=2)
    browser = client()
    del browser.headers["User-Agent"]
    if given is not None:
        browser.headers["User-Agent"] = given
    assert browser.get(f"/s/{share}").status_code == 200
    assert browser.get(f"/s/{share}/download/{shared.photos[0]}", follow_redirects=True).content == shared.originals[0]
    assert browser.get(f"/s/{share}/download/all").status_code == 200
    assert shared.counters(share) == (1, 1, 1)
    problem(browser.get(f"/s/{share}/download/all?size=web"), 403, "download_limit_reached")


def test_the_sweep_forgets_who_downloaded(shared: Shared) -> None:
    share = shared.link()
    assert visitor("gone").get(f"/s/{share}/download/all").status_code == 200
    sql("UPDATE archive_downloads SET at = now() - interval '49 hours'")
    sweep.run()
    assert sql("SELECT 1 FROM archive_downloads") == []
    assert shared.zips(share) == 1


def test_the_manifest_tells_what_the_archive_holds_and_counts_nothing(shared: Shared) -> None:
    share = shared.link(password="Open 42")
    path = f"/s/{share}/download/all/manifest"
    problem(client().get(path), 401, "password_required")
    problem(client().get(f"/s/{shared.link(download='web')}/download/all/manifest?size=original"), 403, "downloads_off")
    browser = client()
    browser.post(f"/s/{share}/unlock", json={"password": "Open 42"})
    told = browser.get(path).json()
    assert shared.zips(share) == 0
    answer = browser.get(f"/s/{share}/download/all")
    assert told["name"] == "Anna & Ben.zip"
    assert (told["size"], told["etag"]) == (len(answer.content), answer.headers["etag"])
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        held = [
            {
                "name": info.filename,
                "size": info.file_size,
                "crc32": info.CRC,
                "sha256": hashlib.sha256(archive.read(info)).hexdigest(),
            }
            for info in archive.infolist()
            if info.filename != "SHA256SUMS.txt"
        ]
    assert told["photos"] == held


def test_the_photographer_downloads_her_own_gallery_uncounted(shared: Shared) -> None:
    share = shared.link(max_downloads=1)
    path = f"/galleries/{shared.gallery}/download"
    own = shared.anna.call("GET", path)
    assert own.status_code == 200
    assert own.content == client().get(f"/s/{share}/download/all").content
    part = shared.anna.call("GET", path, headers={"Range": "bytes=10-19", "If-Range": own.headers["etag"]})
    assert (part.status_code, part.content) == (206, own.content[10:20])
    assert shared.zips(share) == 1
    other = Photographer.registered()
    missing = other.call("GET", "/galleries/00000000-0000-4000-8000-000000000000/download")
    assert same(other.call("GET", path), missing)
    problem(missing, 404, "not_found")
    problem(client().get(path), 401, "unauthorized")


def test_a_damaged_photo_is_told_to_the_photographer_by_name(shared_api: str) -> None:
    assert shared_api
    shared = Shared()
    share = shared.link()
    [[key]] = sql("SELECT s3_key FROM photos WHERE id = cast(:id AS uuid)", id=shared.photos[1])
    storage.storage().delete([key])
    browser = client()
    with pytest.raises(httpx.HTTPError):
        browser.get(f"/s/{share}/download/all").raise_for_status()
    eventually(lambda: shared.anna.photo(shared.photos[1])["damaged_at"] is not None)
    assert "no longer in the storage" in shared.anna.photo(shared.photos[1])["damage_reason"]
    assert shared.anna.photo(shared.photos[1])["status"] == "ready"
    assert shared.anna.photo(shared.photos[0])["damaged_at"] is None
    told = shared.anna.call("GET", f"/galleries/{shared.gallery}").json()
    assert (told["ready_count"], told["damaged_count"]) == (2, 1)
    assert shared.anna.call("GET", "/galleries").json()["items"][0]["damaged_count"] == 1


def test_a_built_archive_is_counted_once_however_it_is_fetched(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.db.engine import transaction
    from safelight.jobs import queries

    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/all"
    running[0].forget()
    monkeypatch.setenv("ARCHIVE_STREAM_LIMIT", "1000000")
    product.forget()
    try:
        browser = visitor("built")
        assert browser.get(path).status_code == 202
        assert shared.zips(share) == 0
        with transaction() as session:
            due = queries.due(session, 100)
        for job_id, _ in due:
            build_part(job_id)
        ranges: list[dict[str, str]] = [{}, {"Range": "bytes=0-"}, {"Range": "bytes=1000-"}, {}]
        assert [browser.get(path, headers=headers).status_code for headers in ranges] == [307] * 4
        problem(visitor("another").get(path), 403, "download_limit_reached")
        assert shared.zips(share) == 1
    finally:
        running[0].forget()
        monkeypatch.delenv("ARCHIVE_STREAM_LIMIT")
        product.forget()
