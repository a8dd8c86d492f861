"""Making, listing, changing and deleting galleries."""

import datetime as dt
import uuid

from sqlalchemy.orm import Session

from safelight.erasures import service as erasures
from safelight.errors import Invalid, NotFound
from safelight.galleries import queries
from safelight.galleries.schemas import GalleryCreate, GalleryOut, GalleryPatch
from safelight.models import Gallery
from safelight.pages import Page, by_age, cut, decode_cursor


def create(session: Session, owner_id: uuid.UUID, request: GalleryCreate) -> GalleryOut:
    """A new, empty gallery."""
    gallery = Gallery(owner_id=owner_id, title=request.title, description=request.description)
    session.add(gallery)
    session.flush()
    session.refresh(gallery)
    return _out(gallery, (0, 0, 0))


def get_owned(session: Session, owner_id: uuid.UUID, gallery_id: uuid.UUID) -> Gallery:
    """The gallery. Raises NotFound when it is missing or somebody else's."""
    gallery = queries.owned(session, owner_id, gallery_id)
    if gallery is None:
        raise NotFound
    return gallery


def show(session: Session, gallery: Gallery) -> GalleryOut:
    """The gallery with its counts."""
    return _out(gallery, queries.photo_counts(session, [gallery.id]).get(gallery.id, (0, 0, 0)))


def list_page(session: Session, owner_id: uuid.UUID, limit: int, cursor: str | None) -> Page[GalleryOut]:
    """One page, newest first, in two queries whatever its length."""
    after = tuple(decode_cursor(cursor, dt.datetime, uuid.UUID)) if cursor else None
    found = queries.page(session, owner_id, limit + 1, after)
    shown, last = cut(found, limit, by_age)
    counts = queries.photo_counts(session, [gallery.id for gallery in shown]) if shown else {}
    return Page[GalleryOut].of([_out(gallery, counts.get(gallery.id, (0, 0, 0))) for gallery in shown], last)


def update(session: Session, gallery: Gallery, patch: GalleryPatch) -> GalleryOut:
    """Change what was given; a cover must be one of the gallery's photos. Raises Invalid."""
    changes = patch.model_dump(exclude_unset=True)
    cover = changes.get("cover_photo_id")
    if cover is not None and not queries.has_photo(session, gallery.id, cover):
        raise Invalid("The cover must be a photo of this gallery")
    for field, value in changes.items():
        if value is not None or field == "cover_photo_id":
            setattr(gallery, field, value)
    session.flush()
    session.refresh(gallery)
    return show(session, gallery)


def delete(session: Session, gallery: Gallery, now: dt.datetime) -> uuid.UUID:
    """Gone at once for everybody; rows and objects follow with the next sweeps. The id of the report."""
    report = erasures.begin(session, "gallery", gallery.id)
    queries.soft_delete_photos(session, now, gallery.id)
    gallery.deleted_at = now
    return report


def _out(gallery: Gallery, counts: tuple[int, int, int]) -> GalleryOut:
    return GalleryOut(
        id=gallery.id,
        title=gallery.title,
        description=gallery.description,
        cover_photo_id=gallery.cover_photo_id,
        photo_count=counts[0],
        ready_count=counts[1],
        damaged_count=counts[2],
        created_at=gallery.created_at,
        updated_at=gallery.updated_at,
    )
