"""The job behind an upload: verify, keep the original, make the renditions, and only then say `ready`.

Whatever is written before the last commit lies at keys that follow from ids, so a worker that dies anywhere leaves
nothing that the next attempt does not simply write again.
"""

import hashlib
import logging
import uuid
import zlib
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.orm import Session

from safelight.config import MAX_PHOTO_BYTES
from safelight.db.engine import runner, transaction
from safelight.errors import ObjectChanged, ObjectMissing, SafelightError
from safelight.events import outbox
from safelight.jobs import service as jobs
from safelight.jobs.service import Claim, LeaseLost
from safelight.models import Photo, Rendition
from safelight.photos import keys, queries
from safelight.pictures.errors import SandboxUnavailable, UnreadablePicture
from safelight.pictures.types import Rendered
from safelight.pictures.types import Rendition as MadeRendition
from safelight.storage.objects import ObjectInfo
from safelight.telemetry import kind, log_context

log = logging.getLogger(__name__)

SANDBOX_SECONDS = 60.0
"""Longest pause before a job that waits for the sandbox is tried again."""

GAVE_UP = "We could not process this photo although we tried several times. Please upload it again."

type Render = Callable[[bytes, str], Rendered]


class Reads(Protocol):
    """A store that objects are read from."""

    def read(self, key: str, *, if_match: str | None = None, limit: int | None = None) -> tuple[bytes, ObjectInfo]: ...


class Writes(Protocol):
    """A store that objects are written to."""

    def write(self, key: str, data: bytes, content_type: str) -> ObjectInfo: ...


class Store(Reads, Writes, Protocol):
    """What processing needs of the object store."""

    def copy(self, src: str, dst: str, *, if_match: str, content_type: str) -> ObjectInfo: ...


class BadUpload(SafelightError):
    """The upload can never become a photo; `detail` says why to the photographer."""

    code = "bad_upload"
    title = "This file cannot be used"


class _Photo(Protocol):
    id: uuid.UUID
    gallery_id: uuid.UUID
    content_type: str
    file_size: int
    crc32: int | None


def process(held: Claim, store: Store, render: Render) -> None:
    """Run one `process_photo` job. Ends in `ready`, in `failed` with a reason, or in a later attempt."""
    with log_context(job_id=str(held.job_id), photo_id=str(held.subject_id)):
        try:
            photo = _wanted(held)
            if photo is not None:
                with log_context(gallery_id=str(photo.gallery_id)):
                    _attempt(held, photo, store, render)
        except LeaseLost:
            log.warning("lease lost: another worker has the photo")


def _wanted(held: Claim) -> _Photo | None:
    """The photo, if its job is to be tried; otherwise the job ends here. Raises LeaseLost."""
    with transaction() as session:
        # Photo before job, here and below: whoever hears of an upload holds the photo when it looks for the job.
        photo = queries.lock_for_work(session, held.subject_id)
        if photo is None or photo.status in ("ready", "failed"):
            jobs.complete(session, held)
            return None
        if held.exhausted:
            give_up(session, photo.id, GAVE_UP)
            jobs.fail(session, held, "every attempt ended with its worker")
            return None
        return photo


def _attempt(held: Claim, photo: _Photo, store: Store, render: Render) -> None:
    try:
        rendered, info = _verify(store, render, photo)
        original, renditions = _keep(store, photo, rendered, info)
        _finish(held, photo, rendered, original, renditions)
        log.info("photo ready", extra={"attempt": held.attempt})
    except LeaseLost:
        raise
    except (BadUpload, UnreadablePicture) as error:
        _fail(held, error.detail)
        log.info("photo refused", extra={"reason": error.detail})
    except SandboxUnavailable as error:
        with transaction() as session:
            jobs.wait(session, held, error.detail, SANDBOX_SECONDS)
        log.warning("photo waits for the sandbox")
    except Exception as error:
        log.exception("photo not processed", extra={"attempt": held.attempt})
        _later(held, kind(error))


def give_up(session: Session, photo_id: uuid.UUID, reason: str) -> None:
    """The photo failed, for a reason a person understands."""
    photo = queries.lock_for_work(session, photo_id)
    if photo is not None and photo.status in ("pending", "processing"):
        photo.status, photo.failure_reason = "failed", reason


def whole(store: Reads, key: str, file_size: int, crc32: int | None) -> tuple[bytes, ObjectInfo]:
    """An upload's bytes, if they are those that were announced. Raises BadUpload."""
    try:
        data, info = store.read(key, limit=MAX_PHOTO_BYTES)
    except ObjectMissing as error:
        raise BadUpload("The file never arrived in the bucket. Please upload it again.") from error
    if len(data) != file_size:
        raise BadUpload(
            f"{file_size:,} bytes were announced but {len(data):,} arrived: the upload was cut off or the file "
            "changed meanwhile. Please upload it again."
        )
    if crc32 is not None and crc32 != zlib.crc32(data):
        raise BadUpload("The bytes that arrived are not the ones that were announced. Please upload the file again.")
    return data, info


def _verify(store: Store, render: Render, photo: _Photo) -> tuple[Rendered, ObjectInfo]:
    data, info = whole(store, keys.incoming(photo.id), photo.file_size, photo.crc32)
    return render(data, photo.content_type), info


def _keep(store: Store, photo: _Photo, rendered: Rendered, info: ObjectInfo) -> tuple[ObjectInfo, list[Rendition]]:
    destination = keys.original(photo.gallery_id, photo.id)
    try:
        original = store.copy(keys.incoming(photo.id), destination, if_match=info.etag, content_type=photo.content_type)
    except (ObjectChanged, ObjectMissing) as error:
        raise BadUpload("The file was replaced while it was being checked. Please upload it again.") from error
    return original, [write(store, photo, made) for made in rendered.renditions]


def write(store: Writes, photo: _Photo, made: MadeRendition) -> Rendition:
    """Put one rendition where it belongs; its row."""
    key = keys.rendition(photo.gallery_id, photo.id, made.name)
    written = store.write(key, made.data, made.content_type)
    return Rendition(
        photo_id=photo.id,
        name=made.name,
        s3_key=key,
        content_type=made.content_type,
        width=made.width,
        height=made.height,
        file_size=len(made.data),
        crc32=made.crc32,
        sha256=hashlib.sha256(made.data).hexdigest(),
        etag=written.etag,
    )


def _finish(held: Claim, photo: _Photo, rendered: Rendered, original: ObjectInfo, renditions: list[Rendition]) -> None:
    with transaction() as session:
        row = queries.lock_for_work(session, photo.id)
        jobs.complete(session, held)
        if row is None:
            return  # deleted meanwhile: the sweep erases what was written
        row.status, row.failure_reason = "ready", None
        row.damaged_at = row.damage_reason = None
        describe(row, rendered)
        row.sha256, row.crc32, row.etag = rendered.sha256, rendered.crc32, original.etag
        queries.replace_renditions(session, row.id, renditions)
        queries.replace_clean(session, row.id, rendered.clean)
        queries.keep_metrics(session, row, rendered.metrics)
        outbox.append(runner(session), "image_uploaded", row.gallery_id, row.id, row.title or row.filename)


def describe(row: Photo, rendered: Rendered) -> None:
    """What the picture says of itself."""
    row.width, row.height, row.thumbhash = rendered.width, rendered.height, rendered.thumbhash
    row.taken_at, row.camera = rendered.taken_at, dict(rendered.camera)


def _fail(held: Claim, reason: str) -> None:
    with transaction() as session:
        give_up(session, held.subject_id, reason)
        jobs.fail(session, held, reason)


def _later(held: Claim, error: str) -> None:
    with transaction() as session:
        if held.last:
            give_up(session, held.subject_id, GAVE_UP)
            jobs.fail(session, held, error)
        else:
            jobs.retry(session, held, error)
