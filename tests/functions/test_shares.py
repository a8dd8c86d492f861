"""Share links from their photographer's side."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections import Counter
from typing import Any

import pytest

from safelight.clock import now
from safelight.db.engine import transaction
from safelight.shares import queries, service, slugs
from safelight.shares.schemas import SharePatch
from safelight.shares.slugs import Chooser
from safelight.throttle import Rule
from tests import product
from tests.api import Photographer, client, run_jobs
from tests.functions.support import in_parallel, problem, sql

pytestmark = pytest.mark.usefixtures("shared_api")


def version(share_id: str) -> int:
    [(found,)] = sql("SELECT policy_version FROM share_links WHERE id = :id", id=share_id)
    return int(found)


def slug() -> str:
    return f"wedding-{uuid.uuid4().hex[:12]}"


def test_a_link_is_made_with_a_policy_and_shows_it_without_the_password() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    plain = anna.share(gallery)
    assert plain["url"] == f"{product.BASE_URL}/s/{plain['share_id']}"
    assert (plain["download"], plain["has_password"], plain["expires_at"], plain["max_downloads"]) == (
        "original", False, None, None,
    )  # fmt: skip
    name, later = slug(), (now() + dt.timedelta(days=1)).isoformat()
    made = anna.share(
        gallery, label="Family", slug=name, password="secret", expires_at=later, download="web", max_downloads=3
    )
    assert made["url"] == f"{product.BASE_URL}/s/{name}"
    assert made["has_password"] is True
    assert "secret" not in str(made)
    assert "password" not in {key for key in made if key != "has_password"}
    assert anna.call("GET", f"/share-links/{made['share_id']}").json() == made
    assert dt.datetime.fromisoformat(made["expires_at"]) == dt.datetime.fromisoformat(later)


@pytest.mark.parametrize(
    "body",
    [
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2999-01-01T00:00:00"},
        {"expires_at": "9999-12-31T23:59:59-23:00"},
        {"download": "all"},
        {"download": None},
        {"max_downloads": 0},
        {"max_downloads": 10**7},
        {"slug": "ab"},
        {"slug": "Upper"},
        {"slug": "a--b"},
        {"slug": "-a-b"},
        {"slug": "a/b"},
        {"slug": "123e4567-e89b-12d3-a456-426614174000"},
        {"slug": "123e4567e89b12d3a456426614174000"},
        {"password": "abc"},
        {"password": "x" * 73},
        {"password": "ü" * 37},
        {"password": "abcd\0"},
        {"views": 7},
    ],
    ids=str,
)
def test_a_policy_that_cannot_be_kept_is_refused(body: dict[str, Any]) -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    problem(anna.call("POST", f"/galleries/{gallery}/share-links", json=body), 422, "invalid")
    assert anna.call("GET", f"/galleries/{gallery}/share-links").json()["items"] == []
    if body != {"download": None}:  # in a change, null says nothing about a field that must have a value
        share = anna.share(gallery)["share_id"]
        problem(anna.call("PATCH", f"/share-links/{share}", json=body), 422, "invalid")


def test_a_slug_belongs_to_one_link_whatever_its_case() -> None:
    anna, ben = Photographer.registered(), Photographer.registered()
    name = slug()
    anna.share(anna.gallery()["id"], slug=name)
    gallery = ben.gallery()["id"]
    problem(ben.call("POST", f"/galleries/{gallery}/share-links", json={"slug": name}), 409, "slug_taken")
    other = ben.share(gallery)["share_id"]
    problem(ben.call("PATCH", f"/share-links/{other}", json={"slug": name}), 409, "slug_taken")
    assert client().get(f"/s/{name.upper()}").status_code == 200
    assert ben.call("PATCH", f"/share-links/{other}", json={"slug": slug()}).status_code == 200
    assert ben.call("PATCH", f"/share-links/{other}", json={"slug": None}).json()["slug"] is None


def test_an_account_learns_of_sixty_slugs_of_others_in_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many it tries at once; then neither taken nor free ones can be chosen."""
    assert (slugs.REFUSED.tries, slugs.REFUSED.seconds) == (60, 60 * 60)
    monkeypatch.setattr(slugs, "REFUSED", Rule(slugs.REFUSED.name, 60, 60 * 60 * 24))
    anna, ben, cleo = (Photographer.registered() for _ in range(3))
    name, gallery = slug(), ben.gallery()["id"]
    anna.share(anna.gallery()["id"], slug=name)
    other = ben.share(gallery)["share_id"]
    asks = [("POST", f"/galleries/{gallery}/share-links"), ("PATCH", f"/share-links/{other}")]

    def choose(number: int, wanted: str = name) -> int:
        method, path = asks[number % 2]
        return ben.call(method, path, json={"slug": wanted}).status_code

    free = [choose(number, slug()) for number in range(6)]
    assert Counter(free) == {201: 3, 200: 3}
    statuses = in_parallel(100, choose, threads=8)
    assert Counter(statuses) == {409: 60, 429: 40}
    late = ben.call("PATCH", f"/share-links/{other}", json={"slug": slug()})
    problem(late, 429, "too_many_requests")
    assert int(late.headers["retry-after"]) > 0
    assert ben.call("PATCH", f"/share-links/{other}", json={"slug": None, "label": "Family"}).status_code == 200
    assert ben.share(gallery)["slug"] is None
    problem(cleo.call("POST", f"/galleries/{cleo.gallery()['id']}/share-links", json={"slug": name}), 409, "slug_taken")


def test_only_a_change_of_policy_ends_the_grants() -> None:
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"], password="secret")["share_id"]
    later = (now() + dt.timedelta(days=1)).isoformat()
    expected = 1
    for change, counts in (
        ({"label": "new"}, False),
        ({"slug": slug()}, False),
        ({"password": "other"}, True),
        ({"expires_at": later}, True),
        ({"expires_at": later}, False),
        ({"download": "web"}, True),
        ({"download": None, "label": None}, False),
        ({"max_downloads": 3}, True),
        ({"revoked": True}, True),
        ({"revoked": True}, False),
        ({"revoked": False}, True),
        ({"password": None, "expires_at": None, "max_downloads": None}, True),
        ({}, False),
    ):
        answer = anna.call("PATCH", f"/share-links/{share}", json=change)
        assert answer.status_code == 200, answer.text
        expected += counts
        assert version(share) == expected, change
    shown = answer.json()
    assert (shown["label"], shown["download"], shown["has_password"], shown["revoked_at"]) == (
        "new",
        "web",
        False,
        None,
    )


def test_an_expiry_that_has_passed_may_stay_but_not_be_set() -> None:
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"])["share_id"]
    sql("UPDATE share_links SET expires_at = '2026-01-01Z' WHERE id = :id", id=share)
    path = f"/share-links/{share}"
    assert anna.call("PATCH", path, json={"label": "x"}).status_code == 200
    assert anna.call("PATCH", path, json={"expires_at": "2026-01-01T00:00:00Z"}).status_code == 200
    problem(anna.call("PATCH", path, json={"expires_at": "2026-01-02T00:00:00Z"}), 422, "invalid")


def test_two_changes_at_once_each_count() -> None:
    """Otherwise a visitor who unlocked under the first password could hold a grant for the second."""
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"])["share_id"]
    owner = uuid.UUID(anna.call("GET", "/auth/me").json()["id"])
    chooser = Chooser(owner, product.JWT_SECRET)

    def change(download: str) -> None:
        with transaction() as session:
            counted = service.get_owned(session, owner, uuid.UUID(share))
            read.wait(5)
            patch = SharePatch.model_validate({"download": download})
            service.update(session, counted, patch, chooser, product.BASE_URL, now())

    read = threading.Barrier(2)
    both = [threading.Thread(target=change, args=(download,)) for download in ("web", "none")]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert version(share) == 3


def test_a_deleted_link_is_gone_with_its_history() -> None:
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"])["share_id"]
    assert client().get(f"/s/{share}").status_code == 200
    assert anna.call("DELETE", f"/share-links/{share}").status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        problem(anna.call(method, f"/share-links/{share}", json={}), 404, "not_found")
    problem(anna.call("GET", f"/share-links/{share}/stats"), 404, "not_found")
    problem(client().get(f"/s/{share}"), 404, "not_found")
    assert sql("SELECT count(*) FROM share_events WHERE share_id = :id", id=share) == [(0,)]


def test_statistics_tell_the_days_on_which_something_happened() -> None:
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"])["share_id"]
    sql(
        "INSERT INTO share_events (share_id, kind, at, visitor)"
        " SELECT CAST(:id AS uuid), kind, at, visitor::bytea FROM (VALUES"
        " ('view', '2026-03-01T23:59:59Z'::timestamptz, 'a'), ('view', '2026-03-02T00:00:00Z', 'b'),"
        " ('view', '2026-03-02T01:00:00Z', 'b'), ('zip_download', '2026-03-02T23:59:59Z', 'c'),"
        " ('single_download', '2026-03-04T12:00:00Z', 'd')) AS e (kind, at, visitor)",
        id=share,
    )
    stats = anna.call("GET", f"/share-links/{share}/stats").json()
    assert [tuple(day.values()) for day in stats["days"]] == [
        ("2026-03-01", 1, 1, 0, 0, 0), ("2026-03-02", 2, 2, 0, 1, 0), ("2026-03-04", 1, 0, 1, 0, 0),
    ]  # fmt: skip
    assert (stats["views"], stats["single_downloads"], stats["zip_downloads"]) == (3, 1, 1)
    assert (stats["visitor_days"], stats["most_liked"]) == (4, [])


def test_the_days_add_up_to_the_totals_while_visitors_come(monkeypatch: pytest.MonkeyPatch) -> None:
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"])["share_id"]
    days = queries.days

    def visited(*args: Any) -> Any:
        assert client().get(f"/s/{share}").status_code == 200
        return days(*args)

    monkeypatch.setattr(queries, "days", visited)
    stats = anna.call("GET", f"/share-links/{share}/stats").json()
    assert (stats["views"], [day["views"] for day in stats["days"]]) == (1, [1])


def test_statistics_of_real_visitors_equal_the_counters_and_leave_out_programs() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    photos = [anna.upload(gallery, filename=f"{n}.jpg") for n in range(3)]
    run_jobs()
    share, other = (anna.share(gallery)["share_id"] for _ in range(2))

    def visit(number: int) -> None:
        browser = client()
        browser.headers["User-Agent"] = f"browser {number}"
        for _ in range(2):
            assert browser.get(f"/s/{share}").status_code == 200
        for photo in photos[: number % 3 + 1]:
            assert browser.put(f"/s/{share}/favourites/{photo}").is_success
        assert browser.get(f"/s/{share}/download/{photos[0]}").status_code == 307

    in_parallel(12, visit)
    assert client().put(f"/s/{other}/favourites/{photos[2]}").is_success
    assert client().get(f"/s/{share}", headers={"User-Agent": "WhatsApp/2.2"}).status_code == 200
    assert client().head(f"/s/{share}").status_code == 200
    stats = anna.call("GET", f"/share-links/{share}/stats").json()
    link = anna.call("GET", f"/share-links/{share}").json()
    [day] = stats["days"]
    assert (day["unique_visitors"], day["views"], day["single_downloads"]) == (12, 24, 12)
    for counter in ("views", "single_downloads", "zip_downloads"):
        assert stats[counter] == link[counter] == day[counter]
    assert [(one["photo_id"], one["filename"], one["likes"]) for one in stats["most_liked"]] == [
        (photos[0], "0.jpg", 12), (photos[1], "1.jpg", 8), (photos[2], "2.jpg", 4),
    ]  # fmt: skip
    assert anna.call("DELETE", f"/photos/{photos[0]}").status_code == 204
    liked = anna.call("GET", f"/share-links/{share}/stats").json()["most_liked"]
    assert [one["photo_id"] for one in liked] == photos[1:]
