"""Shared by the tests of built archives: a gallery, its jobs, and what must be there at the end."""

from __future__ import annotations

import hashlib
import random
import uuid
import zlib

import pytest
from sqlalchemy import text

from safelight import clock, storage
from safelight.db.engine import transaction
from safelight.jobs import queries as job_queries
from safelight.models import Gallery, Photo, ShareLink, User
from safelight.photos import keys
from tests import product
from tests.api import client

MIB = 1024 * 1024


def filled(count: int, size: int) -> str:
    """A shared gallery whose photos need not be pictures."""
    noise = random.Random(7)
    with transaction() as session:
        owner = User(email=f"{uuid.uuid4().hex}@example.com", password_hash="none")
        session.add(owner)
        session.flush()
        gallery = Gallery(owner_id=owner.id, title="Large")
        session.add(gallery)
        session.flush()
        for number in range(count):
            data, photo_id = noise.randbytes(size + number), uuid.uuid4()
            key = keys.original(gallery.id, photo_id)
            written = storage.storage().write(key, data, "image/jpeg")
            session.add(
                Photo(
                    id=photo_id,
                    gallery_id=gallery.id,
                    filename=f"{number}.jpg",
                    content_type="image/jpeg",
                    file_size=len(data),
                    crc32=zlib.crc32(data),
                    sha256=hashlib.sha256(data).hexdigest(),
                    etag=written.etag,
                    s3_key=key,
                    status="ready",
                    position=number,
                    uploaded_at=clock.now(),
                )
            )
        link = ShareLink(gallery_id=gallery.id)
        session.add(link)
        session.flush()
        return f"/s/{link.id}/download/all"


def due() -> list[uuid.UUID]:
    with transaction() as session:
        return [job_id for job_id, _ in job_queries.due(session, 1000)]


def make_everything_due() -> None:
    """As if leases and pauses had run out."""
    with transaction() as session:
        session.execute(text("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE status = 'running'"))
        session.execute(text("UPDATE jobs SET run_after = now() WHERE status = 'queued'"))


def streamed(path: str, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The same archive from a server without a limit."""
    monkeypatch.delenv("ARCHIVE_STREAM_LIMIT")
    product.forget()
    answer = client().get(path)
    assert answer.status_code == 200, answer.text
    return answer.content


def jobs_by_status() -> dict[str, int]:
    with transaction() as session:
        rows = session.execute(text("SELECT status, count(*) FROM jobs WHERE kind = 'build_archive' GROUP BY 1"))
        return {row[0]: row[1] for row in rows}


def one_object_and_nothing_else(expected: bytes) -> None:
    """In the bucket lies the archive, whole; no upload is left, and no job is unfinished."""
    [key] = [key for key in storage.storage().keys("archives/") if key.endswith(".zip")]
    built, _ = storage.storage().read(key)
    assert hashlib.sha256(built).hexdigest() == hashlib.sha256(expected).hexdigest()
    assert list(storage.multipart().uploads("archives/")) == []
    assert set(jobs_by_status()) == {"completed"}
