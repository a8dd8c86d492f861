"""How often an account's doors may be tried; each try is committed before a password is looked at.

The limits are per address first, so that one address cannot use up an account's own, which is wider: locking somebody
out takes more than one machine, and more than one IPv6 network of 48 bits. Only wrong passwords count.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from safelight import throttle
from safelight.db.engine import runner
from safelight.throttle import Claim, Rule

MINUTES = 60.0
SIGN_IN_FROM_ADDRESS = Rule("sign-in from address", 60, 15 * MINUTES)
SIGN_IN_HERE = Rule("sign-in to account from address", 10, 15 * MINUTES, site=2)
SIGN_IN = Rule("sign-in to account", 100, 60 * MINUTES)
NAMES = Rule("names of account", 20, 60 * MINUTES)
PASSWORD = Rule("password of account", 10, 15 * MINUTES)
REFRESH = Rule("refresh from address", 600, 15 * MINUTES)
REGISTER = "register from address"


@contextmanager
def sign_in(session: Session, secret: str, ip: str | None, name: str) -> Iterator[None]:
    """One try to sign in; it counts if the block raises. Raises TooManyRequests.

    `name` is what was given, in the spelling that names are compared in, whether anybody has it or not. An account's
    two names have a bucket each: one in common would tell that both are of somebody, and of the same.
    """
    claims = (
        *throttle.claims(SIGN_IN_FROM_ADDRESS, ip),
        *throttle.claims(SIGN_IN_HERE, ip, of=name),
        Claim(SIGN_IN, name),
    )
    _take(session, secret, *claims)
    yield
    throttle.give_back(runner(session), secret, *claims)


@contextmanager
def password(session: Session, secret: str, user_id: uuid.UUID) -> Iterator[None]:
    """One try to name an account's present password; it counts if the block raises. Raises TooManyRequests."""
    claim = Claim(PASSWORD, str(user_id))
    _take(session, secret, claim)
    yield
    throttle.give_back(runner(session), secret, claim)


def registration(session: Session, secret: str, ip: str | None, per_hour: int) -> None:
    """One more account, or the question whether one exists. Raises TooManyRequests."""
    _take(session, secret, *_asked_from(ip, per_hour))


def renaming(session: Session, secret: str, ip: str | None, per_hour: int, user_id: uuid.UUID) -> None:
    """Another name for an account, which asks the same question as a registration. Raises TooManyRequests."""
    _take(session, secret, *_asked_from(ip, per_hour), Claim(NAMES, str(user_id)))


def refresh(session: Session, secret: str, ip: str | None) -> None:
    """One more use of a refresh token. Raises TooManyRequests."""
    _take(session, secret, *throttle.claims(REFRESH, ip))


def _asked_from(ip: str | None, per_hour: int) -> tuple[Claim, ...]:
    return throttle.claims(Rule(REGISTER, per_hour, 60 * MINUTES), ip)


def _take(session: Session, secret: str, *claims: Claim) -> None:
    throttle.take(runner(session), secret, *claims)
    # Kept whatever the rest of the request does, and no row stays locked while a password is hashed.
    session.commit()
