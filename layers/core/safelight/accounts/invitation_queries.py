"""SQL over invitations."""

import datetime as dt
import uuid

from sqlalchemy import ColumnElement, CursorResult, delete, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from safelight.models import Invitation, User


def _is_good(now: dt.datetime) -> ColumnElement[bool]:
    # An invitation ends with its inviter's power; without an inviter it is the operator's.
    inviter = select(User.id).where(
        User.id == Invitation.invited_by, User.is_admin, User.is_active, User.deleted_at.is_(None)
    )
    return (Invitation.expires_at > now) & or_(Invitation.invited_by.is_(None), inviter.exists())


def replace(
    session: Session, email: str, code_hash: bytes, invited_by: uuid.UUID | None, expires_at: dt.datetime
) -> Invitation:
    """The one invitation of this address; any other that it has is gone."""
    made = insert(Invitation).values(
        id=uuid.uuid4(), email=email, code_hash=code_hash, invited_by=invited_by, expires_at=expires_at,
        created_at=func.now(),
    )  # fmt: skip
    columns = {column.name: column for column in made.excluded}
    statement = made.on_conflict_do_update(index_elements=["email"], set_=columns).returning(Invitation)
    return session.scalars(statement).one()


def use(session: Session, email: str, code_hash: bytes, now: dt.datetime) -> bool:
    """Take away the good invitation of this address and code, until the transaction fails; False when there is none."""
    asked = (Invitation.email == email) & (Invitation.code_hash == code_hash)
    return _delete(session, asked & _is_good(now))


def page(
    session: Session, now: dt.datetime, limit: int, after: tuple[dt.datetime, uuid.UUID] | None
) -> list[Invitation]:
    """Invitations that can be used, newest first."""
    statement = select(Invitation).where(_is_good(now))
    if after is not None:
        statement = statement.where(tuple_(Invitation.created_at, Invitation.id) < after)
    return list(session.scalars(statement.order_by(Invitation.created_at.desc(), Invitation.id.desc()).limit(limit)))


def withdraw(session: Session, invitation_id: uuid.UUID, now: dt.datetime) -> bool:
    """Take away an invitation that can be used; False when there is none."""
    return _delete(session, (Invitation.id == invitation_id) & _is_good(now))


def forget(session: Session) -> None:
    """Drop invitations that have run out."""
    _delete(session, Invitation.expires_at < func.now())


def _delete(session: Session, which: ColumnElement[bool]) -> bool:
    result = session.execute(delete(Invitation).where(which).execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)
    return result.rowcount > 0
