"""The upload: a pending row and a signed form, then the bucket's word that the bytes are there."""

import base64
import datetime as dt
import uuid
from typing import Protocol

from sqlalchemy.orm import Session

from safelight.config import MAX_PHOTO_BYTES
from safelight.errors import Conflict, NotFound, SafelightError, TooLarge, UnsupportedType
from safelight.jobs import service as jobs
from safelight.models import Gallery, Photo
from safelight.photos import keys, queries
from safelight.photos.schemas import KeyedPhoto, KeyedUpload, PhotoCreate, PhotoOut, PhotoUpload, UploadForm
from safelight.queue import Queue
from safelight.quotas import service as quotas
from safelight.quotas.service import Room
from safelight.storage.objects import ObjectInfo
from safelight.storage.signer import Signer

FORM_SECONDS = 600
JOB = "process_photo"
CONTENT_TYPES = ("image/jpeg", "image/png", "image/webp", "image/tiff", "image/heic", "image/heif", "image/avif")


type Refusal = TooLarge | UnsupportedType | Conflict


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


class KeyTaken(Conflict):
    code = "key_taken"
    title = "Another file was announced under this key: give each file a key of its own"


def begin(session: Session, signer: Signer, gallery: Gallery, request: PhotoCreate, now: dt.datetime) -> PhotoUpload:
    """A pending row and a form. Raises TooLarge, UnsupportedType, Conflict, NotFound; then nothing was written."""
    [made] = begin_all(session, signer, gallery, [KeyedPhoto(**request.model_dump())], now)
    if isinstance(made, SafelightError):
        raise made
    assert made.upload is not None
    return PhotoUpload(photo=made.photo, upload=made.upload)


def begin_all(
    session: Session, signer: Signer, gallery: Gallery, requests: list[KeyedPhoto], now: dt.datetime
) -> list[KeyedUpload | Refusal]:
    """For each a pending row and a form, or why it was refused: first come, first served.

    The photo of a key that is known is given again, with a fresh form while it is pending, and not counted again.
    Raises NotFound when the gallery has been deleted.
    """
    if not queries.keep_gallery(session, gallery.id):
        raise NotFound
    room = quotas.hold(session, gallery.owner_id)
    # Under the lock of the account's counter, so that no other request announces the same keys.
    known = queries.by_upload_key(session, gallery.id, {request.key for request in requests if request.key})
    position = int(now.timestamp() * 1_000_000)
    taken: list[Photo | Refusal] = []
    for offset, request in enumerate(requests):
        try:
            taken.append(_take(known, room, gallery.id, request, position + offset))
        except (TooLarge, UnsupportedType, Conflict) as refusal:
            taken.append(refusal)
    photos = [photo for photo in taken if isinstance(photo, Photo)]
    session.add_all(photos)
    session.flush()
    for photo in set(photos):
        session.refresh(photo)
    return [_shown(signer, one) if isinstance(one, Photo) else one for one in taken]


def _take(known: dict[str, Photo], room: Room, gallery_id: uuid.UUID, request: KeyedPhoto, position: int) -> Photo:
    photo = known.get(request.key or "")
    if photo is None:
        check(request)
        room.take(request.filename, request.file_size)
        photo = _row(gallery_id, request, position)
        if request.key:
            known[request.key] = photo
    elif (photo.content_type, photo.file_size) != (request.content_type, request.file_size):
        raise KeyTaken
    return photo


def _shown(signer: Signer, photo: Photo) -> KeyedUpload:
    upload = None
    if photo.status == "pending":
        key, crc32 = keys.incoming(photo.id), None if photo.crc32 is None else _crc32_written(photo.crc32)
        upload = form(signer, key, photo.content_type, photo.file_size, crc32)
    return KeyedUpload(photo=PhotoOut.model_validate(photo), upload=upload)


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


def _row(gallery_id: uuid.UUID, request: KeyedPhoto, position: int) -> Photo:
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
        upload_key=request.key,
        position=position,
    )


def crc32_number(written: str | None) -> int | None:
    """The checksum that S3 writes in base64, as a number."""
    return int.from_bytes(base64.b64decode(written), "big") if written else None


def _crc32_written(number: int) -> str:
    return base64.b64encode(number.to_bytes(4, "big")).decode()


def form(signer: Signer, key: str, content_type: str, file_size: int, crc32: str | None) -> UploadForm:
    """The form to post one file of at most its announced size, in bytes, to exactly this key.

    No more than was announced, because no more is counted towards the account's quota.
    """
    signed = signer.post(key, content_type=content_type, max_bytes=file_size, expires=FORM_SECONDS, crc32=crc32)
    return UploadForm(url=signed.url, fields=signed.fields, expires_at=signed.expires_at)
