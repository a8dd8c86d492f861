"""What the reprocessing routes take and give."""

import datetime as dt
import uuid
from typing import Literal

from pydantic import BaseModel, ConfigDict

from safelight.text import Body

What = Literal["renditions", "analyses", "clean"]


class ReprocessRequest(Body):
    """What to make again from the originals: `renditions` (with all that comes of the same work), the `analyses`, or
    the `clean` files that links without metadata give."""

    what: What


class FailedPhoto(BaseModel):
    """A photo that keeps what it had, and why."""

    photo_id: uuid.UUID
    reason: str


class ReprocessingOut(BaseModel):
    """`done` photos of `total` were walked past, `failed` of these keep what they had.

    `total` follows photos that come and go meanwhile: it is counted anew every 20 seconds or so, is never less than
    `done`, and at the end equal to it.

    `failures` names the first hundred of these. A photo whose original is gone or changed is marked damaged as well.
    """

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    gallery_id: uuid.UUID
    what: What
    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    total: int
    done: int
    failed: int
    failures: list[FailedPhoto]
    error: str | None
    created_at: dt.datetime
    updated_at: dt.datetime
    completed_at: dt.datetime | None
