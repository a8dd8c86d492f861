"""SQL over users and refresh tokens."""

import datetime as dt
import uuid

from sqlalchemy import CursorResult, Row, delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session, aliased, load_only

from safelight.models import ApiKey, Gallery, Photo, RefreshToken, ShareLink, User


def user_by_id(session: Session, user_id: uuid.UUID) -> User | None:
    """An account that may act."""
    return session.scalars(
        select(User).where(User.id == user_id, User.is_active, User.deleted_at.is_(None))
    ).one_or_none()


# Where only who calls matters: the role of the streaming function may read nothing else of accounts and keys.
_IDENTITY = load_only(User.id, raiseload=True)
_KEY_IN_USE = load_only(ApiKey.id, ApiKey.scopes, raiseload=True)


def user_in_session(session: Session, user_id: uuid.UUID, family_id: uuid.UUID, *, whole: bool = True) -> User | None:
    """An account that may act, if this session of it has not ended; only its id when not `whole`."""
    live = select(RefreshToken.id).where(
        RefreshToken.family_id == family_id, RefreshToken.user_id == user_id, RefreshToken.revoked_at.is_(None)
    )
    statement = select(User).where(User.id == user_id, User.is_active, User.deleted_at.is_(None), live.exists())
    return session.scalars(statement if whole else statement.options(_IDENTITY)).one_or_none()


def users(session: Session, limit: int, after: tuple[dt.datetime, uuid.UUID] | None) -> list[User]:
    """Accounts that were not deleted, newest first."""
    statement = select(User).where(User.deleted_at.is_(None))
    if after is not None:
        statement = statement.where(tuple_(User.created_at, User.id) < after)
    return list(session.scalars(statement.order_by(User.created_at.desc(), User.id.desc()).limit(limit)))


def lock_user(session: Session, user_id: uuid.UUID) -> User | None:
    """An account, active or not; whatever else changes it or adds to it waits for this transaction."""
    return session.scalars(
        select(User).where(User.id == user_id, User.deleted_at.is_(None)).with_for_update(key_share=True)
    ).one_or_none()


def user_by_name(session: Session, name: str, *, lock: bool = False) -> User | None:
    """By e-mail or username; both compare without regard to case. `lock` as in `lock_user`."""
    statement = select(User).where(or_(User.email == name, User.username == name), User.deleted_at.is_(None))
    return session.scalars(statement.with_for_update(key_share=True) if lock else statement).one_or_none()


def is_admin(session: Session, user_id: uuid.UUID) -> bool:
    """Whether this is an administrator who may act, now and not when the account was read."""
    admin = select(User.id).where(User.id == user_id, User.is_admin, User.is_active, User.deleted_at.is_(None))
    return session.scalar(admin) is not None


def compared(session: Session, name: str) -> str:
    """A name in the spelling in which the database compares names: `citext` asks `lower` of both sides."""
    spelt: str = session.scalars(select(func.lower(name))).one()
    return spelt


def keep_password(session: Session, user: User, *, to_change: bool = False) -> bool:
    """Whether the account is let in with the password that was read; until the transaction ends neither changes.

    So a session is either begun before a password changes or its account is kept out, and then ended with the others,
    or not at all; and `to_change` one password is replaced by one other.
    """
    same = select(User.id).where(User.id == user.id, User.password_hash == user.password_hash, User.is_active)
    locked = same.with_for_update(key_share=True) if to_change else same.with_for_update(read=True)
    return session.scalar(locked) is not None


def lock_refresh_token(session: Session, token_hash: bytes) -> RefreshToken | None:
    """The token and, by locking its family's first generation, the right to change the family."""
    found = session.scalars(select(RefreshToken).where(RefreshToken.token_hash == token_hash)).one_or_none()
    if found is None:
        return None
    session.execute(
        select(RefreshToken.id)
        .where(RefreshToken.family_id == found.family_id, RefreshToken.generation == 0)
        .with_for_update()
    )
    # Read again under the lock: a parallel refresh may have used it meanwhile.
    session.refresh(found)
    return found


def refresh_token(session: Session, family_id: uuid.UUID, generation: int) -> RefreshToken | None:
    """One generation of a session."""
    return session.scalars(
        select(RefreshToken).where(RefreshToken.family_id == family_id, RefreshToken.generation == generation)
    ).one_or_none()


type Listed = Row[uuid.UUID, dt.datetime, dt.datetime, dt.datetime, str | None, str | None]


def live_sessions(session: Session, user_id: uuid.UUID, now: dt.datetime, limit: int) -> list[Listed]:
    """(family, begun, last used, ends, user agent, address) of sessions that have not ended, last used first."""
    first = aliased(RefreshToken)
    return list(
        session.execute(
            select(
                RefreshToken.family_id,
                first.created_at,
                RefreshToken.created_at,
                RefreshToken.expires_at,
                RefreshToken.user_agent,
                RefreshToken.ip,
            )
            .join(first, (first.family_id == RefreshToken.family_id) & (first.generation == 0))
            # The one token of a session that was not used yet is its last.
            .where(
                RefreshToken.user_id == user_id,
                RefreshToken.used_at.is_(None),
                RefreshToken.revoked_at.is_(None),
                RefreshToken.expires_at > now,
            )
            .order_by(RefreshToken.created_at.desc(), RefreshToken.family_id)
            .limit(limit)
        )
    )


def has_session(session: Session, user_id: uuid.UUID, family_id: uuid.UUID) -> bool:
    """Whether this is a session of the account that has not been ended, locked against its next refresh."""
    first = select(RefreshToken.id).where(
        RefreshToken.family_id == family_id,
        RefreshToken.generation == 0,
        RefreshToken.user_id == user_id,
        RefreshToken.revoked_at.is_(None),
    )
    return session.scalar(first.with_for_update()) is not None


def confirm(session: Session, now: dt.datetime, *, family_id: uuid.UUID) -> bool:
    """Note that the password was given in this session; False when it has ended."""
    result = session.execute(
        update(RefreshToken)
        .where(RefreshToken.family_id == family_id, RefreshToken.generation == 0, RefreshToken.revoked_at.is_(None))
        .values(confirmed_at=now)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount == 1


def confirmed_at(session: Session, family_id: uuid.UUID) -> dt.datetime | None:
    """When the password was last given in this session."""
    return session.scalar(
        select(RefreshToken.confirmed_at).where(RefreshToken.family_id == family_id, RefreshToken.generation == 0)
    )


def revoke(session: Session, now: dt.datetime, *, family_id: uuid.UUID) -> None:
    """End one session."""
    session.execute(
        update(RefreshToken)
        .where(RefreshToken.family_id == family_id, RefreshToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def revoke_all(session: Session, now: dt.datetime, *, user_id: uuid.UUID, keep: uuid.UUID | None = None) -> None:
    """End every session of a user but the family `keep`."""
    # The locks that refreshing takes: a refresh at this moment has then either written its successor, which the next
    # statement sees, or will find itself revoked.
    first = select(RefreshToken.id).where(RefreshToken.user_id == user_id, RefreshToken.generation == 0)
    session.execute(first.order_by(RefreshToken.id).with_for_update())
    statement = update(RefreshToken).where(RefreshToken.user_id == user_id, RefreshToken.revoked_at.is_(None))
    if keep is not None:
        statement = statement.where(RefreshToken.family_id != keep)
    session.execute(statement.values(revoked_at=now))


def forget_sessions(session: Session, older_than: dt.timedelta, limit: int) -> int:
    """Drop tokens that ran out that long ago, each session's first one last of all; how many there were.

    A token that was used is needed until then: who brings it again gives itself away. The first one is what refreshing
    locks and what tells when the session began.
    """
    alive = aliased(RefreshToken)
    late = func.now() - older_than
    longer = select(alive.id).where(alive.family_id == RefreshToken.family_id, alive.expires_at >= late)
    old = (
        select(RefreshToken.id)
        .where(RefreshToken.expires_at < late, or_(RefreshToken.generation > 0, ~longer.exists()))
        .order_by(RefreshToken.generation == 0, RefreshToken.expires_at)
        .limit(limit)
    )
    result = session.execute(
        delete(RefreshToken).where(RefreshToken.id.in_(old)).execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount


def end_grants(session: Session, owner_id: uuid.UUID) -> None:
    """No password that was given for a link of theirs counts any more."""
    owned = select(Gallery.id).where(Gallery.owner_id == owner_id)
    session.execute(
        update(ShareLink)
        .where(ShareLink.gallery_id.in_(owned))
        .values(policy_version=ShareLink.policy_version + 1)
        .execution_options(synchronize_session=False)
    )


def soft_delete_galleries(session: Session, now: dt.datetime, owner_id: uuid.UUID) -> None:
    """Hide everything a user owns; the sweep erases it."""
    owned = select(Gallery.id).where(Gallery.owner_id == owner_id)
    session.execute(
        update(Photo)
        .where(Photo.gallery_id.in_(owned), Photo.deleted_at.is_(None))
        .values(deleted_at=now)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Gallery)
        .where(Gallery.owner_id == owner_id, Gallery.deleted_at.is_(None))
        .values(deleted_at=now)
        .execution_options(synchronize_session=False)
    )


def live_keys(session: Session, user_id: uuid.UUID) -> int:
    """How many API keys of the account work."""
    counted = select(func.count()).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    return session.scalar(counted) or 0


def key_by_hash(session: Session, key_hash: bytes, *, whole: bool = True) -> Row[User, ApiKey] | None:
    """A working key and its owner, who may act; only the owner's id when not `whole`."""
    statement = (
        select(User, ApiKey)
        .join(ApiKey, ApiKey.user_id == User.id)
        .where(ApiKey.key_hash == key_hash, ApiKey.revoked_at.is_(None), User.is_active, User.deleted_at.is_(None))
        .options(_KEY_IN_USE)
    )
    return session.execute(statement if whole else statement.options(_IDENTITY)).one_or_none()


def note_key_used(session: Session, key_id: uuid.UUID, every: dt.timedelta) -> None:
    """Remember that a key is in use, once in a while."""
    session.execute(
        update(ApiKey)
        .where(
            ApiKey.id == key_id,
            or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - every),
        )
        .values(last_used_at=func.now())
        .execution_options(synchronize_session=False)
    )


def keys(session: Session, user_id: uuid.UUID, limit: int, after: tuple[dt.datetime, uuid.UUID] | None) -> list[ApiKey]:
    """Keys that were not revoked, newest first."""
    statement = select(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    if after is not None:
        statement = statement.where(tuple_(ApiKey.created_at, ApiKey.id) < after)
    return list(session.scalars(statement.order_by(ApiKey.created_at.desc(), ApiKey.id.desc()).limit(limit)))


def revoke_keys(session: Session, now: dt.datetime, *, user_id: uuid.UUID) -> None:
    """End every API key of an account."""
    session.execute(
        update(ApiKey)
        .where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now)
        .execution_options(synchronize_session=False)
    )


def revoke_key(session: Session, user_id: uuid.UUID, key_id: uuid.UUID, now: dt.datetime) -> bool:
    """End a key of this account; False when there is no such one."""
    result = session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now)
        .execution_options(synchronize_session=False)
    )
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
