"""Archives too large to be streamed: built into the bucket by parallel jobs, one multipart part each.

Every job plans the whole archive from the same manifest and delivers only its own range of it, so the parts fit
without a word between the jobs. Whichever job brings the last part makes the object.
"""

import datetime as dt
import logging
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from sqlalchemy import func
from sqlalchemy.orm import Session

from safelight.archives import queries
from safelight.archives.manifest import archive_key, dump, manifest_key
from safelight.archives.plan import Plan
from safelight.errors import ObjectMissing
from safelight.jobs import service as jobs
from safelight.models import Archive, ArchivePart
from safelight.queue import Queue
from safelight.storage.objects import ObjectInfo

log = logging.getLogger(__name__)

MIB = 1024 * 1024
JOB = "build_archive"
MAX_PARTS = 10_000  # Amazon S3 user guide, "Multipart upload limits"
ENOUGH = 256
LONGEST = 1024 * MIB
CONTENT_TYPE = "application/zip"
# A failed archive is tried again when somebody asks after this long: the photo may have been replaced.
TRY_AGAIN = dt.timedelta(minutes=2)
KEPT_UNUSED = dt.timedelta(days=7)
_SUBJECTS = uuid.UUID("6f6b3c0e-4f0b-5a51-9b7e-0d4d1c6f2a11")


type Status = Literal["absent", "building", "ready", "failed"]


class Store(Protocol):
    """What building needs of the object store."""

    def head(self, key: str) -> ObjectInfo | None: ...
    def write(self, key: str, data: bytes, content_type: str) -> ObjectInfo: ...


class Uploads(Protocol):
    """What building needs of multipart uploads."""

    def begin(self, key: str, content_type: str) -> str: ...
    def complete(self, key: str, upload_id: str, etags: list[tuple[int, str]]) -> None: ...
    def abort(self, key: str, upload_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an archive is: `done` of `parts` lie in the bucket. `absent` when nobody has begun it."""

    status: Status
    done: int
    parts: int
    size: int
    digest: str
    reason: str | None


def part_size(size: int, smallest: int) -> int:
    """Bytes of each part but the last, in whole MiB: some hundreds of parts are enough for all the workers there are.

    Each costs a job and a wake-up, while a long part costs no memory; so parts grow up to `LONGEST`, which takes 15 s
    on one connection to S3, before there are more than `ENOUGH`. There are never more than 10,000.
    """
    wanted = min(math.ceil(size / ENOUGH / MIB) * MIB, LONGEST)
    return max(smallest, wanted, math.ceil(size / MAX_PARTS / MIB) * MIB)


def subject(digest: str, upload_id: str, number: int) -> uuid.UUID:
    """The identity of one part's job."""
    return uuid.uuid5(_SUBJECTS, f"{digest}/{upload_id}/{number}")


def request(
    session: Session,
    store: Store,
    uploads: Uploads,
    queue: Queue,
    gallery_id: uuid.UUID,
    planned: Plan,
    smallest: int,
    permit: Callable[[], None] | None = None,
) -> Progress:
    """The archive of this plan: ready, on its way, or begun right now. Whoever asks second waits for the same one.

    `smallest` is the size in bytes of its parts, unless there would be more than 10,000. `permit` is asked before one
    is begun, and raises to refuse it.
    """
    # Without a lock: whoever completes the object holds the row while the store works, and nobody waits for that.
    archive = queries.get(session, planned.digest)
    if archive is None or not _stands(session, store, archive) or not _used(session, archive):
        archive = queries.get(session, planned.digest, lock=True)
        if archive is not None and not _stands(session, store, archive):
            queries.erase(session, archive)
            session.expunge(archive)
            archive = None
        if archive is None:
            if permit is not None:
                permit()
            archive = _begin(session, store, uploads, queue, gallery_id, planned, smallest)
    return progress(session, archive)


def look(session: Session, store: Store, planned: Plan) -> Progress:
    """How far the archive of this plan is, without beginning it: `absent` wherever `request` would begin anew."""
    archive = queries.get(session, planned.digest)
    if archive is None or not _stands(session, store, archive):
        return Progress("absent", 0, 1, planned.size, planned.digest, None)
    return progress(session, archive)


def recall(session: Session, store: Store, gallery_id: uuid.UUID, digest: str) -> Progress | None:
    """As `look`, for whoever asked for the archive before and knows its name: without a plan, so at the cost of a row.

    None when this gallery has no such archive, or none any more.
    """
    archive = queries.get(session, digest)
    if archive is None or archive.gallery_id != gallery_id or not _stands(session, store, archive):
        return None
    return progress(session, archive)


def progress(session: Session, archive: Archive) -> Progress:
    """How far it is."""
    done = archive.parts if archive.status == "ready" else queries.part_count(session, archive)
    status = cast("Status", archive.status)
    return Progress(status, done, archive.parts, archive.size, archive.digest, archive.failure_reason)


def remember(session: Session, archive: Archive, number: int, etag: str) -> None:
    """A part lies in the bucket. Nothing is written for an archive that was forgotten meanwhile."""
    if queries.get(session, archive.digest) is not None:
        part = ArchivePart(digest=archive.digest, upload_id=archive.upload_id, number=number, etag=etag)
        queries.put_part(session, part)


def finish(session: Session, store: Store, uploads: Uploads, archive: Archive) -> None:
    """Make the object if no part is missing. The caller holds the archive's row lock, so that only one does."""
    if queries.part_count(session, archive) == archive.parts:
        _complete(store, uploads, archive, queries.parts(session, archive))
        archive.status = "ready"
        archive.ready_at = archive.used_at = func.now()


def broken(session: Session, uploads: Uploads, archive: Archive, reason: str) -> None:
    """A photo cannot be read: there will be no archive, and no part of one."""
    archive.status, archive.failure_reason = "failed", reason
    archive.used_at = func.now()  # and not touched again, so that it tells how long ago this was
    session.flush()
    uploads.abort(archive_key(archive.digest), archive.upload_id)


def _begin(
    session: Session,
    store: Store,
    uploads: Uploads,
    queue: Queue,
    gallery_id: uuid.UUID,
    planned: Plan,
    smallest: int,
) -> Archive:
    digest, size = planned.digest, part_size(planned.size, smallest)
    store.write(manifest_key(digest), dump(planned), "application/gzip")
    archive = Archive(
        digest=digest,
        gallery_id=gallery_id,
        size=planned.size,
        part_size=size,
        parts=max(1, math.ceil(planned.size / size)),
        upload_id=uploads.begin(archive_key(digest), CONTENT_TYPE),
        status="building",
    )
    if not queries.add_if_absent(session, archive):
        # Somebody began the same archive meanwhile; theirs counts.
        uploads.abort(archive_key(digest), archive.upload_id)
    else:
        payloads = {
            subject(digest, archive.upload_id, number): {
                "digest": digest,
                "upload_id": archive.upload_id,
                "number": number,
            }
            for number in range(1, archive.parts + 1)
        }
        jobs.enqueue_all(session, queue, JOB, queries.owner(session, gallery_id), payloads)
    found = queries.get(session, digest)
    assert found is not None
    return found


def _stands(session: Session, store: Store, archive: Archive) -> bool:
    """Whether it counts: not where the bucket's lifecycle took the object, nor where it failed a while ago."""
    if archive.status == "ready":
        return store.head(archive_key(archive.digest)) is not None
    if archive.status == "failed":
        now: dt.datetime = session.scalars(func.now().select()).one()
        return now - archive.used_at <= TRY_AGAIN
    return True


def _used(session: Session, archive: Archive) -> bool:
    """Note that somebody wants it; False when it was forgotten meanwhile. One that is built stays anyway; and asking
    for one that failed must not put off that it is tried again."""
    return archive.status != "ready" or queries.touch(session, archive)


def _complete(store: Store, uploads: Uploads, archive: Archive, etags: list[tuple[int, str]]) -> None:
    key = archive_key(archive.digest)
    try:
        uploads.complete(key, archive.upload_id, etags)
    except ObjectMissing:
        # An earlier attempt made the object and died before it could say so.
        made = store.head(key)
        if made is None or made.size != archive.size:
            raise
