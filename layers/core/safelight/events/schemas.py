"""What the feed of events gives."""

import datetime as dt
import uuid
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field


class EventOut(BaseModel):
    """`event` is its kind; `id` and `title` are of what it is about: a photo, or the gallery whose link was used."""

    model_config = ConfigDict(from_attributes=True)

    event: str
    id: uuid.UUID = Field(validation_alias=AliasChoices("subject_id", "id"))
    title: str
    at: dt.datetime
    data: dict[str, Any]
