"""The size limits of request bodies: how many bytes a request to each route may carry.

API Gateway takes 10 MB from anybody, before it is known who asks. A limit per route keeps the cost of refusing such a
request small (`web.receiving` enforces it). A route that takes a body needs a row: a test compares.
"""

from safelight.errors import TooLarge

KIB = 1024
MIB = 1024 * KIB

CREDENTIALS = 16 * KIB
"""Bytes for a password or a token, and for what people send before they have signed in."""
TEXTS = 256 * KIB
"""Bytes for titles, descriptions, tags and settings: the longest of them, escaped, take 102 kB."""
BATCH = 4 * MIB
"""Bytes for a hundred photos with texts of full length: 3.4 MB in UTF-8."""
NO_BODY = 16 * KIB
"""Bytes of body tolerated on routes that take none: some clients send `{}` with every POST."""

LIMITS: dict[str, int] = {
    "POST /auth/register": CREDENTIALS,
    "POST /auth/login": CREDENTIALS,
    "POST /auth/token": CREDENTIALS,
    "POST /auth/refresh": CREDENTIALS,
    "POST /auth/logout": CREDENTIALS,
    "POST /auth/password": CREDENTIALS,
    "POST /auth/confirm": CREDENTIALS,
    "PATCH /auth/me": TEXTS,
    "POST /auth/api-keys": TEXTS,
    "POST /galleries": TEXTS,
    "PATCH /galleries/{gallery_id}": TEXTS,
    "POST /galleries/{gallery_id}/photos": TEXTS,
    "POST /galleries/{gallery_id}/photos/batch": BATCH,
    "PATCH /photos/{photo_id}": TEXTS,
    "POST /galleries/{gallery_id}/share-links": CREDENTIALS,
    "PATCH /share-links/{share_id}": CREDENTIALS,
    "POST /s/{share_id}/unlock": CREDENTIALS,
    "POST /s/{share_id}/selection": CREDENTIALS,
    "POST /analyses": TEXTS,
    "POST /admin/galleries/{gallery_id}/reprocess": TEXTS,
    "PATCH /admin/users/{user_id}": TEXTS,
    "POST /admin/invitations": CREDENTIALS,
}

TEXTS_OF: dict[int, dict[bytes, int]] = {
    BATCH: {
        b"photos": 0,
        b"filename": 255 * 12,
        b"content_type": 100 * 12,
        b"file_size": 0,
        b"crc32": 8 * 6,
        b"title": 200 * 12,
        b"description": 5000 * 12,
        b"tags": 60 * 12,
        b"key": 100 * 12,
    }
}
"""By limit, the fields of a large body and the bytes that a text in each may have: 12 for an escaped character.

`web.largebody` checks them. Strings that are trimmed may have no more either.
"""


class BodyTooLarge(TooLarge):
    title = "This request is too large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The body of this request may have at most {words(limit)}. Send less at a time;"
            " photos go straight to the bucket."
        )


def limit_of(method: str, path: str) -> int:
    """Bytes that the body of a request to this route may have; `path` is the route's pattern."""
    return LIMITS.get(f"{method} {path}", NO_BODY)


def words(size: int) -> str:
    """A limit for people: `16 KiB`, `4 MiB`."""
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"
