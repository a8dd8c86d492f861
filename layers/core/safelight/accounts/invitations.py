"""Invitations: each lets one person open an account, once, under the address that it was made for."""

import datetime as dt
import hashlib
import secrets
import uuid

from sqlalchemy.orm import Session

from safelight.accounts import invitation_queries, queries, service
from safelight.accounts.schemas import InvitationMade, InvitationOut
from safelight.accounts.service import NameTaken
from safelight.config import Registration
from safelight.errors import Conflict, NotFound
from safelight.models import User
from safelight.pages import Page, by_age, cut, decode_cursor

LIFETIME = dt.timedelta(days=7)


class NobodyInvited(Conflict):
    code = "registration_closed"
    title = "No accounts are opened here: set REGISTRATION=invite, then invite people"


def invite(
    session: Session,
    admin: User,
    family_id: uuid.UUID | None,
    email: str,
    registration: Registration,
    base_url: str,
    now: dt.datetime,
) -> InvitationMade:
    """As `make`, by an administrator. Raises Unauthorized besides, when the session was ended."""
    service.hold_admin(session, admin.id, family_id)
    return make(session, email, admin.id, registration, base_url, now)


def make(
    session: Session,
    email: str,
    invited_by: uuid.UUID | None,
    registration: Registration,
    base_url: str,
    now: dt.datetime,
) -> InvitationMade:
    """A new invitation, in place of any that this address has. Its code cannot be read again.

    `invited_by` None is the operator of the service. Raises NobodyInvited where registration is closed, and NameTaken
    when the address has an account.
    """
    if registration == "closed":
        raise NobodyInvited
    if queries.user_by_name(session, email) is not None:
        raise NameTaken
    code = secrets.token_urlsafe(32)
    made = invitation_queries.replace(session, email, _hash(code), invited_by, now + LIFETIME)
    # After "#": browsers send this part to no server, so that it is in no log and in no Referer header.
    url = f"{base_url}/join#{code}"
    return InvitationMade(**InvitationOut.model_validate(made).model_dump(), code=code, url=url)


def list_page(session: Session, limit: int, cursor: str | None, now: dt.datetime) -> Page[InvitationOut]:
    """Invitations that can be used, newest first."""
    after = tuple(decode_cursor(cursor, dt.datetime, uuid.UUID)) if cursor else None
    shown, last = cut(invitation_queries.page(session, now, limit + 1, after), limit, by_age)
    return Page[InvitationOut].of([InvitationOut.model_validate(one) for one in shown], last)


def withdraw(
    session: Session, admin: User, family_id: uuid.UUID | None, invitation_id: uuid.UUID, now: dt.datetime
) -> None:
    """End an invitation at once.

    Raises NotFound when it is missing, used or has run out, and Unauthorized when the session was ended.
    """
    service.hold_admin(session, admin.id, family_id)
    if not invitation_queries.withdraw(session, invitation_id, now):
        raise NotFound


def use(session: Session, email: str, code: str, now: dt.datetime) -> bool:
    """Use up the invitation of this address, unless the transaction fails; False when the code is not a good one.

    Of many requests with one code, the first one uses it and the others wait for it to commit or fail.
    """
    return invitation_queries.use(session, email, _hash(code), now)


def _hash(code: str) -> bytes:
    # 256 random bits need no slow hash (OWASP ASVS 5.0, 6.5.2).
    return hashlib.sha256(code.encode()).digest()
