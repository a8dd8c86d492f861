"""API keys: a way in for programs, narrower than their owner. Shown once; a prefix and a hash are kept."""

import datetime as dt
import hashlib
import secrets
import uuid
from collections.abc import Collection, Sequence

from sqlalchemy.orm import Session

from safelight.accounts import queries, service
from safelight.accounts.schemas import ApiKeyCreate, ApiKeyMade, ApiKeyOut, Scope
from safelight.errors import Conflict, Forbidden, NotFound, Unauthorized
from safelight.models import ApiKey, User
from safelight.pages import Page, by_age, cut, decode_cursor

MARK = "sl_"  # so that scanners of leaked secrets, and people, know what it is
MOST = 50
ADMINISTRATIVE: frozenset[Scope] = frozenset(("metrics", "operate", "admin"))
"""What only an administrator's key opens. It is looked at in each request whether its owner still is one."""
# A write for every request would cost more than the answer is worth.
USED_EVERY = dt.timedelta(minutes=1)


class ScopeNotAllowed(Forbidden):
    code = "scope_not_allowed"
    title = "Only administrators make API keys with the scopes “metrics”, “operate” and “admin”"


class TooManyKeys(Conflict):
    code = "too_many_keys"
    title = f"An account has at most {MOST} API keys: revoke one first"


def make(session: Session, user_id: uuid.UUID, family_id: uuid.UUID | None, request: ApiKeyCreate) -> ApiKeyMade:
    """A new key, which cannot be read again.

    Raises ScopeNotAllowed, TooManyKeys, and Unauthorized when the session was ended.
    """
    service.hold(session, user_id, family_id)
    if request.scopes & ADMINISTRATIVE and not queries.is_admin(session, user_id):
        raise ScopeNotAllowed
    if queries.live_keys(session, user_id) >= MOST:
        raise TooManyKeys
    return issue(session, user_id, request.name, request.scopes)


def issue(session: Session, user_id: uuid.UUID, name: str, scopes: Collection[Scope]) -> ApiKeyMade:
    """A new key without asking who wants it."""
    prefix = secrets.token_hex(4)
    key = f"{MARK}{prefix}_{secrets.token_urlsafe(32)}"
    made = ApiKey(user_id=user_id, name=name, prefix=prefix, key_hash=_hash(key), scopes=sorted(scopes))
    session.add(made)
    session.flush()
    session.refresh(made)
    return ApiKeyMade(**ApiKeyOut.model_validate(made).model_dump(), key=key)


def use(session: Session, key: str, *, whole: bool = True) -> tuple[User, Sequence[str]]:
    """Whose key this is, and its scopes. Raises Unauthorized. When not `whole`, only the account's id is read."""
    found = queries.key_by_hash(session, _hash(key), whole=whole) if key.startswith(MARK) else None
    if found is None:
        raise Unauthorized("The API key is not valid or was revoked")
    user, used = found
    queries.note_key_used(session, used.id, USED_EVERY)
    return user, used.scopes


def list_page(session: Session, user_id: uuid.UUID, limit: int, cursor: str | None) -> Page[ApiKeyOut]:
    """The account's keys that were not revoked, newest first."""
    after = tuple(decode_cursor(cursor, dt.datetime, uuid.UUID)) if cursor else None
    found = queries.keys(session, user_id, limit + 1, after)
    shown, last = cut(found, limit, by_age)
    return Page[ApiKeyOut].of([ApiKeyOut.model_validate(one) for one in shown], last)


def revoke(
    session: Session, user_id: uuid.UUID, family_id: uuid.UUID | None, key_id: uuid.UUID, now: dt.datetime
) -> None:
    """End a key at once.

    Raises NotFound when it is missing, somebody else's or revoked already, Unauthorized when the session was ended.
    """
    service.hold(session, user_id, family_id)
    if not queries.revoke_key(session, user_id, key_id, now):
        raise NotFound


def _hash(key: str) -> bytes:
    # 256 random bits need no slow hash (OWASP ASVS 5.0, 6.5.2).
    return hashlib.sha256(key.encode()).digest()
