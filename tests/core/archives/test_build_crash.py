"""Archives built while workers die, leases run out, and the database or the store goes away: the same archive, once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from local.objectstore import ObjectStore
from local.postgres import Postgres
from local.process import free_ports
from safelight import storage
from safelight.archives import part, worker
from safelight.config import settings
from safelight.db.engine import transaction
from safelight.errors import StorageUnavailable
from safelight.jobs import service as jobs
from safelight.sweep import run as sweep
from tests import product
from tests.api import Server, client
from tests.claims import build_part
from tests.core.archives.building import (
    due,
    filled,
    jobs_by_status,
    make_everything_due,
    one_object_and_nothing_else,
    streamed,
)

pytestmark = pytest.mark.usefixtures("api")


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
        build_part(job_id)
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
        list(threads.map(build_part, [job_id for job_id in parts for _ in range(2)]))
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
        build_part(slow)  # another worker takes the job over, and is faster
        bring(*arguments)
        return etag

    with monkeypatch.context() as patch:
        patch.setattr(worker, "bring", overtaken)
        build_part(slow)
    assert jobs_by_status() == {"completed": 1, "queued": 3}
    for job_id in others:
        build_part(job_id)
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
        build_part(first)
    assert len(seen) == 3
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert 0 < seen[0][0] < 1
    with transaction() as session:
        assert session.scalar(text("SELECT count(*) FROM archive_parts")) == 0
    make_everything_due()
    for job_id in [first, *others]:
        build_part(job_id)
    one_object_and_nothing_else(streamed(share, monkeypatch))


def test_a_job_of_an_aborted_upload_is_tried_no_further_than_it_must(share: str) -> None:
    client().get(share)
    [[key, upload_id]] = storage.multipart().uploads("archives/")
    storage.multipart().abort(key, upload_id)
    [first, *others] = due()
    build_part(first)
    assert jobs_by_status() == {"queued": 4}
    with transaction() as session:
        assert "ObjectMissing" in str(session.scalar(text("SELECT error FROM jobs WHERE id = :id"), {"id": first}))
        session.execute(text("UPDATE archives SET status = 'failed'"))
    make_everything_due()
    for job_id in [first, *others]:
        build_part(job_id)
    assert jobs_by_status() == {"completed": 4}
    assert not any(key.endswith(".zip") for key in storage.storage().keys("archives/"))


def test_a_store_that_is_busy_at_the_end_is_asked_again_without_the_part(
    share: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client().get(share)
    parts = due()
    for job_id in parts[:-1]:
        build_part(job_id)

    def busy(*_: object) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(storage.multipart(), "complete", busy)
        build_part(parts[-1])
    assert client().get(share).json()["progress"] == 1.0
    assert jobs_by_status() == {"completed": 3, "queued": 1}
    make_everything_due()
    with monkeypatch.context() as patch:
        patch.setattr(worker, "bring", busy)  # it is there: nobody sends it again
        build_part(parts[-1])
    assert client().get(share).status_code == 307
    one_object_and_nothing_else(streamed(share, monkeypatch))


def test_a_database_that_restarts_while_parts_are_sent_loses_none(
    share: str, api_server: Server, object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
                brought = threads.submit(build_part, first)
                assert asked.wait(30)
                server.stop()
                gone.set()
                time.sleep(1)
                server.start()  # by this thread: the server ends with the one that started it
                brought.result(60)
            for job_id in others:
                build_part(job_id)
            with transaction() as session:
                assert session.scalars(text("SELECT attempts FROM jobs")).all() == [1, 1, 1, 1]
            one_object_and_nothing_else(streamed(path, monkeypatch))
            api_server.forget()  # while it has the settings that it worked with
