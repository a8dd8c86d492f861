"""How often something may be tried, decided in Postgres before anything costly or secret is looked at.

Each rule and subject has a bucket that every try fills a little and that runs out steadily; a try that would overflow
it is refused. This is the generic cell rate algorithm (ITU-T I.371, annex A): one row and one statement, exact however
many tries come at once, and no window at whose border twice as much is allowed. When Postgres does not answer, nothing
may be tried: there is nothing to check a password against either.
"""

import datetime as dt
import hmac
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from safelight import addresses
from safelight.errors import TooManyRequests
from safelight.security.subkeys import subkey

type Run = Callable[..., Any]
"""Runs SQL with `:named` parameters and gives back its rows."""


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `tries` at once; after that, as many in `seconds`, evenly.

    `site` is how many times as much the IPv6 networks of 64 bits in one of 48 bits may try together.
    """

    name: str
    tries: int
    seconds: float
    site: int = addresses.SITE_CLIENTS

    @property
    def step(self) -> float:
        """Seconds until one more may be tried."""
        return self.seconds / self.tries

    @property
    def room(self) -> float:
        """The most seconds in which a bucket runs empty that has room for one more try."""
        return self.seconds - self.step


@dataclass(frozen=True, slots=True)
class Claim:
    """One try under a rule, for a subject such as an account's name or an address."""

    rule: Rule
    subject: str

    def key(self, secret: str) -> bytes:
        """What is stored: nobody can read off it who was meant."""
        return hmac.digest(subkey(secret, "throttle"), f"{self.rule.name}|{self.subject}".encode(), "sha256")


# The clock is read when the row is held, so that a try that waited for another is judged by when it was its turn.
_TAKE = """
    INSERT INTO throttles AS t (key, empty_at) VALUES (:key, clock_timestamp() + make_interval(secs => :step))
    ON CONFLICT (key) DO UPDATE
    SET empty_at = greatest(t.empty_at, clock_timestamp()) + make_interval(secs => :step)
    WHERE t.empty_at <= clock_timestamp() + make_interval(secs => :room)
    RETURNING 1
"""
_WAIT = (
    "SELECT extract(epoch FROM empty_at - clock_timestamp())::float8 - cast(:room AS float8)"
    " FROM throttles WHERE key = :key"
)
_GIVE_BACK = "UPDATE throttles SET empty_at = empty_at - make_interval(secs => :step) WHERE key = :key"
BUSY = (
    "EXISTS (SELECT FROM throttles WHERE key = ANY(cast(:keys AS bytea[]))"
    " AND empty_at > clock_timestamp() + make_interval(secs => :half))"
)
"""Whether one of these buckets is more than half used, as an expression; see `busy`."""
FORGET = "DELETE FROM throttles WHERE empty_at < now()"
"""Buckets that have run empty are as good as none; the sweep drops them."""


def take(run: Run, secret: str, *claims: Claim) -> None:
    """Count one try under each rule; commit before doing what was tried. Raises TooManyRequests, which undoes all."""
    for claim in claims:
        rule, key = claim.rule, claim.key(secret)
        if not list(run(_TAKE, key=key, step=rule.step, room=rule.room)):
            wait = [row[0] for row in run(_WAIT, key=key, room=rule.room)]
            raise refused(max(math.ceil(wait[0]), 1) if wait else 1)


def give_back(run: Run, secret: str, *claims: Claim) -> None:
    """The try does not count under these after all."""
    for claim in claims:
        run(_GIVE_BACK, key=claim.key(secret), step=claim.rule.step)


def busy(secret: str, claims: Sequence[Claim]) -> tuple[list[bytes], float]:
    """The parameters `keys` and `half` of BUSY."""
    return [claim.key(secret) for claim in claims], min(claim.rule.seconds for claim in claims) / 2


def refused(seconds: int) -> TooManyRequests:
    """The answer, in words that a person can act on."""
    wait = dt.timedelta(seconds=seconds)
    minutes = math.ceil(wait / dt.timedelta(minutes=1))
    told = f"{seconds} seconds" if seconds < 60 else "a minute" if minutes == 1 else f"{minutes} minutes"
    return TooManyRequests(f"Too many attempts. Please try again in {told}.", retry_after=seconds)


def claims(rule: Rule, ip: str | None, *, of: object = None) -> tuple[Claim, ...]:
    """One try from an address under a rule: its client's, and for IPv6 also that of the network of 48 bits.

    `of` narrows the rule to one subject, such as a link.
    """
    subjects = [client if of is None else f"{of}|{client}" for client in addresses.groups(ip)]
    wide = Rule(f"{rule.name} (/48)", rule.tries * rule.site, rule.seconds)
    return tuple(Claim(limit, subject) for limit, subject in zip((rule, wide), subjects, strict=False))
