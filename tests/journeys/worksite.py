"""What the crash tests look at: the tables by SQL, the bucket by its keys, and how often photos became ready."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from safelight import storage
from safelight.db.engine import transaction
from safelight.photos import keys
from tests import product

ROOT = Path(__file__).resolve().parents[2]

COUNT_READY = """
CREATE TABLE became_ready (photo_id uuid NOT NULL);
CREATE FUNCTION count_ready() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    'BEGIN INSERT INTO became_ready VALUES (NEW.id); RETURN NULL; END';
CREATE TRIGGER count_ready AFTER UPDATE ON photos FOR EACH ROW
    WHEN (NEW.status = 'ready' AND OLD.status IS DISTINCT FROM 'ready') EXECUTE FUNCTION count_ready();
"""


def sql(statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Run one statement in a transaction of its own, as the owner of the tables; its rows."""
    with product.as_owner(), transaction() as session:
        result = session.execute(text(statement), values)
        return [tuple(row) for row in result] if result.returns_rows else []  # type: ignore[attr-defined]  # CursorResult


def count_ready() -> None:
    """From now on the database itself notes every time that a photo becomes ready."""
    for statement in COUNT_READY.split(";\n"):
        if statement.strip():
            sql(statement)


def expire_leases() -> None:
    """As if the lease's three minutes had passed, and every wait before another attempt."""
    sql("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE status = 'running'")
    sql("UPDATE jobs SET run_after = now() - interval '1 second' WHERE status = 'queued'")


def jobs_of(photo_id: str) -> list[tuple[str, int]]:
    """(status, attempts) of every job there ever was for the photo."""
    return [(status, attempts) for status, attempts in sql(
        "SELECT status, attempts FROM jobs WHERE subject_id = :id ORDER BY created_at", id=photo_id
    )]  # fmt: skip


def assert_ready_once(photo: dict[str, Any], data: bytes) -> None:
    """The photo became ready once, by one job that completed; original and renditions are whole and nothing else is."""
    assert photo["status"] == "ready", photo["failure_reason"]
    photo_id, gallery_id = photo["id"], photo["gallery_id"]
    assert sql("SELECT count(*) FROM became_ready WHERE photo_id = :id", id=photo_id) == [(1,)]
    assert [status for status, _ in jobs_of(photo_id)] == ["completed"]
    store = storage.storage()
    assert store.read(f"originals/{gallery_id}/{photo_id}")[0] == data
    rows = sql("SELECT name, s3_key, file_size, etag FROM renditions WHERE photo_id = :id", id=photo_id)
    assert {name for name, *_ in rows} == set(keys.RENDITIONS)
    assert len(rows) == len(keys.RENDITIONS)
    for _, key, size, etag in rows:
        made, info = store.read(key)
        assert (len(made), info.etag) == (size, etag)
        assert made.startswith(b"\xff\xd8")


def bucket() -> set[str]:
    """Every key."""
    return set(storage.storage().keys(""))


@contextmanager
def dying_worker() -> Iterator[subprocess.Popen[str]]:
    """The program `dying`, configured as this process is."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "core")])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.journeys.dying"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
    )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


def die(process: subprocess.Popen[str], key: str, step: int) -> str | None:
    """Let a worker handle `key` and die at the step; where that was, or None when it ended before."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"key": key, "step": step}) + "\n")
    process.stdin.flush()
    died: str | None = json.loads(process.stdout.readline())["died"]
    return died
