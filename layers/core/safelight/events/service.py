"""Reading the feed."""

import uuid

from sqlalchemy.orm import Session

from safelight.events import queries
from safelight.events.schemas import EventOut
from safelight.pages import Page, decode_cursor, encode_cursor


def list_page(session: Session, owner_id: uuid.UUID, limit: int, cursor: str | None) -> Page[EventOut]:
    """What happened after `cursor`, oldest first.

    The next cursor is given with every page that is not empty, so that a program can ask for what comes later.
    """
    after = tuple(decode_cursor(cursor, int, int)) if cursor else None
    found = queries.page(session, owner_id, limit, after)
    last = encode_cursor(found[-1].transaction, found[-1].number) if found else cursor
    return Page[EventOut].of([EventOut.model_validate(one) for one in found], last)
