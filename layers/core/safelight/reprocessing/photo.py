"""One photo of the walk: read its original, make everything again, keep what was asked for."""

import hashlib
import uuid
from typing import Protocol

from sqlalchemy.orm import Session

from safelight.analyses.service import search_again
from safelight.config import MAX_PHOTO_BYTES
from safelight.errors import ObjectChanged, ObjectMissing, SafelightError
from safelight.models import Photo, Rendition
from safelight.photos import damage, processing, queries
from safelight.photos.processing import Render
from safelight.pictures.errors import UnreadablePicture
from safelight.pictures.types import Rendered
from safelight.queue import Queue
from safelight.storage.objects import ObjectInfo


class Store(processing.Reads, processing.Writes, Protocol):
    """What reprocessing needs of the object store."""

    def head(self, key: str) -> ObjectInfo | None: ...


class NotRemade(SafelightError):
    """The photo keeps what it has; `damaged` says that its original is gone or is not what was uploaded."""

    code = "not_remade"
    title = "This photo cannot be made again"

    def __init__(self, detail: str, *, damaged: bool) -> None:
        super().__init__(detail)
        self.damaged = damaged

    def note(self, session: Session, photo_id: uuid.UUID) -> None:
        """Tell the photographer, if it is damage."""
        if self.damaged:
            damage.note(session, photo_id, self.detail)


type Made = tuple[Rendered, list[Rendition]]


def remake(store: Store, render: Render, photo: Photo, what: str, have: list[Rendition]) -> Made:
    """Everything again from the original; of the renditions, what differs is written. Raises NotRemade.

    A rendition that is what it was is not written again: whoever downloads an archive of them meanwhile goes on.
    """
    try:
        data, _ = store.read(photo.s3_key, if_match=photo.etag, limit=MAX_PHOTO_BYTES)
    except (ObjectMissing, ObjectChanged) as error:
        raise NotRemade(damage.REASONS[error.code], damaged=True) from error
    if hashlib.sha256(data).hexdigest() != photo.sha256:
        raise NotRemade(damage.REASONS["object_changed"], damaged=True)
    try:
        rendered = render(data, photo.content_type)
    except UnreadablePicture as error:
        raise NotRemade(error.detail, damaged=False) from error
    if what != "renditions":
        return rendered, []
    known = {row.name: row for row in have}
    rows = []
    for made in rendered.renditions:
        row = known.get(made.name)
        same = row is not None and row.sha256 == hashlib.sha256(made.data).hexdigest()
        there = store.head(row.s3_key) if same and row is not None else None
        if row is None or there is None or there.etag != row.etag:
            row = processing.write(store, photo, made)
        rows.append(_copied(row))
    return rendered, rows


def keep(session: Session, queue: Queue, photo_id: uuid.UUID, what: str, made: Made) -> None:
    """Write down what was made, if the photo is still wanted."""
    rendered, rows = made
    photo = queries.lock_for_work(session, photo_id)
    if photo is None or photo.status != "ready":
        return
    # Its original has just been read whole.
    photo.damaged_at = photo.damage_reason = None
    if what in ("renditions", "clean"):
        queries.replace_clean(session, photo.id, rendered.clean)
    if what in ("renditions", "analyses"):
        queries.keep_metrics(session, photo, rendered.metrics)
    if what == "renditions":
        processing.describe(photo, rendered)
        queries.replace_renditions(session, photo.id, rows)
    if what == "analyses":
        search_again(session, queue, photo.id)


def _copied(row: Rendition) -> Rendition:
    """A row of its own: the one that was read belongs to a session that has ended."""
    return Rendition(**{column.key: getattr(row, column.key) for column in Rendition.__table__.columns})
