"""Who is counted as whom: the cookie of a link, and today's hash of address and program for those without."""

from __future__ import annotations

import datetime as dt
import subprocess
import uuid
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from safelight.config import settings
from safelight.security import visitorcookies
from tests import product
from tests.api import client, running
from tests.functions.support import in_parallel, problem, sql
from tests.functions.test_downloads import Shared
from tests.functions.test_fair_counting import Clock, time

pytestmark = pytest.mark.usefixtures("shared_api")
assert time  # the fixture


@pytest.fixture(scope="module")
def shared(shared_api: str) -> Shared:
    assert shared_api
    return Shared()


def name(share: str) -> str:
    return f"visitor_{uuid.UUID(share).hex}"


def given(answer: httpx.Response, share: str) -> str | None:
    """The attributes with which an answer sets the link's cookie."""
    set_cookies = answer.headers.get_list("set-cookie")
    return next((one for one in set_cookies if one.startswith(f"{name(share)}=")), None)


def issued(share: str, now: dt.datetime | None = None) -> str:
    """A cookie of this link that somebody got for a favourite."""
    moment = now or dt.datetime.now(dt.UTC)
    return visitorcookies.make_cookie(uuid.UUID(share), bytes(16), product.JWT_SECRET, moment, downloading=False)


def owner(share: str, cookie: str | None = None) -> httpx.Client:
    """Somebody with a cookie, at the address and with the program of everybody here."""
    browser = client()
    browser.cookies.set(name(share), cookie or issued(share), path="/s/")
    return browser


def unique(shared: Shared, share: str) -> int:
    [day] = shared.anna.call("GET", f"/share-links/{share}/stats").json()["days"]
    return int(day["unique_visitors"])


NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": "text/html,*/*;q=0.8"}


# ---------------------------------------------------------------- when it is given


def test_looking_gives_no_cookie(shared: Shared) -> None:
    share, photo = shared.link(), shared.photos[1]
    whole, single = f"/s/{share}/download/all", f"/s/{share}/download/{photo}"
    size = client().head(whole).headers["content-length"]
    looks: list[tuple[str, str, dict[str, str]]] = [
        ("GET", f"/s/{share}", {}), ("GET", f"/s/{share}", {"Accept": "text/html"}), ("HEAD", f"/s/{share}", {}),
        ("GET", f"/s/{share}/photos/{photo}", {}), ("GET", f"/s/{share}/favourites", {}),
        ("DELETE", f"/s/{share}/favourites/{photo}", {}), ("GET", f"{whole}/manifest", {}),
        ("GET", f"{whole}/status", {}), ("HEAD", whole, {}), ("HEAD", single, {}),
        ("HEAD", f"/s/{share}/photos/{photo}/file", {}),
        ("GET", whole, {"Range": "bytes=0-0"}), ("GET", single, {"Range": "bytes=0-1"}),
        ("GET", whole, {"Range": f"bytes={size}-"}), ("GET", single, {"Range": "bytes=99999999-"}),
        ("GET", whole, {"Sec-Purpose": "prefetch"}), ("GET", single, {"Purpose": "prefetch"}),
        ("GET", whole, {"User-Agent": "WhatsApp/2.23"}), ("GET", single, {"User-Agent": "Googlebot/2.1"}),
        ("PUT", f"/s/{share}/favourites/{photo}", {"User-Agent": "Googlebot/2.1"}),
        ("PUT", f"/s/{share}/favourites/{uuid.uuid4()}", {}), ("GET", f"/s/{share}/download/{uuid.uuid4()}", {}),
        ("GET", single, {"If-Match": '"other"'}), ("HEAD", single, {"Sec-Fetch-Mode": "navigate"}),
        ("GET", whole, {"Sec-Fetch-Mode": "navigate", "Sec-Purpose": "prefetch"}),
    ]  # fmt: skip
    file = f"/s/{share}/photos/{photo}/file"
    asks: list[tuple[str, dict[str, str]]] = [
        (f"/s/{share}/download/{uuid.uuid4()}", {}), (f"/s/{share}/photos/{uuid.uuid4()}/file", {}),
        *((path, {"Range": "bytes=0-1"}) for path in (whole, single, file)),
        *((path, {"Range": "bytes=99999999-"}) for path in (whole, single, file)),
        *((path, {"If-Match": '"other"'}) for path in (whole, single, file)),
    ]  # fmt: skip
    looks += [("GET", path, {**headers, **NAVIGATION}) for path, headers in asks]
    for method, path, headers in looks:
        answer = client().request(method, path, headers=headers, follow_redirects="bytes=0-1" in headers.values())
        assert given(answer, share) is None, (method, path, headers, answer.status_code)
    spent = shared.link(max_downloads=1)
    assert owner(spent).get(f"/s/{spent}/download/{photo}").status_code == 307
    for path in (f"/s/{spent}/download/{photo}", f"/s/{spent}/photos/{photo}/file", f"/s/{spent}/download/all"):
        for headers in ({}, NAVIGATION):
            refused = client().get(path, headers=headers)
            assert (refused.status_code, given(refused, spent)) == (403, None), (path, headers)


@pytest.mark.parametrize("first", ["photo", "file", "zip", "range", "favourite"])
def test_the_first_favourite_or_download_gives_a_cookie_and_no_other_does(shared: Shared, first: str) -> None:
    share, photo = shared.link(), shared.photos[1]
    asks: dict[str, tuple[str, str, dict[str, str]]] = {
        "photo": ("GET", f"/s/{share}/download/{photo}", {}),
        "file": ("GET", f"/s/{share}/photos/{photo}/file", {}),
        "zip": ("GET", f"/s/{share}/download/all", {}),
        "range": ("GET", f"/s/{share}/download/all", {"Range": "bytes=5-99"}),
        "favourite": ("PUT", f"/s/{share}/favourites/{photo}", {}),
    }
    browser = client()
    method, path, headers = asks.pop(first)
    answer = browser.request(method, path, headers=headers)
    cookie = given(answer, share)
    assert cookie is not None
    value, *attributes = cookie.split("; ")
    assert set(attributes) == {"HttpOnly", "SameSite=lax", "Path=/s/", f"Max-Age={30 * 86400}"}
    assert len(value.partition("=")[2]) == 71
    assert "no-store" in answer.headers["cache-control"] or "private" in answer.headers["cache-control"]
    for method, path, headers in asks.values():
        again = browser.request(method, path, headers=headers)
        assert again.is_success or again.status_code == 307
        assert given(again, share) is None


def test_a_cookie_ends_with_its_link_and_goes_only_where_it_belongs(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(days=3)
    share = shared.link(expires_at=expires.isoformat())
    monkeypatch.setenv("BASE_URL", "https://photos.example/prod")
    settings.cache_clear()
    answer = client().get(f"/s/{share}/download/{shared.photos[0]}")
    cookie = given(answer, share)
    monkeypatch.undo()
    settings.cache_clear()
    assert cookie is not None
    [morsel] = SimpleCookie(cookie).values()
    assert (morsel["path"], morsel["secure"], morsel["httponly"]) == ("/prod/s/", True, True)
    assert 3 * 86400 - 60 < int(morsel["max-age"]) <= 3 * 86400


def test_only_salted_hashes_of_a_cookie_are_stored(shared: Shared) -> None:
    share = shared.link()
    value = issued(share)
    cookie = visitorcookies.read_cookie(value, uuid.UUID(share), product.JWT_SECRET, dt.datetime.now(dt.UTC))
    assert cookie is not None
    browser = owner(share, value)
    for path in ("", f"/download/{shared.photos[0]}", "/download/all"):
        assert browser.get(f"/s/{share}{path}").status_code in (200, 307)
    assert browser.put(f"/s/{share}/favourites/{shared.photos[0]}").status_code == 200
    for table in ("share_events", "archive_downloads", "selections"):
        rows = sql(f"SELECT row_to_json(t)::text FROM {table} t WHERE share_id = :share", share=share)
        assert rows
        for [row] in rows:
            assert value not in row
            assert cookie.name.hex() not in row


def test_cookies_of_any_number_of_links_stay_shorter_than_headers_may_be(shared: Shared) -> None:
    """nginx refuses a header line of more than 8 KiB by default, API Gateway headers of more than 10,240 bytes."""
    browser, photo = client(), shared.photos[0]
    shares = [shared.link(**{"password": "cake and wine"} if number % 10 == 0 else {}) for number in range(100)]
    longest = 0
    for number, share in enumerate(shares):
        asks: list[tuple[str, str, Any]] = [("PUT", f"/favourites/{photo}", None), ("GET", f"/download/{photo}", None)]
        if number % 10 == 0:
            asks.insert(0, ("POST", "/unlock", {"password": "cake and wine"}))
        for method, path, body in asks:
            answer = browser.request(method, f"/s/{share}{path}", json=body)
            assert answer.status_code < 400, answer.text
            longest = max(longest, len(answer.request.headers.get("cookie", "")))
            assert sum(len(line) for line in answer.headers.get_list("set-cookie")) < 2048
        assert given(browser.get(f"/s/{share}/download/{photo}"), share) is None
        shown = browser.get(f"/s/{share}/favourites").json()
        assert shown["photo_ids"] == [photo], "what belongs to the link in use is kept"
    assert 4096 < longest < 7 * 1024
    # The oldest ones went first, and of lists of favourites more are left than of anything else.
    kinds = ("visitor", "picks")
    left = {kind: [share for share in shares if f"{kind}_{uuid.UUID(share).hex}" in browser.cookies] for kind in kinds}
    assert all(kept == shares[-len(kept) :] for kept in left.values())
    assert len(left["picks"]) > 60 > len(left["visitor"]) > 0


# ---------------------------------------------------------------- whose it is


def test_another_links_cookie_is_none_here(shared: Shared) -> None:
    one, other = shared.link(), shared.link(max_downloads=1)
    answer = owner(other, issued(one)).get(f"/s/{other}/download/{shared.photos[0]}")
    assert given(answer, other) is not None
    assert client(keeps_cookies=False).get(f"/s/{other}/download/{shared.photos[0]}").status_code == 307
    assert shared.counters(other)[1] == 1
    # Nor do two cookies of one browser, given at the same time for the same, have anything in common.
    cookies = []
    browser = client()
    for share in (one, shared.link()):
        browser.get(f"/s/{share}/download/{shared.photos[0]}")
        moment = dt.datetime.now(dt.UTC)
        value = browser.cookies[name(share)]
        cookies.append(visitorcookies.read_cookie(value, uuid.UUID(share), product.JWT_SECRET, moment))
    assert all(cookies)
    assert len({part for cookie in cookies if cookie for part in (cookie.name, cookie.formerly)}) == 4


def test_a_cookie_that_was_not_issued_is_none(shared: Shared) -> None:
    """A client can send any value: one that names a visitor of its choice would be a visitor for each request."""
    share = shared.link(max_downloads=1)
    good = issued(share)
    old = issued(share, dt.datetime.now(dt.UTC) - visitorcookies.LIFETIME)
    forged = [good[:20] + ("A" if good[20] != "A" else "B") + good[21:], good[:-3] + "AAA", good[:-1], good + "A"]
    forged += [old, "", "x" * 71, "A" * 71, "é" * 71, "%00" * 20, "x" * 7000, good.swapcase(), "=" * 71]
    path = f"/s/{share}/photos/{shared.photos[0]}/file"
    for value in forged:
        headers = {"Cookie": f"{name(share)}={value}".encode(), "Range": b"bytes=5-9"}
        answer = client().get(path, headers=headers)  # type: ignore[arg-type]  # bytes are fine
        assert answer.status_code == 206, value
        assert given(answer, share) is not None, value
    assert shared.counters(share)[1] == 1  # all of them are today's visitor of this address and program
    problem(owner(share, good).get(path), 403, "download_limit_reached")


def test_guests_at_one_address_with_the_same_program_are_different_people(shared: Shared) -> None:
    share = shared.link(max_downloads=2)
    path = f"/s/{share}/download/{shared.photos[0]}"
    guests = [client() for _ in range(3)]
    for guest in guests:
        assert guest.put(f"/s/{share}/favourites/{shared.photos[0]}").status_code == 200
    assert [guest.get(path).status_code for guest in guests] == [307, 307, 403]
    assert [guest.get(path).status_code for guest in guests] == [307, 307, 403]
    assert client(keeps_cookies=False).get(path).status_code == 403
    assert shared.counters(share)[1] == 2
    assert unique(shared, share) == 2


@pytest.mark.parametrize("what", ["photo", "file", "all?size=web"])
def test_browsers_at_one_address_are_told_apart_from_their_first_download_on(shared: Shared, what: str) -> None:
    share, photo = shared.link(max_downloads=2), shared.photos[0]
    paths = {"photo": f"/s/{share}/download/{photo}", "file": f"/s/{share}/photos/{photo}/file"}
    path = paths.get(what, f"/s/{share}/download/{what}")
    guests = [client() for _ in range(3)]
    turns = [guest.get(path, headers=NAVIGATION) for guest in guests]
    for turn in turns:
        assert (turn.status_code, turn.content) == (307, b"")
        assert turn.headers["location"].startswith("?")
        assert given(turn, share) is not None
    assert sum(shared.counters(share)) == 0
    for guest, status in zip(guests, (200, 200, 403), strict=True):
        for _ in range(2):
            answer = guest.get(path, headers=NAVIGATION, follow_redirects=True)
            assert answer.status_code == status
            assert len(answer.history) <= 2
    assert sum(shared.counters(share)) == 2


def test_a_browser_that_keeps_no_cookies_is_sent_around_once(shared: Shared) -> None:
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/all?size=web"
    for _ in range(2):
        answer = client(keeps_cookies=False).get(path, headers=NAVIGATION, follow_redirects=True)
        assert (answer.status_code, len(answer.history)) == (200, 1)
        assert dict(answer.url.params) == {"size": "web", "visitor": "new"}
    assert shared.zips(share) == 1


# ---------------------------------------------------------------- one download is one


def test_a_download_that_began_without_the_cookie_is_carried_on_with_it(shared: Shared) -> None:
    """From another address and with another program too: a telephone leaves the hotel, or is updated."""
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/download/all"
    browser = client()
    first = browser.get(path, headers={"Range": "bytes=0-99999"})
    assert first.status_code == 206
    browser.headers["User-Agent"] = "another program"
    rest = browser.get(path, headers={"Range": "bytes=100000-", "If-Range": first.headers["etag"]})
    assert rest.status_code == 206
    assert browser.get(path).status_code == 200
    assert browser.head(path).status_code == 200
    assert browser.get(f"{path}/status").status_code == 200
    problem(owner(share).get(path), 403, "download_limit_reached")
    problem(browser.get(f"{path}?size=web"), 403, "download_limit_reached")  # another file
    assert shared.zips(share) == 1
    assert len(sql("SELECT 1 FROM archive_downloads WHERE share_id = :share", share=share)) == 1


def test_a_program_without_a_jar_is_one_visitor_for_all_its_requests(shared: Shared, tmp_path: Path) -> None:
    share = shared.link(max_downloads=1)
    url = f"{running[0].url}/s/{share}/download/all"
    for part in ("0-99999", "100000-199999", "200000-"):
        with (tmp_path / "gallery.zip").open("ab") as out:
            subprocess.run(["curl", "-sf", "-r", part, url], check=True, stdout=out)
    subprocess.run(["curl", "-sf", "-o", tmp_path / "whole.zip", url], check=True)
    assert (tmp_path / "gallery.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()
    assert shared.zips(share) == 1
    jar = ["-b", str(tmp_path / "jar"), "-c", str(tmp_path / "jar"), "-A", "with a jar"]
    kept = shared.link(max_downloads=1)
    for part in ("0-99999", "100000-"):
        command = ["curl", "-sf", *jar, "-r", part, "-o", "/dev/null", f"{running[0].url}/s/{kept}/download/all"]
        subprocess.run(command, check=True)
    assert name(kept) in (tmp_path / "jar").read_text()
    assert shared.zips(kept) == 1


@pytest.mark.parametrize("jar", [True, False])
def test_parallel_first_requests_are_one_download(shared: Shared, *, jar: bool) -> None:
    share = shared.link()
    browser = client(keeps_cookies=jar)
    path = f"/s/{share}/download/all"

    def segment(number: int) -> int:
        return browser.get(path, headers={"Range": f"bytes={number * 1000}-{number * 1000 + 999}"}).status_code

    assert set(in_parallel(200, segment, threads=200)) == {206}
    assert shared.zips(share) == 1


def test_files_that_are_first_asked_for_at_once_are_each_carried_on(shared: Shared) -> None:
    """One jar keeps the cookie of one answer; the other downloads are this visitor's all the same."""
    share = shared.link(max_downloads=4)
    browser = client()
    paths = [f"/s/{share}/photos/{photo}/file" for photo in shared.photos]
    paths += [f"/s/{share}/download/all", f"/s/{share}/download/all?size=web"]
    assert set(in_parallel(4, lambda n: browser.get(paths[n], headers={"Range": "bytes=5-99"}).status_code)) == {206}
    for path in paths:
        assert browser.get(path, headers={"Range": "bytes=100-"}).status_code == 206, path
    assert sum(shared.counters(share)) == 4


def test_what_another_began_without_a_cookie_is_not_carried_on_by_who_had_one(shared: Shared) -> None:
    share = shared.link(max_downloads=2)
    path = f"/s/{share}/download/all"
    early = client()
    assert early.get(f"/s/{share}/photos/{shared.photos[0]}/file").status_code == 200
    sql("UPDATE archive_downloads SET begun_at = begun_at + interval '2 minutes' WHERE share_id = :share", share=share)
    assert client(keeps_cookies=False).get(path, headers={"Range": "bytes=5-99"}).status_code == 206
    sql("UPDATE archive_downloads SET begun_at = begun_at + interval '2 minutes' WHERE share_id = :share", share=share)
    problem(early.get(path, headers={"Range": "bytes=5-99"}), 403, "download_limit_reached")
    assert sum(shared.counters(share)) == 2


def test_a_cookies_download_is_carried_on_over_midnight_and_until_the_next_day_ends(
    shared: Shared, time: Clock
) -> None:
    share = shared.link(max_downloads=2)
    path = f"/s/{share}/download/all"
    known, new = owner(share, issued(share, time.time)), client()
    for browser in (known, new):
        assert browser.get(path, headers={"Range": "bytes=0-9999"}).status_code == 206
    for hours in (1, 22):
        time.later(hours=hours)
        for browser in (known, new):
            browser.headers["User-Agent"] = f"updated {hours}"
            assert browser.get(path, headers={"Range": "bytes=10000-"}).status_code == 206, hours
    assert shared.zips(share) == 2
    time.later(hours=2)
    for browser in (known, new):
        problem(browser.get(path, headers={"Range": "bytes=10000-"}), 403, "download_limit_reached")


def test_two_hundred_owners_at_once_never_overrun_a_limit(shared: Shared) -> None:
    share = shared.link(max_downloads=11)
    path = f"/s/{share}/download/{shared.photos[0]}"
    browser = client(keeps_cookies=False)
    cookies = [{"Cookie": f"{name(share)}={issued(share)}"} for _ in range(200)]
    statuses = in_parallel(200, lambda n: browser.get(path, headers=cookies[n]).status_code, threads=200)
    assert (statuses.count(307), statuses.count(403)) == (11, 189)
    assert shared.counters(share)[1] == 11
    # One of them alone, at once: what is left of ten copies, and no further download.
    first = statuses.index(307)
    browser = client(keeps_cookies=False)  # connections that lay idle between two turns may be closed by the server
    again = in_parallel(200, lambda _: browser.get(path, headers=cookies[first]).status_code, threads=200)
    assert (again.count(307), again.count(403)) == (9, 191)
    assert shared.counters(share)[1] == 11


def test_dropping_cookies_is_no_way_around_a_limit(shared: Shared) -> None:
    """Each answer brings another cookie. Used or not, every copy is charged to the download that it was given for."""
    share = shared.link(max_downloads=1)
    path = f"/s/{share}/photos/{shared.photos[0]}/file"
    script = client(keeps_cookies=False)
    taken, cookies = 0, [""]
    for turn in range(30):
        answer = script.get(path, headers={"Cookie": cookies[turn % len(cookies)] or "none=1"})
        if answer.status_code == 200:
            taken += 1
        if (cookie := given(answer, share)) is not None:
            cookies.append(cookie.partition(";")[0])
    assert taken == 10
    assert shared.counters(share)[1] == 1


def test_a_download_with_a_programs_cookie_is_carried_on_without_it(shared: Shared, time: Clock) -> None:
    """On the next day too; by another program it is not, nor is a browser's."""
    share = shared.link(max_downloads=4)
    first, second = (f"/s/{share}/photos/{photo}/file" for photo in shared.photos)
    program = client()
    for path in (first, second):
        assert program.get(path, headers={"Range": "bytes=5-99"}).status_code == 206
    for hours in (0, 22):
        time.later(hours=hours)
        again = client()
        for path in (second, first, second):
            assert again.get(path, headers={"Range": "bytes=100-"}).status_code == 206
    assert shared.counters(share)[1] == 2
    guest = client()
    assert guest.get(second, headers=NAVIGATION, follow_redirects=True).status_code == 200
    assert shared.counters(share)[1] == 3
    other = client()
    other.headers["User-Agent"] = "another program"
    assert other.get(second, headers={"Range": "bytes=100-"}).status_code == 206
    assert shared.counters(share)[1] == 4
    problem(owner(share, issued(share, time.time)).get(second), 403, "download_limit_reached")


def test_a_browsers_download_is_not_carried_on_by_a_guest_without_cookies(shared: Shared) -> None:
    share = shared.link(max_downloads=2)
    path = f"/s/{share}/photos/{shared.photos[1]}/file"
    for browser in (client(), client(keeps_cookies=False)):
        assert browser.get(path, headers=NAVIGATION, follow_redirects=True).status_code == 200
    assert shared.counters(share)[1] == 2


def test_with_and_without_a_programs_cookie_at_once_is_one_download(shared: Shared) -> None:
    share = shared.link()
    program, path = client(), f"/s/{share}/download/all"
    assert program.get(f"/s/{share}/photos/{shared.photos[0]}/file").status_code == 200
    cookie = {"Cookie": f"{name(share)}={program.cookies[name(share)]}"}
    alone = client(keeps_cookies=False)

    def segment(number: int) -> int:
        headers = {"Range": f"bytes={number * 1000}-{number * 1000 + 999}", **(cookie if number % 2 else {})}
        return alone.get(path, headers=headers).status_code

    assert set(in_parallel(100, segment, threads=100)) == {206}
    assert shared.zips(share) == 1


def test_ten_copies_are_all_however_often_a_program_loses_its_cookie(shared: Shared) -> None:
    share = shared.link(max_downloads=2)
    paths = [f"/s/{share}/photos/{photo}/file" for photo in shared.photos]
    taken = 0
    for turn in range(40):
        script = client()
        taken += [script.get(path).status_code for path in paths[:: 1 if turn % 2 else -1]].count(200)
    assert taken == 20
    assert shared.counters(share)[1] == 2


# ---------------------------------------------------------------- IPv6


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every request says itself which address it comes from."""
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.1")
    product.forget()
    yield
    monkeypatch.undo()
    product.forget()


@pytest.mark.usefixtures("proxied")
def test_the_addresses_of_one_ipv6_network_are_one_visitor(shared: Shared) -> None:
    """A telephone takes another address of its network several times a day."""
    share = shared.link(max_downloads=1)
    for device in range(5):
        headers = {"X-Forwarded-For": f"2001:db8:1:2::{device:x}"}
        assert client().get(f"/s/{share}", headers=headers).status_code == 200
    assert unique(shared, share) == 1
    for device, part in enumerate(("bytes=0-9999", "bytes=10000-")):
        headers = {"X-Forwarded-For": f"2001:db8:1:2:a::{device:x}", "Range": part}
        assert client().get(f"/s/{share}/download/all", headers=headers).status_code == 206
    assert shared.zips(share) == 1
    assert unique(shared, share) == 1
    assert client().get(f"/s/{share}", headers={"X-Forwarded-For": "2001:db8:1:3::1"}).status_code == 200
    assert unique(shared, share) == 2


# ---------------------------------------------------------------- statistics


def test_who_downloads_without_cookies_is_a_visitor_beside_a_neighbour_with_one(shared: Shared) -> None:
    """Both have the same address and the same program; one looked before the cookie was given."""
    share = shared.link()
    neighbour, path = client(), f"/s/{share}/photos/{shared.photos[0]}/file"
    assert neighbour.get(f"/s/{share}").status_code == 200
    assert neighbour.get(path, headers=NAVIGATION, follow_redirects=True).status_code == 200
    assert unique(shared, share) == 1
    assert client(keeps_cookies=False).get(path, headers=NAVIGATION, follow_redirects=True).status_code == 200
    assert shared.counters(share)[1] == 2
    assert unique(shared, share) == 2


def test_who_only_looks_is_not_told_from_a_neighbour_who_was_given_the_cookie(shared: Shared) -> None:
    """What docs/access.md says of views alone."""
    share = shared.link()
    assert client(keeps_cookies=False).get(f"/s/{share}").status_code == 200
    assert unique(shared, share) == 1
    neighbour = client()
    for path in ("", f"/photos/{shared.photos[0]}/file"):
        answer = neighbour.get(f"/s/{share}{path}", headers=NAVIGATION, follow_redirects=True)
        assert answer.status_code == 200
    assert unique(shared, share) == 1


def test_a_person_is_one_visitor_before_and_after_the_cookie(shared: Shared) -> None:
    share = shared.link()

    def person(number: int) -> None:
        browser = client()
        browser.headers["User-Agent"] = f"telephone {number % 2}"
        for path in ("", f"/download/{shared.photos[0]}", "", f"/download/{shared.photos[1]}"):
            assert browser.get(f"/s/{share}{path}").status_code in (200, 307)

    person(0)
    assert unique(shared, share) == 1
    in_parallel(9, lambda n: person(n + 1))
    assert unique(shared, share) == 10
    # Who only looks cannot be told from others with the same address and program who only look.
    for _ in range(3):
        onlooker = client(keeps_cookies=False)
        onlooker.headers["User-Agent"] = "telephone 2"
        assert onlooker.get(f"/s/{share}").status_code == 200
    assert unique(shared, share) == 11


def test_nobody_is_known_by_the_cookie_on_another_day(shared: Shared, time: Clock) -> None:
    share = shared.link()
    browser = owner(share, issued(share, time.time))
    seen: list[Any] = []
    for _ in range(3):
        assert browser.get(f"/s/{share}").status_code == 200
        seen.append(
            sql("SELECT visitor, formerly FROM share_events WHERE share_id = :share ORDER BY id", share=share)[-1]
        )
        time.later(days=1)
    assert len({bytes(visitor) for visitor, _ in seen}) == 3
    assert [formerly is None for _, formerly in seen] == [False, True, True]
