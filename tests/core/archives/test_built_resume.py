"""Resuming a built archive: the bucket sends it, so its validator counts, and another archive is never mixed in."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest
from sqlalchemy import text

from safelight import storage
from safelight.db.engine import transaction
from safelight.shares import limits
from safelight.shares.downloads import COPIES
from safelight.web import built, pages
from safelight.web.archive import ADDRESSES
from tests.api import client, running
from tests.claims import build_part
from tests.core.archives.building import MIB, due

pytestmark = pytest.mark.usefixtures("api")


def build(share: str) -> httpx.Client:
    """A browser whose archive lies in the bucket."""
    browser = client()
    assert browser.get(share).status_code == 202
    for job_id in due():
        build_part(job_id)
    return browser


def sql(statement: str) -> None:
    with transaction() as session:
        session.execute(text(statement))


def counted() -> int:
    with transaction() as session:
        return int(session.execute(text("SELECT count(*) FROM share_events WHERE kind = 'zip_download'")).scalar_one())


def test_all_answers_announce_the_objects_own_validator(share: str) -> None:
    browser = client()
    assert browser.get(f"{share}/manifest").json()["etag"] is None
    build(share)
    stored = httpx.get(browser.get(share).headers["location"], headers={"Range": "bytes=0-0"})
    assert stored.headers["etag"]
    assert browser.head(share).headers["etag"] == stored.headers["etag"]
    assert browser.get(f"{share}/manifest").json()["etag"] == stored.headers["etag"]


@pytest.mark.parametrize("validator", ["etag", "last-modified"])
def test_the_same_archive_goes_on_at_any_byte(share: str, validator: str) -> None:
    browser = build(share)
    whole = httpx.get(browser.get(share).headers["location"])
    resume = {"Range": f"bytes={9 * MIB}-", "If-Range": whole.headers[validator]}
    answer = browser.get(share, headers=resume)
    assert answer.status_code == 307
    rest = httpx.get(answer.headers["location"], headers=resume)
    assert (rest.status_code, rest.content) == (206, whole.content[9 * MIB :])


def test_half_of_another_archive_is_refused_and_not_counted(share: str) -> None:
    browser = build(share)
    old = browser.head(share).headers["etag"]
    first = httpx.get(browser.get(share).headers["location"], headers={"Range": f"bytes=0-{9 * MIB - 1}"})
    assert first.headers["etag"] == old
    sql("UPDATE photos SET deleted_at = now() WHERE filename = '3.jpg'")
    build(share)
    assert counted() == 1
    answer = browser.get(share, headers={"Range": f"bytes={9 * MIB}-", "If-Range": old})
    assert (answer.status_code, answer.json()["code"]) == (412, "download_changed")
    assert "location" not in answer.headers
    assert counted() == 1
    # Without a range If-Range says nothing (RFC 9110 section 13.1.5), and the whole is to be had.
    assert browser.get(share, headers={"If-Range": old}).status_code == 307


def test_what_the_store_judges_and_what_it_does_not(share: str) -> None:
    """The embedded store compares If-Match, and sends a part whatever If-Range says: so the product decides it."""
    browser = build(share)
    url = browser.get(share).headers["location"]
    etag = browser.head(share).headers["etag"]
    part = {"Range": "bytes=10-19"}
    assert httpx.get(url, headers={**part, "If-Match": etag}).status_code == 206
    assert httpx.get(url, headers={**part, "If-Match": '"other"'}).status_code == 412
    assert httpx.get(url, headers={**part, "If-Range": etag}).status_code == 206
    assert httpx.get(url, headers={**part, "If-Range": '"other"'}).status_code == 206


def test_the_address_is_good_for_two_minutes(share: str) -> None:
    url = build(share).get(share).headers["location"]
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [str(built.URL_SECONDS)] == ["120"]


PROGRAMS = {
    "curl": ["curl", "-sSL", "-C", "-", "-o", "all.zip"],
    "wget": ["wget", "-q", "-c", "-O", "all.zip"],
    "aria2c": ["aria2c", "-q", "-c", "-x4", "-s4", "-k1M", "--file-allocation=none", "-o", "all.zip"],
}


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_programs_resume_at_the_products_address(share: str, program: str, tmp_path: Path) -> None:
    assert shutil.which(program)
    whole = httpx.get(build(share).get(share).headers["location"]).content
    (tmp_path / "all.zip").write_bytes(whole[: 5 * MIB])
    subprocess.run([*PROGRAMS[program], f"{running[0].url}{share}"], cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "all.zip").read_bytes() == whole


def until_over(url: str) -> None:
    """Until the store takes this address no more."""
    for _ in range(600):
        if httpx.get(url, headers={"Range": "bytes=0-0"}).status_code == 403:
            return
        time.sleep(0.05)
    raise AssertionError("the address never ends")


def test_a_transfer_outlasts_its_address(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store looks at the time when a request starts."""
    monkeypatch.setattr(built, "URL_SECONDS", 5)
    browser = build(share)
    url = browser.get(share).headers["location"]
    with httpx.stream("GET", url) as answer:
        pieces = answer.iter_bytes(MIB)
        got = len(next(pieces))
        until_over(url)
        got += sum(map(len, pieces))
    assert got == int(answer.headers["content-length"])


def test_a_browser_without_scripts_waits_on_a_page_that_asks_again(share: str) -> None:
    browser = client()
    page = browser.get(share, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (page.status_code, page.headers["content-type"]) == (202, "text/html; charset=utf-8")
    assert pages.BEING_BUILT in page.text
    assert pages.BEING_BUILT in (pages.STATIC / "downloads.js").read_text()
    assert '<meta http-equiv="refresh" content="3">' in page.text
    assert "0\u00a0%" in page.text
    assert page.headers["vary"] == "Accept"
    assert browser.get(share, headers={"Accept": "application/json"}).json()["status"] == "building"
    for job_id in due():
        build_part(job_id)
    ready = browser.get(share, headers={"Accept": "text/html"})
    assert ready.status_code == 307
    assert httpx.get(ready.headers["location"]).headers["content-disposition"].startswith("attachment")
    assert list(storage.multipart().uploads("archives/")) == []


def test_a_part_of_an_archive_that_is_gone_is_refused_and_not_counted(share: str) -> None:
    """Chromium asks for the parts of its parallel downloads with If-Match alone."""
    browser = build(share)
    etag = browser.head(share).headers["etag"]
    part = {"Range": "bytes=10-19"}
    for given in (etag, f'"other", {etag}', "*"):
        assert browser.get(share, headers={**part, "If-Match": given}).status_code == 307, given
    assert counted() == 1
    other = client()
    other.headers["User-Agent"] = "another visitor"
    for given in ('"other"', f"W/{etag}", "nonsense", ""):
        answer = other.get(share, headers={**part, "If-Match": given})
        assert (answer.status_code, answer.json()["code"]) == (412, "download_changed"), given
    assert other.head(share, headers={"If-Match": '"other"'}).status_code == 412
    assert counted() == 1


def test_a_probe_and_a_range_beyond_the_end_tell_the_objects_validator_too(share: str) -> None:
    browser = build(share)
    etag = browser.head(share).headers["etag"]
    probe = browser.get(share, headers={"Range": "bytes=0-0"})
    beyond = browser.get(share, headers={"Range": f"bytes={10**12}-"})
    assert (probe.status_code, probe.headers["etag"]) == (206, etag)
    assert (beyond.status_code, beyond.headers["etag"]) == (416, etag)
    resume = {"Range": "bytes=100-199", "If-Match": probe.headers["etag"]}
    answer = browser.get(share, headers=resume)
    assert httpx.get(answer.headers["location"], headers=resume).status_code == 206


def test_addresses_of_the_whole_for_single_bytes_are_not_for_nothing(share: str) -> None:
    browser = build(share)
    sql("UPDATE share_links SET max_downloads = 1")
    statuses = [browser.get(share, headers={"Range": "bytes=2-2"}).status_code for _ in range(COPIES * ADDRESSES + 3)]
    assert statuses == [307] * (COPIES * ADDRESSES) + [403] * 3


def test_a_link_has_only_so_many_archives_put_together(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each other choice of photos is another one, and all of them lie in the bucket."""
    monkeypatch.setattr(limits, "ARCHIVE_HERE", replace(limits.ARCHIVE_HERE, tries=2))
    browser, base = client(), share.removesuffix("/download/all")
    with transaction() as session:
        photos = session.scalars(text("SELECT id FROM photos ORDER BY position LIMIT 3")).all()
    statuses = []
    for photo in photos:
        browser.put(f"{base}/favourites/{photo}").raise_for_status()
        # Who asks again waits for the same one.
        statuses += [browser.get(f"{share}?selection=mine").status_code for _ in range(2)]
    assert statuses == [202, 202, 202, 202, 429, 429]
    refused = browser.get(f"{share}?selection=mine")
    assert refused.json()["code"] == "too_many_requests"
    assert int(refused.headers["retry-after"]) > 60
    browser.delete(f"{base}/favourites/{photos[2]}").raise_for_status()
    assert browser.get(f"{share}?selection=mine").status_code == 202
    with transaction() as session:
        assert session.execute(text("SELECT count(*) FROM archives")).scalar_one() == 2
