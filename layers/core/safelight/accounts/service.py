"""Who a photographer is, and what they may change about it."""

import datetime as dt
import uuid

from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from safelight.accounts import confirmation, limits, queries
from safelight.accounts.schemas import (
    MAX_NAME,
    AdminUserOut,
    AdminUserPatch,
    MeOut,
    PasswordRequest,
    UserOut,
    UserPatch,
    normal_email,
)
from safelight.db.failures import violated
from safelight.erasures import service as erasures
from safelight.errors import Conflict, Forbidden, NotFound, Unauthorized
from safelight.models import User
from safelight.pages import Page, by_age, cut, decode_cursor
from safelight.quotas import service as quotas
from safelight.security.passwords import hash_password, verify_password


class NameTaken(Conflict):
    code = "name_taken"
    title = "An account with this e-mail or username exists already"


def authenticate(session: Session, name: str, password: str, ip: str | None, secret: str) -> User:
    """The account of this name and password.

    Raises Unauthorized, in the same words and time for any reason, and TooManyRequests, for names of nobody too.
    """
    # A NUL never reaches Postgres or bcrypt, which would each refuse it in its own way.
    name, password = (given.replace("\0", "\N{REPLACEMENT CHARACTER}") for given in (name, password))
    stored = _stored(name)
    user = queries.user_by_name(session, stored)
    compared = queries.compared(session, stored)
    with limits.sign_in(session, secret, ip, compared, user.id if user else None):
        matches = verify_password(password, user.password_hash if user else None)
        if user is None or not matches or not user.is_active:
            raise Unauthorized("This name and password do not match")
        if not queries.keep_password(session, user):  # it was changed, or the account kept out, while we compared
            raise Unauthorized("This name and password do not match")
    return user


def update(
    session: Session,
    user: User,
    family_id: uuid.UUID | None,
    patch: UserPatch,
    ip: str | None,
    secret: str,
    per_hour: int,
    now: dt.datetime,
) -> MeOut:
    """Change what was given; as many new names as registrations.

    Raises ConfirmationRequired for a new name, NameTaken, TooManyRequests, Unauthorized.
    """
    if _asks_for_names(user, patch):
        confirmation.require(session, family_id, now)
        limits.renaming(session, secret, ip, per_hour, user.id)
    hold(session, user.id, family_id)
    for field, value in patch.model_dump(exclude_unset=True).items():
        if value is not None or field == "username":
            setattr(user, field, value)
    flush(session)
    return show(session, user)


def change_password(
    session: Session, user: User, request: PasswordRequest, keep_family: uuid.UUID | None, secret: str, now: dt.datetime
) -> None:
    """Set a new password and end the other sessions, and all API keys if that is asked for.

    Raises Forbidden when the present one is wrong, TooManyRequests, and Unauthorized when the account, the session or
    the password was taken away meanwhile.
    """
    with limits.password(session, secret, user.id):
        if not verify_password(request.current_password, user.password_hash):
            raise Forbidden("The current password is not right")
        new = hash_password(request.new_password)
    # As in `hold`, but for this very password.
    if not queries.keep_password(session, user, to_change=True) or not _lives(session, user.id, keep_family):
        raise Unauthorized("This session was ended")
    user.password_hash = new
    queries.revoke_all(session, now, user_id=user.id, keep=keep_family)
    if request.revoke_api_keys:
        queries.revoke_keys(session, now, user_id=user.id)


def hold(session: Session, user_id: uuid.UUID, family_id: uuid.UUID | None) -> None:
    """Lock the account of a session that is about to change it; `family_id` is None where there is no session.

    A change that takes the account away from a session locks it first, too: it has either ended the session, or will
    see what the session did. Raises Unauthorized when the account or the session was taken away meanwhile.
    """
    # What another change has just ended must change nothing after it. The session is looked at in a second statement:
    # the first one, which may have waited, sees other tables as they were before.
    if queries.lock_user(session, user_id) is None or not _lives(session, user_id, family_id):
        raise Unauthorized("This session was ended")


def hold_admin(session: Session, user_id: uuid.UUID, family_id: uuid.UUID | None) -> None:
    """As `hold`, for an administrator. Raises Unauthorized also when the account is not one any more."""
    hold(session, user_id, family_id)
    if not queries.is_admin(session, user_id):
        raise Unauthorized("This session was ended")


def _lives(session: Session, user_id: uuid.UUID, family_id: uuid.UUID | None) -> bool:
    return family_id is None or queries.user_in_session(session, user_id, family_id) is not None


def delete(session: Session, user: User, family_id: uuid.UUID | None, now: dt.datetime) -> uuid.UUID:
    """Close the account: at once for everybody, in the bucket with the next sweeps. The id of the report.

    Raises Unauthorized when the account or the session was taken away meanwhile.
    """
    # First the account, as a change of its password does, so that neither waits for what the other has locked.
    hold(session, user.id, family_id)
    report = erasures.begin(session, "account", user.id)
    queries.soft_delete_galleries(session, now, user.id)
    queries.revoke_all(session, now, user_id=user.id)
    user.email, user.username = f"{user.id}@deleted.invalid", None
    user.password_hash, user.is_active, user.deleted_at = "deleted", False, now
    return report


def _asks_for_names(user: User, patch: UserPatch) -> bool:
    """Whether it changes a name that the account is signed in to by; taking the username away does, too."""
    email = patch.email is not None and patch.email.lower() != user.email.lower()
    username = patch.username if "username" in patch.model_fields_set else user.username
    return email or (username or "").lower() != (user.username or "").lower()


def _stored(name: str) -> str:
    """The spelling under which a name would be found: an address has several (RFC 5891, Unicode normal forms)."""
    # Longer than any, so that nobody has it: normal forms take a time that grows with the square of the length.
    if len(name) > MAX_NAME:
        return name[: MAX_NAME + 1]
    try:
        return normal_email(name.strip())
    except ValueError:
        return name


def flush(session: Session) -> None:
    """Write what was changed of accounts. Raises NameTaken."""
    try:
        session.flush()
    except DatabaseError as error:
        if violated(error).startswith("uq_users_"):
            raise NameTaken from error
        raise


def list_users(session: Session, limit: int, cursor: str | None) -> Page[AdminUserOut]:
    """All accounts, newest first, for an administrator."""
    after = tuple(decode_cursor(cursor, dt.datetime, uuid.UUID)) if cursor else None
    found = queries.users(session, limit + 1, after)
    shown, last = cut(found, limit, by_age)
    return Page[AdminUserOut].of(show_administered(session, shown), last)


def show(session: Session, user: User) -> MeOut:
    """An account as its owner sees it."""
    return MeOut(
        **UserOut.model_validate(user).model_dump(),
        settings=user.settings,
        quota=quotas.show(session, [user])[user.id],
    )


def show_administered(session: Session, users: list[User]) -> list[AdminUserOut]:
    """Accounts as administrators see them."""
    shown = quotas.show(session, users)
    return [
        AdminUserOut(
            **UserOut.model_validate(user).model_dump(),
            is_active=user.is_active,
            is_admin=user.is_admin,
            quota_bytes=user.quota_bytes,
            quota_photos=user.quota_photos,
            quota=shown[user.id],
        )
        for user in users
    ]


def administer(
    session: Session,
    admin: User,
    family_id: uuid.UUID | None,
    user_id: uuid.UUID,
    patch: AdminUserPatch,
    now: dt.datetime,
) -> AdminUserOut:
    """Let an account in or keep it out, where out means at its next request, or change its quota.

    Raises NotFound, Conflict, and Unauthorized when the administrator was kept out meanwhile.
    """
    user = queries.lock_user(session, user_id)
    # Looked at after the lock, for which this may have waited.
    if not queries.is_admin(session, admin.id) or not _lives(session, admin.id, family_id):
        raise Unauthorized("This session was ended")
    if user is None:
        raise NotFound
    if user.id == admin.id and (patch.is_active is False or patch.is_admin is False):
        raise Conflict("Administrators cannot shut themselves out: ask another one")
    for field, value in patch.model_dump(exclude_unset=True).items():
        if value is not None or field in ("quota_bytes", "quota_photos"):
            setattr(user, field, value)
    if not user.is_active:
        queries.revoke_all(session, now, user_id=user.id)
        # Links open again with the account; who had opened one gives its password once more.
        queries.end_grants(session, user.id)
    session.flush()
    return show_administered(session, [user])[0]
