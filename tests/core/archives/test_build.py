"""Archives built into the bucket: the same bytes as the streamed ones, whatever happens on the way."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from local.objectstore import ObjectStore
from local.postgres import Postgres
from local.process import free_ports
from safelight import clock, storage
from safelight.archives import build, part, worker
from safelight.config import settings
from safelight.db.engine import transaction
from safelight.errors import StorageUnavailable
from safelight.jobs import queries as job_queries
from safelight.jobs import service as jobs
from safelight.models import Gallery, Photo, ShareLink, User
from safelight.photos import keys
from safelight.sweep import run as sweep
from tests import product
from tests.api import client

pytestmark = pytest.mark.usefixtures("api")
MIB = 1024 * 1024


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> str:
    """A link to a gallery of 18 MiB, on a server that streams up to 1 MiB and builds in parts of 5."""
    monkeypatch.setenv("ARCHIVE_STREAM_LIMIT", str(MIB))
    monkeypatch.setenv("ARCHIVE_PART_SIZE", str(5 * MIB))
    monkeypatch.setenv("DATABASE_POOL", "8")
    product.forget()
    return filled(12, 1536 * 1024)


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


def test_parallel_jobs_build_what_would_have_been_streamed(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = client()
    assert visitor.head(share).status_code == 202
    assert due() == []  # looking begins nothing
    begun = visitor.get(share)
    assert begun.status_code == 202
    assert begun.headers["retry-after"] == "3"
    assert (begun.json()["status"], begun.json()["progress"]) == ("building", 0.0)
    assert visitor.get(share).status_code == 202  # the second visitor waits for the same archive
    parts = due()
    assert len(parts) == 4

    worker.build_part(parts[0])
    assert visitor.get(share).json()["progress"] == 0.25
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(worker.build_part, [*parts[1:], *parts]))  # wake-ups come twice

    head = visitor.head(share)
    answer = visitor.get(share)
    assert answer.status_code == 307
    built = httpx.get(answer.headers["location"])
    assert "Large.zip" in built.headers["content-disposition"]
    some = httpx.get(answer.headers["location"], headers={"Range": "bytes=1000000-1000099"})
    assert some.status_code == 206
    assert some.content == built.content[1000000:1000100]
    assert int(head.headers["content-length"]) == len(built.content)
    assert built.content == streamed(share, monkeypatch)


@contextlib.contextmanager
def workers(*arguments: str) -> Iterator[list[subprocess.Popen[str]]]:
    """So many worker processes, ready to begin, each with its argument; whoever is left is killed."""
    paths = os.pathsep.join([str(product.ROOT), str(product.ROOT / "layers/core")])
    command = [sys.executable, "-m", "tests.core.archives.part_worker"]
    running = [
        subprocess.Popen(
            [*command, *([argument] if argument else [])],
            env={**os.environ, "PYTHONPATH": paths},
            cwd=product.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for argument in arguments
    ]
    try:
        for process in running:
            assert heard(process) == "ready"
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


def heard(process: subprocess.Popen[str]) -> str:
    """The next line it says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def begin(process: subprocess.Popen[str]) -> None:
    """Let it."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


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


def test_eight_workers_of_which_one_is_killed_in_its_part(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    share = filled(28, 1536 * 1024)  # 42 MiB
    assert client().get(share).status_code == 202
    assert len(due()) == 9
    with workers("dies", *[""] * 7) as (victim, *others):
        begin(victim)
        assert heard(victim) == "half"
        for process in others:
            begin(process)
        victim.send_signal(signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL
        for process in others:
            assert process.wait(120) == 0
    assert jobs_by_status() == {"completed": 8, "running": 1}
    assert client().get(share).status_code == 202
    make_everything_due()
    for job_id in due():
        worker.build_part(job_id)
    assert client().get(share).status_code == 307
    one_object_and_nothing_else(streamed(share, monkeypatch))


def test_eight_ask_at_once_and_every_part_comes_twice_at_once(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier = threading.Barrier(8)

    def ask(_: int) -> int:
        visitor = client()
        barrier.wait(10)
        return visitor.get(share).status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {202}
        parts = due()
        assert len(parts) == 4
        list(threads.map(worker.build_part, [job_id for job_id in parts for _ in range(2)]))
    assert client().get(share).status_code == 307
    with transaction() as session:
        assert session.scalars(text("SELECT attempts FROM jobs")).all() == [1, 1, 1, 1]
    sweep()  # throws away the uploads that lost
    one_object_and_nothing_else(streamed(share, monkeypatch))


def test_a_part_that_was_brought_twice_changes_nothing(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose lease ran out, but which lives, sends its part as well: late, and to no effect."""
    client().get(share)
    [slow, *others] = due()
    bring = part.bring

    def overtaken(*arguments: Any) -> str:
        etag = bring(*arguments)
        patch.undo()
        make_everything_due()
        worker.build_part(slow)  # another worker takes the job over, and is faster
        bring(*arguments)
        return etag

    with monkeypatch.context() as patch:
        patch.setattr(worker, "bring", overtaken)
        worker.build_part(slow)
    assert jobs_by_status() == {"completed": 1, "queued": 3}
    for job_id in others:
        worker.build_part(job_id)
    one_object_and_nothing_else(streamed(share, monkeypatch))


def test_the_lease_is_kept_while_bytes_come_and_a_lost_one_ends_the_part(
    share: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "BEAT_SECONDS", 0)
    client().get(share)
    [first, *others] = due()
    seen: list[tuple[float, bool]] = []
    extend = jobs.extend

    def watched(session: Session, held: jobs.Claim, done: float) -> None:
        extend(session, held, done)
        seen.append((done, held.job_id == first))
        if len(seen) == 3:  # the lease is taken for run out, and somebody else has the job
            session.execute(text("UPDATE jobs SET fencing = fencing + 1 WHERE id = :id"), {"id": first})

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "extend", watched)
        worker.build_part(first)
    assert len(seen) == 3
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert 0 < seen[0][0] < 1
    with transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM archive_parts")) == 0
    make_everything_due()
    for job_id in [first, *others]:
        worker.build_part(job_id)
    one_object_and_nothing_else(streamed(share, monkeypatch))


def test_a_job_of_an_aborted_upload_is_tried_no_further_than_it_must(share: str) -> None:
    client().get(share)
    [[key, upload_id]] = storage.multipart().uploads("archives/")
    storage.multipart().abort(key, upload_id)
    [first, *others] = due()
    worker.build_part(first)
    assert jobs_by_status() == {"queued": 4}
    with transaction() as session:
        assert "ObjectMissing" in str(session.scalar(text("SELECT error FROM jobs WHERE id = :id"), {"id": first}))
        session.execute(text("UPDATE archives SET status = 'failed'"))
    make_everything_due()
    for job_id in [first, *others]:
        worker.build_part(job_id)
    assert jobs_by_status() == {"completed": 4}
    assert not any(key.endswith(".zip") for key in storage.storage().keys("archives/"))


def test_a_store_that_is_busy_at_the_end_is_asked_again_without_the_part(
    share: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client().get(share)
    parts = due()
    for job_id in parts[:-1]:
        worker.build_part(job_id)

    def busy(*_: object) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(storage.multipart(), "complete", busy)
        worker.build_part(parts[-1])
    assert client().get(share).json()["progress"] == 1.0
    assert jobs_by_status() == {"completed": 3, "queued": 1}
    make_everything_due()
    with monkeypatch.context() as patch:
        patch.setattr(worker, "bring", busy)  # it is there: nobody sends it again
        worker.build_part(parts[-1])
    assert client().get(share).status_code == 307
    one_object_and_nothing_else(streamed(share, monkeypatch))


def test_a_database_that_restarts_while_parts_are_sent_loses_none(
    share: str, object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert share
    bring, (port,) = part.bring, free_ports(1)
    asked, gone = threading.Event(), threading.Event()
    with Postgres(tmp_path, port, "password", durable=False) as server:
        variables = product.environment(server.create("restarted"), settings().bucket, object_store)
        with product.configured({**os.environ, **variables}):
            product.migrate()
            path = filled(12, 1536 * 1024)
            client().get(path)
            [first, *others] = due()

            def sent(*arguments: Any) -> str:
                asked.set()
                assert gone.wait(30)
                return bring(*arguments)

            with monkeypatch.context() as patch, ThreadPoolExecutor(1) as threads:
                patch.setattr(worker, "bring", sent)
                brought = threads.submit(worker.build_part, first)
                assert asked.wait(30)
                server.stop()
                gone.set()
                time.sleep(1)
                server.start()  # by this thread: the server ends with the one that started it
                brought.result(60)
            for job_id in others:
                worker.build_part(job_id)
            with transaction() as session:
                assert session.scalars(text("SELECT attempts FROM jobs")).all() == [1, 1, 1, 1]
            one_object_and_nothing_else(streamed(path, monkeypatch))


def test_a_job_that_died_on_the_way_is_done_again(share: str) -> None:
    visitor = client()
    visitor.get(share)
    [victim, *others] = due()
    with transaction() as session:
        from safelight.jobs import service as jobs

        assert jobs.claim(session, victim) is not None  # and its worker dies here
    for job_id in others:
        worker.build_part(job_id)
    assert visitor.get(share).status_code == 202
    make_everything_due()
    worker.build_part(victim)
    assert visitor.get(share).status_code == 307


def test_an_archive_made_but_not_recorded_is_found(share: str, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = client()
    visitor.get(share)
    parts = due()
    complete = storage.multipart().complete

    def dies_afterwards(*arguments: object) -> None:
        complete(*arguments)  # type: ignore[arg-type]  # passed on as they came
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(storage.multipart(), "complete", dies_afterwards)
        for job_id in parts:
            worker.build_part(job_id)
    assert visitor.get(share).status_code == 202
    make_everything_due()
    for job_id in due():
        worker.build_part(job_id)
    assert visitor.get(share).status_code == 307


def test_a_missing_photo_ends_the_archive_and_says_which(share: str, caplog: pytest.LogCaptureFixture) -> None:
    visitor = client()
    visitor.get(share)
    with transaction() as session:
        key = session.execute(text("SELECT s3_key FROM photos WHERE filename = '5.jpg'")).scalar_one()
    storage.storage().delete([key])
    for job_id in due():
        worker.build_part(job_id)
    answer = visitor.get(share)
    assert (answer.status_code, answer.json()["code"]) == (409, "archive_not_built")
    assert any(getattr(record, "photo", "") == "5.jpg" for record in caplog.records)
    assert list(storage.multipart().uploads("archives/")) == []
    assert not any(key.endswith(".zip") for key in storage.storage().keys("archives/"))


def test_an_archive_that_the_bucket_forgot_is_built_again(share: str) -> None:
    visitor = client()
    for _ in range(2):
        assert visitor.get(share).status_code == 202
        for job_id in due():
            worker.build_part(job_id)
        assert visitor.get(share).status_code == 307
        storage.storage().delete([key for key in storage.storage().keys("archives/") if key.endswith(".zip")])


def test_two_hundred_visitors_begin_one_archive(share: str) -> None:
    barrier = threading.Barrier(8)

    def visit(_: int) -> set[int]:
        visitor = client()
        barrier.wait(10)
        return {visitor.get(share).status_code for _ in range(25)}

    with ThreadPoolExecutor(8) as threads:
        assert set().union(*threads.map(visit, range(8))) == {202}
    assert len(due()) == 4
    sweep()  # throws away what the losers began
    assert len(list(storage.multipart().uploads("archives/"))) == 1


def test_the_sweep_deletes_archives_nobody_wants(share: str) -> None:
    client().get(share)
    for job_id in due():
        worker.build_part(job_id)
    with transaction() as session:
        session.execute(text("UPDATE archives SET used_at = now() - interval '8 days'"))
    assert sweep().archives == 1
    assert list(storage.storage().keys("archives/")) == []


@pytest.mark.parametrize(
    ("size", "smallest", "expected"),
    [
        (1, 5 * MIB, 5 * MIB),
        (20 * 1024 * MIB, 64 * MIB, 80 * MIB),
        (10**12, 64 * MIB, 1024 * MIB),
        (2 * 10**13, 64 * MIB, 1908 * MIB),
    ],
)
def test_parts_are_never_too_many(size: int, smallest: int, expected: int) -> None:
    assert build.part_size(size, smallest) == expected
    assert size <= 10_000 * expected


def test_settings_reach_the_builder(share: str) -> None:
    assert share.startswith("/s/")
    assert settings().archive_part_size == 5 * MIB
