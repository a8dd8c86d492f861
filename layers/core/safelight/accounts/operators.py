"""What those who operate the service do with its database, without an account; each in a transaction of its own."""

import secrets
from dataclasses import dataclass

from safelight import clock
from safelight.accounts import api_keys, invitations, queries
from safelight.accounts.schemas import InvitationMade, Scope, normal_email
from safelight.config import settings
from safelight.db.engine import transaction
from safelight.models import User
from safelight.security.passwords import hash_password

KEY_NAME = "make admin"
KEY_SCOPES: tuple[Scope, ...] = ("metrics", "operate")
"""What monitoring and maintenance need; reading accounts is no part of either."""


@dataclass(frozen=True, slots=True)
class FirstAdmin:
    """What an administrator signs in with, and an API key if one was asked for. Neither can be read again."""

    password: str
    api_key: str | None


def first_admin(email: str, *, with_key: bool = False) -> FirstAdmin:
    """Make or promote the administrator of this address, with a new generated password.

    Raises ValueError when this is no address.
    """
    address = normal_email(email.strip())
    password = f"Aa1-{secrets.token_urlsafe(18)}"
    with transaction() as session:
        # Locked, so that the account gets no other name before it is promoted.
        user = queries.user_by_name(session, address, lock=True)
        if user is None:
            user = User(email=address, password_hash="")
            session.add(user)
        user.password_hash, user.is_admin, user.is_active = hash_password(password), True, True
        session.flush()
        # Whoever had registered the address before, in hope of this moment, keeps neither a session nor a key.
        queries.revoke_all(session, clock.now(), user_id=user.id)
        queries.revoke_keys(session, clock.now(), user_id=user.id)
        key = api_keys.issue(session, user.id, KEY_NAME, KEY_SCOPES).key if with_key else None
    return FirstAdmin(password, key)


def invite(email: str) -> InvitationMade:
    """Invite the person of this address. Raises ValueError for what is none, NobodyInvited and NameTaken."""
    config = settings()
    with transaction() as session:
        return invitations.make(
            session, normal_email(email.strip()), None, config.registration, config.base_url, clock.now()
        )
