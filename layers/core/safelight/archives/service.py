"""Which photos go into a gallery's archive, and under which names."""

import json
import uuid
from typing import Any
from weakref import WeakValueDictionary

from pg8000.native import Connection

from safelight.archives.names import safe_name, safe_names
from safelight.archives.plan import Entry, Plan, plan
from safelight.archives.receipt import RECEIPT, receipt
from safelight.archives.stream import ArchiveBroken
from safelight.db import driver
from safelight.errors import Conflict
from safelight.shares.visits import Size, as_jpeg
from safelight.splice import load

type Row = list[Any]

_alive: WeakValueDictionary[str, Plan] = WeakValueDictionary()
"""The plans of archives that are being sent, by digest."""


class NothingToDownload(Conflict):
    code = "nothing_to_download"
    title = "There are no photos to download yet"


class RenditionMissing(Conflict):
    code = "rendition_missing"
    title = "A photo has no file of this size"


RENDITION_LOST = "Its web size is missing, so no ZIP can hold it. Please upload the photo again."


def plan_gallery(
    connection: Connection,
    gallery_id: uuid.UUID,
    size: Size,
    selection: uuid.UUID | None = None,
    *,
    strip: bool = False,
) -> Plan:
    """The archive of all ready photos of a gallery, or of a selection's among them, with its receipt.

    `strip` takes what the originals tell about people out of them; where that cannot be done, a photo's large rendition
    takes its place, under a name that says JPEG. Raises NothingToDownload; and ArchiveBroken, after noting it for the
    photographer, for a photo of which there is no such file.
    """
    rows = _rows(connection, gallery_id, _STATEMENTS[size, strip], selection)
    if not rows:
        raise NothingToDownload
    if (lost := next((row for row in rows if row[4] is None), None)) is not None:
        _note_lost(gallery_id, strip=strip and size == "original")
        raise ArchiveBroken(Entry(lost[0], 0, 0, 0), RenditionMissing())
    names = safe_names((row[0] if row[7] else as_jpeg(row[0]) for row in rows), reserved=[RECEIPT])
    entries = [_entry(name, row) for name, row in zip(names, rows, strict=True)]
    planned = plan([*entries, receipt(entries)])
    # Whoever downloads over many connections at once has one plan, which may weigh as much as the photos' names do.
    return _alive.setdefault(planned.digest, planned)


def manifest(planned: Plan) -> dict[str, Any]:
    """What is in an archive: sizes in bytes, CRC-32 as a number, SHA-256 in hex; the receipt is not listed."""
    photos = [
        {"name": entry.name, "size": entry.size, "crc32": entry.crc32, "sha256": entry.sha256}
        for entry in planned.entries
        if entry.data is None
    ]
    return {"size": planned.size, "etag": planned.etag, "photos": photos}


def archive_name(title: str, size: Size, *, picked: bool = False) -> str:
    """What the download is called: the gallery's title, as a name that every system can save."""
    told = f"{' favourites' if picked else ''}{' (web size)' if size == 'web' else ''}"
    return safe_name(f"{title.strip() or 'photos'}{told}.zip")


def _entry(name: str, row: Row) -> Entry:
    _, file_size, crc32, mtime, key, etag, sha256, _, *cut = row
    splice = load(*cut) if cut and cut[1] is not None else None
    if splice is not None and splice.same:
        splice = None  # the object is clean as it is
    return Entry(name, file_size, crc32, mtime, key, etag, sha256=sha256, splice=splice)


# The photo's own time when the camera told it: what people sort their folders by. Who gets it without its metadata is
# not told.
_TAKEN = "coalesce(p.taken_at, p.uploaded_at, p.created_at)"
_UPLOADED = "coalesce(p.uploaded_at, p.created_at)"
_ORIGINALS = """
    SELECT coalesce(json_agg(json_build_array(
        p.filename, p.file_size, p.crc32, extract(epoch FROM {time})::bigint,
        p.s3_key, p.etag, p.sha256, true) ORDER BY p.position, p.id), '[]')::text
    FROM photos p WHERE p.gallery_id = :gallery AND p.status = 'ready' AND p.deleted_at IS NULL"""
_WEB = """
    SELECT coalesce(json_agg(json_build_array(
        p.filename, r.file_size, r.crc32, extract(epoch FROM {time})::bigint,
        r.s3_key, r.etag, r.sha256, false) ORDER BY p.position, p.id), '[]')::text
    FROM photos p LEFT JOIN renditions r ON r.photo_id = p.id AND r.name = 'large'
    WHERE p.gallery_id = :gallery AND p.status = 'ready' AND p.deleted_at IS NULL"""
_CLEAN = """
    SELECT coalesce(json_agg(json_build_array(
        p.filename, coalesce(c.file_size, r.file_size), coalesce(c.crc32, r.crc32),
        extract(epoch FROM {time})::bigint,
        CASE WHEN c.photo_id IS NULL THEN r.s3_key ELSE p.s3_key END,
        coalesce(r.etag, p.etag), coalesce(c.sha256, r.sha256),
        c.photo_id IS NOT NULL, p.file_size, c.pieces) ORDER BY p.position, p.id), '[]')::text
    FROM photos p LEFT JOIN clean_originals c ON c.photo_id = p.id
    LEFT JOIN renditions r ON r.photo_id = p.id AND r.name = 'large' AND c.photo_id IS NULL
    WHERE p.gallery_id = :gallery AND p.status = 'ready' AND p.deleted_at IS NULL"""
_STATEMENTS: dict[tuple[Size, bool], str] = {
    ("original", False): _ORIGINALS.format(time=_TAKEN),
    ("original", True): _CLEAN.format(time=_UPLOADED),
    ("web", False): _WEB.format(time=_TAKEN),
    ("web", True): _WEB.format(time=_UPLOADED),
}
_LOST = """
    UPDATE photos p SET damaged_at = coalesce(p.damaged_at, now()), damage_reason = :reason
    WHERE p.gallery_id = :gallery AND p.status = 'ready' AND p.deleted_at IS NULL
      AND NOT EXISTS (SELECT FROM renditions r WHERE r.photo_id = p.id AND r.name = 'large')
      AND NOT (:strip AND EXISTS (SELECT FROM clean_originals c WHERE c.photo_id = p.id))"""
_PICKED = " AND p.id IN (SELECT f.photo_id FROM selection_photos f WHERE f.selection_id = :selection)"


def _note_lost(gallery_id: uuid.UUID, *, strip: bool) -> None:
    # A transaction of its own: the asker's is undone by the refusal.
    with driver.connection() as connection:
        connection.run(_LOST, gallery=gallery_id, strip=strip, reason=RENDITION_LOST)


def _rows(connection: Connection, gallery_id: uuid.UUID, statement: str, selection: uuid.UUID | None) -> list[Row]:
    """(filename, bytes, CRC-32, seconds since 1970, key, ETag, SHA-256, whether it is the original) in the gallery's
    order; of those that are cut out of their objects, the object's bytes and the pieces, besides."""
    if selection is None:
        [[listed]] = connection.run(statement, gallery=gallery_id)
    else:
        [[listed]] = connection.run(statement + _PICKED, gallery=gallery_id, selection=selection)
    rows: list[Row] = json.loads(listed)
    return rows
