"""Keyset pagination: `{items, next_cursor}`, where a cursor is the sort key of the last item that was given out."""

import base64
import binascii
import datetime as dt
import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

from pydantic import BaseModel

from safelight.errors import Invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


class Page[T](BaseModel):
    """Some items, and where the next ones begin."""

    items: list[T]
    next_cursor: str | None = None

    @classmethod
    def of(cls, items: Sequence[T], next_cursor: str | None) -> Self:
        """The page of these items."""
        return cls(items=list(items), next_cursor=next_cursor)


class Made(Protocol):
    """A row that knows when it was written."""

    @property
    def id(self) -> uuid.UUID: ...
    @property
    def created_at(self) -> dt.datetime: ...


def by_age(row: Made) -> tuple[str, uuid.UUID]:
    """The sort key of lists that begin with the newest."""
    return row.created_at.isoformat(), row.id


def cut[R](found: Sequence[R], limit: int, key: Callable[[R], tuple[Any, ...]]) -> tuple[list[R], str | None]:
    """The first `limit` rows and, when there are more, the cursor of the next; `key` tells a row's place.

    Ask the database for one more than `limit`: that is how it is known.
    """
    shown = list(found[:limit])
    return shown, encode_cursor(*key(shown[-1])) if len(found) > limit else None


def encode_cursor(*key: Any) -> str:
    """An opaque cursor for a sort key of strings and integers."""
    return base64.urlsafe_b64encode(json.dumps(key, default=str, separators=(",", ":")).encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str, *types: type[Any]) -> list[Any]:
    """The sort key, each part read by its type (`int`, `uuid.UUID`, `datetime` …). Raises Invalid."""
    try:
        key = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if not isinstance(key, list):
            raise TypeError
        return [_read(part, kind) for part, kind in zip(key, types, strict=True)]
    except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error) as error:
        raise Invalid("The cursor is not one that this list gave out") from error


def _read(part: Any, kind: type[Any]) -> Any:
    if kind is int:
        if type(part) is not int or not -(2**63) <= part < 2**63:  # what the database holds
            raise ValueError
        return part
    if not isinstance(part, str):
        raise TypeError
    if kind is not dt.datetime:
        return kind(part)
    read = dt.datetime.fromisoformat(part)
    if read.tzinfo is None:
        raise ValueError
    return read.astimezone(dt.UTC)
