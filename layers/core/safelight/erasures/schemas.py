"""What the report of a deletion says."""

import datetime as dt
import uuid
from typing import Literal

from pydantic import BaseModel, ConfigDict

type Kind = Literal["account", "gallery"]


class ErasureOut(BaseModel):
    """What belonged to what was deleted; `size` is bytes of originals.

    `finished_at` is set once no row and no object is left, and no deleted byte on the embedded store's disk.
    """

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    kind: Kind
    created_at: dt.datetime
    finished_at: dt.datetime | None
    galleries: int
    photos: int
    renditions: int
    archives: int
    share_links: int
    size: int
