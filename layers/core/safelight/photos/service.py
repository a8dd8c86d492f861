"""Listing, changing, deleting and showing photos."""

import datetime as dt
import uuid

from sqlalchemy.orm import Session

from safelight.errors import NotFound
from safelight.models import Photo
from safelight.pages import Page, cut, decode_cursor
from safelight.photos import keys, queries
from safelight.photos.schemas import PhotoOut, PhotoPatch
from safelight.storage.disposition import attachment
from safelight.storage.signer import Signer
from safelight.validators import strong_etag

URL_SECONDS = 120


def get_owned(session: Session, owner_id: uuid.UUID, photo_id: uuid.UUID, *, lock: bool = False) -> Photo:
    """The photo. Raises NotFound when it is missing or somebody else's."""
    photo = queries.owned(session, owner_id, photo_id, lock=lock)
    if photo is None:
        raise NotFound
    return photo


def list_page(
    session: Session, gallery_id: uuid.UUID, limit: int, cursor: str | None, status: str | None, tag: str | None
) -> Page[PhotoOut]:
    """One page in the gallery's order, in one query."""
    after = tuple(decode_cursor(cursor, int, uuid.UUID)) if cursor else None
    found = queries.page(session, gallery_id, limit + 1, after, status, tag)
    shown, last = cut(found, limit, lambda photo: (photo.position, photo.id))
    return Page[PhotoOut].of([PhotoOut.model_validate(photo) for photo in shown], last)


def update(session: Session, photo: Photo, patch: PhotoPatch) -> PhotoOut:
    """Change what was given."""
    for field, value in patch.model_dump(exclude_unset=True).items():
        if value is not None:
            setattr(photo, field, value)
    session.flush()
    session.refresh(photo)
    return PhotoOut.model_validate(photo)


def delete(session: Session, photo: Photo, now: dt.datetime) -> None:
    """Gone at once for everybody, also as a cover; the objects follow with the next sweep."""
    queries.uncover(session, photo.id)
    photo.deleted_at = now


def etag(photo: Photo) -> str:
    """A validator for the photo's description: strong, because it changes with every change of the row."""
    return strong_etag(photo.id, photo.updated_at.isoformat(), photo.status)


def rendition_url(signer: Signer, photo: Photo, name: str) -> str:
    """A short-lived URL. Raises NotFound while there is nothing to see."""
    if photo.status != "ready":
        raise NotFound
    if name == "original":
        sign = signer.get_urls(URL_SECONDS, disposition=attachment(photo.filename), content_type=photo.content_type)
        return sign(photo.s3_key)
    return signer.get_urls(URL_SECONDS)(keys.rendition(photo.gallery_id, photo.id, name))


def counts(session: Session) -> dict[str, int]:
    """How many photos stand in each status."""
    return queries.counts(session)
