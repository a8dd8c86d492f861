"""How often an account's doors may be tried; each try is committed before a password is looked at.

The limits are per address first, so that one address cannot use up an account's own, which is wider: locking somebody
out takes more than one machine, and more than one IPv6 network of 48 bits. Wrong passwords count under these. Right
ones count under a bucket of their own, because comparing costs a quarter of a second of a processor with either
outcome.
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
SIGNED_IN = Rule("successful sign-in to account", 60, 60 * MINUTES)
NAMES = Rule("names of account", 20, 60 * MINUTES)
PASSWORD = Rule("password of account", 10, 15 * MINUTES)
CONFIRMED = Rule("right password of account", 60, 60 * MINUTES)
REFRESH = Rule("refresh from address", 600, 15 * MINUTES)
REGISTER = "register from address"


@contextmanager
def sign_in(session: Session, secret: str, ip: str | None, name: str, user_id: uuid.UUID | None) -> Iterator[None]:
    """One try to sign in; a block that raises has failed. Raises TooManyRequests.

    `name` is what was given, in the spelling that names are compared in, whether anybody has it or not. An account's
    two names have a bucket each: one in common would show that both exist and are of one account. `user_id` is the
    account's, None for a name without one: it costs as many statements.
    """
    failed = (
        *throttle.claims(SIGN_IN_FROM_ADDRESS, ip),
        *throttle.claims(SIGN_IN_HERE, ip, of=name),
        Claim(SIGN_IN, name),
    )
    with _tried(session, secret, failed, Claim(SIGNED_IN, str(user_id or name))):
        yield


@contextmanager
def password(session: Session, secret: str, user_id: uuid.UUID) -> Iterator[None]:
    """One try to give an account's present password; a block that raises has failed. Raises TooManyRequests."""
    subject = str(user_id)
    with _tried(session, secret, (Claim(PASSWORD, subject),), Claim(CONFIRMED, subject)):
        yield


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


@contextmanager
def _tried(session: Session, secret: str, failed: tuple[Claim, ...], right: Claim) -> Iterator[None]:
    """Count a try under all claims, then give back those that its outcome is not.

    Both are taken before the password is compared: however many come at once, no more are compared than allowed.
    """
    _take(session, secret, *failed, right)
    try:
        yield
    except Exception:
        session.rollback()
        throttle.give_back(runner(session), secret, right)
        session.commit()
        raise
    throttle.give_back(runner(session), secret, *failed)


def _take(session: Session, secret: str, *claims: Claim) -> None:
    throttle.take(runner(session), secret, *claims)
    # Kept whatever the rest of the request does, and no row stays locked while a password is hashed.
    session.commit()
