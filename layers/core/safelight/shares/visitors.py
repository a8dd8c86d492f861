"""Telling one visitor from another today, and from nobody the day after tomorrow.

A visitor is a hash of address and program under a salt of the day (UTC) and a key of the service. The salt is random,
common to all processes, and deleted when the next day has ended (`forget` in `shares.queries`): from then on nobody
can try addresses against the hashes that were counted, not even who holds the database and every secret.
"""

import datetime as dt
import hmac
import secrets
from dataclasses import dataclass
from functools import lru_cache

from pg8000.native import Connection

from safelight.db import driver
from safelight.errors import Unavailable
from safelight.security.subkeys import subkey

SALT_BYTES = 32

_READ = "SELECT day, salt FROM visitor_salts WHERE day IN (:today, :yesterday)"
# Whoever comes second waits for the first one's commit and then changes nothing.
_MAKE = "INSERT INTO visitor_salts (day, salt) VALUES (:day, :salt) ON CONFLICT (day) DO NOTHING"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: an address and a program, neither of which is stored."""

    ip: str | None
    user_agent: str | None

    def digest(self, secret: str, salt: bytes) -> bytes:
        """What is stored, for as long as the day of this salt is told apart from others."""
        seen = f"{self.ip}|{self.user_agent}".encode(errors="surrogateescape")
        return hmac.digest(subkey(secret, "visitor") + salt, seen, "sha256")[:16]


def salts(connection: Connection, now: dt.datetime) -> tuple[bytes, bytes]:
    """The salts of today and of yesterday. They cost a statement once a day in each process."""
    today = now.astimezone(dt.UTC).date()
    kept = _kept()
    found = kept.get(today)
    if found is None:
        found = _known(connection, today) or _made(today)
        # Only one day is remembered, so that no process holds for long what the database has forgotten.
        kept.clear()
        kept[today] = found
    return found


@lru_cache(maxsize=1)
def _kept() -> dict[dt.date, tuple[bytes, bytes]]:
    return {}


def _known(connection: Connection, today: dt.date) -> tuple[bytes, bytes] | None:
    days = (today, today - dt.timedelta(days=1))
    found = dict(connection.run(_READ, today=days[0], yesterday=days[1]))
    return (found[days[0]], found[days[1]]) if len(found) == 2 else None


def _made(today: dt.date) -> tuple[bytes, bytes]:
    # In a transaction of its own: a salt that others use, or that is remembered here, is never rolled back.
    with driver.connection() as connection:
        # Yesterday's first, as everywhere, so that no two who make both wait for one another.
        for day in (today - dt.timedelta(days=1), today):
            connection.run(_MAKE, day=day, salt=secrets.token_bytes(SALT_BYTES))
        made = _known(connection, today)
    if made is None:
        raise Unavailable(retry_after=1)  # the sweep took one at this very moment: the clocks differ by days
    return made
