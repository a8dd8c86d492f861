"""Whom a request on a link is counted as.

- A request with the link's cookie (`security.visitorcookies`) counts as that visitor's. The cookie is given at the
  first favourite or download, never for looking.
- A request without it is counted by a hash of address and program that changes every day.

What is stored is a hash of either under a salt of the day (UTC) and a key of the service, for each link another. The
salt is random, common to all processes, and deleted when the next day has ended (`forget_salts` in `shares.queries`).
From then on the hashes of a day cannot be computed again, not even by those who hold the database and every secret, and
no two days can be connected, although the cookie is the same.
"""

import datetime as dt
import hmac
import secrets
import uuid
from dataclasses import dataclass, replace
from functools import lru_cache

from pg8000.native import Connection

from safelight.addresses import groups
from safelight.db import driver
from safelight.errors import Unavailable
from safelight.security.subkeys import subkey
from safelight.security.visitorcookies import VisitorCookie

SALT_BYTES = 32

_READ = "SELECT day, salt FROM visitor_salts WHERE day IN (:today, :yesterday)"
# Whoever comes second waits for the first one's commit and then changes nothing.
_MAKE = "INSERT INTO visitor_salts (day, salt) VALUES (:day, :salt) ON CONFLICT (day) DO NOTHING"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a request is counted as: the hash of today, and that of yesterday, under which a download may have begun.

    Attributes:
        formerly: With a cookie that was given today, the hash that its visitor had before, so that one person is not
            two in the day's statistics.
        formerly_downloads: Whether downloads of this visitor were counted under `formerly`.
        alone: With the cookie of a program that is no browser, today's hash without it. Such a program may keep the
            cookie only while it runs, so its downloads are found by this hash as well.
        shared: Hashes without a cookie under which downloads of this visitor are found: the two of a request without
            one; with a program's cookie of today or yesterday, that of when it was given, and the two of now.
        until: With a cookie, when it was given. Downloads of `shared` that began much later are another visitor's.
    """

    today: bytes
    yesterday: bytes
    formerly: bytes | None = None
    formerly_downloads: bool = False
    alone: bytes | None = None
    shared: tuple[bytes, ...] = ()
    until: dt.datetime | None = None
    has_cookie: bool = False


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks on a link: an address and a program, and a cookie where there is one. None of them is stored."""

    share_id: uuid.UUID
    ip: str | None
    user_agent: str | None
    cookie: VisitorCookie | None = None

    def digest(self, secret: str, salt: bytes) -> bytes:
        """The 16 bytes stored for this visitor. They cannot be recomputed once the day's salt is deleted.

        Of an IPv6 address the network of 64 bits counts: one device changes its address within it.
        """
        program = f"address|{groups(self.ip)[0]}|{self.user_agent or ''}".encode(errors="surrogateescape")
        seen = program if self.cookie is None else b"cookie|" + self.cookie.name
        return hmac.digest(subkey(secret, "visitor") + salt, self.share_id.bytes + seen, "sha256")[:16]

    def identity(self, secret: str, salts: tuple[bytes, bytes], now: dt.datetime) -> Identity:
        """Whom this visitor is counted as now, given the salts of today and of yesterday."""
        today, yesterday = (self.digest(secret, salt) for salt in salts)
        cookie = self.cookie
        if cookie is None:
            return Identity(today, yesterday, shared=(today, yesterday))
        age = (now.astimezone(dt.UTC).date() - cookie.issued.date()).days
        given = Identity(
            today,
            yesterday,
            cookie.formerly if age <= 0 else None,
            formerly_downloads=age <= 0 and cookie.downloading,
            until=cookie.issued,
            has_cookie=True,
        )
        if not cookie.downloading:
            return given
        alone = tuple(replace(self, cookie=None).digest(secret, salt) for salt in salts)
        return replace(given, alone=alone[0], shared=(cookie.formerly, *alone) if age <= 1 else ())


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
