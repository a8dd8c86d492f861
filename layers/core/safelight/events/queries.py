"""SQL over events."""

import datetime as dt
import uuid
from collections.abc import Sequence

from sqlalchemy import BigInteger, delete, func, literal_column, select, tuple_
from sqlalchemy.orm import Session

from safelight.models import Event

# Whatever has a lower transaction than this has ended, one way or the other.
_SETTLED = literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint", BigInteger)


def page(session: Session, owner_id: uuid.UUID, limit: int, after: tuple[int, int] | None) -> list[Event]:
    """Events of a photographer in the order of their commits, oldest first."""
    statement = select(Event).where(Event.owner_id == owner_id, Event.transaction < _SETTLED)
    if after is not None:
        statement = statement.where(tuple_(Event.transaction, Event.number) > after)
    return list(session.scalars(statement.order_by(Event.transaction, Event.number).limit(limit)))


def forget(session: Session, older_than: dt.timedelta) -> None:
    """Drop what everybody has had time to read."""
    session.execute(delete(Event).where(Event.at < func.now() - older_than))


def forget_about(session: Session, subjects: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """Drop what tells of these (gallery, photo), for it holds their titles; what is of a gallery goes with its row."""
    session.execute(delete(Event).where(tuple_(Event.gallery_id, Event.subject_id).in_(subjects)))
