"""SQL over users and refresh tokens."""

import datetime as dt
import uuid

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from safelight.models import Gallery, Photo, RefreshToken, User


def user_by_id(session: Session, user_id: uuid.UUID) -> User | None:
    """An account that may act."""
    return session.scalars(
        select(User).where(User.id == user_id, User.is_active, User.deleted_at.is_(None))
    ).one_or_none()


def user_by_name(session: Session, name: str) -> User | None:
    """By e-mail or username; both compare without regard to case."""
    return session.scalars(
        select(User).where(or_(User.email == name, User.username == name), User.deleted_at.is_(None))
    ).one_or_none()


def keep_password(session: Session, user: User) -> bool:
    """Whether the password is still the one that was read; until the transaction ends it cannot change.

    So a session is either begun before a password changes, and then ended with the others, or not at all.
    """
    same = select(User.id).where(User.id == user.id, User.password_hash == user.password_hash)
    return session.scalar(same.with_for_update(read=True)) is not None


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
