"""What a visitor does with a link. SQL goes straight through the driver: this path must start fast.

Every byte-serving path asks the same question, `admit`, on every request: revoked, expired, deleted or unknown links
all look like nothing at all.
"""

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pg8000.native import Connection

from safelight import throttle
from safelight.errors import Forbidden, NotFound, PasswordRequired
from safelight.pages import cut, decode_cursor
from safelight.photos import keys
from safelight.security.grants import is_granted
from safelight.storage.disposition import attachment
from safelight.storage.signer import Signer

type Size = Literal["original", "web"]
type Look = Literal["thumb", "preview", "large"]
type Kind = Literal["view", "single_download", "zip_download"]

# A thumbnail's URL is the same string for five minutes, so that a browser can keep the picture, and dead within 15.
PICTURE_SECONDS, PICTURE_QUANTUM = 900, 300
FULL_SECONDS = 120
MAX_LISTED = 1000


class DownloadsOff(Forbidden):
    code = "downloads_off"
    title = "The photographer has not allowed this download"


class DownloadLimitReached(Forbidden):
    code = "download_limit_reached"
    title = "This link has been used for as many downloads as it allows"


@dataclass(frozen=True, slots=True)
class Share:
    """A live link, as a visitor's request needs it."""

    id: uuid.UUID
    gallery_id: uuid.UUID
    title: str
    description: str
    password_hash: str | None
    policy_version: int
    expires_at: dt.datetime | None
    download: Literal["none", "web", "original"]
    max_downloads: int | None
    max_favourites: int | None
    strip_metadata: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One photo of a live link. `as_is`: the link may hand out the original; `cut`: a clean file cut out of it.

    Where neither is so, the link serves the large rendition.
    """

    id: uuid.UUID
    filename: str
    content_type: str
    original_key: str
    large_key: str
    as_is: bool
    cut: bool


_COLUMNS = (
    "SELECT l.id, l.gallery_id, g.title, g.description, l.password_hash, l.policy_version, l.expires_at,"
    "       l.download, l.max_downloads, l.max_favourites, l.strip_metadata"
)
_LIVE = (
    " FROM share_links l JOIN galleries g ON g.id = l.gallery_id JOIN users u ON u.id = g.owner_id"
    " WHERE l.revoked_at IS NULL AND (l.expires_at IS NULL OR l.expires_at > now())"
    "   AND g.deleted_at IS NULL AND u.is_active AND "
)
_BY_ID = _COLUMNS + _LIVE + "l.id = cast(:reference as uuid)"
# One statement, because a visitor waits for each.
_BY_SLUG = _COLUMNS + ", " + throttle.BUSY + _LIVE + "l.slug = cast(:reference as citext)"


def find(connection: Connection, share_id: str) -> Share:
    """The live link of this id. Raises NotFound."""
    rows = connection.run(_BY_ID, reference=share_id)
    if not rows:
        raise NotFound
    return Share(*rows[0])


def find_slug(connection: Connection, slug: str, keys: list[bytes], half: float) -> tuple[Share, bool]:
    """The live link of this slug, and whether a bucket is more than half used (`throttle.busy`). Raises NotFound."""
    rows = connection.run(_BY_SLUG, reference=slug, keys=keys, half=half) if "\0" not in slug else []
    if not rows:
        raise NotFound
    [[*row, busy]] = rows
    return Share(*row), busy


def admit(share: Share, grant: str | None, secret: str, now: dt.datetime, *, size: Size | None = None) -> Share:
    """The one decision: may this visitor have this link's bytes of this size now?

    `size` None asks for looking only. Raises PasswordRequired, DownloadsOff.
    """
    if share.password_hash is not None and not is_granted(grant, share.id, share.policy_version, secret, now):
        raise PasswordRequired
    if size is not None and (share.download == "none" or (size == "original" and share.download == "web")):
        raise DownloadsOff
    return share


def listing(
    connection: Connection, signer: Signer, share: Share, limit: int, cursor: str | None, base_path: str = ""
) -> bytes:
    """The gallery and up to `limit` of its ready photos, in its order, with URLs of their pictures; as JSON.

    `base_path` precedes the paths in it, where the service does not live at its host's root.
    """
    after = decode_cursor(cursor, int, uuid.UUID) if cursor else None
    rows = _listed(connection, share.gallery_id, limit + 1, after)
    shown, following = cut(rows, limit, lambda row: (row[5], row[0]))
    head = {"gallery": {"title": share.title, "description": share.description}}
    tail = {
        "expires_at": share.expires_at.isoformat() if share.expires_at else None,
        "download": share.download,
        "next_cursor": following,
    }
    before, behind = _json(head)[:-1] + ',"photos":[', "]," + _json(tail)[1:]
    # One join: each further copy of three megabytes costs a millisecond.
    return b"".join([before.encode(), *_photos(signer, share, shown, base_path), behind.encode()])


def photo(connection: Connection, share: Share, photo_id: uuid.UUID) -> Shown:
    """One ready photo of the link, and what the link may hand out of it. Raises NotFound."""
    rows = connection.run(
        "SELECT p.id, p.filename, p.content_type, p.s3_key, c.photo_id IS NOT NULL,"
        "  coalesce(c.pieces = jsonb_build_array(jsonb_build_array(0, p.file_size)), false)"
        " FROM photos p LEFT JOIN clean_originals c ON c.photo_id = p.id"
        " WHERE p.id = cast(:id as uuid) AND p.gallery_id = :gallery AND p.status = 'ready' AND p.deleted_at IS NULL",
        id=str(photo_id),
        gallery=share.gallery_id,
    )
    if not rows:
        raise NotFound
    [[found, filename, content_type, original_key, cleanable, clean_already]] = rows
    originals = share.download == "original"
    as_is = originals and (clean_already or not share.strip_metadata)
    large_key = keys.rendition(share.gallery_id, photo_id, "large")
    return Shown(found, filename, content_type, original_key, large_key, as_is, originals and cleanable and not as_is)


def look_url(signer: Signer, share: Share, shown: Shown, size: Look) -> str:
    """A picture to look at, for two minutes; never the file that the link hands out as a counted download.

    Where that file is the large rendition, `large` gives the preview.
    """
    if size == "large" and _keeps_large(share, shown):
        size = "preview"
    return signer.get_urls(FULL_SECONDS)(keys.rendition(share.gallery_id, shown.id, size))


def _keeps_large(share: Share, shown: Shown) -> bool:
    return share.download != "none" and not (shown.as_is or shown.cut)


def download_url(signer: Signer, shown: Shown) -> str:
    """The file to keep, under its own name, for two minutes."""
    if shown.as_is:
        return signer.get_urls(FULL_SECONDS, disposition=attachment(shown.filename), content_type=shown.content_type)(
            shown.original_key
        )
    name = as_jpeg(shown.filename)
    return signer.get_urls(FULL_SECONDS, disposition=attachment(name), content_type="image/jpeg")(shown.large_key)


def as_jpeg(filename: str) -> str:
    """What a photo is called when it is its rendition that is handed out."""
    return f"{filename.rpartition('.')[0] or filename}.jpg"


def record(
    connection: Connection,
    share: Share,
    kind: Kind,
    visitor: bytes,
    *,
    formerly: bytes | None = None,
    formerly_downloads: bool = False,
    photo_id: uuid.UUID | None = None,
    bytes_sent: int | None = None,
) -> None:
    """Append what happened. Raises DownloadLimitReached instead of one download too many.

    `visitor` is the hash of today in `visitors.Identity`, `formerly` and `formerly_downloads` are those there.
    """
    if kind != "view" and share.max_downloads is not None:
        _reserve(connection, share, share.max_downloads)
    connection.run(
        "INSERT INTO share_events (share_id, kind, photo_id, visitor, formerly, formerly_downloads, bytes_sent)"
        " VALUES (:share, :kind, cast(:photo as uuid), :visitor, :formerly, :formerly_downloads, :bytes)",
        share=share.id,
        kind=kind,
        photo=str(photo_id) if photo_id else None,
        visitor=visitor,
        formerly=formerly,
        formerly_downloads=formerly_downloads,
        bytes=bytes_sent,
    )


def used(connection: Connection, share: Share) -> int:
    """How many downloads of a link were counted."""
    [[counted]] = connection.run(
        "SELECT l.single_downloads + l.zip_downloads + (SELECT count(*) FROM share_events e"
        "  WHERE e.share_id = l.id AND NOT e.rolled_up AND e.kind <> 'view')"
        " FROM share_links l WHERE l.id = :share",
        share=share.id,
    )
    return int(counted)


def _reserve(connection: Connection, share: Share, most: int) -> None:
    # NO KEY, because parallel requests hold the lock that referring to the link takes: they would wait for each other.
    # The row's lock makes "count, then add one" a single step among parallel downloads of a limited link. A snapshot
    # is taken by each statement (READ COMMITTED), so the count sees whatever the last holder committed.
    connection.run("SELECT 1 FROM share_links WHERE id = :share FOR NO KEY UPDATE", share=share.id)
    if used(connection, share) >= most:
        raise DownloadLimitReached


def _listed(connection: Connection, gallery_id: uuid.UUID, limit: int, after: list[Any] | None) -> list[list[Any]]:
    # Postgres builds the JSON: decoding a thousand rows in the driver costs twenty times the CPU.
    position, photo_id = after or (None, None)
    [[listed]] = connection.run(
        "SELECT coalesce(json_agg(json_build_array(id, filename, width, height, thumbhash, position)), '[]')::text"
        " FROM (SELECT id, filename, width, height, thumbhash, position FROM photos"
        "       WHERE gallery_id = :gallery AND status = 'ready' AND deleted_at IS NULL"
        "         AND (cast(:position as bigint) IS NULL"
        "              OR (position, id) > (cast(:position as bigint), cast(:id as uuid)))"
        "       ORDER BY position, id LIMIT cast(:limit as int)) AS page",
        gallery=gallery_id,
        position=position,
        id=str(photo_id) if photo_id else None,
        limit=limit,
    )
    rows: list[list[Any]] = json.loads(listed)
    return rows


def _photos(signer: Signer, share: Share, rows: list[list[Any]], base_path: str) -> Iterator[bytes]:
    # A general encoder would look through three megabytes of URLs for characters that no signed URL has: a third of
    # the whole request's time. What people and cameras wrote is encoded; ids, numbers and URLs are plain ASCII.
    sign = signer.get_urls(PICTURE_SECONDS, quantum=PICTURE_QUANTUM)
    pictures, page = f"renditions/{share.gallery_id}/", f"{base_path}/s/{share.id}/photos/"
    comma = ""
    for photo_id, filename, width, height, thumbhash, _ in rows:
        size = f'"width":{"null" if width is None else width},"height":{"null" if height is None else height}'
        # Encoded one by one: a single letter beyond ASCII would make two or four bytes of every character in one text.
        yield (
            f'{comma}{{"photo_id":"{photo_id}","filename":{_json(filename)},'
            f'"thumbnail_url":"{sign(f"{pictures}{photo_id}/thumb.jpg")}",'
            f'"preview_url":"{sign(f"{pictures}{photo_id}/preview.jpg")}",'
            f'"full_url":"{page}{photo_id}",{size},"thumbhash":{_json(thumbhash)}}}'
        ).encode()
        comma = ","


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
