"""What is said about an account's storage."""

from pydantic import BaseModel


class QuotaOut(BaseModel):
    """What an account stores and may store. Sizes are bytes; `allowed` is null where there is no limit.

    Photos count with the size that was announced, from the moment when their upload form was made until they are
    erased, or until some time after they failed: their form may still be used.
    """

    bytes_used: int
    bytes_allowed: int | None
    photos_used: int
    photos_allowed: int | None
