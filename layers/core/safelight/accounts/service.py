"""Who a photographer is, and what they may change about it."""

import datetime as dt
import uuid

from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from safelight.accounts import limits, queries
from safelight.accounts.schemas import PasswordRequest, RegisterRequest, UserPatch, normal_email
from safelight.db.failures import violated
from safelight.errors import Conflict, Forbidden, Unauthorized
from safelight.models import User
from safelight.security.passwords import hash_password, verify_password


class NameTaken(Conflict):
    code = "name_taken"
    title = "An account with this e-mail or username exists already"


def register(session: Session, request: RegisterRequest, ip: str | None, secret: str, per_hour: int) -> User:
    """A new account; at most `per_hour` of them from one address. Raises NameTaken, TooManyRequests."""
    limits.registration(session, secret, ip, per_hour)
    user = User(email=request.email, username=request.username, password_hash=hash_password(request.password))
    session.add(user)
    _flush(session)
    session.refresh(user)
    return user


def authenticate(session: Session, name: str, password: str, ip: str | None, secret: str) -> User:
    """The account of this name and password.

    Raises Unauthorized, in the same words and time for any reason, and TooManyRequests, for names of nobody too.
    """
    # A NUL never reaches Postgres or bcrypt, which would each refuse it in its own way.
    name, password = (given.replace("\0", "\N{REPLACEMENT CHARACTER}") for given in (name, password))
    stored = _stored(name)
    user = queries.user_by_name(session, stored)
    with limits.sign_in(session, secret, ip, str(user.id) if user else stored.casefold()):
        matches = verify_password(password, user.password_hash if user else None)
        if user is None or not matches or not user.is_active:
            raise Unauthorized("This name and password do not match")
        if not queries.keep_password(session, user):  # it was changed while we compared
            raise Unauthorized("This name and password do not match")
    return user


def get_active(session: Session, user_id: uuid.UUID) -> User:
    """The account behind a token. Raises Unauthorized when it is gone or was deactivated."""
    user = queries.user_by_id(session, user_id)
    if user is None:
        raise Unauthorized("The access token is not valid or has run out")
    return user


def update(session: Session, user: User, patch: UserPatch) -> User:
    """Change what was given. Raises NameTaken."""
    for field, value in patch.model_dump(exclude_unset=True).items():
        if value is not None or field == "username":
            setattr(user, field, value)
    _flush(session)
    return user


def change_password(
    session: Session, user: User, request: PasswordRequest, keep_family: uuid.UUID | None, secret: str, now: dt.datetime
) -> None:
    """Set a new password and end the other sessions.

    Raises Forbidden when the present one is wrong, TooManyRequests.
    """
    with limits.password(session, secret, user.id):
        if not verify_password(request.current_password, user.password_hash):
            raise Forbidden("The current password is not right")
    user.password_hash = hash_password(request.new_password)
    queries.revoke_all(session, now, user_id=user.id, keep=keep_family)


def delete(session: Session, user: User, now: dt.datetime) -> None:
    """Close the account: at once for everybody, in the bucket with the next sweeps."""
    queries.soft_delete_galleries(session, now, user.id)
    queries.revoke_all(session, now, user_id=user.id)
    user.email, user.username = f"{user.id}@deleted.invalid", None
    user.password_hash, user.is_active, user.deleted_at = "deleted", False, now


def _stored(name: str) -> str:
    """The spelling under which a name would be found: an address has several (RFC 5891, Unicode normal forms)."""
    try:
        return normal_email(name.strip())
    except ValueError:
        return name


def _flush(session: Session) -> None:
    try:
        session.flush()
    except DatabaseError as error:
        if violated(error).startswith("uq_users_"):
            raise NameTaken from error
        raise
