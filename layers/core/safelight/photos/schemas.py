"""What the photo routes take and give."""

import base64
import datetime as dt
import uuid
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from safelight.text import Body, Description, Filename, Storable, Tags, Title

PhotoStatus = Literal["pending", "processing", "ready", "failed"]
RenditionName = Literal["thumb", "preview", "large", "grayscale", "original"]


def _crc32(value: str) -> str:
    if len(value) == 8 and len(base64.b64decode(value, validate=True)) == 4:
        return value
    raise ValueError("give the CRC-32 as S3 does: the base64 of its four bytes, most significant first")


Crc32 = Annotated[str, AfterValidator(_crc32)]


class PhotoCreate(Body):
    """An upload that is about to come. `file_size` is bytes; `crc32` is base64 of the big-endian checksum."""

    filename: Filename
    content_type: Annotated[str, Field(max_length=100)]
    file_size: Annotated[int, Field(strict=True, ge=1, le=2**40)]
    crc32: Crc32 | None = None
    title: Title = ""
    description: Description = ""
    tags: Tags = Field(default_factory=list)


class KeyedPhoto(PhotoCreate):
    """`key` is the client's own name for the upload: announced again, it is the same photo, until that fails."""

    key: Annotated[str, StringConstraints(min_length=1, max_length=100), Storable] | None = None


class PhotoBatch(Body):
    photos: Annotated[list[KeyedPhoto], Field(min_length=1, max_length=100)]


class PhotoPatch(Body):
    filename: Filename | None = None
    title: Title | None = None
    description: Description | None = None
    tags: Tags | None = None
    position: Annotated[int, Field(ge=-(2**53), le=2**53)] | None = None


class PhotoOut(BaseModel):
    """`failure_reason` and `damage_reason` are for people; `damaged_at` is when its file was found gone or changed.

    Sizes are bytes, `width` and `height` px as displayed.
    """

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    gallery_id: uuid.UUID
    filename: str
    title: str
    description: str
    tags: list[str]
    content_type: str
    file_size: int
    width: int | None
    height: int | None
    taken_at: dt.datetime | None
    camera: dict[str, Any]
    sha256: str | None
    crc32: int | None
    status: PhotoStatus
    failure_reason: str | None
    damaged_at: dt.datetime | None
    damage_reason: str | None
    thumbhash: str | None
    position: int
    uploaded_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime


class UploadForm(BaseModel):
    """POST these fields and then the file (field `file`, last) to `url` as multipart/form-data before `expires_at`."""

    url: str
    fields: dict[str, str]
    expires_at: dt.datetime


class PhotoUpload(BaseModel):
    photo: PhotoOut
    upload: UploadForm


class KeyedUpload(BaseModel):
    """`upload` is null where the photo of this key has arrived already."""

    photo: PhotoOut
    upload: UploadForm | None


class ItemProblem(BaseModel):
    """The problem of one item (RFC 9457)."""

    type: Literal["about:blank"] = "about:blank"
    status: int
    code: str
    title: str
    detail: str


class PhotoRefused(BaseModel):
    """Why this photo was not taken; the others of the batch were."""

    problem: ItemProblem


class PhotoUploads(BaseModel):
    """One item for each photo of the batch, in its order."""

    items: list[KeyedUpload | PhotoRefused]
