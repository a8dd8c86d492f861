"""The kinds of text, times and bodies that requests bring."""

import datetime as dt
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints


class Body(BaseModel):
    """A request body: what it does not know it refuses, so that a misspelt field never passes silently."""

    model_config = ConfigDict(extra="forbid")


def _storable(value: str) -> str:
    if "\0" in value:
        raise ValueError("NUL characters cannot be stored")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("this is not valid Unicode") from error
    return unicodedata.normalize("NFC", value)


def _utc(value: dt.datetime) -> dt.datetime:
    try:
        return value.astimezone(dt.UTC)
    except OverflowError as error:
        raise ValueError("this is beyond the calendar") from error


Storable = AfterValidator(_storable)
Title = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True), Storable]
Description = Annotated[str, StringConstraints(max_length=5000), Storable]
Filename = Annotated[str, StringConstraints(min_length=1, max_length=255), Storable]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True), Storable]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
