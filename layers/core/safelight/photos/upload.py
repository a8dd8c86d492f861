"""The upload: a pending row and a signed form, then the bucket's word that the bytes are there."""

import base64
import datetime as dt
import uuid
from typing import Protocol

from sqlalchemy.orm import Session

from safelight.config import MAX_PHOTO_BYTES
from safelight.errors import Conflict, TooLarge, UnsupportedType
from safelight.jobs import service as jobs
from safelight.models import Photo
from safelight.photos import keys, queries
from safelight.photos.schemas import PhotoCreate, PhotoOut, PhotoUpload, UploadForm
from safelight.queue import Queue
from safelight.storage.objects import ObjectInfo
from safelight.storage.signer import Signer

FORM_SECONDS = 600
JOB = "process_photo"
CONTENT_TYPES = ("image/jpeg", "image/png", "image/webp", "image/tiff", "image/heic", "image/heif", "image/avif")


class NotUploaded(Conflict):
    code = "not_uploaded"
    title = "The file is not in the bucket yet: upload it with the form first, then complete"


class Announced(Protocol):
    """What a client says of a file before it comes."""

    filename: str
    content_type: str
    file_size: int


class Heads(Protocol):
    """The part of a store that tells whether an object is there."""

    def head(self, key: str) -> ObjectInfo | None: ...


def begin(
    session: Session, signer: Signer, gallery_id: uuid.UUID, requests: list[PhotoCreate], now: dt.datetime
) -> list[PhotoUpload]:
    """A pending row and a form for each. Raises TooLarge, UnsupportedType; then nothing was written."""
    for request in requests:
        check(request)
    first = int(now.timestamp() * 1_000_000)
    photos = [_row(gallery_id, request, first + offset) for offset, request in enumerate(requests)]
    session.add_all(photos)
    session.flush()
    for photo in photos:
        session.refresh(photo)
    return [
        PhotoUpload(
            photo=PhotoOut.model_validate(photo),
            upload=form(signer, keys.incoming(photo.id), photo.content_type, request.crc32),
        )
        for photo, request in zip(photos, requests, strict=True)
    ]


def complete(session: Session, store: Heads, queue: Queue, photo: Photo, now: dt.datetime) -> Photo:
    """The client says that it has uploaded. Idempotent. Raises NotUploaded."""
    if photo.status != "pending":
        return photo
    if store.head(keys.incoming(photo.id)) is None:
        raise NotUploaded
    _arrived(session, queue, photo, now)
    return photo


def object_arrived(session: Session, queue: Queue, photo_id: uuid.UUID, now: dt.datetime) -> uuid.UUID | None:
    """The bucket says that an upload is there: the job that will look at it, or None when nobody waits for it."""
    photo = queries.lock_for_work(session, photo_id)
    if photo is None or photo.status not in ("pending", "processing"):
        return None
    return _arrived(session, queue, photo, now)


def _arrived(session: Session, queue: Queue, photo: Photo, now: dt.datetime) -> uuid.UUID:
    photo.status = "processing"
    photo.uploaded_at = photo.uploaded_at or now
    session.flush()
    return jobs.enqueue(session, queue, JOB, photo.id, queries.owner(session, photo))


def check(request: Announced) -> None:
    """Whether such a file may come. Raises TooLarge, UnsupportedType."""
    if request.file_size > MAX_PHOTO_BYTES:
        raise TooLarge(
            f"“{request.filename}” has {request.file_size:,} bytes; a photo may have {MAX_PHOTO_BYTES:,} (15 MiB)."
            " Export it smaller."
        )
    if request.content_type not in CONTENT_TYPES:
        raise UnsupportedType(
            f"“{request.filename}” is {request.content_type!r}; photos are JPEG, PNG, WebP, TIFF, HEIC or AVIF."
        )


def _row(gallery_id: uuid.UUID, request: PhotoCreate, position: int) -> Photo:
    photo_id = uuid.uuid4()
    return Photo(
        id=photo_id,
        gallery_id=gallery_id,
        filename=request.filename,
        title=request.title,
        description=request.description,
        tags=request.tags,
        content_type=request.content_type,
        file_size=request.file_size,
        crc32=crc32_number(request.crc32),
        s3_key=keys.original(gallery_id, photo_id),
        position=position,
    )


def crc32_number(written: str | None) -> int | None:
    """The checksum that S3 writes in base64, as a number."""
    return int.from_bytes(base64.b64decode(written), "big") if written else None


def form(signer: Signer, key: str, content_type: str, crc32: str | None) -> UploadForm:
    """The form to post one file of up to 15 MiB to exactly this key."""
    signed = signer.post(key, content_type=content_type, max_bytes=MAX_PHOTO_BYTES, expires=FORM_SECONDS, crc32=crc32)
    return UploadForm(url=signed.url, fields=signed.fields, expires_at=signed.expires_at)
