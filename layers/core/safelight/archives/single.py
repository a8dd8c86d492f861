"""One photo as a file to keep, by the same arithmetic as an archive of many."""

import uuid
from collections.abc import Iterator

from pg8000.native import Connection

from safelight.archives.plan import Entry, Literal, Source, content
from safelight.errors import NotFound
from safelight.shares.visits import Share, Shown, as_jpeg, photo
from safelight.splice import load


class SingleFile:
    """The bytes of one entry, as a `plan.Layout`; `name` and `content_type` are told, `shown` is its photo."""

    def __init__(self, entry: Entry, shown: Shown, content_type: str) -> None:
        self.entry = entry
        self.shown = shown
        self.name = entry.name
        self.content_type = content_type
        self.size = entry.size
        self.digest = f"photo/{shown.id}/{entry.sha256}"
        # An object that is handed out as it lies is known by the bucket's validator: a download that began there is
        # carried on here.
        as_it_lies = entry.etag if entry.splice is None else None
        self.etag = as_it_lies or f'"{entry.sha256[:40]}"'

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[Literal | Source]:
        """As `plan.Plan.read`."""
        stop = self.size if stop is None else stop
        if not 0 <= start <= stop <= self.size:
            raise ValueError(f"bytes {start} to {stop} are not within a file of {self.size}")
        return content(self.entry, start, stop) if start < stop else iter(())


def photo_file(connection: Connection, share: Share, photo_id: uuid.UUID) -> SingleFile:
    """What a link hands out of a photo: the original, the clean file or the large rendition. Raises NotFound."""
    shown = photo(connection, share, photo_id)
    statement = _CLEAN if shown.cut else _AS_IS if shown.as_is else _LARGE
    rows = connection.run(statement, photo=photo_id)
    if not rows:
        raise NotFound
    [[size, crc32, key, etag, sha256, whole, pieces]] = rows
    cut = load(whole, pieces) if pieces is not None else None
    name = shown.filename if _is_original(shown) else as_jpeg(shown.filename)
    entry = Entry(name, size, crc32, 0, key, etag, sha256=sha256, splice=cut)
    return SingleFile(entry, shown, shown.content_type if _is_original(shown) else "image/jpeg")


def _is_original(shown: Shown) -> bool:
    return shown.as_is or shown.cut


_AS_IS = "SELECT file_size, crc32, s3_key, etag, sha256, file_size, NULL FROM photos WHERE id = :photo"
_CLEAN = """
    SELECT c.file_size, c.crc32, p.s3_key, p.etag, c.sha256, p.file_size, c.pieces
    FROM photos p JOIN clean_originals c ON c.photo_id = p.id WHERE p.id = :photo"""
_LARGE = """
    SELECT file_size, crc32, s3_key, etag, sha256, file_size, NULL FROM renditions
    WHERE photo_id = :photo AND name = 'large'"""
