"""Visitors are told apart by a salt of the day, common to all processes, which nobody can make again."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import threading
import uuid

import pytest

from safelight.db import driver
from safelight.queue import Queue
from safelight.shares import visitors
from safelight.storage import storage
from safelight.sweep import sweep
from tests import product
from tests.api import Photographer, client
from tests.functions.support import in_parallel, sql

pytestmark = pytest.mark.usefixtures("api")

NOON = dt.datetime(2031, 5, 4, 12, tzinfo=dt.UTC)


def salts(now: dt.datetime = NOON) -> tuple[bytes, bytes]:
    with driver.connection() as connection:
        return visitors.salts(connection, now)


def as_another_process() -> None:
    visitors._kept.cache_clear()


def test_what_is_counted_cannot_be_computed_from_the_secret() -> None:
    anna = Photographer.registered()
    share = anna.share(anna.gallery()["id"])["share_id"]
    assert client().get(f"/s/{share}", headers={"User-Agent": "Browser"}).status_code == 200
    [(counted,)] = sql("SELECT visitor FROM share_events")
    [(day, salt)] = sql("SELECT day, salt FROM visitor_salts ORDER BY day DESC LIMIT 1")
    secret = product.JWT_SECRET
    assert counted == visitors.Visitor(uuid.UUID(share), "127.0.0.1", "Browser").digest(secret, bytes(salt))
    guesses = [hashlib.sha256(f"{day}|{secret}|127.0.0.1|Browser".encode()).digest()]
    guesses += [
        hmac.digest(key.encode(), b"127.0.0.1|Browser", "sha256") for key in (secret, f"{day}", f"{secret}{day}")
    ]
    assert counted not in [guess[:16] for guess in guesses]
    assert len(bytes(salt)) == visitors.SALT_BYTES


@pytest.mark.parametrize("place", range(visitors.SALT_BYTES))
def test_every_byte_of_the_salt_counts(place: int) -> None:
    salt = bytes(range(visitors.SALT_BYTES))
    other = salt[:place] + bytes([salt[place] ^ 1]) + salt[place + 1 :]
    who = visitors.Visitor(uuid.UUID(int=7), "192.0.2.7", "Browser")
    assert (len(salt), who.digest("secret", salt) != who.digest("secret", other)) == (32, True)


def test_all_processes_have_the_same_salts_however_many_make_them_at_once() -> None:
    met = threading.Barrier(16)

    def make(_: int) -> tuple[bytes, bytes]:
        with driver.connection():  # as a request, which holds a connection meanwhile
            met.wait(20)
            return visitors._made(NOON.date())

    assert len(set(in_parallel(16, make, threads=16))) == 1
    assert sql("SELECT count(*) FROM visitor_salts") == [(2,)]
    as_another_process()
    today, yesterday = salts()
    assert today != yesterday
    as_another_process()
    assert salts() == (today, yesterday)
    assert salts(NOON + dt.timedelta(days=1))[1] == today


def test_a_salt_of_a_request_that_fails_is_the_one_that_others_get() -> None:
    seen = []

    def fail() -> None:
        with driver.connection() as connection:
            seen.append(visitors.salts(connection, NOON))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    as_another_process()
    assert [salts()] == seen


def test_a_process_asks_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dt.date] = []
    known = visitors._known

    def noted(connection: object, today: dt.date) -> tuple[bytes, bytes] | None:
        asked.append(today)
        return known(connection, today)

    monkeypatch.setattr(visitors, "_known", noted)
    salts()
    as_another_process()
    del asked[:]
    for hours in (0, 1, 11, 12, 13):
        salts(NOON + dt.timedelta(hours=hours))
    assert sorted(set(asked)) == [NOON.date(), NOON.date() + dt.timedelta(days=1)]
    assert asked.count(NOON.date()) == 1


def test_a_salt_is_gone_when_the_next_day_has_ended() -> None:
    today = dt.datetime.now(dt.UTC)
    for days in (3, 2, 1, 0):
        salts(today - dt.timedelta(days=days))
    sweep(storage(), Queue())
    left = {day for (day,) in sql("SELECT day FROM visitor_salts")}
    assert left <= {today.date() + dt.timedelta(days=days) for days in (-1, 0, 1)}
    assert today.date() in left
