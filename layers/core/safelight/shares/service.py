"""Making, listing, changing and deleting share links."""

import datetime as dt
import uuid
from contextlib import nullcontext
from typing import Any

from sqlalchemy.orm import Session

from safelight.errors import Invalid, NotFound
from safelight.models import ShareLink
from safelight.pages import Page, by_age, cut, decode_cursor
from safelight.security.passwords import hash_password
from safelight.shares import queries
from safelight.shares.schemas import LikedPhoto, ShareCreate, ShareDay, ShareOut, SharePatch, ShareStats
from safelight.shares.slugs import Chooser

MOST_LIKED = 20
# A change of one of these ends every grant that was given under the old policy.
POLICY = ("password_hash", "expires_at", "download", "max_downloads", "max_favourites", "strip_metadata", "revoked_at")


def create(
    session: Session, gallery_id: uuid.UUID, request: ShareCreate, chooser: Chooser, base_url: str, now: dt.datetime
) -> ShareOut:
    """A new link. Raises Invalid for an expiry in the past, SlugTaken, TooManyRequests."""
    _check_expiry(request.expires_at, now)
    values = request.model_dump(exclude={"password"})
    link = ShareLink(gallery_id=gallery_id, password_hash=_hashed(request.password), **values)
    with chooser.choosing(session) if link.slug else nullcontext():
        session.add(link)
        session.flush()
    session.refresh(link)
    return _out(link, (0, 0, 0), base_url)


def get_owned(session: Session, owner_id: uuid.UUID, share_id: uuid.UUID) -> queries.Counted:
    """The link and its counters. Raises NotFound when it is missing or somebody else's."""
    counted = queries.owned(session, owner_id, share_id)
    if counted is None:
        raise NotFound
    return counted


def show(counted: queries.Counted, base_url: str) -> ShareOut:
    """The link with its exact counters."""
    link, views, singles, zips = counted
    return _out(link, (views, singles, zips), base_url)


def list_page(session: Session, gallery_id: uuid.UUID, limit: int, cursor: str | None, base_url: str) -> Page[ShareOut]:
    """One page, newest first, in one query."""
    after = tuple(decode_cursor(cursor, dt.datetime, uuid.UUID)) if cursor else None
    found = list(queries.page(session, gallery_id, limit + 1, after))
    shown, last = cut(found, limit, lambda counted: by_age(counted[0]))
    return Page[ShareOut].of([show(counted, base_url) for counted in shown], last)


def update(
    session: Session, counted: queries.Counted, patch: SharePatch, chooser: Chooser, base_url: str, now: dt.datetime
) -> ShareOut:
    """Change what was given; a changed policy ends the grants given before.

    Raises Invalid, SlugTaken, TooManyRequests.
    """
    link = counted[0]
    changes = _changes(patch, link, now)
    before = {name: getattr(link, name) for name in POLICY}
    with chooser.choosing(session) if changes.get("slug") else nullcontext():
        for field, value in changes.items():
            setattr(link, field, value)
        if any(before[name] != getattr(link, name) for name in POLICY):
            # Counted by the database: of two changes at once, each ends the grants of the other.
            link.policy_version = ShareLink.policy_version + 1
        session.flush()
    session.refresh(link)
    return show(counted, base_url)


def delete(session: Session, counted: queries.Counted) -> None:
    """The link and its history are gone."""
    session.delete(counted[0])


def stats(session: Session, counted: queries.Counted) -> ShareStats:
    """Totals, and a series by day in UTC."""
    link = counted[0]
    # The days alone, not the link's counters: these were read in another statement, and visitors come in between.
    days = [ShareDay.model_validate(day) for day in queries.days(session, link.id)]
    return ShareStats(
        share_id=link.id,
        visitor_days=sum(day.unique_visitors for day in days),
        views=sum(day.views for day in days),
        single_downloads=sum(day.single_downloads for day in days),
        zip_downloads=sum(day.zip_downloads for day in days),
        bytes_downloaded=sum(day.bytes_downloaded for day in days),
        most_liked=[
            LikedPhoto(photo_id=photo_id, filename=filename, likes=likes)
            for photo_id, filename, likes in queries.most_liked(session, link.id, MOST_LIKED)
        ],
        selections=queries.submitted(session, link.id),
        days=days,
    )


def _changes(patch: SharePatch, link: ShareLink, now: dt.datetime) -> dict[str, Any]:
    changes = patch.model_dump(exclude_unset=True, exclude={"password", "revoked"})
    if changes.get("expires_at") != link.expires_at:
        _check_expiry(changes.get("expires_at"), now)
    if "password" in patch.model_fields_set:
        changes["password_hash"] = _hashed(patch.password)
    if patch.revoked is not None:
        changes["revoked_at"] = (link.revoked_at or now) if patch.revoked else None
    required = ("label", "download", "strip_metadata")
    return {field: value for field, value in changes.items() if value is not None or field not in required}


def _check_expiry(expires_at: dt.datetime | None, now: dt.datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise Invalid("A link cannot expire in the past: give a later expires_at, or none at all")


def _hashed(password: str | None) -> str | None:
    if password is None:
        return None
    try:
        return hash_password(password)
    except ValueError as error:
        raise Invalid(str(error)) from error


def _out(link: ShareLink, counters: tuple[int, int, int], base_url: str) -> ShareOut:
    views, singles, zips = counters
    return ShareOut(
        share_id=link.id,
        gallery_id=link.gallery_id,
        url=f"{base_url}/s/{link.slug or link.id}",
        label=link.label,
        slug=link.slug,
        has_password=link.password_hash is not None,
        expires_at=link.expires_at,
        download=link.download,
        max_downloads=link.max_downloads,
        max_favourites=link.max_favourites,
        strip_metadata=link.strip_metadata,
        views=views,
        single_downloads=singles,
        zip_downloads=zips,
        revoked_at=link.revoked_at,
        created_at=link.created_at,
    )
