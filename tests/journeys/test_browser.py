"""The visitor's page in a real browser, against the real server: waiting for a large ZIP, and getting it once."""

from __future__ import annotations

import os
import re
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Browser, BrowserContext, Download, Page, Route, expect, sync_playwright

from safelight import storage
from safelight.accounts import operators
from safelight.db.engine import transaction
from safelight.jobs import queries
from tests import product
from tests.api import PASSWORD, Photographer, jpeg, run_jobs, running
from tests.claims import build_part
from tests.functions.support import sql

MIB = 1024 * 1024
# Milliseconds that the page may take for one step; it asks every three seconds, and at once when it is nudged.
PATIENCE = 20_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's own browser, without a window."""
    program = shutil.which("chromium")
    assert program, "these tests need chromium"
    # As root, which builds in containers are, it does not start in its sandbox.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


class Gallery:
    """A shared gallery of 8 MiB on a server that streams up to 1 MiB and builds in two parts of 5."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.anna = Photographer.registered()
        self.id = gallery = self.anna.gallery(title="Anna & Ben")["id"]
        self.anna.upload(gallery, jpeg() + bytes(8 * MIB), filename="dance.jpg")
        run_jobs()
        self.share = self.anna.share(gallery, max_downloads=5)["share_id"]
        self.downloads: list[Download] = []

    def window(self) -> Page:
        """One more window of the same browser, at the gallery, with its button."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("download", lambda download: self.downloads.append(download))
        page.goto(f"{running[0].url}/s/{self.share}")
        expect(page.locator(".all")).to_be_visible(timeout=PATIENCE)
        return page

    def counted(self) -> int:
        """Downloads of the ZIP, as the photographer is told."""
        return int(self.anna.call("GET", f"/share-links/{self.share}").json()["zip_downloads"])


@pytest.fixture
def gallery(api: str, chromium: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gallery]:
    assert api
    monkeypatch.setenv("ARCHIVE_STREAM_LIMIT", str(MIB))
    monkeypatch.setenv("ARCHIVE_PART_SIZE", str(5 * MIB))
    product.forget()
    context = chromium.new_context(accept_downloads=True)
    yield Gallery(context)
    context.close()


def due() -> list[uuid.UUID]:
    with transaction() as session:
        return [job_id for job_id, _ in queries.due(session, 100)]


def build(parts: int) -> None:
    """What the worker would do."""
    jobs = due()
    assert len(jobs) >= parts
    # In a thread of its own, because playwright's event loop runs in this one.
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(build_part, jobs[:parts]))


def nudge(page: Page) -> None:
    """As if the network had come back: the page asks at once."""
    page.evaluate("() => { window.dispatchEvent(new Event('online')) }")


def tells(page: Page, words: str) -> None:
    """Wait until the page says so."""
    expect(page.locator(".zip .told")).to_contain_text(words, timeout=PATIENCE)


def got(download: Download, name: str = "Anna & Ben.zip") -> list[str]:
    """The names in a ZIP that arrived whole."""
    assert download.failure() is None
    assert download.suggested_filename == name
    with zipfile.ZipFile(download.path()) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def test_a_large_zip_is_waited_for_and_comes_once(gallery: Gallery) -> None:
    page = gallery.window()
    page.locator(".all").click()
    tells(page, "being put together")
    expect(page.locator(".zip .figures")).to_contain_text(re.compile(r"^0\s%"), timeout=PATIENCE)
    build(1)
    nudge(page)
    expect(page.locator(".zip .figures")).to_contain_text(re.compile(r"^50\s%"), timeout=PATIENCE)
    assert page.locator(".zip progress").evaluate("bar => bar.value") == 0.5
    assert (gallery.downloads, gallery.counted()) == ([], 0)
    build(1)
    with page.expect_download() as begun:
        nudge(page)
    assert got(begun.value) == ["dance.jpg", "SHA256SUMS.txt"]
    tells(page, "has started")
    # Neither a nudge nor a reload begins it again.
    nudge(page)
    page.reload()
    expect(page.locator(".all")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".zip")).to_be_hidden(timeout=PATIENCE)
    assert (len(gallery.downloads), gallery.counted()) == (1, 1)


def test_a_page_that_is_reloaded_goes_on_waiting(gallery: Gallery) -> None:
    page = gallery.window()
    page.locator(".all").click()
    tells(page, "being put together")
    build(1)
    page.reload()
    tells(page, "being put together")
    expect(page.locator(".zip .figures")).to_contain_text(re.compile(r"^50\s%"), timeout=PATIENCE)
    build(1)
    with page.expect_download() as begun:
        nudge(page)
    got(begun.value)
    tells(page, "has started")
    assert (len(gallery.downloads), gallery.counted()) == (1, 1)


def test_a_zip_that_cannot_be_made_says_why(gallery: Gallery) -> None:
    page = gallery.window()
    page.locator(".all").click()
    tells(page, "being put together")
    [[key]] = sql("SELECT s3_key FROM photos")
    storage.storage().delete([key])
    build(1)
    nudge(page)
    tells(page, "“dance.jpg” cannot be read")
    expect(page.locator(".zip")).to_have_class(re.compile("failed"))
    expect(page.locator(".zip .again")).to_have_text("Try again")
    expect(page.locator(".zip progress")).to_be_hidden()
    assert (gallery.downloads, gallery.counted()) == ([], 0)


def test_two_windows_wait_and_one_downloads(gallery: Gallery) -> None:
    one = gallery.window()
    one.locator(".all").click()
    tells(one, "being put together")
    other = gallery.window()
    tells(other, "being put together")
    build(2)
    with one.expect_download() as begun:
        nudge(one)
    got(begun.value)
    nudge(other)
    tells(one, "has started")
    tells(other, "started in another window")
    assert (len(gallery.downloads), gallery.counted()) == (1, 1)


def test_a_zip_that_takes_more_than_an_hour_is_fetched_all_the_same(gallery: Gallery) -> None:
    page = gallery.window()
    page.locator(".all").click()
    tells(page, "being put together")
    aged = "for (const name of Object.keys(localStorage)) localStorage.setItem(name, Date.now() - 2 * 3600_000)"
    page.evaluate(f"() => {{ {aged} }}")
    build(2)
    with page.expect_download() as begun:
        nudge(page)
    got(begun.value)
    tells(page, "has started")


def test_two_windows_wait_for_two_zips_and_each_gets_its_own(gallery: Gallery) -> None:
    everything = gallery.window()
    picks = gallery.window()
    picks.locator(".grid .heart").first.click()
    picks.locator(".picks").click()
    everything.locator(".all").click()
    tells(everything, "being put together")
    # Of one photo the favourites are the same ZIP, at another address.
    picks.locator(".mine").click()
    tells(picks, "being put together")
    build(2)
    for page, name in ((everything, "Anna & Ben.zip"), (picks, "Anna & Ben favourites.zip")):
        with page.expect_download() as begun:
            nudge(page)
        got(begun.value, name)
        tells(page, "has started")


def test_whoever_may_have_no_other_zip_put_together_is_told_so(gallery: Gallery) -> None:
    def refuse(route: Route) -> None:
        told = {"code": "too_many_requests", "detail": "Too many ZIPs were asked for today."}
        route.fulfill(status=429, headers={"Retry-After": "3600"}, json=told)

    page = gallery.window()
    page.route(re.compile(r"/download/all$"), refuse)
    page.locator(".all").click()
    tells(page, "Too many ZIPs were asked for today.")
    expect(page.locator(".zip")).to_have_class(re.compile("failed"))


def test_guests_with_the_same_browser_at_one_address_are_counted_one_by_one(
    gallery: Gallery, chromium: Browser
) -> None:
    share = gallery.anna.share(gallery.id, max_downloads=2)["share_id"]
    page_of, zip_of = f"{running[0].url}/s/{share}", f"{running[0].url}/s/{share}/download/all?size=web"
    for number in range(3):
        context = chromium.new_context(accept_downloads=True)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(page_of)
        expect(page.locator(".count")).to_contain_text("1 photo", timeout=PATIENCE)
        assert context.cookies() == []  # looking gives none
        if number < 2:
            with page.expect_download() as begun:
                page.evaluate("address => { location.assign(address) }", zip_of)
            assert got(begun.value, "Anna & Ben (web size).zip") == ["dance.jpg", "SHA256SUMS.txt"]
        else:
            answer = page.goto(zip_of)
            assert answer is not None
            assert answer.status == 403
        cookies = [(one["name"], one["path"], one["httpOnly"], one["sameSite"]) for one in context.cookies()]
        given = (f"visitor_{uuid.UUID(share).hex}", "/s/", True, "Lax")
        assert cookies == ([given] if number < 2 else [])
        context.close()
    stats = gallery.anna.call("GET", f"/share-links/{share}/stats").json()
    assert (stats["zip_downloads"], stats["visitor_days"], stats["views"]) == (2, 2, 3)


def test_pictures_whose_addresses_have_died_are_asked_for_again(gallery: Gallery) -> None:
    died: set[str] = set()

    def die(route: Route) -> None:
        died.add(route.request.url.partition("?")[0].rpartition("/")[2])
        route.fulfill(status=403)

    # Those that come with the list are good for 900 seconds, those that are signed anew for 120.
    gallery.context.route(re.compile(r"/renditions/.*X-Amz-Expires=900"), die)
    page = gallery.window()
    expect(page.locator(".grid img.shown")).to_have_count(1, timeout=PATIENCE)
    page.locator(".grid button").first.click()
    expect(page.locator(".viewer img")).to_have_js_property("naturalWidth", 64, timeout=PATIENCE)
    assert died == {"thumb.jpg", "preview.jpg"}
    assert gallery.anna.call("GET", f"/share-links/{gallery.share}").json()["views"] == 1


def by_one(gallery: Gallery) -> None:
    """Three photos in the gallery, of which the page gets one at a time."""
    gallery.anna.upload(gallery.id, jpeg(), filename="cake.jpg")
    gallery.anna.upload(gallery.id, jpeg(), filename="ring.jpg")
    run_jobs()
    listing = re.compile(rf"/s/{gallery.share}(\?cursor=.*)?$")

    def one_photo(route: Route) -> None:
        if route.request.resource_type == "document":
            return route.continue_()
        mark = "&" if "?" in route.request.url else "?"
        return route.continue_(url=f"{route.request.url}{mark}limit=1")

    gallery.context.route(listing, one_photo)


def opened(page: Page) -> list[str]:
    """What the grid shows, in its order."""
    found: list[str] = page.locator(".grid li > button:first-child").evaluate_all(
        "all => all.map(one => one.ariaLabel)"
    )
    return found


ALL_THREE = ["Open dance.jpg", "Open cake.jpg", "Open ring.jpg"]


def test_scrolling_brings_the_next_photos_once(gallery: Gallery) -> None:
    by_one(gallery)
    page = gallery.window()
    page.locator(".more").dispatch_event("click")
    page.locator(".more").dispatch_event("click")
    expect(page.locator(".more")).to_be_hidden(timeout=PATIENCE)
    # A press that was on its way when the last ones came.
    page.locator(".more").dispatch_event("click")
    page.wait_for_load_state("networkidle")
    assert opened(page) == ALL_THREE


def test_a_link_that_is_locked_on_the_way_goes_on_where_it_stopped(gallery: Gallery) -> None:
    by_one(gallery)
    # The observer would load all of them at once.
    gallery.context.add_init_script("window.IntersectionObserver = class { observe() {} unobserve() {} }")
    page = gallery.window()
    gallery.anna.call("PATCH", f"/share-links/{gallery.share}", json={"password": "open sesame"})
    page.locator(".more").click()
    page.locator("#password").fill("open sesame")
    page.keyboard.press("Enter")
    expect(page.locator(".grid li")).to_have_count(2, timeout=PATIENCE)
    page.locator(".more").click()
    expect(page.locator(".more")).to_be_hidden(timeout=PATIENCE)
    assert opened(page) == ALL_THREE


def test_without_a_network_the_page_says_so(gallery: Gallery) -> None:
    page = gallery.context.new_page()
    listing = re.compile(rf"/s/{gallery.share}$")
    page.route(listing, lambda route: route.continue_() if route.request.is_navigation_request() else route.abort())
    page.goto(f"{running[0].url}/s/{gallery.share}")
    expect(page.locator("main > .note")).to_contain_text("cannot be opened just now", timeout=PATIENCE)


def test_the_documentation_keeps_no_password(api: str, chromium: Browser) -> None:
    """Pages of the same origin could read it, and it would outlive the refresh token's cookie, which none can read."""
    anna = Photographer.registered()
    page = chromium.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{api}/docs")
    page.locator("button.authorize").first.click()
    page.locator("#oauth_username").fill(anna.email)
    page.locator("#oauth_password").fill(PASSWORD)
    form = page.locator(".auth-container", has=page.locator("#oauth_username"))
    form.locator("button.authorize").click()
    expect(page.locator(".auth-container button", has_text="Logout")).to_be_visible(timeout=PATIENCE)
    stored = "() => [localStorage.length, sessionStorage.length]"
    assert page.evaluate(stored) == [0, 0]
    page.evaluate("() => localStorage.setItem('authorized', '{}')")  # as earlier pages did
    page.reload()
    expect(page.locator("button.authorize").first).to_be_visible(timeout=PATIENCE)
    assert page.evaluate(stored) == [0, 0]
    page.context.close()


def test_an_invited_person_opens_an_account(api: str, chromium: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRATION", "invite")
    monkeypatch.setenv("BASE_URL", api)
    product.forget()
    email = "invited@example.com"
    made = operators.invite(email)
    page = chromium.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(made.url)
    page.locator("#email").fill("other@example.com")
    page.locator("#password").fill(PASSWORD)
    page.locator("button").click()
    expect(page.locator(".wrong")).to_contain_text("does not open an account for this e-mail", timeout=PATIENCE)
    page.locator("#email").fill(email)
    page.locator("button").click()
    expect(page.get_by_role("status")).to_contain_text(f"The account of {email} is open", timeout=PATIENCE)
    assert made.code not in page.url
    # Browsers keep what stands after "#" to themselves; it travels in the body alone.
    assert [url for url in asked if made.code in url.partition("#")[0]] == []
    Photographer(email=email).sign_in()
    page.goto(f"{api}/join")
    expect(page.get_by_role("status")).to_contain_text("lacks the invitation's code", timeout=PATIENCE)
    page.context.close()
