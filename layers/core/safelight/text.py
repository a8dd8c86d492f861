"""The kinds of text, times and bodies that requests bring."""

import datetime as dt
import unicodedata
from itertools import groupby, islice
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

UNKNOWN_TOLD = 5
"""How many unknown fields of an object are reported."""

MAX_MARKS = 30
"""Combining marks in a row: the stream-safe text format (Unicode UAX #15, section 13). No script needs as many.

Normalisation sorts them in quadratic time: 5,000 take 70 ms.
"""
# Composed of two marks each, and the only ones of the combining class 0.
_DOUBLE_MARKS = "\u0f73\u0f75\u0f81"


class Body(BaseModel):
    """A request body: what it does not know it refuses, so that a misspelt field never passes silently."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_unknown(cls, given: Any) -> Any:
        # pydantic makes an error object of every unknown field, for a second a megabyte. The first few are enough for
        # a refusal, and for its reader.
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
    if _has_many_marks(value):
        raise ValueError(f"use at most {MAX_MARKS} combining marks (accents) in a row")
    return unicodedata.normalize("NFC", value)


def _has_many_marks(value: str) -> bool:
    # Of so many marks in a row, one is among every 31st character. Usually none of these is a mark.
    if value.isascii() or not any(map(_is_mark, value[MAX_MARKS :: MAX_MARKS + 1])):
        return False
    runs = groupby(map(_is_mark, value))
    return any(marked and sum(1 for _ in islice(run, MAX_MARKS + 1)) > MAX_MARKS for marked, run in runs)


def _is_mark(char: str) -> bool:
    return unicodedata.combining(char) > 0 or char in _DOUBLE_MARKS


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
