"""What visitors picked, for the photographer: as a list, and as files."""

import datetime as dt
import json
import uuid
from dataclasses import dataclass

from sqlalchemy.orm import Session

from safelight.errors import Conflict, NotFound
from safelight.models import ShareLink
from safelight.pages import Page, cut, decode_cursor
from safelight.shares import exports, queries
from safelight.shares.schemas import ExportFormat, SelectionOut
from safelight.storage.disposition import attachment

# Of one selection in a list; a file has them all.
LISTED_PHOTOS = 200
# About 5 MB of CSV with names and addresses as people have them; whatever they have, `MOST_BYTES` holds.
MOST_ROWS = 20_000
# A function's answer may have 6 MB (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), as JSON: quotes
# and line ends count twice. What is left of 6 MiB is for headers.
MOST_BYTES = 6_000_000
COLUMNS = ("selection_id", "name", "email", "note", "submitted_at", "photo_id", "filename", "picked_at")


class ExportTooLarge(Conflict):
    code = "export_too_large"
    title = "This is too much for one file: export one selection at a time"


@dataclass(frozen=True, slots=True)
class Export:
    """A file to hand out."""

    content: bytes
    media_type: str
    disposition: str


def list_page(
    session: Session, share_id: uuid.UUID, selection: str | None, limit: int, cursor: str | None
) -> Page[SelectionOut]:
    """One page, newest first, in one query; whoever picked nothing and said nothing is left out."""
    only = _named(session, share_id, selection)
    after = decode_cursor(cursor, dt.datetime, uuid.UUID) if cursor else None
    found = queries.selections(session, share_id, only, LISTED_PHOTOS, limit + 1, after)
    shown, last = cut(found, limit, lambda row: (row.created_at.isoformat(), row.selection_id))
    return Page[SelectionOut].of([SelectionOut.model_validate(row) for row in shown], last)


def export(session: Session, link: ShareLink, selection: str | None, kind: ExportFormat) -> Export:
    """The picks of a link, or of one selection on it, as a file.

    The names for Lightroom are those of submitted selections, unless one is asked for; the table has all and says
    which were submitted, and has each note once, in the first row of its selection. Raises NotFound, ExportTooLarge.
    """
    only = _named(session, link.id, selection)
    rows = queries.picks(session, link.id, only, MOST_ROWS + 1, submitted=kind == "txt" and only is None)
    if len(rows) > MOST_ROWS:
        raise ExportTooLarge
    if kind == "csv":
        made = exports.table(COLUMNS, [row[:8] for row in rows])
    else:
        in_order = sorted(rows, key=lambda row: (row.position, row.photo_id))
        made = exports.lightroom(row.filename for row in in_order)
    if len(json.dumps(made, ensure_ascii=False).encode()) > MOST_BYTES:
        raise ExportTooLarge
    name = attachment(f"{link.label or 'favourites'}.{kind}")
    return Export(made.encode(), f"text/{'csv' if kind == 'csv' else 'plain'}", name)


def _named(session: Session, share_id: uuid.UUID, selection: str | None) -> uuid.UUID | None:
    if selection is None:
        return None
    try:
        wanted = uuid.UUID(selection)
    except ValueError:
        raise NotFound from None
    if not queries.has_selection(session, share_id, wanted):
        raise NotFound
    return wanted
