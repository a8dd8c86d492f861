"""The sweep's part in archives: what nobody may have any more goes, and no photo is forgotten before the last of them.

An archive's row does not tell which photos it holds, and times alone cannot: it may be planned before a photo is
deleted and begun after, and the two moments are told by different clocks. So one that looks younger than a deletion is
judged by its manifest, once the photo's own objects have gone: whatever is begun after that cannot be built.
"""

import datetime as dt
import logging
import uuid
from collections.abc import Iterable
from typing import Protocol

from sqlalchemy.orm import Session

from safelight.archives import queries
from safelight.archives.build import Uploads
from safelight.archives.manifest import archive_key, manifest_key, objects
from safelight.errors import StorageUnavailable
from safelight.models import Archive, Photo
from safelight.photos import keys
from safelight.storage.objects import ObjectInfo

log = logging.getLogger(__name__)


class Store(Protocol):
    """What this needs of the object store."""

    def delete(self, keys: Iterable[str]) -> None: ...
    def read(self, key: str) -> tuple[bytes, ObjectInfo]: ...


def erase_stale(
    session: Session, store: Store, uploads: Uploads, unused_for: dt.timedelta, limit: int
) -> tuple[int, list[Exception]]:
    """Delete what `queries.stale` names, objects before rows. How many; and why others could not be.

    One that cannot be deleted keeps its row, is told in the log, and holds up no other.
    """
    erased, errors = 0, []
    for archive in queries.stale(session, unused_for, limit):
        try:
            _delete(store, uploads, archive)
        except Exception as error:
            told = {"archive": archive.digest[:16], "gallery_id": str(archive.gallery_id)}
            log.exception("archive not deleted", extra=told)
            errors.append(error)
        else:
            queries.erase(session, archive)
            erased += 1
    return erased, errors


def holding(session: Session, store: Store, photos: list[Photo]) -> set[uuid.UUID]:
    """Those of deleted photos that an archive may hold; it is stale from then on.

    The photos' objects have gone from the bucket. Raises StorageUnavailable.
    """
    held = set()
    for digest, gallery_id, created_at in queries.of_galleries(session, {photo.gallery_id for photo in photos}):
        deleted = {
            photo.id: photo.deleted_at for photo in photos if photo.gallery_id == gallery_id and photo.deleted_at
        }
        younger = [photo_id for photo_id, deleted_at in deleted.items() if deleted_at < created_at]
        found = set(deleted).difference(younger) | (_named(store, digest, gallery_id, younger) if younger else set())
        if found:
            queries.outdate(session, digest, min(created_at, *(deleted[photo_id] for photo_id in found)))
        held |= found
    return held


def _delete(store: Store, uploads: Uploads, archive: Archive) -> None:
    store.delete([archive_key(archive.digest), manifest_key(archive.digest)])
    if archive.status == "building":
        uploads.abort(archive_key(archive.digest), archive.upload_id)


def _named(store: Store, digest: str, gallery_id: uuid.UUID, photo_ids: list[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the photos that an archive's manifest names; all of them when it cannot be read."""
    try:
        data, _ = store.read(manifest_key(digest))
        within = objects(data)
    except StorageUnavailable:
        raise
    except Exception:
        log.exception("manifest not read", extra={"archive": digest[:16], "gallery_id": str(gallery_id)})
        return set(photo_ids)
    return {photo_id for photo_id in photo_ids if not within.isdisjoint(keys.of_photo(gallery_id, photo_id))}
