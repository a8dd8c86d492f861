"""Guessing: a wrong password counts before it is looked at, exactly, whoever asks and however many at once."""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter
from dataclasses import replace
from typing import Any

import bcrypt
import pytest

from safelight import throttle
from safelight.accounts import limits
from safelight.accounts.service import _stored
from safelight.db import driver
from safelight.db.engine import transaction
from safelight.errors import TooManyRequests, Unauthorized
from safelight.shares import limits as share_limits
from safelight.sweep import sweep
from safelight.throttle import Claim, Rule
from tests import product
from tests.api import PASSWORD, Photographer, client
from tests.functions.support import in_parallel, passwords_compared, sql

pytestmark = pytest.mark.usefixtures("api")

SECRET = "of this test"
RULE = Rule("tests", 5, 3600)
RULES = {(module, name): rule for module in (limits, share_limits) for name, rule in vars(module).items()
         if isinstance(rule, Rule)}  # fmt: skip
"""The product's own."""


@pytest.fixture(autouse=True)
def _slow_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buckets do not run out while a test goes on, however slow the machine is."""
    for (module, name), rule in RULES.items():
        monkeypatch.setattr(module, name, replace(rule, seconds=rule.seconds * 1000))


def one(subject: str, rule: Rule = RULE) -> bool:
    try:
        with driver.connection() as connection:
            throttle.take(connection.run, SECRET, Claim(rule, subject))
    except TooManyRequests:
        return False
    return True


def test_exactly_so_many_of_many_at_once() -> None:
    assert Counter(in_parallel(60, lambda _: one("anna"))) == {True: 5, False: 55}
    assert one("ben")
    assert one("anna", Rule("another", 5, 3600))


def test_a_bucket_runs_out_steadily_and_what_was_right_is_given_back() -> None:
    assert [one("anna") for _ in range(6)] == [True] * 5 + [False]
    claim = Claim(RULE, "anna")
    with driver.connection() as connection:
        throttle.give_back(connection.run, SECRET, claim)
    assert [one("anna"), one("anna")] == [True, False]
    sql("UPDATE throttles SET empty_at = empty_at - make_interval(secs => 719)")  # one second before the next
    with driver.connection() as connection, pytest.raises(TooManyRequests) as refused:
        throttle.take(connection.run, SECRET, claim)
    assert refused.value.retry_after == 1
    sql("UPDATE throttles SET empty_at = empty_at - make_interval(secs => 2)")
    assert [one("anna"), one("anna")] == [True, False]


def test_a_refused_try_changes_no_bucket_and_nobody_is_named() -> None:
    strict = Rule("strict", 1, 3600)
    with driver.connection() as connection:
        throttle.take(connection.run, SECRET, Claim(strict, "192.0.2.7"))
    with pytest.raises(TooManyRequests), driver.connection() as connection:
        throttle.take(connection.run, SECRET, Claim(RULE, "other"), Claim(strict, "192.0.2.7"))
    assert sql("SELECT count(*) FROM throttles") == [(1,)]
    assert b"192.0.2.7" not in sql("SELECT key FROM throttles")[0][0]


def test_empty_buckets_are_swept() -> None:
    from safelight.queue import Queue
    from safelight.storage import storage

    one("anna")
    one("ben")
    sql(
        "UPDATE throttles SET empty_at = now() - interval '1 second' WHERE key = :key",
        key=Claim(RULE, "ben").key(SECRET),
    )
    sweep(storage(), Queue())
    assert sql("SELECT count(*) FROM throttles") == [(1,)]


def tried(rule: Rule, ips: list[str | None]) -> int:
    """How many of these tries, each from its address, were allowed."""
    allowed = 0
    for ip in ips:
        with contextlib.suppress(TooManyRequests), driver.connection() as connection:
            throttle.take(connection.run, SECRET, *throttle.claims(rule, ip))
            allowed += 1
    return allowed


def test_a_client_is_an_address_and_its_spellings() -> None:
    assert tried(RULE, ["192.0.2.7", "::ffff:192.0.2.7"] * 5) == 5
    assert tried(RULE, ["192.0.2.8"] * 10) == 5
    assert tried(RULE, [None, "testclient", "unknown"] * 5) == 5


def test_65536_ipv6_networks_of_one_site_have_the_tries_of_eight_clients() -> None:
    addresses: list[str | None] = [f"2001:db8:1:{network:x}::{host}" for network in range(20) for host in range(7)]
    assert tried(RULE, addresses) == 5 * RULE.site == 40
    assert tried(RULE, ["2001:db8:1:ffff::1"]) == 0
    assert tried(RULE, ["2001:db8:2::1"]) == 1


def test_a_neighbour_uses_up_its_own_tries_and_no_more() -> None:
    assert tried(RULE, ["2001:db8:1:1::1"] * 100) == 5
    assert tried(RULE, ["2001:db8:1:2::1"] * 100) == 5


def test_what_an_address_was_given_back_its_site_was_too() -> None:
    claims = throttle.claims(RULE, "2001:db8::1")
    assert [claim.rule.tries for claim in claims] == [5, 40]
    for _ in range(50):
        with driver.connection() as connection:
            throttle.take(connection.run, SECRET, *claims)
            throttle.give_back(connection.run, SECRET, *claims)
    assert tried(RULE, ["2001:db8::1"] * 10) == 5


@pytest.mark.parametrize(
    ("here", "all_"),
    [
        (limits.SIGN_IN_HERE, limits.SIGN_IN),
        (share_limits.UNLOCK_HERE, share_limits.UNLOCK),
        (share_limits.ARCHIVE_HERE, share_limits.ARCHIVE),
    ],
)
def test_one_ipv6_site_cannot_use_up_what_is_everybodys(here: Rule, all_: Rule) -> None:
    """Neither at once nor in the long run, in tries a second."""
    assert here.tries * here.site < all_.tries
    assert here.tries * here.site / here.seconds < all_.tries / all_.seconds


@pytest.mark.parametrize("known", [True, False])
def test_guesses_at_an_account_are_counted_whether_it_exists_or_not(known: bool) -> None:
    anna = Photographer.registered()
    name = anna.email if known else f"{uuid.uuid4().hex}@example.com"
    guess = {"email": name, "password": "Wrong-Horse-7"}
    answers = in_parallel(30, lambda _: client().post("/auth/login", json=guess))
    assert Counter(answer.status_code for answer in answers) == {401: limits.SIGN_IN_HERE.tries, 429: 20}
    late = next(answer for answer in answers if answer.status_code == 429)
    assert late.json()["code"] == "too_many_requests"
    assert "Please try again in" in late.json()["detail"]
    assert 1 <= int(late.headers["retry-after"]) <= limits.SIGN_IN_HERE.step
    # The right password is not looked at either, by whatever name and door.
    assert anna.http.post("/auth/login", json={"email": name.upper(), "password": PASSWORD}).status_code == 429
    form = {"username": name, "password": PASSWORD}
    assert anna.http.post("/auth/token", data=form).status_code == 429


@pytest.mark.parametrize("known", [True, False])
def test_two_names_do_not_tell_that_they_are_of_one_account(known: bool) -> None:
    anna = Photographer.registered()
    if known:
        assert anna.call("PATCH", "/auth/me", json={"username": "anna"}).status_code == 200
    email = anna.email if known else "nobody@example.com"
    names = [{"email": email}] * 11 + [{"username": "anna"}] * 10 + [{"username": "ANNA"}]
    answers = [client().post("/auth/login", json={**name, "password": "Wrong-Horse-7"}) for name in names]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] + [401] * 10 + [429]


@pytest.mark.parametrize("known", [True, False])
def test_spellings_that_the_database_takes_for_one_name_share_a_bucket(known: bool) -> None:
    """Each of them would be ten more tries: whatever finds an account counts as its name."""
    stored = "mia@example.com"
    if known:
        assert client().post("/auth/register", json={"email": stored, "password": PASSWORD}).status_code == 201
    spellings = [
        stored,
        "MIA@Example.com",
        " mia@example.com ",
        "m\u0130a@example.com",
        "\uff4d\uff49\uff41@example.com",
    ]
    found = {}
    for spelling in spellings:
        sql("DELETE FROM throttles")
        for name in (spelling, stored):
            client().post("/auth/login", json={"email": name, "password": "Wrong-Horse-7"})
        [(buckets,)] = sql("SELECT count(*) FROM throttles")
        [(same,)] = sql("SELECT cast(:one AS citext) = cast(:two AS citext)", one=_stored(spelling), two=stored)
        found[spelling] = (buckets == 4, same)  # four rules, or more of those that name the account
    assert all(shared == same for shared, same in found.values()), found
    assert [spelling for spelling, (shared, _) in found.items() if shared][:3] == spellings[:3]


def test_signing_in_rightly_does_not_count_as_guessing() -> None:
    anna = Photographer.registered()
    for _ in range(limits.SIGN_IN_HERE.tries + 2):
        anna.sign_in()
    user_id = anna.call("GET", "/auth/me").json()["id"]
    filled = sql("SELECT key FROM throttles WHERE empty_at > now() + interval '3 minutes'")
    assert filled == [(Claim(limits.SIGNED_IN, user_id).key(product.JWT_SECRET),)]


def test_the_present_password_cannot_be_guessed_with_a_stolen_token() -> None:
    anna = Photographer.registered()
    body = {"current_password": "Wrong-Horse-7", "new_password": "Correct-Horse-8"}
    answers = in_parallel(20, lambda _: anna.call("POST", "/auth/password", json=body))
    assert Counter(answer.status_code for answer in answers) == {403: limits.PASSWORD.tries, 429: 10}


def test_a_locked_link_cannot_be_guessed_and_other_links_stay_open_to_try() -> None:
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    locked, other = (anna.share(gallery, password="cake and wine")["share_id"] for _ in range(2))
    wrong, right = {"password": "wine and cake"}, {"password": "cake and wine"}
    answers = in_parallel(40, lambda _: client().post(f"/s/{locked}/unlock", json=wrong))
    assert Counter(answer.status_code for answer in answers) == {401: share_limits.UNLOCK_HERE.tries, 429: 20}
    assert client().post(f"/s/{locked}/unlock", json=right).status_code == 429
    assert client().post(f"/s/{other}/unlock", json=right).status_code == 204


@pytest.mark.parametrize("door", ["login", pytest.param("token", marks=pytest.mark.long), "unlock"])
def test_five_hundred_guesses_at_once_are_looked_at_exactly_as_often_as_allowed(
    door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the right password among those that are refused opens nothing: they are never compared."""
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"], password="cake and wine")["share_id"]
    right = {"login": PASSWORD, "token": PASSWORD, "unlock": "cake and wine"}[door]
    allowed = (share_limits.UNLOCK_HERE if door == "unlock" else limits.SIGN_IN_HERE).tries
    compared: list[bytes] = []

    def checkpw(password: bytes, _hashed: bytes) -> bool:
        compared.append(password)
        return False

    monkeypatch.setattr(bcrypt, "checkpw", checkpw)
    browser = client()

    def guess(number: int) -> int:
        password = right if number % 100 == 99 else f"Wrong-Horse-{number}"
        if door == "unlock":
            return browser.post(f"/s/{share}/unlock", json={"password": password}).status_code
        body = {"email" if door == "login" else "username": anna.email, "password": password}
        how: dict[str, Any] = {"json": body} if door == "login" else {"data": body}
        return browser.request("POST", f"/auth/{door}", **how).status_code

    assert Counter(in_parallel(500, guess)) == {401: allowed, 429: 500 - allowed}
    assert len(compared) == allowed


def test_opening_accounts_is_limited_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.config import settings

    monkeypatch.setenv("REGISTRATIONS_PER_HOUR", "3")
    settings.cache_clear()
    try:
        bodies = [{"email": f"{uuid.uuid4().hex}@example.com", "password": PASSWORD} for _ in range(5)]
        statuses = [client().post("/auth/register", json=body).status_code for body in bodies]
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert statuses == [201] * 3 + [429] * 2


def test_changing_names_does_not_tell_who_has_an_account() -> None:
    """As often as an account can ask, and no further: which names are taken is registration's question too."""
    anna, ben = Photographer.registered(), Photographer.registered()
    taken, free = {"email": ben.email}, {"email": anna.email.upper()}
    # What changes no name asks nothing, so it counts nothing.
    for _ in range(limits.NAMES.tries + 1):
        assert anna.call("PATCH", "/auth/me", json={**free, "settings": {"a": 1}}).status_code == 200
    answers = in_parallel(limits.NAMES.tries + 5, lambda _: anna.call("PATCH", "/auth/me", json=taken))
    assert Counter(answer.status_code for answer in answers) == {409: limits.NAMES.tries, 429: 5}
    late = anna.call("PATCH", "/auth/me", json={"username": "anna"})
    assert late.status_code == 429
    assert 1 <= int(late.headers["retry-after"]) <= limits.NAMES.step
    assert anna.call("PATCH", "/auth/me", json={"settings": {}}).status_code == 200
    assert ben.call("PATCH", "/auth/me", json={"username": "ben"}).status_code == 200


def test_names_are_asked_for_by_address_as_in_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.config import settings

    anna, ben = Photographer.registered(), Photographer.registered()
    sql("DELETE FROM throttles")
    monkeypatch.setenv("REGISTRATIONS_PER_HOUR", "3")
    settings.cache_clear()
    try:
        asked = [anna.call("PATCH", "/auth/me", json={"email": ben.email}).status_code for _ in range(2)]
        asked.append(client().post("/auth/register", json={"email": ben.email, "password": PASSWORD}).status_code)
        asked.append(ben.call("PATCH", "/auth/me", json={"username": "anna"}).status_code)
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert asked == [409] * 3 + [429]


def test_refreshing_is_limited_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REFRESH", Rule("refresh from address", 2, 900))
    statuses = [client().post("/auth/refresh", json={"refresh_token": "none"}).status_code for _ in range(4)]
    assert statuses == [401, 401, 429, 429]


def _wrong_sign_in(ip: str, name: str) -> bool:
    """Whether a wrong password was looked at."""
    try:
        with transaction() as session, limits.sign_in(session, SECRET, ip, name, None):
            raise Unauthorized
    except Unauthorized:
        return True
    except TooManyRequests:
        return False


def _wrong_unlock(ip: str, share: uuid.UUID) -> bool:
    try:
        with driver.connection() as connection, share_limits.unlock(connection, SECRET, ip, share):
            raise Unauthorized
    except Unauthorized:
        return True
    except TooManyRequests:
        return False


def test_one_address_guesses_at_all_names_together_sixty_times() -> None:
    looked = Counter(in_parallel(70, lambda n: _wrong_sign_in("192.0.2.7", f"name {n}"), threads=8))
    assert looked == {True: 60, False: 10}
    assert _wrong_sign_in("192.0.2.8", "name 0")
    assert RULES[limits, "SIGN_IN_FROM_ADDRESS"].seconds == 15 * 60


def test_all_addresses_together_guess_at_one_name_a_hundred_times() -> None:
    looked = Counter(in_parallel(110, lambda n: _wrong_sign_in(f"192.0.2.{n}", "anna"), threads=8))
    assert looked == {True: 100, False: 10}
    assert _wrong_sign_in("192.0.2.1", "ben")
    assert RULES[limits, "SIGN_IN"].seconds == 3600


def test_all_addresses_together_guess_at_one_link_two_hundred_times() -> None:
    share = uuid.uuid4()
    looked = Counter(in_parallel(210, lambda n: _wrong_unlock(f"192.0.2.{n}", share), threads=8))
    assert looked == {True: 200, False: 10}
    assert _wrong_unlock("192.0.2.1", uuid.uuid4())
    assert RULES[share_limits, "UNLOCK"].seconds == 3600


def test_an_account_is_signed_in_to_sixty_times_by_all_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    own = RULES[limits, "SIGNED_IN"]
    assert (own.tries, own.seconds) == (60, 3600)
    anna = Photographer.registered()
    assert anna.call("PATCH", "/auth/me", json={"username": "anna"}).status_code == 200
    sql("DELETE FROM throttles")
    # Wrong passwords count elsewhere.
    for _ in range(5):
        assert client().post("/auth/login", json={"username": "anna", "password": "Wrong-Horse-7"}).status_code == 401
    compared, browser = passwords_compared(monkeypatch), client()
    names = ({"email": anna.email}, {"username": "anna"})
    # Four at a time: each holds a place among the wrong ones until it is compared, and five of ten are left.
    answers = in_parallel(80, lambda n: browser.post("/auth/login", json={**names[n % 2], "password": PASSWORD}), 4)
    assert Counter(answer.status_code for answer in answers) == {200: 60, 429: 20}
    assert len(compared) == 60
    late = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(late.headers["retry-after"]) <= limits.SIGNED_IN.step
    assert client().post("/auth/token", data={"username": "anna", "password": PASSWORD}).status_code == 429
    Photographer.registered()  # who signs in as well
    # What was refused for this is no wrong password.
    sql("DELETE FROM throttles WHERE key = :key", key=Claim(limits.SIGNED_IN, _id(anna)).key(product.JWT_SECRET))
    anna.sign_in()


def _id(someone: Photographer) -> str:
    return str(sql("SELECT id FROM users WHERE email = :email", email=someone.email)[0][0])


def test_a_link_is_opened_six_hundred_times_from_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    own = RULES[share_limits, "UNLOCKED_HERE"]
    assert (own.tries, own.seconds) == (600, 3600)
    anna = Photographer.registered()
    gallery = anna.gallery()["id"]
    locked, other = (anna.share(gallery, password="cake and wine")["share_id"] for _ in range(2))
    for _ in range(5):
        assert client().post(f"/s/{locked}/unlock", json={"password": "wine and cake"}).status_code == 401
    compared, browser = passwords_compared(monkeypatch), client()
    right = {"password": "cake and wine"}
    # Each holds a place among the wrong ones until it is compared, and fifteen of twenty are left.
    answers = in_parallel(610, lambda _: browser.post(f"/s/{locked}/unlock", json=right), 12)
    assert Counter(answer.status_code for answer in answers) == {204: 600, 429: 10}
    assert len(compared) == 600
    late = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(late.headers["retry-after"]) <= share_limits.UNLOCKED_HERE.step
    assert client().post(f"/s/{other}/unlock", json=right).status_code == 204
    with driver.connection() as connection, share_limits.unlock(connection, SECRET, "192.0.2.1", uuid.UUID(locked)):
        pass  # another address
