"""What the gallery routes take and give."""

import datetime as dt
import uuid

from pydantic import BaseModel, ConfigDict

from safelight.text import Body, Description, Title


class GalleryCreate(Body):
    title: Title = ""
    description: Description = ""


class GalleryPatch(Body):
    title: Title | None = None
    description: Description | None = None
    cover_photo_id: uuid.UUID | None = None


class GalleryOut(BaseModel):
    """`photo_count` counts what is not deleted, `ready_count` what visitors see of it.

    `damaged_count` photos hold up every archive of the gallery: their files are gone or changed.
    """

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    title: str
    description: str
    cover_photo_id: uuid.UUID | None
    photo_count: int
    ready_count: int
    damaged_count: int
    created_at: dt.datetime
    updated_at: dt.datetime
