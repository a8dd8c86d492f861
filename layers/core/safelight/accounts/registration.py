"""Opening an account: for everyone, for people with an invitation, or for no one."""

import datetime as dt

from sqlalchemy.orm import Session

from safelight.accounts import invitations, limits, service
from safelight.accounts.schemas import RegisterRequest
from safelight.config import Registration
from safelight.errors import Forbidden
from safelight.models import User
from safelight.security.passwords import hash_password


class RegistrationClosed(Forbidden):
    code = "registration_closed"
    title = "No accounts are opened here: ask the administrator"


class InvitationRequired(Forbidden):
    code = "invitation_required"
    title = "An account needs an invitation here: ask the administrator for one"


class InvitationInvalid(Forbidden):
    """Wrong, used, withdrawn, run out, or of another address: one answer, whether there is an account or not."""

    code = "invitation_invalid"
    title = "This invitation does not open an account for this e-mail address, or not any more: ask for a new one"


def register(
    session: Session,
    request: RegisterRequest,
    registration: Registration,
    ip: str | None,
    secret: str,
    per_hour: int,
    now: dt.datetime,
) -> User:
    """A new account; at most `per_hour` of them, and of refusals, from one address.

    Raises RegistrationClosed, InvitationRequired, InvitationInvalid, service.NameTaken, TooManyRequests.
    """
    if registration == "closed":
        raise RegistrationClosed
    limits.registration(session, secret, ip, per_hour)
    if registration == "invite":
        _use_invitation(session, request, now)
    user = User(email=request.email, username=request.username, password_hash=hash_password(request.password))
    session.add(user)
    service.flush(session)
    session.refresh(user)
    return user


def _use_invitation(session: Session, request: RegisterRequest, now: dt.datetime) -> None:
    if not request.invitation:
        raise InvitationRequired
    if not invitations.use(session, request.email, request.invitation, now):
        raise InvitationInvalid
