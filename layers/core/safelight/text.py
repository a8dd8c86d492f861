"""The kinds of text, times and bodies that requests bring."""

import datetime as dt
import unicodedata
from itertools import islice
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

UNKNOWN_TOLD = 5
"""How many unknown fields of an object are reported."""


class Body(BaseModel):
    """A request body: what it does not know it refuses, so that a misspelt field never passes silently."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_unknown(cls, given: Any) -> Any:
        # pydantic makes an error object of every unknown field, for a second a megabyte. The first few are enough for
        # a refusal, and for whoever reads it.
        known = cls.model_fields
        if not isinstance(given, dict) or len(given) <= len(known) + UNKNOWN_TOLD:
            return given
        unknown = islice((name for name in given if name not in known), UNKNOWN_TOLD)
        return {name: given[name] for name in (*(name for name in known if name in given), *unknown)}


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
# A list stops at its first wrong tag: of a hundred photos with fifty tags each, all would be 5,000 errors.
Tags = Annotated[list[Tag], Field(max_length=50, fail_fast=True)]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
