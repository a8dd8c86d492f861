"""A plan's entries as an object in the bucket, so that every job that builds a part plans the very same archive."""

import base64
import gzip
import json

from safelight import splice
from safelight.archives.plan import Entry, Plan, plan


def archive_key(digest: str) -> str:
    """Where the built archive lies."""
    return f"archives/{digest}.zip"


def manifest_key(digest: str) -> str:
    """Where its manifest lies."""
    return f"archives/{digest}.manifest.json.gz"


def dump(planned: Plan) -> bytes:
    """The entries, compressed."""
    rows = [
        [e.name, e.size, e.crc32, e.mtime, e.key, e.etag, e.sha256, _text(e.data), *_cut(e)] for e in planned.entries
    ]
    return gzip.compress(json.dumps(rows, separators=(",", ":")).encode(), 6, mtime=0)


def load(data: bytes) -> Plan:
    """The plan again; byte for byte the same archive."""
    rows = json.loads(gzip.decompress(data))
    return plan(
        Entry(name, size, crc32, mtime, key, etag, _bytes(text), sha256, splice.load(*cut) if cut else None)
        for name, size, crc32, mtime, key, etag, sha256, text, *cut in rows
    )


def objects(data: bytes) -> set[str]:
    """The keys of the objects that a manifest's archive is made of; without a plan, which costs more memory."""
    return {row[4] for row in json.loads(gzip.decompress(data))}


def _cut(entry: Entry) -> list[object]:
    """What only an entry that is cut out of its object has."""
    return [entry.splice.whole, splice.dump(entry.splice.pieces)] if entry.splice is not None else []


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
