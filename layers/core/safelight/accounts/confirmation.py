"""Passwords given again before what an access token alone must not do.

Signing in counts, refreshing does not: a token that was stolen later opens none of this, however often it is renewed.
"""

import datetime as dt
import uuid

from sqlalchemy.orm import Session

from safelight.accounts import limits, queries
from safelight.errors import Forbidden, Unauthorized
from safelight.models import User
from safelight.security.passwords import verify_password

LIFETIME = dt.timedelta(minutes=10)


class ConfirmationRequired(Forbidden):
    code = "confirmation_required"
    title = "This needs your password: send it to POST /auth/confirm, then try again within ten minutes"


class WrongPassword(Forbidden):
    code = "wrong_password"
    title = "This is not the account's password"


def confirm(
    session: Session, user: User, family_id: uuid.UUID | None, password: str, secret: str, now: dt.datetime
) -> None:
    """Note in the session that its owner has given the password.

    Raises WrongPassword, TooManyRequests, and Unauthorized when the session or the password has been taken away.
    """
    with limits.password(session, secret, user.id):
        if not verify_password(password, user.password_hash):
            raise WrongPassword
        if (
            family_id is None
            or not queries.keep_password(session, user)
            or not queries.confirm(session, now, family_id=family_id)
        ):
            raise Unauthorized("This session was ended")


def require(session: Session, family_id: uuid.UUID | None, now: dt.datetime) -> None:
    """Raise ConfirmationRequired unless the password was given in this session within the last ten minutes."""
    given = queries.confirmed_at(session, family_id) if family_id else None
    if given is None or now - given > LIFETIME:
        raise ConfirmationRequired
