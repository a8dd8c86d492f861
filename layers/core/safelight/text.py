"""The kinds of text and bodies that requests bring."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


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


Storable = AfterValidator(_storable)
Title = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True), Storable]
Description = Annotated[str, StringConstraints(max_length=5000), Storable]
Filename = Annotated[str, StringConstraints(min_length=1, max_length=255), Storable]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True), Storable]
