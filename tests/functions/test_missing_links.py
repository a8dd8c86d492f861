"""Guessing links: an address may name 60 missing ones a minute, and learns nothing about those that are there."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest

from safelight import throttle
from safelight.db import driver
from safelight.shares import links
from safelight.shares.visits import Share
from safelight.throttle import Rule
from tests import product
from tests.api import Photographer, client
from tests.functions.support import in_parallel, problem, same, somebody_waits, sql
from tests.functions.test_downloads import eventually

pytestmark = pytest.mark.usefixtures("shared_api")
GUESSER, GUEST = "203.0.113.7", "203.0.113.8"


@pytest.fixture(autouse=True)
def behind_a_proxy(missing_links: Rule, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The product's own limit; every request says itself which address it comes from."""
    monkeypatch.setattr(links, "MISSED", missing_links)
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.1")
    monkeypatch.setenv("DATABASE_POOL", "12")
    product.forget()
    sql("DELETE FROM throttles")
    yield
    monkeypatch.undo()
    product.forget()


def ask(path: str, address: str = GUESSER, method: str = "GET", **options: Any) -> httpx.Response:
    headers = {"X-Forwarded-For": address, **options.pop("headers", {})}
    return client().request(method, path, headers=headers, **options)


def shared(**policy: Any) -> dict[str, Any]:
    """A link with a slug."""
    anna = Photographer.registered()
    return anna.share(anna.gallery()["id"], slug=f"anna-{uuid.uuid4().hex[:8]}", **policy)


def slug(link: dict[str, Any]) -> str:
    return str(link["url"]).rpartition("/")[2]


def buckets(address: str = GUESSER) -> list[bytes]:
    """The keys of what an address has missed."""
    return [claim.key(product.JWT_SECRET) for claim in throttle.claims(links.MISSED, address)]


def use_up(address: str = GUESSER) -> None:
    """All that it may miss, and for long: the tests that follow may take any time."""
    assert ask("/s/guess", address).status_code == 404
    sql("UPDATE throttles SET empty_at = now() + interval '1 hour' WHERE key = ANY(:keys)", keys=buckets(address))
    assert ask("/s/guess", address).status_code == 429


def test_exactly_sixty_of_many_at_once_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (links.MISSED.tries, links.MISSED.seconds) == (60, 60)
    # However long it takes, no more of them are allowed meanwhile.
    monkeypatch.setattr(links, "MISSED", Rule(links.MISSED.name, 60, 60 * 60 * 24))
    answers = in_parallel(100, lambda number: ask(f"/s/guess-{number}"), threads=12)
    assert Counter(answer.status_code for answer in answers) == {404: 60, 429: 40}
    late = next(answer for answer in answers if answer.status_code == 429)
    problem(late, 429, "too_many_requests")
    assert int(late.headers["retry-after"]) > 0
    assert ask("/s/guess", GUEST).status_code == 404


def test_a_missing_link_looks_as_ever_until_then() -> None:
    answers = [ask(f"/s/{reference}") for reference in ("guess", uuid.uuid4(), "%00", "a" * 300)]
    problem(answers[0], 404, "not_found")
    assert all(same(answer, answers[0]) for answer in answers)


PHOTO = uuid.uuid4()
ROUTES = [
    ("GET", ""), ("HEAD", ""), ("POST", "/unlock"), ("GET", f"/photos/{PHOTO}"), ("GET", f"/photos/{PHOTO}/file"),
    ("HEAD", f"/photos/{PHOTO}/file"), ("GET", f"/download/{PHOTO}"), ("HEAD", f"/download/{PHOTO}"),
    ("GET", "/favourites"), ("PUT", f"/favourites/{PHOTO}"), ("DELETE", f"/favourites/{PHOTO}"), ("POST", "/selection"),
    ("GET", "/download/all"), ("HEAD", "/download/all"), ("GET", "/download/all/status"),
    ("GET", "/download/all/manifest"),
]  # fmt: skip


def test_every_route_of_a_link_counts_and_is_limited() -> None:
    from safelight.web.policy import ROUTES as PRODUCTS

    own = {route.replace("{share_id}", "").replace("{photo_id}", str(PHOTO)) for route in PRODUCTS if " /s/" in route}
    assert own == {f"{method} /s/{path}" for method, path in ROUTES}
    bodies = {"/unlock": {"password": "guessed"}, "/selection": {}}
    for method, path in ROUTES:
        sql("DELETE FROM throttles")
        assert ask(f"/s/guess{path}", method=method, json=bodies.get(path)).status_code == 404, (method, path)
        [(filled,)] = sql("SELECT extract(epoch FROM max(empty_at) - now()) FROM throttles")
        assert filled > 0, (method, path)
    use_up()
    for method, path in ROUTES:
        assert ask(f"/s/guess{path}", method=method, json=bodies.get(path)).status_code == 429, (method, path)


def test_hits_and_ids_do_not_count() -> None:
    link = shared()
    for _ in range(70):
        assert ask(f"/s/{slug(link)}").status_code == 200
        assert ask(f"/s/{link['share_id']}").status_code == 200
    assert sql("SELECT 1 FROM throttles WHERE key = ANY(:keys)", keys=buckets()) == []
    assert ask("/s/guess").status_code == 404
    assert len(sql("SELECT 1 FROM throttles WHERE key = ANY(:keys)", keys=buckets())) == 1


def fill(places: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many misses are counted, and none of them runs out during the test."""
    rule = Rule(links.MISSED.name, 60, 60 * 60 * 24)
    monkeypatch.setattr(links, "MISSED", rule)
    sql(
        "INSERT INTO throttles (key, empty_at) VALUES (:key, now() + make_interval(secs => :used))",
        key=buckets()[0],
        used=places * rule.step,
    )


def test_hits_are_free_however_many_misses_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    link = shared()
    fill(59, monkeypatch)
    before = sql("SELECT key, empty_at FROM throttles ORDER BY key")
    assert set(in_parallel(100, lambda _: ask(f"/s/{slug(link)}").status_code, threads=8)) == {200}
    assert sql("SELECT key, empty_at FROM throttles ORDER BY key") == before
    assert [ask("/s/guess").status_code for _ in range(2)] == [404, 429]


def test_hits_wait_for_the_miss_that_takes_the_last_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses at once are answered like guesses in turn: none learns of its hit once the places are taken."""
    link = shared()
    fill(59, monkeypatch)
    with ThreadPoolExecutor(8) as guessers, driver.connection() as connection:
        throttle.take(connection.run, product.JWT_SECRET, *throttle.claims(links.MISSED, GUESSER))
        hits = [guessers.submit(ask, f"/s/{slug(link)}") for _ in range(8)]
        eventually(lambda: somebody_waits() or all(hit.done() for hit in hits))
    assert {hit.result().status_code for hit in hits} == {429}


def test_who_has_missed_too_often_does_not_learn_which_slugs_are_there() -> None:
    link = shared()
    use_up()
    hit, miss = ask(f"/s/{slug(link)}"), ask("/s/guess")
    assert (hit.status_code, miss.status_code) == (429, 429)
    assert {**hit.json(), "detail": ""} == {**miss.json(), "detail": ""}
    assert set(hit.headers) == set(miss.headers)
    page = ask(f"/s/{slug(link)}", headers={"Accept": "text/html"})
    assert page.status_code == 429
    assert ask(f"/s/{slug(link)}", GUEST).status_code == 200
    sql("UPDATE throttles SET empty_at = empty_at - interval '1 hour'")
    assert ask(f"/s/{slug(link)}").status_code == 200


def test_an_id_guesses_nothing_so_it_opens_its_link_always() -> None:
    link = shared()
    use_up()
    assert ask(f"/s/{link['share_id']}").status_code == 200
    assert ask(f"/s/{uuid.uuid4()}").status_code == 404


def test_missing_ids_do_not_count() -> None:
    """Guests of a link that has expired, all at one address, are no guessers."""
    expired, link = uuid.uuid4(), shared()
    assert {ask(f"/s/{expired}").status_code for _ in range(70)} == {404}
    assert sql("SELECT 1 FROM throttles WHERE key = ANY(:keys)", keys=buckets()) == []
    assert ask(f"/s/{slug(link)}").status_code == 200


def test_who_has_given_the_links_password_keeps_the_link() -> None:
    link, other = shared(password="cake and wine"), shared(password="cake and wine")
    unlocked = ask(f"/s/{slug(link)}/unlock", method="POST", json={"password": "cake and wine"})
    grant = {"Cookie": unlocked.headers["set-cookie"].partition(";")[0]}
    use_up()
    assert ask(f"/s/{slug(link)}", headers=grant).status_code == 200
    assert ask(f"/s/{slug(link)}").status_code == 429
    assert ask(f"/s/{slug(other)}", headers=grant).status_code == 429
    forged = {"Cookie": grant["Cookie"][:-1] + ("A" if grant["Cookie"][-1] != "A" else "B")}
    assert ask(f"/s/{slug(link)}", headers=forged).status_code == 429


def test_an_ipv6_site_has_not_65536_times_sixty() -> None:
    rule = Rule(links.MISSED.name, 3, 3600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(links, "MISSED", rule)
        found = [ask(f"/s/guess-{network}", f"2001:db8:1:{network:x}::1").status_code for network in range(30)]
        assert found == [404] * 24 + [429] * 6
        link = shared()
        assert ask(f"/s/{slug(link)}", "2001:db8:1:ffff::1").status_code == 429
        assert ask(f"/s/{slug(link)}", "2001:db8:2::1").status_code == 200


def test_a_link_is_found_in_one_statement() -> None:
    """By an id, with proof of an earlier visit, and by a slug while less than half of the bucket is used."""
    link = shared()
    sent: list[str] = []

    def nobody(_share: Share) -> bool:
        return False

    def everybody(_share: Share) -> bool:
        return True

    run = driver._Connection.run

    def noted(connection: Any, statement: str, **values: Any) -> Any:
        sent.append(statement)
        return run(connection, statement, **values)

    for address in (GUESSER, "2001:db8::1"):
        for reference in (slug(link), link["share_id"]):
            for misses, is_known in ((0, nobody), (29, nobody), (60, everybody)):
                keys = [claim.key("secret") for claim in throttle.claims(links.MISSED, address)]
                sql("DELETE FROM throttles WHERE key = ANY(:keys)", keys=keys)
                for key in keys:
                    sql("INSERT INTO throttles VALUES (:key, now() + :used * interval '1 s')", key=key, used=misses)
                with driver.connection() as connection, pytest.MonkeyPatch.context() as patch:
                    patch.setattr(driver._Connection, "run", noted)
                    links.find(connection, "secret", address, reference, is_known)
                assert len(sent) == 1, sent
                sent.clear()
