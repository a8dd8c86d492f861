"""Sessions: a short access token, and a refresh token that is replaced with every use (RFC 9700 section 4.14.2)."""

import datetime as dt
import uuid
from dataclasses import dataclass

from sqlalchemy.orm import Session

from safelight.accounts import limits, queries, service
from safelight.accounts.schemas import SessionOut, TokenPair
from safelight.errors import NotFound, Unauthorized
from safelight.models import RefreshToken, User
from safelight.security import tokens

# A client whose answer was lost asks again with the token it still has; within this time it gets the same successor.
GRACE = dt.timedelta(seconds=10)
SHOWN = 200


class RefreshTokenReused(Unauthorized):
    """Somebody used a token twice: its session is over, and that must be kept although the request fails."""

    code = "refresh_token_reused"
    title = "This session was ended because its refresh token was used twice: sign in again"
    keeps_changes = True


@dataclass(frozen=True, slots=True)
class Client:
    """Where a session comes from, for the list of sessions."""

    user_agent: str | None
    ip: str | None


def sign_in(session: Session, name: str, password: str, client: Client, secret: str, now: dt.datetime) -> TokenPair:
    """A new session for whoever knows this password. Raises Unauthorized, TooManyRequests."""
    return start(session, service.authenticate(session, name, password, client.ip, secret), client, secret, now)


def start(session: Session, user: User, client: Client, secret: str, now: dt.datetime) -> TokenPair:
    """A new session of a caller who has just given the account's password."""
    family_id = uuid.uuid4()
    refresh = _issue(session, user.id, family_id, 0, client, secret, now, confirmed_at=now)
    return _pair(user.id, family_id, refresh, secret, now)


def refresh(session: Session, token: str | None, client: Client, secret: str, now: dt.datetime) -> TokenPair:
    """The next pair of a session. Raises Unauthorized, RefreshTokenReused, TooManyRequests."""
    limits.refresh(session, secret, client.ip)
    used = queries.lock_refresh_token(session, tokens.refresh_token_hash(token)) if token else None
    if used is None or used.revoked_at is not None or used.expires_at <= now:
        raise Unauthorized("The refresh token is not valid or has run out")
    if queries.user_by_id(session, used.user_id) is None:
        raise Unauthorized("The refresh token is not valid or has run out")
    successor = used.generation + 1
    if used.used_at is None:
        used.used_at = now
        issued_now = _issue(session, used.user_id, used.family_id, successor, client, secret, now)
        return _pair(used.user_id, used.family_id, issued_now, secret, now)
    issued = queries.refresh_token(session, used.family_id, successor)
    if now - used.used_at <= GRACE and issued is not None and issued.used_at is None:
        again = tokens.make_refresh_token(used.family_id, successor, secret)
        return _pair(used.user_id, used.family_id, again, secret, now)
    queries.revoke(session, now, family_id=used.family_id)
    raise RefreshTokenReused


def end(session: Session, token: str | None, now: dt.datetime) -> None:
    """End the session this token belongs to; nothing happens for a token that is none."""
    found = queries.lock_refresh_token(session, tokens.refresh_token_hash(token)) if token else None
    if found is not None:
        queries.revoke(session, now, family_id=found.family_id)


def caller(session: Session, token: str, secret: str, *, whole: bool = True) -> tuple[User, uuid.UUID]:
    """Whose access token this is, and of which session. Raises Unauthorized once either has ended.

    When not `whole`, only the account's id is read.
    """
    access = tokens.read_access_token(token, secret)
    user = queries.user_in_session(session, access.user_id, access.session_id, whole=whole)
    if user is None:
        raise Unauthorized("The access token is not valid or has run out")
    return user, access.session_id


def list_live(session: Session, user_id: uuid.UUID, current: uuid.UUID | None, now: dt.datetime) -> list[SessionOut]:
    """The sessions that have not ended, last used first, at most `SHOWN`."""
    return [
        SessionOut(
            id=family,
            created_at=begun,
            last_used_at=used,
            expires_at=ends,
            user_agent=user_agent,
            ip=ip,
            current=family == current,
        )
        for family, begun, used, ends, user_agent, ip in queries.live_sessions(session, user_id, now, SHOWN)
    ]


def revoke(
    session: Session, user_id: uuid.UUID, current: uuid.UUID | None, session_id: uuid.UUID, now: dt.datetime
) -> None:
    """End one session at once, as the session `current`.

    Raises NotFound when it is missing, somebody else's or ended already, Unauthorized when `current` was ended.
    """
    service.hold(session, user_id, current)
    if not queries.has_session(session, user_id, session_id):
        raise NotFound
    queries.revoke(session, now, family_id=session_id)


def _issue(
    session: Session,
    user_id: uuid.UUID,
    family_id: uuid.UUID,
    generation: int,
    client: Client,
    secret: str,
    now: dt.datetime,
    confirmed_at: dt.datetime | None = None,
) -> str:
    token = tokens.make_refresh_token(family_id, generation, secret)
    session.add(
        RefreshToken(
            user_id=user_id,
            family_id=family_id,
            generation=generation,
            token_hash=tokens.refresh_token_hash(token),
            expires_at=now + tokens.REFRESH_LIFETIME,
            user_agent=(client.user_agent or "")[:300] or None,
            ip=client.ip,
            confirmed_at=confirmed_at,
        )
    )
    session.flush()
    return token


def _pair(user_id: uuid.UUID, family_id: uuid.UUID, refresh_token: str, secret: str, now: dt.datetime) -> TokenPair:
    return TokenPair(
        access_token=tokens.make_access_token(user_id, family_id, secret, now),
        refresh_token=refresh_token,
        expires_in=int(tokens.ACCESS_LIFETIME.total_seconds()),
    )
