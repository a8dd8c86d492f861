"""Quotas: what an account may store. Decided while its counter is locked, so parallel uploads cannot exceed them."""

import datetime as dt
import logging
import uuid
from dataclasses import dataclass

from sqlalchemy import func
from sqlalchemy.orm import Session

from safelight.config import settings
from safelight.db.engine import transaction
from safelight.errors import Conflict, NotFound, TooLarge
from safelight.models import Photo, StorageUsage, User
from safelight.quotas import queries
from safelight.quotas.schemas import QuotaOut

log = logging.getLogger(__name__)

PUBLIC_BYTES = 2**40
"""Default for a service that others can reach: 1 TiB."""
PUBLIC_PHOTOS = 250_000
"""Default for a service that others can reach."""
CHECKED_EVERY = dt.timedelta(days=1)
ASK = "Delete photos, or ask who runs this service for more room."


class BytesExceeded(TooLarge):
    code = "quota_bytes"
    title = "The account has no room for this photo"


class PhotosExceeded(Conflict):
    code = "quota_photos"
    title = "The account holds as many photos as it may"


@dataclass(slots=True)
class Room:
    """The room that is left in an account, whose counter the session has locked."""

    usage: StorageUsage
    bytes_allowed: int | None
    photos_allowed: int | None

    def take(self, filename: str, size: int) -> None:
        """Count one photo of `size` bytes. Raises BytesExceeded, PhotosExceeded; then it is not counted."""
        used, photos = self.usage.bytes, self.usage.photos
        if self.photos_allowed is not None and photos + 1 > self.photos_allowed:
            raise PhotosExceeded(
                f"The account holds {photos:,} of the {self.photos_allowed:,} photos that it may hold. {ASK}"
            )
        if self.bytes_allowed is not None and used + size > self.bytes_allowed:
            needed, left = compared(size, max(0, self.bytes_allowed - used))
            raise BytesExceeded(
                f"“{filename}” has {needed}, but the account has room for {left} more"
                f" (of {human(self.bytes_allowed)}). {ASK}"
            )
        self.usage.bytes, self.usage.photos = used + size, photos + 1


def hold(session: Session, user_id: uuid.UUID) -> Room:
    """The room of an account, locked until the transaction ends. Raises NotFound when the account was erased."""
    limits = queries.limits(session, user_id)
    if limits is None:
        raise NotFound
    return Room(queries.lock(session, user_id), *_allowed(*limits))


def release(session: Session, photo_ids: list[uuid.UUID]) -> None:
    """Stop counting photos that are about to be erased; the session has locked them."""
    if photo_ids:
        queries.release(session, photo_ids)


def release_failed(before: dt.datetime, limit: int) -> int:
    """Stop counting all photos that failed before that moment, `limit` in each transaction; how many."""
    released = 0
    while True:
        with transaction() as session:
            photo_ids = queries.failed(session, before, limit)
            release(session, photo_ids)
        released += len(photo_ids)
        if len(photo_ids) < limit:
            return released


def show(session: Session, users: list[User]) -> dict[uuid.UUID, QuotaOut]:
    """What each of these accounts stores and may store."""
    used = queries.used(session, [user.id for user in users])
    shown = {}
    for user in users:
        (size, photos), allowed = used.get(user.id, (0, 0)), _allowed(user.quota_bytes, user.quota_photos)
        shown[user.id] = QuotaOut(
            bytes_used=size, bytes_allowed=allowed[0], photos_used=photos, photos_allowed=allowed[1]
        )
    return shown


def check(limit: int) -> int:
    """Compare `limit` accounts' counters with their photos, each at most once a day; how many were wrong."""
    with transaction() as session:
        accounts = queries.unchecked(session, CHECKED_EVERY, limit)
    return sum(_correct(user_id) for user_id in accounts)


def _correct(user_id: uuid.UUID) -> bool:
    with transaction() as session:
        found = queries.compared(session, user_id)
        if found is None:
            return False  # the account was erased
        photos, size, *right = found
        wrong = [photos, size] != right
        usage = queries.lock(session, user_id)
        if wrong:
            # Counted again under the lock: in a new statement, which sees what was committed before it.
            usage.photos = session.scalar(queries.stored(user_id, func.count())) or 0
            usage.bytes = int(session.scalar(queries.stored(user_id, func.sum(Photo.file_size))) or 0)
            wrong_by = {"user_id": str(user_id), "counted": [photos, int(size)], "stored": [usage.photos, usage.bytes]}
            log.error("storage counter was wrong", extra=wrong_by)
        usage.checked_at = func.now()
        return wrong


def _allowed(quota_bytes: int | None, quota_photos: int | None) -> tuple[int | None, int | None]:
    """(bytes, photos) that may be stored, from what was set for the account; None where there is no limit."""
    configured = settings()
    public = (PUBLIC_BYTES, PUBLIC_PHOTOS) if configured.is_public else (0, 0)
    chosen = (quota_bytes, configured.quota_bytes, public[0]), (quota_photos, configured.quota_photos, public[1])
    size, photos = (next(value for value in values if value is not None) for values in chosen)
    return size or None, photos or None


def compared(one: int, other: int) -> tuple[str, str]:
    """Two sizes for people, to the byte where they would look the same."""
    if human(one) == human(other):
        return f"{one:,} bytes", f"{other:,} bytes"
    return human(one), human(other)


def human(size: int) -> str:
    """A size for people: `1 byte`, `512 bytes`, `15.0 MiB`, `1.5 GiB`."""
    if size == 1:
        return "1 byte"
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:,.1f} {unit}" if unit != "bytes" else f"{size} bytes"
        value /= 1024
    return f"{value:,.1f} TiB"
